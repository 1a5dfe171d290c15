"""What the driver pushes is what the workloads say that it is."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.harness.pushes import CHANGES_OF_MATCH, Matches, NewNotes, Notes, Replica
from benchmarks.harness.records import RECORD_BYTES, encoded

MORE_THAN_THE_POOL = 600


def sent(request: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])
    return body


def test_changes_are_counted_and_stamped_over_all_pushes_of_a_replica() -> None:
    replica = Replica("r1", 9000, Notes("r1"))

    pushes = [sent(replica.push(batch)) for batch in (2, 3)]

    changes = [change for push in pushes for change in push["changes"]]
    assert [push["replica"] for push in pushes] == ["r1", "r1"]
    assert [change["n"] for change in changes] == [1, 2, 3, 4, 5]
    assert all(change["stamp"].endswith(f".{change['n']:04x}.r1") for change in changes)
    assert len({change["id"] for change in changes}) == 5
    assert replica.last()["id"] == changes[-1]["id"]


def test_a_scope_holds_from_the_next_push_on() -> None:
    notes = Notes("r1", "one")
    replica = Replica("r1", 9000, notes)
    scopes = []
    for scope in ("one", "two", "one"):
        notes.scope = scope
        scopes.append({change["scope"] for change in sent(replica.push(2))["changes"]})

    assert scopes == [{"one"}, {"two"}, {"one"}]


def test_fresh_texts_do_not_come_again_and_those_of_the_pool_do() -> None:
    pooled, fresh = (NewNotes("seed", fresh=fresh).take(MORE_THAN_THE_POOL) for fresh in (False, True))

    assert len({inside for _, inside in pooled}) < MORE_THAN_THE_POOL
    assert len({inside for _, inside in fresh}) == MORE_THAN_THE_POOL
    for key, inside in (*pooled, *fresh):
        note = json.loads(f'{{"id":"{key}",{inside}}}')
        assert sorted(note) == ["done", "id", "rank", "tag", "text"]
        assert len(encoded(note)) == RECORD_BYTES


def test_servers_that_take_other_batches_get_the_same_records() -> None:
    one, other = NewNotes("seed", fresh=True), NewNotes("seed", fresh=True)

    assert one.take(5) == [*other.take(2), *other.take(3)]
    assert one.last() == other.last()


def test_a_match_has_as_many_changes_as_it_says_in_a_scope_of_its_own() -> None:
    changes = [json.loads(f"{{{change}}}") for change in Matches("seed").take(2 * CHANGES_OF_MATCH)]

    first, second = (
        {change["scope"] for change in part} for part in (changes[:CHANGES_OF_MATCH], changes[CHANGES_OF_MATCH:])
    )
    assert len(first) == len(second) == 1
    assert first != second
