"""What ends, hangs or panics a worker, and what is then left of it: a refused update.

The workers here trust what comes (`trusting_zygote`), for what is read before would keep all of it from pycrdt.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Verdict
from syncd.errors import DocumentUnreadable
from tests.documents.marks import EATS, ENDS, ENDS_AFTER_POISON, HANGS, POISON
from tests.documents.shelf import Shelved
from tests.documents.yjs import text, typed
from tests.support.until import until

FAILED = "document_update_failed"
HANG_IN_AN_ARRAY = b"\x01\x01\x07\x00\x04\x01" + text("list") + text("\N{GRINNING FACE}x") + b"\x00"
NESTED_27_000_DEEP = (
    b"\x01\x01\x07\x00\x28\x01" + text("map") + text("k") + b"\x01" + b"\x75\x01" * 27_000 + b"\x7e\x00"
)
PANICS = (
    bytes.fromhex("03020400840306000401036d617002c3a90203000a008401040002010084010705f09f9880780401036d617002c3a900"),
    bytes.fromhex("01010401a403080000"),
)
CANNOT_BE_READ_BACK = bytes.fromhex("0101010002010161010131013200")


def letters_in_a_row(count: int) -> bytes:
    """One update in which a client types so many letters, a struct each: pycrdt takes n squared bytes to join them."""
    structs = b"".join(
        b"\x84\x07" + bytes((place & 127 | 128, place >> 7 & 127 | 128, place >> 14)) + b"\x01x"
        for place in range(count - 1)
    )
    number = bytes((count & 127 | 128, count >> 7 & 127 | 128, count >> 14))
    return b"\x01" + number + b"\x07\x00\x04\x01" + text("notes") + b"\x01x" + structs + b"\x00"


def gone(pid: int | None) -> bool:
    """Whether a process has ended; whoever it was left to may yet have to take note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] == b"Z"
    except OSError:
        return True


async def test_native_code_that_ends_the_process_refuses_that_update_and_takes_the_others(
    trusting: DocumentPool,
) -> None:
    board = Shelved(trusting, kind="map", field="map")
    fine = b"\x01\x01\x01\x00\x28\x01" + text("map") + text("k") + b"\x01\x78\x00"
    verdicts = await board.push(fine, NESTED_27_000_DEEP, fine)
    assert [verdict.code for verdict in verdicts] == [None, FAILED, None]
    assert verdicts[1].message == "applying the update ended the process that did it"
    assert await board.view() == {"k": True}


async def test_native_code_that_hangs_is_ended_and_the_step_is_named(trusting: DocumentPool) -> None:
    shopping = Shelved(trusting, kind="array", field="list")
    fine = b"\x01\x01\x01\x00\x08\x01" + text("list") + b"\x01\x77" + text("milk") + b"\x00"
    verdicts = await shopping.push(fine, HANG_IN_AN_ARRAY)
    assert [verdict.code for verdict in verdicts] == [None, FAILED]
    assert verdicts[1].message == "reading the document after it did not end"
    assert await shopping.view() == ["milk"]


async def test_a_panic_is_told_from_an_end(trusting: DocumentPool) -> None:
    board = Shelved(trusting, kind="map", field="map")
    verdicts = await board.push(*PANICS)
    assert FAILED in [verdict.code for verdict in verdicts]
    assert any("merging library" in verdict.message for verdict in verdicts)


async def test_memory_is_bounded_and_what_asks_for_more_is_refused(trusting: DocumentPool) -> None:
    note = Shelved(trusting)
    fine, large, greedy, further = await note.push(
        typed(1, "a"), letters_in_a_row(40_000), EATS + typed(3, "b"), typed(1, "c", at=1)
    )
    assert (fine, further) == (Verdict(), Verdict())
    assert (large.code, greedy.code) == (FAILED, FAILED)
    assert await note.view() == "ac"


async def test_what_applies_and_cannot_be_read_back_is_refused_without_ending_anything(trusting: DocumentPool) -> None:
    note = Shelved(trusting)
    verdicts = await note.push(
        typed(2, "a"), typed(2, "b", at=1), CANNOT_BE_READ_BACK, typed(2, "c", at=2), typed(2, "d", at=3)
    )
    assert [verdict.code for verdict in verdicts] == [None, None, FAILED, None, None]
    assert "back from its encoding" in verdicts[2].message or "encoding" in verdicts[2].message
    assert await note.view() == "abcd"
    assert trusting.ended == 0


async def test_many_that_hang_in_one_call_are_all_found(trusting: DocumentPool) -> None:
    note = Shelved(trusting)
    updates = [typed(1, "x", at=place) for place in range(12)]
    for place in (3, 4, 9):
        updates[place : place + 1] = [typed(7, f"{HANGS.decode()}{place}"), updates[place]]
    verdicts = await note.push(*updates)
    assert [verdict.code for verdict in verdicts] == [FAILED if HANGS in update else None for update in updates]
    assert await note.view() == "x" * 12


async def test_what_ends_a_worker_only_after_an_earlier_one_costs_that_earlier_one(trusting: DocumentPool) -> None:
    note = Shelved(trusting)
    updates = [typed(client, "x") for client in range(1, 9)]
    updates.insert(5, typed(20, POISON.decode()))
    updates += [typed(21, ENDS_AFTER_POISON.decode()), typed(22, "y")]
    verdicts = await note.push(*updates)
    assert [place for place, verdict in enumerate(verdicts) if verdict.code] == [5]
    assert POISON.decode() not in str(await note.view())


