"""The ledger as readers get it: the history of one resource, and the quarantine with what is done about it."""

from __future__ import annotations

import pytest

from syncd.store.protocol import (
    Commit,
    Deal,
    Dealt,
    LedgerPage,
    LedgerRow,
    QuarantineTotal,
    ReplicaRow,
    SettledRow,
    Store,
)
from tests.conformance.rows import note, settled_row, write

PLENTY = 1 << 30


def told(
    replica: str, n: int, id: str = "x", *, scope: str = "s", type: str = "note", kind: str = "applied"
) -> SettledRow:
    return settled_row(replica, n, scope, n)._replace(id=id, type=type, kind=kind)


async def settle(store: Store, *rows: SettledRow) -> None:
    """Each in a commit of its own, in this order."""
    for row in rows:
        await write(
            store, Commit(settled=[row], scopes={row.scope: row.version}, replicas=[ReplicaRow(row.replica, row.n)])
        )


async def deal(store: Store, *deals: Deal) -> None:
    async with store.transaction(replicas={each.replica for each in deals}, scopes=()) as transaction:
        await transaction.commit(Commit(deals=deals))


async def history(store: Store, id: str = "x", type: str = "note", **how: int) -> LedgerPage:
    async with store.snapshot() as snapshot:
        return await snapshot.history((type, id), **{"limit": 100, "limit_bytes": PLENTY, **how})  # type: ignore[arg-type]


async def quarantine(store: Store, **how: str | int) -> LedgerPage:
    async with store.snapshot() as snapshot:
        return await snapshot.quarantine(**{"limit": 100, "limit_bytes": PLENTY, **how})  # type: ignore[arg-type]


async def totals(store: Store, *replicas: str) -> list[QuarantineTotal]:
    async with store.snapshot() as snapshot:
        return list(await snapshot.quarantine_totals(replicas or None))


def who(page: LedgerPage) -> list[tuple[str, int]]:
    return [(row.settled.replica, row.settled.n) for row in page.rows]


async def test_the_history_of_a_resource_is_what_was_settled_about_it_whatever_became_of_it(store: Store) -> None:
    rows = [
        told("r", 1),
        told("q", 1, kind="rejected"),
        told("r", 2, "y"),
        told("r", 3, type="event"),
        told("q", 2, kind="overruled"),
    ]
    await settle(store, *rows)
    page = await history(store)
    assert [row.settled for row in page.rows] == [rows[0], rows[1], rows[4]]
    assert [row.no for row in page.rows] == sorted(row.no for row in page.rows)
    assert (page.more, {row.dealt for row in page.rows}) == (False, {Dealt.NOT_YET})
    assert (await history(store, "nobody")) == LedgerPage([], more=False)


async def test_the_order_of_settling_is_that_inside_of_a_commit_too(store: Store) -> None:
    rows = [told("r", 2), told("q", 7), told("r", 3), told("a", 1)]
    await write(store, Commit(settled=rows, scopes={"s": 7}))
    assert who(await history(store)) == [("r", 2), ("q", 7), ("r", 3), ("a", 1)]


async def test_a_history_is_read_page_by_page_from_either_end(store: Store) -> None:
    await settle(store, *(told("r", n) for n in range(1, 6)))
    for backwards, order in ((False, [1, 2, 3, 4, 5]), (True, [5, 4, 3, 2, 1])):
        found: list[int] = []
        page = await history(store, limit=2, backwards=backwards)
        while True:
            found += [n for _, n in who(page)]
            if not page.more:
                break
            assert len(page.rows) == 2
            page = await history(store, limit=2, backwards=backwards, after=page.rows[-1].no)
        assert found == order


async def test_a_page_is_not_much_larger_than_wanted_and_never_empty_while_there_is_more(store: Store) -> None:
    await settle(store, *(told("r", n)._replace(change=b"x" * 1000) for n in range(1, 5)))
    page = await history(store, limit_bytes=2500)
    assert (who(page), page.more) == ([("r", 1), ("r", 2)], True)
    page = await history(store, limit_bytes=1, after=page.rows[-1].no)
    assert (who(page), page.more) == ([("r", 3)], True)


async def test_settled_changes_are_found_by_number(store: Store) -> None:
    row = told("r", 1)
    await settle(store, row, told("r", 2))
    async with store.snapshot() as snapshot:
        found = await snapshot.ledger([("r", 1), ("r", 9), ("nobody", 1)])
        assert await snapshot.ledger([]) == {}
    assert set(found) == {("r", 1)}
    assert found["r", 1] == LedgerRow(found["r", 1].no, row, Dealt.NOT_YET)


