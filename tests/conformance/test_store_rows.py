"""What is committed is found again, exactly, and what is not there is absent."""

from __future__ import annotations

import pytest

from syncd.store.protocol import Commit, Loaded, ReplicaRow, SettledRow, StateRow, Store, Wanted
from tests.conformance.rows import load, note, replica_row, settled_row, versions, write, write_notes


async def test_what_was_never_written_is_absent_and_its_scope_is_at_version_0(store: Store) -> None:
    loaded = await load(store, ("note", "x"), replicas=("r",), scopes=("s",), numbers=(("r", 1),))
    assert loaded == Loaded(replicas={}, scopes={"s": 0}, digests={}, states={}, settled={})


async def test_who_wants_nothing_gets_nothing(store: Store) -> None:
    await write_notes(store, note("s", "x", 1))
    assert await load(store) == Loaded()


async def test_a_commit_is_found_again_row_by_row(store: Store) -> None:
    state, settled, replica = note("s", "x", 1), settled_row("r", 1, "s", 1), replica_row("r", 1)
    await write(store, Commit([state], {"s": 1}, [settled], [replica]))
    loaded = await load(store, ("note", "x"), replicas=("r",), scopes=("s",), numbers=(("r", 1),))
    assert loaded == Loaded({"r": replica}, {"s": 1}, {("note", "x"): state}, {("r", 1): settled}, {"s": bytes(16)})


async def test_only_what_is_wanted_is_loaded(store: Store) -> None:
    await write(
        store,
        Commit(
            states=[note("s", "x", 1), note("s", "y", 2)],
            scopes={"s": 2, "t": 4},
            settled=[settled_row("r", 1, "s", 1), settled_row("r", 2, "s", 2), settled_row("q", 1, "s", 2)],
            replicas=[replica_row("r", 2), replica_row("q", 1)],
        ),
    )
    loaded = await load(store, ("note", "y"), replicas=("q",), scopes=("t",), numbers=(("r", 2),))
    assert set(loaded.states) == {("note", "y")}
    assert set(loaded.replicas) == {"q"}
    assert loaded.scopes == {"t": 4}
    assert set(loaded.settled) == {("r", 2)}


async def test_known_and_unknown_are_told_apart_in_one_call(store: Store) -> None:
    await write(store, Commit([note("s", "x", 1)], {"s": 1}, [settled_row("r", 1, "s", 1)], [replica_row("r", 1)]))
    loaded = await load(
        store,
        ("note", "x"),
        ("note", "nobody"),
        ("nothing", "x"),
        replicas=("r", "nobody"),
        scopes=("s", "nowhere"),
        numbers=(("r", 1), ("r", 2), ("nobody", 1)),
    )
    assert set(loaded.states) == {("note", "x")}
    assert set(loaded.replicas) == {"r"}
    assert loaded.scopes == {"s": 1, "nowhere": 0}
    assert set(loaded.settled) == {("r", 1)}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        bytes(range(256)),
        '{"text":"naïve 漢字 🏉 \u202e"}'.encode(),
        b'{ "spaces" : 1.0 }',
        b"x" * 2_000_000,
    ],
    ids=["empty", "nul", "every byte", "unicode", "spacing", "big"],
)
async def test_bytes_come_back_exactly(store: Store, body: bytes) -> None:
    state = StateRow("s", "note", "x", 1, False, body)
    settled = SettledRow("r", 1, bytes(16), "s", "note", "x", 1, "applied", 0, "", change=body, outcome=body)
    await write(store, Commit([state], {"s": 1}, [settled], [ReplicaRow("r", 1)]))
    loaded = await load(store, ("note", "x"), numbers=(("r", 1),))
    assert loaded.states["note", "x"] == state
    assert loaded.settled["r", 1] == settled
    async with store.snapshot() as snapshot:
        assert list((await snapshot.page("s", 0, 1)).bodies) == [body]


