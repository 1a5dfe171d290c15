"""What the pool does for honest documents: it judges them, reads them, keeps them warm, and never shows an empty one
instead."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from syncd.documents.limits import PoolLimits, WorkerLimits
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Verdict
from syncd.errors import DocumentUnreadable, InvalidMessage, ShuttingDown
from tests.documents.shelf import Shelved
from tests.documents.yjs import number, text, typed
from tests.support.until import until


async def test_updates_are_judged_one_after_another_and_read_as_text(pool: DocumentPool) -> None:
    note = Shelved(pool)
    assert await note.push(typed(1, "goal "), typed(2, "x"), typed(1, "by Asha", at=5)) == [Verdict()] * 3
    assert await note.view() in ("goal by Ashax", "xgoal by Asha")


async def test_the_server_has_no_pycrdt_in_it_and_may_be_started_anywhere(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('this is not the one')")
    program = """
import asyncio, sys
sys.path.remove("")
import uvloop
from tests.documents.shelf import Shelved
from tests.documents.yjs import typed
from syncd.documents.pool import DocumentPool

async def main():
    pool = DocumentPool()
    note = Shelved(pool)
    await note.push(typed(1, "a"))
    assert await note.view() == "a"
    await pool.close()

asyncio.run(main())
asyncio.run(main())
uvloop.run(main())
assert "pycrdt" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=tmp_path, env=environment)
    assert await process.wait() == 0


async def test_what_is_refused_has_a_sentence_and_is_no_part_of_the_document(pool: DocumentPool) -> None:
    note = Shelved(pool)
    fine, cut, foreign, further = await note.push(
        typed(1, "a"), typed(3, "lost")[:-3], typed(4, "b", field="other"), typed(1, "c", at=1)
    )
    assert (fine, further) == (Verdict(), Verdict())
    assert (cut.code, foreign.code) == ("invalid_document_update",) * 2
    assert "ends early" in cut.message
    assert "'other'" in foreign.message
    assert await note.view() == "ac"


async def test_what_came_too_early_waits_and_is_released(pool: DocumentPool) -> None:
    note = Shelved(pool)
    assert await note.push(typed(1, "c", at=2), typed(1, "a")) == [Verdict(waits=True), Verdict()]
    assert await note.view() == "a"
    assert await note.push(typed(1, "b", at=1)) == [Verdict()]
    assert await note.view() == "abc"


async def test_a_warm_document_is_not_loaded_again(pool: DocumentPool) -> None:
    note = Shelved(pool)
    for place in range(5):
        await note.push(typed(1, "a", at=place))
    assert await note.view() == "aaaaa"
    assert note.loads == 0


async def test_what_was_checked_and_not_kept_is_forgotten(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "kept"))
    assert await note.check(typed(1, " not", at=4)) == [Verdict()]
    assert await note.push(typed(2, "!")) == [Verdict()]
    assert await note.view() in ("kept!", "!kept")


async def test_another_life_of_the_document_is_another_document(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "first"))
    again = Shelved(pool, since=9)
    await again.push(typed(1, "second"))
    assert await again.view() == "second"


async def test_a_squashed_document_loads_to_the_same_and_keeps_what_waits(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "a"), typed(2, "z", at=1), typed(1, "b", at=1))
    squash = await note.squash()
    assert (note.snapshot_seq, squash.keep, set(note.log)) == (3, [2], {2})
    loads = note.loads
    await note.check(typed(9, "unkept"))
    assert await note.view() == "ab"
    assert note.loads == loads + 1
    await note.push(typed(2, "y"))
    assert sorted(str(await note.view())) == ["a", "b", "y", "z"]


async def test_while_a_large_document_is_squashed_nobody_waits_who_writes_to_it(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "x" * 200_000), typed(2, "z", at=1))
    (writes,) = pool.pids
    squashing = asyncio.create_task(pool.squash(note.key, "text", note.since, note.seq, note.load))
    await until(lambda: len(pool.pids) == 2)
    (squashes,) = set(pool.pids) - {writes}
    os.kill(squashes, signal.SIGSTOP)
    for place in range(5):
        assert await note.push(typed(1, "y", at=200_000 + place)) == [Verdict()]
    assert not squashing.done()
    os.kill(squashes, signal.SIGCONT)
    squash = await squashing
    assert squash.keep == [2]
    assert pool.pids == [writes], "what it took of memory is gone"
    note.snapshot, note.snapshot_seq = squash.snapshot, 2
    note.log = {seq: update for seq, update in note.log.items() if seq in squash.keep or seq > 2}
    fresh = DocumentPool()
    try:
        assert await fresh.view(note.key, "text", 1, note.seq, note.load) == "x" * 200_000 + "y" * 5
    finally:
        await fresh.close()


async def test_what_was_let_go_of_is_told_with_its_reason_until_it_has_gone_from_the_log(pool: DocumentPool) -> None:
    note = Shelved(pool)
    inside_of_a_letter = b"\x01\x01\x02\x00\x04\x00\x01\x00" + text("x") + b"\x00"
    assert await note.push(inside_of_a_letter) == [Verdict(waits=True)]
    assert await note.push(typed(1, "a")) == [Verdict()]
    reason = (1, "the update puts something into what is no text, map or array")
    for warm in (True, False):
        if not warm:
            os.kill(pool.pids[0], signal.SIGKILL)
            await until(lambda: not pool.pids)
        squash = await pool.squash(note.key, "text", note.since, note.seq, note.load)
        assert (squash.keep, squash.dropped) == ([], [reason])


