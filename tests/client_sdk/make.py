"""Short spellings of states, changes and messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from client_sdk.intake import Intake
from client_sdk.messages import Delta, Page, PushReply, decode_delta, decode_pull_reply, decode_push_reply
from client_sdk.numbering import Numbering
from client_sdk.outbox import Entry
from client_sdk.rebase import Pending
from client_sdk.replica import Replica
from client_sdk.settlement import Settlement
from client_sdk.shown_changes import ShownChanges
from conflict_rules import Change, JsonValue, Mark, Op, Origin, Outcome, Stamp, State
from conflict_rules.wire import encode_state

__all__ = ["Parts", "change", "delta", "entry", "page", "pending", "reply", "state"]


class Parts:
    """What the network's messages go through on their way into a replica's file."""

    def __init__(
        self,
        replica: Replica,
        on_outcome: Callable[[int, Outcome], None] = lambda seq, outcome: None,
        watched: Callable[[], Collection[str]] = tuple,
        on_shown: Callable[[str, Sequence[State]], None] = lambda scope, states: None,
    ) -> None:
        shown = ShownChanges(replica, watched, on_shown)
        numbering = Numbering(replica)
        self.intake = Intake(replica, numbering, shown)
        self.settlement = Settlement(replica, numbering, shown, on_outcome)


def state(
    version: int,
    /,
    *,
    id: str = "x",
    at: int = 10,
    by: str = "s",
    n: int = 1,
    scope: str = "main",
    deleted: bool = False,
    marks: dict[str, Mark] | None = None,
    **fields: JsonValue,
) -> State:
    """A confirmed state at `version`, all of it set by replica `by` at `at` ms, unless `marks` says otherwise."""
    mark = Mark(version, Stamp(at, 0, by))
    own = dict.fromkeys(fields, mark) | (marks or {})
    if deleted:
        return State(scope, "note", id, version, {}, {}, Origin(by, n), mark)
    return State(scope, "note", id, version, fields, own, Origin(by, n))


def change(
    op: str,
    /,
    *,
    n: int = 1,
    base: int = 0,
    at: int = 20,
    by: str = "r",
    id: str = "x",
    scope: str = "main",
    group: str | None = None,
    **fields: JsonValue,
) -> Change:
    """A change of replica `by`, stamped at `at` ms."""
    return Change(by, n, scope, "note", id, Op(op), Stamp(at, n, by), base, fields, group)


def pending(op: str, /, **options: Any) -> Pending:
    """A pending change whose place is its number."""
    made = change(op, **options)
    return Pending(made.n, made)


def entry(op: str, /, *, seq: int | None = None, sent: bool = False, **options: Any) -> Entry:
    """An entry of the outbox whose place is its number, unless `seq` says otherwise."""
    made = change(op, **options)
    found = Entry.of(made.n if seq is None else seq, made, 0)
    found.sent = sent
    return found


def page(
    *states: State,
    cursor: str = "c1",
    settled: int = 0,
    more: bool = False,
    reset: bool = False,
    scope: str = "main",
) -> Page:
    """One scope's page, read from its wire form."""
    raw = {
        "server_time_ms": 0,
        "limits": {},
        "scopes": {
            scope: {
                "resources": [encode_state(each) for each in states],
                "cursor": cursor,
                "settled": settled,
                "more": more,
                "reset": reset,
            }
        },
    }
    return decode_pull_reply(json.loads(json.dumps(raw))).pages[scope]


def delta(after: str, upto: str, *states: State, scope: str = "main") -> Delta:
    """A delta, read from its wire form."""
    raw = {"type": "delta", "scope": scope, "after": after, "upto": upto, "entries": [encode_state(s) for s in states]}
    return decode_delta(json.loads(json.dumps(raw)))


def reply(replica: str, settled: int, *outcomes: dict[str, JsonValue]) -> PushReply:
    """A push's answer, read from its wire form."""
    raw = {"replica": replica, "settled": settled, "server_time_ms": 0, "limits": {}, "outcomes": list(outcomes)}
    return decode_push_reply(raw, replica)
