"""Documents: appended with the changes that bring them, squashed without a gap, gone as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import StoreError
from syncd.store.protocol import (
    Commit,
    DocumentHead,
    DocumentKey,
    Squashed,
    Store,
    StoredDocument,
    Wanted,
)
from tests.conformance.conftest import OpenStore
from tests.conformance.rows import load, note, replica_row, settled_row, update_row, write
from tests.conformance.stores import Database

NOTES = DocumentKey("note", "x", "notes")
BOARD = DocumentKey("note", "x", "board")


async def append(store: Store, since: int, *seqs: int, key: DocumentKey = NOTES) -> None:
    """Append updates that tell their `since` and `seq`."""
    await write(store, Commit(updates=[update_row(key, since, seq) for seq in seqs]))


async def squash(store: Store, since: int, upto: int, *keep: int, key: DocumentKey = NOTES) -> None:
    """Put a snapshot in place that tells how far it reaches."""
    await write(store, Commit(squashed=[Squashed(key, since, f"{since}: to {upto}".encode(), upto, keep)]))


async def stored(store: Store, key: DocumentKey = NOTES) -> StoredDocument | None:
    async with store.snapshot() as snapshot:
        document = await snapshot.document(key)
    return None if document is None else StoredDocument(*_columns(document), [*document.updates])


def _columns(document: StoredDocument) -> tuple[int, int, bytes, int]:
    return document.since, document.seq, document.snapshot, document.snapshot_seq


async def heads(store: Store, *keys: DocumentKey) -> dict[DocumentKey, DocumentHead]:
    async with store.transaction(replicas=(), scopes=("s",)) as transaction:
        loaded = dict((await transaction.load(Wanted(documents=keys))).documents)
    async with store.snapshot() as snapshot:
        assert await snapshot.document_heads(keys) == loaded
    return loaded


async def updates_since(store: Store, since: int, seq: int, key: DocumentKey = NOTES) -> list[bytes] | None:
    async with store.snapshot() as snapshot:
        tail = await snapshot.updates_since(key, since, seq)
    return None if tail is None else [*tail.updates]


async def test_a_document_is_the_updates_that_were_appended_in_their_order(store: Store) -> None:
    await append(store, 5, 1)
    await append(store, 5, 2, 3)
    updates = [(1, b"5.1"), (2, b"5.2"), (3, b"5.3")]
    assert await stored(store) == StoredDocument(5, 3, b"", 0, updates)
    assert await heads(store, NOTES) == {NOTES: DocumentHead(5, 3, 0, waiting=3, bytes=9)}


async def test_what_never_was_is_absent(store: Store) -> None:
    await append(store, 5, 1)
    assert await heads(store) == {}
    assert await heads(store, BOARD, NOTES) == {NOTES: DocumentHead(5, 1, 0, 1, 3)}
    assert await stored(store, BOARD) is None
    assert await updates_since(store, 5, 0, BOARD) is None


async def test_documents_that_share_a_part_of_their_key_share_nothing_else(store: Store) -> None:
    keys = [NOTES, BOARD, DocumentKey("note", "y", "notes"), DocumentKey("plan", "x", "notes")]
    rows = [update_row(key, place, seq) for seq in (1, 2) for place, key in enumerate(keys, 1)]
    await write(store, Commit(updates=rows))
    await squash(store, 2, 1, key=BOARD)
    await write(store, Commit(dropped=[keys[2]]))
    assert await heads(store, *keys) == {
        keys[0]: DocumentHead(1, 2, 0, 2, 6),
        keys[1]: DocumentHead(2, 2, 1, 1, 3),
        keys[3]: DocumentHead(4, 2, 0, 2, 6),
    }
    assert await stored(store, keys[3]) == StoredDocument(4, 2, b"", 0, [(1, b"4.1"), (2, b"4.2")])


async def test_every_byte_comes_back_as_it_was(store: Store) -> None:
    update, snapshot = bytes(range(256)) * 1024, bytes(reversed(range(256))) * 40_000
    await write(store, Commit(updates=[update_row(NOTES, 1, 1, update), update_row(NOTES, 1, 2, b"\x00")]))
    await write(store, Commit(squashed=[Squashed(NOTES, 1, snapshot, 2, keep=[1])]))
    assert await stored(store) == StoredDocument(1, 2, snapshot, 2, [(1, update)])


async def test_a_snapshot_takes_the_place_of_the_updates_that_it_holds(store: Store) -> None:
    await append(store, 5, 1, 2, 3, 4)
    await squash(store, 5, 3)
    assert await stored(store) == StoredDocument(5, 4, b"5: to 3", 3, [(4, b"5.4")])
    assert await heads(store, NOTES) == {NOTES: DocumentHead(5, 4, 3, waiting=1, bytes=3)}
    await append(store, 5, 5)
    assert await heads(store, NOTES) == {NOTES: DocumentHead(5, 5, 3, waiting=2, bytes=6)}


async def test_updates_that_wait_for_others_stay_until_a_snapshot_holds_them(store: Store) -> None:
    await append(store, 5, 1, 2, 3, 4)
    await squash(store, 5, 3, 2)
    assert await stored(store) == StoredDocument(5, 4, b"5: to 3", 3, [(2, b"5.2"), (4, b"5.4")])
    assert await heads(store, NOTES) == {NOTES: DocumentHead(5, 4, 3, waiting=2, bytes=6)}
    await squash(store, 5, 4, 1, 2)
    assert await stored(store) == StoredDocument(5, 4, b"5: to 4", 4, [(2, b"5.2")]), "what has gone does not come back"
    await append(store, 5, 5)
    await squash(store, 5, 5)
    assert await stored(store) == StoredDocument(5, 5, b"5: to 5", 5, [])


@pytest.mark.parametrize(
    ("since", "upto", "key"),
    [(4, 4, NOTES), (6, 4, NOTES), (5, 3, NOTES), (5, 2, NOTES), (5, 0, NOTES), (5, 5, NOTES), (5, 4, BOARD)],
    ids=["a life before", "a life to come", "as far", "less far", "nowhere", "beyond what is stored", "no document"],
)
async def test_a_snapshot_that_comes_too_late_is_passed_over(
    store: Store, since: int, upto: int, key: DocumentKey
) -> None:
    await append(store, 5, 1, 2, 3, 4)
    await squash(store, 5, 3, 1)
    before = await stored(store)
    await write(
        store,
        Commit(states=[note("s", "y", 9)], scopes={"s": 9}, squashed=[Squashed(key, since, b"late", upto, keep=())]),
    )
    assert await stored(store) == before
    assert await stored(store, BOARD) is None
    assert (await load(store, scopes=("s",))).scopes == {"s": 9}, "the rest of the commit stands"


async def test_a_new_life_takes_the_place_of_the_one_before(store: Store) -> None:
    await append(store, 5, 1, 2, 3)
    await squash(store, 5, 2, 1)
    await append(store, 8, 1, 2)
    assert await stored(store) == StoredDocument(8, 2, b"", 0, [(1, b"8.1"), (2, b"8.2")])
    assert await heads(store, NOTES) == {NOTES: DocumentHead(8, 2, 0, waiting=2, bytes=6)}
    await squash(store, 5, 3)
    assert await stored(store) == StoredDocument(8, 2, b"", 0, [(1, b"8.1"), (2, b"8.2")])


async def test_of_several_lives_in_one_commit_the_last_is_left(store: Store) -> None:
    await append(store, 5, 1)
    rows = [update_row(NOTES, *place) for place in ((5, 2), (7, 1), (7, 2), (9, 1))]
    await write(store, Commit(updates=rows))
    assert await stored(store) == StoredDocument(9, 1, b"", 0, [(1, b"9.1")])


async def test_a_dropped_document_goes_with_its_snapshot_and_its_updates(store: Store) -> None:
    await append(store, 5, 1, 2, 3)
    await append(store, 5, 1, key=BOARD)
    await squash(store, 5, 2, 1)
    await write(store, Commit(dropped=[NOTES, DocumentKey("note", "nobody", "notes")]))
    assert await stored(store) is None
    assert await heads(store, NOTES, BOARD) == {BOARD: DocumentHead(5, 1, 0, 1, 3)}
    assert await updates_since(store, 5, 2) is None
    await append(store, 9, 1)
    assert await stored(store) == StoredDocument(9, 1, b"", 0, [(1, b"9.1")])


async def test_a_commit_drops_then_appends_then_squashes(store: Store) -> None:
    await append(store, 5, 1, 2)
    await write(
        store,
        Commit(
            dropped=[NOTES],
            updates=[update_row(NOTES, 9, seq) for seq in (1, 2, 3)],
            squashed=[Squashed(NOTES, 9, b"two", 2, keep=[1])],
        ),
    )
    assert await stored(store) == StoredDocument(9, 3, b"two", 2, [(1, b"9.1"), (3, b"9.3")])


@pytest.mark.parametrize(
    ("since", "seq", "expected"),
    [
        (5, 2, [b"5.3", b"5.4"]),
        (5, 3, [b"5.4"]),
        (5, 4, []),
        (5, 1, None),
        (5, 0, None),
        (5, 5, None),
        (4, 3, None),
        (6, 3, None),
    ],
)
async def test_the_updates_since_a_number_are_told_if_the_log_has_them_all(
    store: Store, since: int, seq: int, expected: list[bytes] | None
) -> None:
    """The log begins behind 2, where 1 waits still: whoever is at 2 has it."""
    await append(store, 5, 1, 2, 3, 4)
    await squash(store, 5, 2, 1)
    assert await updates_since(store, since, seq) == expected


async def test_whether_an_update_came_before_what_it_needs_is_told_while_it_is_in_the_log(store: Store) -> None:
    async def shuffled() -> list[bool]:
        async with store.snapshot() as snapshot:
            document = await snapshot.document(NOTES)
            assert document is not None
            tails = [await snapshot.updates_since(NOTES, 5, seq) for seq in (2, 3)]
        return [document.shuffled, *(tail.shuffled for tail in tails if tail is not None)]

    rows = [update_row(NOTES, 5, seq) for seq in range(1, 5)]
    rows[2] = replace(rows[2], waited=True)
    await write(store, Commit(updates=rows))
    assert await shuffled() == [True, True, False]

    await squash(store, 5, 3, 3)
    assert await shuffled() == [True, False]
    await squash(store, 5, 4)
    assert await shuffled() == [False]


async def test_which_change_brought_an_update_is_told_while_it_is_in_the_log(store: Store) -> None:
    await append(store, 5, 1, 2, 3)
    await squash(store, 5, 2, 1)
    rows = [update_row(NOTES, 5, seq) for seq in (1, 3)]
    async with store.snapshot() as snapshot:
        found = await snapshot.update_numbers(NOTES, 5, [1, 2, 3, 4])
        assert found == {row.seq: (row.replica, row.n) for row in rows}
        assert await snapshot.update_numbers(NOTES, 4, [1, 3]) == {}
        assert await snapshot.update_numbers(BOARD, 5, [1]) == {}


@pytest.mark.parametrize(
    "rows",
    [
        [(5, 4)],
        [(5, 2)],
        [(4, 3)],
        [(6, 3)],
        [(5, 1)],
        [(5, 3), (5, 5)],
        [(5, 3), (5, 3)],
        [(6, 1), (6, 3)],
        [(6, 1), (5, 3)],
    ],
)
async def test_an_update_that_does_not_follow_takes_its_whole_commit_down(
    store: Store, rows: list[tuple[int, int]]
) -> None:
    await append(store, 5, 1, 2)
    before = await stored(store)
    with pytest.raises(StoreError):
        await write(
            store,
            Commit(
                states=[note("s", "x", 7)],
                scopes={"s": 7},
                settled=[settled_row("r", 1, "s", 7)],
                replicas=[replica_row("r", 1)],
                updates=[update_row(NOTES, *place) for place in rows],
                dropped=[BOARD],
            ),
        )
    assert await stored(store) == before
    loaded = await load(store, ("note", "x"), replicas=("r",), scopes=("s",), numbers=(("r", 1),))
    assert (loaded.states, loaded.scopes, loaded.settled) == ({}, {"s": 0}, {})


async def test_a_document_that_never_was_begins_with_its_first_update(store: Store) -> None:
    with pytest.raises(StoreError):
        await append(store, 5, 2)
    assert await stored(store) is None


async def test_a_transaction_left_without_a_commit_leaves_no_trace_of_a_document(store: Store) -> None:
    await append(store, 5, 1)
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.load(Wanted(documents=[NOTES]))
    assert await heads(store, NOTES) == {NOTES: DocumentHead(5, 1, 0, 1, 3)}


async def test_a_reader_sees_a_document_and_its_log_as_of_one_moment(store: Store) -> None:
    await append(store, 5, 1, 2)
    async with store.snapshot() as snapshot:
        before = await snapshot.document(NOTES)
        await append(store, 5, 3)
        await squash(store, 5, 3)
        assert await snapshot.document(NOTES) == before
        assert await snapshot.updates_since(NOTES, 5, 1) == ([b"5.2"], False)
    assert await stored(store) == StoredDocument(5, 3, b"5: to 3", 3, [])


async def test_readers_and_squashes_never_meet_a_document_with_a_hole(store: Store) -> None:
    """Whoever reads while edits and squashes go on finds every number: in the snapshot, or in the log behind it."""
    last = 60
    await append(store, 5, 1)

    async def keep_writing() -> None:
        for seq in range(2, last + 1):
            await append(store, 5, seq)
            if seq % 7 == 0:
                await squash(store, 5, seq - 3)

    async def keep_reading() -> None:
        seen = 0
        while seen < last:
            document = await stored(store)
            assert document is not None
            assert [seq for seq, _ in document.updates] == [*range(document.snapshot_seq + 1, document.seq + 1)]
            assert document.seq >= seen
            seen = document.seq

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_reading())
        tasks.create_task(keep_writing())


async def test_documents_are_there_when_the_database_is_opened_again_and_in_a_copy_of_it(
    database: Database, open_store: OpenStore, tmp_path: Path
) -> None:
    store = await open_store(database)
    await append(store, 5, 1, 2, 3)
    await squash(store, 5, 2, 1)
    expected = StoredDocument(5, 3, b"5: to 2", 2, [(1, b"5.1"), (3, b"5.3")])
    folder = tmp_path / "copy"
    folder.mkdir()
    copy = database.copy(folder)
    await store.close()
    assert await stored(await open_store(database)) == expected
    assert await stored(await open_store(copy)) == expected
