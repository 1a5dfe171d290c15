"""The journal joins what a phone asked with what the server said, and has it on the disk at once."""

from __future__ import annotations

import json
from pathlib import Path

from conflict_rules.wire import change_digest
from syncd.demo.journal import Journal, acknowledgements, read_journal

GOAL = {
    "n": 4,
    "scope": "match:m1",
    "type": "event",
    "id": "e1",
    "op": "create",
    "fields": {"kind": "goal"},
    "base": 0,
    "stamp": "0193a6c0f2e1.0000.r1",
}
DELETE = {"n": 5, "scope": "match:m1", "type": "event", "id": "e1", "op": "delete", "base": 7}
REQUEST = {"replica": "r1", "schema": 1, "changes": [GOAL, DELETE]}
REPLY = {
    "replica": "r1",
    "settled": 4,
    "outcomes": [
        {"n": 4, "outcome": "applied", "version": 7, "repeat": True},
        {"n": 5, "outcome": "retry_later", "version": 0, "code": "out_of_order", "expected": 5},
    ],
}


def test_an_acknowledgement_holds_the_change_and_what_became_of_it() -> None:
    goal, delete = acknowledgements("A", REQUEST, REPLY, heard=False)

    assert (goal.phone, goal.replica, goal.n, goal.outcome, goal.version) == ("A", "r1", 4, "applied", 7)
    assert (goal.repeat, goal.heard) == (True, False)
    assert (goal.scope, goal.type, goal.id, goal.op) == ("match:m1", "event", "e1", "create")
    assert goal.fields == {"kind": "goal"}
    assert goal.digest == change_digest(GOAL).hex()
    assert (delete.op, delete.repeat, delete.fields) == ("delete", False, {})


def test_only_what_the_phone_may_forget_counts_as_settled() -> None:
    reused = {**REPLY, "outcomes": [{"n": 4, "outcome": "rejected", "version": 0, "code": "id_reuse"}]}

    assert [entry.settles for entry in acknowledgements("A", REQUEST, REPLY, heard=True)] == [True, False]
    assert [entry.settles for entry in acknowledgements("A", REQUEST, reused, heard=True)] == [False]


def test_what_is_no_push_acknowledges_nothing() -> None:
    assert acknowledgements("A", ["not", "a", "push"], REPLY, heard=True) == []
    assert acknowledgements("A", REQUEST, {"scopes": {}}, heard=True) == []


def test_what_was_added_is_in_the_file_before_it_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    entries = acknowledgements("A", REQUEST, REPLY, heard=True)

    journal.add(entries)

    assert list(read_journal(journal.path)) == entries
    assert len([json.loads(line) for line in journal.path.read_text().splitlines()]) == 2
    journal.close()


def test_a_journal_that_is_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    entries = acknowledgements("A", REQUEST, REPLY, heard=True)
    for entry in entries:
        journal = Journal(tmp_path / "journal.jsonl")
        journal.add([entry])
        journal.close()

    assert list(read_journal(tmp_path / "journal.jsonl")) == entries
