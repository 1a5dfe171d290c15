"""Law 10: every start is an incarnation, and each scope knows where it stood when an earlier one ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.store.protocol import Commit, Store, Wanted
from tests.conformance.conftest import OpenStore
from tests.conformance.rows import note, replica_row, settled_row, write, write_notes
from tests.conformance.stores import Database


async def end_of(store: Store, scope: str, incarnation: str) -> int | None:
    async with store.snapshot() as snapshot:
        return (await snapshot.ends_of({scope: incarnation})).get(scope)


async def test_each_start_begins_an_incarnation_of_its_own(database: Database, open_store: OpenStore) -> None:
    seen = set()
    for _ in range(3):
        store = await open_store(database)
        assert store.incarnation.isascii()
        assert store.incarnation.isalnum()
        assert 1 <= len(store.incarnation) <= 32
        seen.add(store.incarnation)
        await store.close()
    assert len(seen) == 3


async def test_the_current_incarnation_has_not_ended_before_the_head(store: Store) -> None:
    assert await end_of(store, "s", store.incarnation) == 0
    await write_notes(store, note("s", "x", 1))
    assert await end_of(store, "s", store.incarnation) == 1
    await write_notes(store, note("s", "x", 2))
    assert await end_of(store, "s", store.incarnation) == 2


@pytest.mark.parametrize("incarnation", ["unknown", "", "0" * 32])
async def test_an_incarnation_that_this_database_never_had_has_no_end(store: Store, incarnation: str) -> None:
    await write_notes(store, note("s", "x", 1))
    assert await end_of(store, "s", incarnation) is None
    assert await end_of(store, "nowhere", incarnation) is None


async def test_an_incarnation_that_has_ended_stands_where_the_next_writer_found_the_scope(
    database: Database, open_store: OpenStore
) -> None:
    first = await open_store(database)
    await write_notes(first, note("s", "x", 1), note("s", "y", 2), note("quiet", "z", 1))
    await first.close()
    second = await open_store(database)
    assert await end_of(second, "s", first.incarnation) == 2, "nobody has written since"
    await write_notes(second, note("s", "x", 3))
    await write_notes(second, note("s", "x", 4), note("new", "n", 1))
    assert await end_of(second, "s", first.incarnation) == 2
    assert await end_of(second, "s", second.incarnation) == 4
    assert await end_of(second, "quiet", first.incarnation) == 1
    assert await end_of(second, "new", first.incarnation) == 0
    assert await end_of(second, "nowhere", first.incarnation) == 0


async def test_incarnations_that_did_not_write_to_a_scope_ended_where_it_stood(
    database: Database, open_store: OpenStore
) -> None:
    names = []
    for start in range(1, 6):
        store = await open_store(database)
        names.append(store.incarnation)
        if start in (1, 3, 4):
            await write_notes(store, note("s", "x", start))
        await store.close()
    last = await open_store(database)
    assert [await end_of(last, "s", name) for name in names] == [1, 1, 3, 4, 4]


async def test_a_transaction_without_a_commit_notes_nothing(database: Database, open_store: OpenStore) -> None:
    first = await open_store(database)
    await write_notes(first, note("s", "x", 1))
    await first.close()
    second = await open_store(database)
    async with second.transaction(replicas=[], scopes=["s"]) as transaction:
        await transaction.load(Wanted(scopes=["s"]))
    await second.close()
    third = await open_store(database)
    await write_notes(third, note("s", "x", 2))
    assert await end_of(third, "s", first.incarnation) == 1
    assert await end_of(third, "s", second.incarnation) == 1


async def test_settling_a_change_without_writing_to_the_scope_ends_nothing(
    database: Database, open_store: OpenStore
) -> None:
    first = await open_store(database)
    await write_notes(first, note("s", "x", 1))
    await first.close()
    second = await open_store(database)
    await write(second, Commit(settled=[settled_row("r", 1, "s", 1)], replicas=[replica_row("r", 1)]))
    await write_notes(second, note("s", "x", 2))
    assert await end_of(second, "s", first.incarnation) == 1
    assert await end_of(second, "s", second.incarnation) == 2


async def test_a_restored_copy_knows_what_came_after_it_was_taken_as_a_past_that_it_does_not_have(
    database: Database, open_store: OpenStore, tmp_path: Path
) -> None:
    """Counterexample 15: phones hold cursors 850 and 900; the backup was taken at 850 and soon passes 900."""
    backed_up = await open_store(database)
    await write_notes(backed_up, note("s", "x", 850))
    (tmp_path / "restored").mkdir()
    copy = database.copy(tmp_path / "restored")
    await write_notes(backed_up, note("s", "x", 900))
    await backed_up.close()
    later = await open_store(database)
    await write_notes(later, note("s", "x", 910))
    await later.close()

    restored = await open_store(copy)
    await write_notes(restored, note("s", "y", 950))
    assert await end_of(restored, "s", backed_up.incarnation) == 850, "so a cursor at 900 is beyond its end"
    assert await end_of(restored, "s", later.incarnation) is None
    assert await end_of(restored, "s", restored.incarnation) == 950


async def test_two_copies_of_one_database_are_incarnations_of_their_own(
    database: Database, open_store: OpenStore, tmp_path: Path
) -> None:
    original = await open_store(database)
    await write_notes(original, note("s", "x", 1))
    copies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        copies.append(await open_store(database.copy(tmp_path / name)))
    one, two = copies
    assert len({original.incarnation, one.incarnation, two.incarnation}) == 3
    assert await end_of(one, "s", two.incarnation) is None
    assert await end_of(one, "s", original.incarnation) == 1
