"""The server's messages as values: read strictly enough that nothing half-understood reaches the file.

Knows no HTTP and no socket. What cannot be read raises `Unreachable`: it is not syncd that answered, or a syncd that
this SDK does not understand; either way the replica keeps what it has and tries again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from client_sdk.errors import Unreachable
from client_sdk.json_text import read_json, write_json
from conflict_rules import Outcome, State
from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_outcome, decode_state

__all__ = [
    "Answer",
    "Delta",
    "DocumentAnswer",
    "Limits",
    "Page",
    "PullReply",
    "PushReply",
    "Relayed",
    "decode_delta",
    "decode_documents_reply",
    "decode_gone",
    "decode_limits",
    "decode_pull_reply",
    "decode_push_reply",
    "decode_standings",
    "encode_push",
    "parse",
]


_UNREADABLE: Final = (ArithmeticError, LookupError, TypeError, ValueError)
"""What reading something else than was expected may raise; an integer of infinity is an ArithmeticError."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes; advertised in every reply, these until the first. `presence_ms`, `max_relay_bytes`: 0 if
    it has no presence, or sends no updates of documents with deltas.
    """

    max_changes: int = 1000
    max_body_bytes: int = 1_048_576
    max_scopes: int = 200
    max_presence_bytes: int = 1024
    max_presence_per_s: int = 10
    presence_ms: int = 0
    max_relay_bytes: int = 0


@quick_to_make
@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to change `n`. `expected`: the number to go on with, where it came out of order."""

    n: int
    outcome: Outcome
    repeat: bool
    expected: int | None


@dataclass(frozen=True, slots=True)
class PushReply:
    """The answer to a push. `settled`: the replica's highest settled number."""

    server_time_ms: int
    limits: Limits
    settled: int
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Page:
    """One scope's part of a pull. `states`: each beside its wire form. `digest`: of the scope at `cursor`, if asked."""

    states: list[tuple[State, str]]
    cursor: str
    settled: int
    more: bool
    reset: bool
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class PullReply:
    """The answer to a pull. `gone`: scopes that may not be seen, or not any more, or never were."""

    server_time_ms: int
    limits: Limits
    pages: dict[str, Page]
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """What the server says of a document: how far it is, and the updates that lead there.

    Or `refusal`, the code of why it cannot, and `message`, the sentence.
    """

    type: str
    id: str
    field: str
    since: int = 0
    seq: int = 0
    updates: Sequence[bytes] = ()
    refusal: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Relayed:
    """Updates of a document that came with a delta: for whoever holds exactly `after` of those of its life `since`."""

    type: str
    id: str
    field: str
    since: int
    after: int
    updates: Sequence[bytes]

    @property
    def seq(self) -> int:
        """How far the document is with them."""
        return self.after + len(self.updates)


@dataclass(frozen=True, slots=True)
class Delta:
    """New states of a scope in the range (after, upto], and updates of documents that were committed in it."""

    scope: str
    after: str
    upto: str
    states: list[tuple[State, str]]
    documents: Sequence[Relayed] = ()


def encode_push(replica: str, schema: int, bodies: list[str], user: str | None = None) -> bytes:
    """A push of changes that are encoded already: their bytes are their identity (law 3). `user`: who made them."""
    maker = "" if user is None else f'"user":{json.dumps(user)},'
    return f'{{"replica":"{replica}",{maker}"schema":{schema},"changes":[{",".join(bodies)}]}}'.encode()


def parse(text: str | bytes) -> Mapping[str, JsonValue]:
    """A JSON object; raises `Unreachable`."""
    try:
        return _object(read_json(text))
    except (ValueError, RecursionError, TypeError) as failure:
        raise _not_understood(failure) from failure


def decode_push_reply(raw: Mapping[str, JsonValue], replica: str) -> PushReply:
    """Raises `Unreachable` if it is no answer to a push of this replica."""
    if raw.get("replica") != replica:
        raise _not_understood("it is the answer to another replica")
    try:
        answers = [_answer(_object(item)) for item in _list(raw["outcomes"])]
        return PushReply(_integer(raw["server_time_ms"]), _limits(raw), _integer(raw["settled"]), answers)
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def decode_pull_reply(raw: Mapping[str, JsonValue]) -> PullReply:
    """Raises `Unreachable` if it is no answer to a pull."""
    try:
        answers = {scope: _object(answer) for scope, answer in _object(raw["scopes"]).items()}
        gone = [scope for scope, answer in answers.items() if _is_gone(answer)]
        pages = {scope: _page(scope, answer) for scope, answer in answers.items() if not _is_gone(answer)}
        return PullReply(_integer(raw["server_time_ms"]), _limits(raw), pages, gone)
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def decode_documents_reply(raw: Mapping[str, JsonValue], asked: int) -> list[DocumentAnswer]:
    """Of the first of `asked` documents: how many fit the answer, the server says. Raises `Unreachable`."""
    try:
        answers = [_document(_object(item)) for item in _list(raw["documents"])]
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure
    if not 1 <= len(answers) <= asked:
        raise _not_understood(f"{asked} documents were asked for, {len(answers)} answered")
    return answers


