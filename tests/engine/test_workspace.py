"""The workspace: reads see every earlier write, and a mark is a point to come back to."""

from __future__ import annotations

import json

from conflict_rules import Mark, Origin, Stamp, State
from conflict_rules.wire import decode_state
from syncd.engine.workspace import Workspace, encode_body
from syncd.store.protocol import Loaded, ReplicaRow, SettledRow, StateRow

STAMP = Stamp(1000, 0, "a")


def state(id: str, version: int, **fields: object) -> State:
    return State("main", "note", id, version, fields, dict.fromkeys(fields, Mark(version, STAMP)), Origin("a", version))


def settled(n: int) -> SettledRow:
    return SettledRow("a", n, b"d" * 16, "main", "note", "x", n, "applied", 0, str(STAMP), b"{}", b"{}")


def put(workspace: Workspace, state: State) -> None:
    workspace.put(state, encode_body(state))


def test_what_was_loaded_is_decoded_as_it_was() -> None:
    workspace = Workspace()
    stored = state("x", 3, v=1)
    row = StateRow("main", "note", "x", 3, False, encode_body(stored))
    workspace.add(Loaded(scopes={"main": 3}, states={("note", "x"): row}), [("note", "x"), ("note", "y")])
    assert workspace.state(("note", "x")) == stored
    assert workspace.state(("note", "y")) is None
    assert (workspace.head("main"), workspace.head("elsewhere")) == (3, 0)


def test_a_write_is_seen_by_every_later_read_and_committed_once() -> None:
    workspace = Workspace()
    workspace.add(Loaded(), [("note", "x")])
    put(workspace, state("x", 1, v=1))
    put(workspace, state("x", 2, v=2))
    assert workspace.head("main") == 2
    assert [written.version for written in workspace.written("main")] == [2]
    commit = workspace.commit(at_ms=7)
    assert commit is not None
    assert [(row.id, row.version) for row in commit.states] == [("x", 2)]
    assert decode_state(json.loads(commit.states[0].body), "main").fields == {"v": 2}
    assert commit.scopes == {"main": 2}


def test_undo_takes_everything_back_to_the_mark() -> None:
    workspace = Workspace()
    workspace.add(Loaded(), [("note", "x"), ("note", "y")])
    put(workspace, state("x", 1, v=1))
    workspace.settle(settled(1), ReplicaRow("a", 1))
    mark = workspace.mark()
    put(workspace, state("x", 2, v=2))
    put(workspace, state("y", 3, v=3))
    workspace.settle(settled(2), ReplicaRow("a", 2))
    workspace.undo(mark)
    assert workspace.state(("note", "y")) is None
    assert workspace.head("main") == 1
    assert workspace.replica("a").settled == 1
    commit = workspace.commit(at_ms=7)
    assert commit is not None
    assert [(row.id, row.version) for row in commit.states] == [("x", 1)]
    assert [row.n for row in commit.settled] == [1]
    assert [(row.id, row.settled, row.seen_at_ms) for row in commit.replicas] == [("a", 1, 7)]


def test_nothing_written_is_nothing_to_commit() -> None:
    workspace = Workspace()
    workspace.add(Loaded(), [("note", "x")])
    mark = workspace.mark()
    put(workspace, state("x", 1, v=1))
    workspace.undo(mark)
    assert workspace.commit(at_ms=0) is None


def test_what_it_knows_already_stands_against_what_is_loaded_later() -> None:
    workspace = Workspace()
    workspace.add(Loaded(scopes={"main": 1}), [("note", "x")])
    put(workspace, state("x", 2, v=2))
    late = StateRow("main", "note", "x", 1, False, encode_body(state("x", 1, v=1)))
    workspace.add(Loaded(scopes={"main": 1}, states={("note", "x"): late}))
    known = workspace.state(("note", "x"))
    assert known is not None
    assert known.version == 2
    assert workspace.head("main") == 2