async def test_names_of_every_allowed_character_and_length_are_kept_apart(store: Store) -> None:
    names = ["A", "a", "a.", "a_", "a%", "~@:-", "x" * 128, "x" * 127 + "y"]
    await write_notes(store, *(note(f"scope:{name}", name, 1) for name in names))
    loaded = await load(store, *(("note", name) for name in names), scopes=tuple(f"scope:{name}" for name in names))
    assert {key[1]: row.scope for key, row in loaded.states.items()} == {name: f"scope:{name}" for name in names}
    assert set(loaded.scopes.values()) == {1}


async def test_large_numbers_are_kept_exactly(store: Store) -> None:
    largest = (1 << 53) - 1
    settled = settled_row("r", largest, "s", largest)
    replica = ReplicaRow("r", largest, "stamp", largest, largest)
    await write(store, Commit([note("s", "x", largest)], {"s": largest}, [settled], [replica]))
    loaded = await load(store, ("note", "x"), replicas=("r",), scopes=("s",), numbers=(("r", largest),))
    assert loaded == Loaded(
        {"r": replica},
        {"s": largest},
        {("note", "x"): note("s", "x", largest)},
        {("r", largest): settled},
        {"s": bytes(16)},
    )


@pytest.mark.parametrize("count", [1, 2, 3, 300])
async def test_of_any_number_of_resources_each_is_found_that_is_there(store: Store, count: int) -> None:
    notes = [note("s", f"x{n}", n, type=("note", "goal")[n % 2]) for n in range(1, count + 1)]
    await write_notes(store, *notes)
    keys = [(type_name, f"x{n}") for n in range(1, count + 2) for type_name in ("note", "goal")]
    assert (await load(store, *keys)).states == {(row.type, row.id): row for row in notes}


async def test_whose_a_replica_is_is_kept_and_changes_with_its_row(store: Store) -> None:
    for n, owner in enumerate(["", "ann", "ann", "bob", ""], start=1):
        row = ReplicaRow("r", n, user=owner)
        await write(store, Commit([], {}, [settled_row("r", n, "", 0)], [row, ReplicaRow("other", n, user="zoe")]))
        assert (await load(store, replicas=("r",))).replicas["r"] == row
        async with store.snapshot() as snapshot:
            assert dict(await snapshot.owners(["r", "other"])) == {"r": owner, "other": "zoe"}


async def test_one_id_in_two_types_is_two_resources(store: Store) -> None:
    await write_notes(store, note("s", "x", 1, type="note"), note("t", "x", 1, type="event"))
    loaded = await load(store, ("note", "x"), ("event", "x"))
    assert {key: row.scope for key, row in loaded.states.items()} == {("note", "x"): "s", ("event", "x"): "t"}


async def test_a_new_state_takes_the_place_of_the_one_before(store: Store) -> None:
    await write_notes(store, note("s", "x", 1), note("s", "y", 2))
    await write_notes(store, note("s", "x", 3))
    assert (await load(store, ("note", "x"))).states["note", "x"] == note("s", "x", 3)
    assert await versions(store, "s") == ["y@2", "x@3"]


async def test_a_tombstone_is_a_state_like_any_other(store: Store) -> None:
    await write_notes(store, note("s", "x", 1), note("s", "y", 2))
    tombstone = note("s", "x", 3, deleted=True)
    await write_notes(store, tombstone)
    assert (await load(store, ("note", "x"))).states["note", "x"] == tombstone
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        assert list(await transaction.scan("s")) == [note("s", "y", 2), tombstone]
    async with store.snapshot() as snapshot:
        assert list((await snapshot.page("s", 0, 1000)).bodies) == [b"y@2", b"x@3"]


async def test_a_deleted_resource_may_live_again(store: Store) -> None:
    await write_notes(store, note("s", "x", 1, deleted=True))
    await write_notes(store, note("s", "x", 2))
    assert not (await load(store, ("note", "x"))).states["note", "x"].deleted


async def test_scan_gives_every_state_of_one_scope_in_version_order(store: Store) -> None:
    await write_notes(store, note("s", "c", 1), note("t", "other", 1), note("s", "a", 2), note("s", "b", 3))
    await write_notes(store, note("s", "c", 4, type="event"), note("s", "a", 5))
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        scanned = await transaction.scan("s")
        nothing = await transaction.scan("nowhere")
    assert [(row.type, row.id, row.version) for row in scanned] == [
        ("note", "c", 1),
        ("note", "b", 3),
        ("event", "c", 4),
        ("note", "a", 5),
    ]
    assert list(nothing) == []