async def test_what_the_stored_document_does_not_bear_is_refused(trusting: DocumentPool) -> None:
    note = Shelved(trusting)
    await note.push(typed(20, POISON.decode()))
    verdicts = await note.push(typed(1, "a"), typed(21, ENDS_AFTER_POISON.decode()), typed(1, "b", at=1))
    assert [verdict.code for verdict in verdicts] == [None, FAILED, None]


async def test_a_stored_document_that_ends_its_worker_is_an_error_and_others_are_served(trusting: DocumentPool) -> None:
    note, other = Shelved(trusting), Shelved(trusting, "n2")
    note.log = {1: typed(1, ENDS.decode())}
    with pytest.raises(DocumentUnreadable, match="loading the document ended the process"):
        await note.check(typed(2, "a"))
    with pytest.raises(DocumentUnreadable):
        await note.view()
    assert await other.push(typed(1, "fine")) == [Verdict()]


async def test_others_are_served_while_one_document_hangs_again_and_again(trusting: DocumentPool) -> None:
    hostile, honest = Shelved(trusting, "hostile"), Shelved(trusting, "honest")
    await honest.push(typed(1, "x"))
    attack = asyncio.create_task(hostile.push(*(typed(client, HANGS.decode()) for client in range(1, 5))))
    waits = []
    while not attack.done():
        began = time.monotonic()
        assert await honest.push(typed(1, "x", at=len(str(await honest.view())))) == [Verdict()]
        waits.append(time.monotonic() - began)
    assert [verdict.code for verdict in await attack] == [FAILED] * 4
    # One may have stood behind the first that hung; from then on that document has a process of its own.
    assert sum(wait > 0.5 for wait in waits) <= 1
    assert len(waits) > 20


async def test_a_worker_that_is_killed_from_outside_costs_nobody_an_update(trusting: DocumentPool) -> None:
    notes = [Shelved(trusting, f"n{index}") for index in range(4)]

    async def write(note: Shelved) -> None:
        for place in range(60):
            assert await note.push(typed(1, "x", at=place)) == [Verdict()]

    writing = asyncio.gather(*map(write, notes))
    for kill in range(1, 6):
        # An update at which a worker is killed twice looks as if it had done it.
        await until(lambda: sum(note.seq for note in notes) > 40 * kill)  # noqa: B023  # it is awaited here
        for pid in trusting.pids:
            os.kill(pid, signal.SIGKILL)
    await writing
    assert {await note.view() for note in notes} == {"x" * 60}


async def test_a_worker_that_is_killed_while_it_waits_is_replaced(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "a"))
    (before,) = pool.pids
    os.kill(before, signal.SIGKILL)
    await until(lambda: not pool.pids)
    assert await note.push(typed(1, "b", at=1)) == [Verdict()]
    assert await note.view() == "ab"
    assert before not in pool.pids


async def test_a_zygote_that_is_killed_is_replaced(pool: DocumentPool) -> None:
    note = Shelved(pool)
    await note.push(typed(1, "a"))
    zygote, (worker,) = pool.zygote_pid, pool.pids
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)
    await until(lambda: pool.zygote_pid is None)
    os.kill(worker, signal.SIGKILL)
    await until(lambda: not pool.pids)
    assert await note.push(typed(1, "b", at=1)) == [Verdict()]
    assert pool.zygote_pid not in (None, zygote)
    # Nor is what was killed left in the process table.
    await until(lambda: not Path(f"/proc/{zygote}").exists())


async def test_a_zygote_that_does_not_answer_is_replaced(pool: DocumentPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.documents.spawn._FORK_S", 0.2)
    await pool.start()
    stopped = pool.zygote_pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    assert await Shelved(pool).push(typed(1, "a")) == [Verdict()]
    await until(lambda: not Path(f"/proc/{stopped}").exists())


async def test_closing_leaves_no_process_behind(trusting: DocumentPool) -> None:
    hostile, honest = Shelved(trusting, "hostile"), Shelved(trusting, "honest")
    await honest.push(typed(1, "x"))
    attack = asyncio.create_task(hostile.push(*(typed(client, HANGS.decode()) for client in range(1, 50))))
    await until(lambda: trusting.ended > 0)
    await honest.push(typed(1, "x", at=1))
    pids = [*trusting.pids, trusting.zygote_pid]
    await trusting.close()
    assert len(pids) >= 2
    assert [pid for pid in pids if not gone(pid)] == []
    with pytest.raises(Exception, match="closing"):
        await attack


async def test_a_server_that_is_killed_leaves_no_process_behind_not_even_one_that_hangs(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(
        "import asyncio\n"
        "from tests.documents.shelf import Shelved\n"
        "from tests.documents.yjs import typed\n"
        "from syncd.documents.limits import PoolLimits\n"
        "from syncd.documents.pool import DocumentPool\n"
        "async def main():\n"
        "    pool = DocumentPool(limits=PoolLimits(step_s=60), zygote='tests.documents.trusting_zygote')\n"
        "    push = asyncio.create_task(Shelved(pool).push(typed(1, '~hangs')))\n"
        "    while not pool.pids:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(*pool.pids, pool.zygote_pid, flush=True)\n"
        "    await push\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    pids: list[int] = []
    while len(pids) < 2:
        words = (await process.stdout.readline()).split()
        pids = [int(word) for word in words if word.isdigit()]
    process.kill()
    await process.wait()
    await until(lambda: all(map(gone, pids)))
