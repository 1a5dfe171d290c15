"""The contract of Traces (syncd/store/traces.py), on every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.store.protocol import Commit, ReplicaRow, Store
from syncd.store.traces import Rewritten, Traces
from tests.conformance.rows import note, settled_row, write

MUCH = 1 << 20


@pytest.fixture
def traces(store: Store) -> Traces:
    adapter: Any = store
    found: Traces = adapter.traces
    return found


@pytest.fixture(autouse=True)
async def _(store: Store) -> None:
    """Ann's phone sent 1, 2 and 3 (rejected), her tablet 1; Bob's phone 1; nobody's watch 1."""
    await write(
        store,
        Commit(
            states=[note("s", "id-1", 1, body=b'{"of":"ann"}'), note("s", "id-2", 2), note("t", "id-4", 1, type="x")],
            scopes={"s": 5, "t": 1},
            settled=[
                settled_row("phone", 1, "s", 1),
                settled_row("phone", 2, "s", 2),
                settled_row("phone", 3, "", 0),
                settled_row("tablet", 1, "t", 1)._replace(type="x", id="id-4"),
                settled_row("bobs", 1, "s", 4)._replace(id="id-7", change=b'{"was":"ann"}'),
                settled_row("watch", 1, "s", 5),
            ],
            replicas=[
                ReplicaRow("phone", 3, user="ann"), ReplicaRow("tablet", 1, user="ann"),
                ReplicaRow("bobs", 1, user="bob"), ReplicaRow("watch", 1),
            ],
        ),
    )  # fmt: skip


async def test_the_replicas_of_somebody_and_how_much_they_sent(traces: Traces) -> None:
    assert [row.id for row in await traces.replicas_of("ann")] == ["phone", "tablet"]
    assert await traces.change_count("ann") == 4
    assert await traces.replicas_of("") == []
    assert await traces.change_count("") == 0


async def test_the_changes_of_a_replica_and_of_a_scope_come_in_pages(traces: Traces) -> None:
    first = await traces.changes_of("phone", limit=2, limit_bytes=MUCH)
    assert ([row.settled.n for row in first.rows], first.more) == ([1, 2], True)
    rest = await traces.changes_of("phone", after=2, limit=2, limit_bytes=MUCH)
    assert ([row.settled.n for row in rest.rows], rest.more) == ([3], False)
    one = await traces.changes_of("phone", limit=9, limit_bytes=1)
    assert (len(one.rows), one.more) == (1, True)
    first = await traces.changes_in("s", limit=3, limit_bytes=MUCH)
    rest = await traces.changes_in("s", after=first.rows[-1].no, limit=3, limit_bytes=MUCH)
    assert [row.settled.replica for row in (*first.rows, *rest.rows)] == ["phone", "phone", "bobs", "watch"]
    assert (first.more, rest.more) == (True, False)


async def test_what_somebody_touched_by_key(traces: Traces) -> None:
    assert await traces.touched_by("ann", limit=2) == [("note", "id-1"), ("note", "id-2")]
    assert await traces.touched_by("ann", after=("note", "id-2"), limit=2) == [("x", "id-4")]
    assert await traces.touched_by("", limit=9) == []


async def test_what_names_somebody_now_or_at_some_time(traces: Traces) -> None:
    assert await traces.naming("note", "ann", limit=9) == ["id-1", "id-7"]
    assert await traces.naming("note", "ann", limit=1) == ["id-1"]
    assert await traces.naming("note", "ann", after="id-1", limit=9) == ["id-7"]
    assert await traces.naming("x", "ann", limit=9) == []


async def test_a_rewritten_line_has_its_number_digest_and_place(store: Store, traces: Traces) -> None:
    async with store.snapshot() as snapshot:
        before = (await snapshot.ledger([("phone", 1)]))["phone", 1]
    await traces.rewrite([Rewritten(before.no, b"{}", b'{"n":1}')])
    await traces.rewrite([])
    async with store.snapshot() as snapshot:
        after = await snapshot.ledger([("phone", 1), ("phone", 2)])
    assert after["phone", 1].settled == before.settled._replace(change=b"{}", outcome=b'{"n":1}')
    assert after["phone", 2].settled == settled_row("phone", 2, "s", 2)


async def test_disowned_replicas_belong_to_the_pseudonym(traces: Traces) -> None:
    await traces.disown("ann", "erased-1")
    assert [row.id for row in await traces.replicas_of("erased-1")] == ["phone", "tablet"]
    assert await traces.replicas_of("ann") == []
    await traces.disown("", "erased-2")
    assert await traces.replicas_of("erased-2") == []
