"""A scripted server that keeps one scope with documents: pushes are merged by the rules, updates kept as they came.

club = ScriptedClub(scripted, club_notes)
club.refuse = lambda change: "not_allowed" if … else None      the next pushes
club.say()                                                      what it holds, by pycrdt
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from aiohttp import web

from client_sdk.document_loading import load
from conflict_rules import Change, Outcome, State, apply_change
from conflict_rules.crdt import marker_of, update_of
from conflict_rules.outcome import Kind
from conflict_rules.values import JsonValue
from conflict_rules.wire import MalformedChange, decode_change, encode_outcome, encode_state
from syncd.app import App
from tests.support.scripted_server import ScriptedServer, reply

__all__ = ["SCOPE", "ScriptedClub"]

SCOPE = "club:a"
Key = tuple[str, str, str]


class ScriptedClub:
    """See the module."""

    def __init__(self, scripted: ScriptedServer, app: App) -> None:
        self.app = app
        self.version = 0
        self.states: dict[tuple[str, str], State] = {}
        self.logs: dict[Key, list[bytes]] = {}
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        self.settled: dict[str, int] = {}
        self.snapshots_only = False
        self.refuse: Callable[[Change], str | None] = lambda change: None
        scripted.answer = {"push": self.push, "pull": self.pull, "documents": self.documents}

    def push(self, request: Any) -> web.Response:
        """Every change once, in order."""
        replica, answers = request["replica"], []
        for raw in request["changes"]:
            change = decode_change(raw, replica)
            assert not isinstance(change, MalformedChange), change
            known = self.outcomes.get((replica, change.n))
            outcome = self._merge(change) if known is None else known
            self.outcomes[replica, change.n] = outcome
            self.settled[replica] = max(change.n, self.settled.get(replica, 0))
            answers.append(encode_outcome(change.n, outcome))
        return reply(replica=replica, settled=self.settled.get(replica, 0), outcomes=answers)

    def pull(self, request: Any) -> web.Response:
        """All that is above the cursor, in one page."""
        pages = {}
        for scope, cursor in request["scopes"].items():
            after = 0 if cursor is None else int(cursor[1:])
            newer = sorted((state for state in self.states.values() if state.version > after), key=lambda s: s.version)
            pages[scope] = {
                "resources": [encode_state(state) for state in newer],
                "cursor": f"c{self.version}",
                "settled": self.settled.get(request["replica"], 0),
                "more": False,
            }
        return reply(scopes=pages)

    def documents(self, request: Any) -> web.Response:
        """The raw updates above `seq`, or a snapshot."""
        answers: list[dict[str, JsonValue]] = []
        for one in request["documents"]:
            key = (one["type"], one["id"], one["field"])
            marker = marker_of(self.states[key[:2]].fields[key[2]])
            assert marker is not None
            log = self.logs[key]
            assert len(log) == marker.seq
            if self.snapshots_only:
                updates = [self.document(*key).diff({})]
            else:
                updates = log[one["seq"] if one["since"] == marker.since else 0 :]
            answers.append(
                {
                    "type": key[0],
                    "id": key[1],
                    "field": key[2],
                    "since": marker.since,
                    "seq": marker.seq,
                    "updates": [base64.b64encode(update).decode() for update in updates],
                }
            )
        return reply(documents=answers)

    def document(self, type_name: str, resource_id: str, field: str) -> Any:
        """The document of a field, merged."""
        resource_type = self.app.type(type_name)
        assert resource_type is not None
        kind = resource_type.rule.field_rule(field).kind  # type: ignore[attr-defined]
        return load(kind, field, self.logs[type_name, resource_id, field])

    def say(self, resource_id: str = "n1", field: str = "body") -> Any:
        """What a document of a note says."""
        return self.document("note", resource_id, field).view()

    def _merge(self, change: Change) -> Outcome:
        resource_type = self.app.type(change.type)
        assert resource_type is not None
        code = self.refuse(change)
        state = self.states.get((change.type, change.id))
        if code is not None:
            return Outcome(Kind.REJECTED, 0 if state is None else state.version, code, "no")
        merged = apply_change(resource_type.rule, state, change, self.version + 1)
        if merged.state is not None and merged.state is not state:
            self.version += 1
            self.states[change.type, change.id] = merged.state
            for name, value in change.fields.items():
                marker = marker_of(merged.state.fields.get(name))
                if marker is not None:
                    log = self.logs.setdefault((change.type, change.id, name), [])
                    if marker.seq == 1:
                        log.clear()
                    log.append(update_of(name, value))
        return merged.outcome