async def test_a_diff_brings_what_a_state_vector_lacks(pool: DocumentPool) -> None:
    note, copy = Shelved(pool), Shelved(pool, "copy")
    await note.push(typed(1, "abc"), typed(2, "d"))
    await copy.push(typed(1, "abc"))
    has_three_of_client_1 = b"\x01\x01\x03"
    assert await copy.push(await note.diff(has_three_of_client_1)) == [Verdict()]
    assert await copy.view() == await note.view()
    with pytest.raises(InvalidMessage, match="state vector"):
        await note.diff(b"\xff")


async def test_a_document_of_which_the_store_has_nothing_is_an_error_that_names_it(pool: DocumentPool) -> None:
    async def nothing() -> None:
        return None

    note = Shelved(pool)
    with pytest.raises(DocumentUnreadable, match="note/n1/notes"):
        await pool.view(note.key, "text", 1, 3, nothing)


async def test_a_gap_in_the_log_is_an_error(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "a"), typed(1, "b", at=1), typed(1, "c", at=2))
    del note.log[2]
    await pool.close()
    fresh = DocumentPool()
    try:
        with pytest.raises(DocumentUnreadable, match="missing"):
            await fresh.view(note.key, "text", 1, 3, note.load)
    finally:
        await fresh.close()


async def test_a_snapshot_that_does_not_load_is_an_error_and_other_documents_are_served(pool: DocumentPool) -> None:
    note, other = Shelved(pool), Shelved(pool, "n2")
    note.snapshot, note.snapshot_seq = b"\x01\x01\x01", 4
    with pytest.raises(DocumentUnreadable, match="ends early") as raised:
        await note.check(typed(1, "a"))
    assert "/".join(note.key) in raised.value.message
    assert "backup" in raised.value.hint
    assert await other.push(typed(1, "fine")) == [Verdict()]


async def test_more_updates_than_go_in_one_turn_are_judged_in_several() -> None:
    pool = DocumentPool(limits=PoolLimits(turn_updates=7, turn_bytes=100))
    try:
        note = Shelved(pool)
        verdicts = await note.push(*(typed(1, "x", at=place) for place in range(50)), b"\x07")
        assert [verdict.code for verdict in verdicts] == [None] * 50 + ["invalid_document_update"]
        assert await note.view() == "x" * 50
        assert note.loads == 0
    finally:
        await pool.close()


async def test_an_update_over_the_limit_is_refused_before_it_is_sent() -> None:
    pool = DocumentPool(limits=PoolLimits(update_bytes=100))
    try:
        (verdict,) = await Shelved(pool).push(typed(1, "x" * 100))
        assert (verdict.code, pool.pids) == ("invalid_document_update", [])
        assert "no more than 100" in verdict.message
    finally:
        await pool.close()


async def test_a_document_that_would_be_too_large_stays_as_it_is() -> None:
    pool = DocumentPool(worker_limits=WorkerLimits(document_bytes=200))
    try:
        note = Shelved(pool)
        small, large, further = await note.push(typed(1, "a"), typed(2, "b" * 300), typed(1, "c", at=1))
        assert (small, further) == (Verdict(), Verdict())
        assert large.code == "document_too_large"
        assert await note.view() == "ac"
    finally:
        await pool.close()


async def test_documents_that_do_not_fit_are_closed_and_loaded_when_they_are_asked_for() -> None:
    pool = DocumentPool(worker_limits=WorkerLimits(warm_bytes=1000))
    try:
        notes = [Shelved(pool, f"n{index}") for index in range(10)]
        for note in notes:
            await note.push(typed(1, "x" * 300))
        assert [await note.view() for note in notes] == ["x" * 300] * 10
        assert sum(note.loads for note in notes) >= 7
    finally:
        await pool.close()


async def test_no_more_documents_are_kept_open_than_may_be() -> None:
    pool = DocumentPool(worker_limits=WorkerLimits(warm_documents=3))
    try:
        notes = [Shelved(pool, f"n{index}") for index in range(5)]
        for note in notes:
            await note.push(typed(1, "x"))
        for note in reversed(notes):
            assert await note.view() == "x"
        assert [note.loads for note in notes] == [1, 1, 0, 0, 0]
    finally:
        await pool.close()


@pytest.mark.parametrize("workers", [1, 3])
async def test_many_documents_at_once_are_each_read_in_order(workers: int) -> None:
    pool = DocumentPool(workers=workers)
    try:
        notes = [Shelved(pool, f"n{index}") for index in range(20)]

        async def write(note: Shelved) -> None:
            for place in range(10):
                assert await note.push(typed(1, str(place), at=place)) == [Verdict()]

        await asyncio.gather(*map(write, notes))
        assert {await note.view() for note in notes} == {"0123456789"}
        assert len(pool.pids) == workers
    finally:
        await pool.close()


async def test_a_start_that_is_given_up_leaves_nothing_half_done(pool: DocumentPool) -> None:
    starting = asyncio.create_task(pool.start())
    await until(lambda: pool.zygote_pid is not None)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await Shelved(pool).push(typed(1, "a")) == [Verdict()]


async def test_a_closed_pool_answers_no_more(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "a"))
    await pool.close()
    with pytest.raises(ShuttingDown):
        await note.view()
    await pool.close()


def test_numbers_are_written_as_yjs_does() -> None:
    assert number(300) == b"\xac\x02"