def decode_delta(raw: Mapping[str, JsonValue]) -> Delta:
    """Raises `Unreachable` if it is no delta."""
    try:
        scope = _text(raw["scope"])
        documents = [_relayed(_object(item)) for item in _list(raw.get("documents", []))]
        return Delta(scope, _text(raw["after"]), _text(raw["upto"]), _states(raw["entries"], scope), documents)
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def decode_standings(raw: Mapping[str, JsonValue]) -> dict[str, str | None]:
    """The scopes of a `subscribed` frame that are watched: the cursor to adopt, or None where a pull is due."""
    try:
        return {
            scope: None if _object(standing).get("pull") else _text(_object(standing)["cursor"])
            for scope, standing in _object(raw["scopes"]).items()
            if not _is_gone(_object(standing))
        }
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def decode_gone(raw: Mapping[str, JsonValue]) -> list[str]:
    """The scopes of a `gone` or a `subscribed` frame that may not be seen, or not any more."""
    try:
        scopes = raw["scopes"]
        if isinstance(scopes, list):
            return [_text(scope) for scope in scopes]
        return [scope for scope, standing in _object(scopes).items() if _is_gone(_object(standing))]
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def decode_limits(raw: Mapping[str, JsonValue]) -> Limits:
    """The limits that a welcome advertises; raises `Unreachable` if they are none."""
    try:
        return _limits(raw)
    except _UNREADABLE as failure:
        raise _not_understood(failure) from failure


def _answer(raw: Mapping[str, JsonValue]) -> Answer:
    expected = raw.get("expected")
    return Answer(
        _integer(raw["n"]),
        decode_outcome(raw),
        raw.get("repeat") is True,
        None if expected is None else _integer(expected),
    )


def _is_gone(raw: Mapping[str, JsonValue]) -> bool:
    return raw.get("gone") is True


def _page(scope: str, raw: Mapping[str, JsonValue]) -> Page:
    more = raw["more"]
    if not isinstance(more, bool):
        raise TypeError("more is true or false")
    return Page(
        _states(raw["resources"], scope),
        _text(raw["cursor"]),
        _integer(raw.get("settled", 0)),
        more,
        raw.get("reset") is True,
        None if raw.get("digest") is None else _text(raw["digest"]),
    )


def _states(raw: JsonValue, scope: str) -> list[tuple[State, str]]:
    return [(decode_state(_object(item), scope), write_json(item)) for item in _list(raw)]


def _limits(raw: Mapping[str, JsonValue]) -> Limits:
    given = _object(raw.get("limits", {}))
    known = {item.name: given[item.name] for item in fields(Limits) if item.name in given}
    return Limits(**{name: max(1, _integer(value)) for name, value in known.items()})


def _object(raw: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(raw, dict):
        raise TypeError("an object was expected")
    return raw


def _list(raw: JsonValue) -> list[JsonValue]:
    if not isinstance(raw, list):
        raise TypeError("an array was expected")
    return raw


def _text(raw: JsonValue) -> str:
    if not isinstance(raw, str):
        raise TypeError("a text was expected")
    return raw


def _integer(raw: JsonValue) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise TypeError("an integer was expected")
    return raw


def _not_understood(failure: object) -> Unreachable:
    return Unreachable(f"what answered is not a syncd that this SDK understands ({failure})")


def _document(raw: Mapping[str, JsonValue]) -> DocumentAnswer:
    place = (_text(raw["type"]), _text(raw["id"]), _text(raw["field"]))
    if "code" in raw:
        return DocumentAnswer(*place, refusal=_text(raw["code"]), message=_text(raw.get("message", "")))
    return DocumentAnswer(*place, _integer(raw["since"]), _integer(raw["seq"]), _updates(raw))


def _relayed(raw: Mapping[str, JsonValue]) -> Relayed:
    place = (_text(raw["type"]), _text(raw["id"]), _text(raw["field"]))
    relayed = Relayed(*place, _integer(raw["since"]), _integer(raw["after"]), _updates(raw))
    if relayed.after < 0 or relayed.seq != _integer(raw["seq"]):
        raise ValueError("other updates of a document than it says")
    return relayed


def _updates(raw: Mapping[str, JsonValue]) -> list[bytes]:
    return [base64.b64decode(_text(update), validate=True) for update in _list(raw["updates"])]