async def test_the_states_of_resources_are_read_in_the_same_snapshot(store: Store) -> None:
    await write(store, Commit([note("s", "x", 1), note("s", "y", 2, deleted=True)], {"s": 2}))
    async with store.snapshot() as snapshot:
        found = await snapshot.states([("note", "x"), ("note", "y"), ("note", "nobody")])
        assert await snapshot.states([]) == {}
    assert found == {("note", "x"): note("s", "x", 1), ("note", "y"): note("s", "y", 2, deleted=True)}


async def test_the_quarantine_is_what_was_rejected_by_replica_scope_and_type(store: Store) -> None:
    await settle(
        store,
        told("r", 1),
        told("r", 2, kind="rejected"),
        told("q", 1, kind="rejected", scope="t"),
        told("r", 3, kind="rejected", type="event"),
        settled_row("r", 4, "", 4),
        told("q", 2, kind="overruled"),
    )
    assert who(await quarantine(store)) == [("r", 2), ("q", 1), ("r", 3), ("r", 4)]
    assert who(await quarantine(store, replica="r")) == [("r", 2), ("r", 3), ("r", 4)]
    assert who(await quarantine(store, scope="t")) == [("q", 1)]
    assert who(await quarantine(store, type="event")) == [("r", 3)]
    assert who(await quarantine(store, scope="", type="")) == [("r", 4)]
    assert who(await quarantine(store, replica="nobody")) == []
    async with store.snapshot() as snapshot:
        for scopes, rows, changes in ((["t", "s", "u"], 3, {"q": 1, "r": 2}), (["t"], 1, {"q": 1}), ([], 0, {})):
            page = await snapshot.quarantine(scopes=scopes, limit=100, limit_bytes=PLENTY)
            totals_there = await snapshot.quarantine_totals(scopes=scopes)
            assert (len(page.rows), {total.replica: total.changes for total in totals_there}) == (rows, changes)
    page = await quarantine(store, replica="r", limit=2)
    assert (who(page), page.more) == ([("r", 2), ("r", 3)], True)
    assert who(await quarantine(store, replica="r", limit=2, after=page.rows[-1].no)) == [("r", 4)]


async def test_it_is_counted_by_replica(store: Store) -> None:
    assert await totals(store) == []
    await settle(
        store,
        told("r", 1, kind="rejected")._replace(change=b"x" * 10),
        told("r", 2, kind="rejected")._replace(change=b"x" * 5),
        told("q", 1, kind="rejected")._replace(change=b""),
        told("p", 1),
    )
    assert await totals(store) == [QuarantineTotal("q", 1, 0), QuarantineTotal("r", 2, 15)]
    assert await totals(store, "r", "p", "nobody") == [QuarantineTotal("r", 2, 15)]


@pytest.mark.parametrize("dealt", [Dealt.REPLAYED, Dealt.DISMISSED, Dealt.EXPORTED])
async def test_what_is_dealt_with_leaves_the_quarantine_and_stays_in_the_history(store: Store, dealt: Dealt) -> None:
    rows = [told("r", 1, kind="rejected"), told("r", 2, kind="rejected")]
    await settle(store, *rows)
    await deal(store, Deal("r", 1, dealt))
    assert who(await quarantine(store)) == [("r", 2)]
    assert [total.changes for total in await totals(store)] == [1]
    kept = rows[0]._replace(change=b"") if dealt is Dealt.EXPORTED else rows[0]
    assert [(row.settled, row.dealt) for row in (await history(store)).rows] == [
        (kept, dealt),
        (rows[1], Dealt.NOT_YET),
    ]


async def test_what_is_dealt_with_stays_so_and_what_was_taken_is_not_touched(store: Store) -> None:
    rows = [told("r", 1, kind="rejected"), told("r", 2)]
    await settle(store, *rows)
    await deal(store, Deal("r", 1, Dealt.DISMISSED))
    await deal(store, Deal("r", 1, Dealt.EXPORTED), Deal("r", 2, Dealt.EXPORTED), Deal("nobody", 1, Dealt.EXPORTED))
    assert [(row.settled, row.dealt) for row in (await history(store)).rows] == [
        (rows[0], Dealt.DISMISSED),
        (rows[1], Dealt.NOT_YET),
    ]