async def test_a_transaction_may_load_again_for_more(store: Store) -> None:
    await write_notes(store, note("s", "x", 1), note("s", "y", 2))
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        first = await transaction.load(Wanted(resources=[("note", "x")]))
        second = await transaction.load(Wanted(resources=[("note", "y")], scopes=["s"]))
    assert set(first.states) == {("note", "x")}
    assert set(second.states) == {("note", "y")}
    assert second.scopes == {"s": 2}


async def test_a_replicas_row_is_replaced_by_the_newer_one(store: Store) -> None:
    await write(store, Commit(replicas=[replica_row("r", 1), replica_row("q", 5)]))
    await write(store, Commit(replicas=[replica_row("r", 2)]))
    loaded = await load(store, replicas=("r", "q"))
    assert loaded.replicas == {"r": replica_row("r", 2), "q": replica_row("q", 5)}


async def test_a_change_that_could_not_be_read_is_settled_without_a_scope(store: Store) -> None:
    settled = settled_row("r", 1, "", 0)
    await write(store, Commit(settled=[settled], replicas=[replica_row("r", 1)]))
    assert (await load(store, numbers=(("r", 1),))).settled == {("r", 1): settled}


async def test_settling_a_change_in_a_scope_never_written_leaves_it_at_version_0(store: Store) -> None:
    await write(store, Commit(settled=[settled_row("r", 1, "s", 0)], replicas=[replica_row("r", 1)]))
    assert (await load(store, scopes=("s",))).scopes == {"s": 0}


async def test_a_replica_that_is_settled_before_its_row_is_written_has_both(store: Store) -> None:
    await write(store, Commit(settled=[settled_row("r", 1, "s", 0)]))
    await write(store, Commit(replicas=[replica_row("r", 1)]))
    loaded = await load(store, replicas=("r",), numbers=(("r", 1),))
    assert loaded.replicas == {"r": replica_row("r", 1)}
    assert loaded.settled == {("r", 1): settled_row("r", 1, "s", 0)}


async def test_an_empty_commit_changes_nothing(store: Store) -> None:
    await write_notes(store, note("s", "x", 1))
    await write(store, Commit())
    assert await versions(store, "s") == ["x@1"]


async def test_a_thousand_rows_go_in_and_come_out_in_one_call_each(store: Store) -> None:
    numbers = range(1, 1001)
    await write(
        store,
        Commit(
            states=[note(f"s{n % 7}", f"id-{n}", n) for n in numbers],
            scopes={f"s{n}": 1000 for n in range(7)},
            settled=[settled_row(f"r{n % 5}", n, f"s{n % 7}", n) for n in numbers],
            replicas=[replica_row(f"r{n}", 1000) for n in range(5)],
        ),
    )
    loaded = await load(
        store,
        *(("note", f"id-{n}") for n in numbers),
        numbers=tuple((f"r{n % 5}", n) for n in numbers),
    )
    assert loaded.states == {("note", f"id-{n}"): note(f"s{n % 7}", f"id-{n}", n) for n in numbers}
    assert loaded.settled == {(f"r{n % 5}", n): settled_row(f"r{n % 5}", n, f"s{n % 7}", n) for n in numbers}


async def test_a_scopes_digest_is_kept_until_another_is_written(store: Store) -> None:
    digest, later = bytes(range(16)), bytes(range(16, 32))
    await write(store, Commit([note("s", "x", 1)], {"s": 1}, digests={"s": digest}))
    await write(store, Commit([note("s", "y", 2)], {"s": 2}))
    assert (await load(store, scopes=("s",))).digests == {"s": digest}
    async with store.snapshot() as snapshot:
        await snapshot.heads(["s"])
        await write(store, Commit([note("s", "y", 3)], {"s": 3}, digests={"s": later}))
        assert await snapshot.digests(["s", "nowhere"]) == {"s": digest, "nowhere": bytes(16)}, "as of the snapshot"
    assert (await load(store, scopes=("s",))).digests == {"s": later}
