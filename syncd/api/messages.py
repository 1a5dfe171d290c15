"""The envelopes of the protocol: what a request may say, checked strictly, with a sentence for what is wrong.

Single changes stay as they were sent: the engine answers each by itself, so that one bad change cannot take its
neighbours down (invariant 6). docs/protocol.md shows every message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conflict_rules.values import MAX_INTEGER, RepeatedKeys
from syncd.errors import InvalidMessage

__all__ = [
    "ConflictQuery",
    "DismissRequest",
    "DocumentItem",
    "DocumentQuery",
    "DocumentsRequest",
    "ExplainQuery",
    "Frame",
    "Hello",
    "HistoryQuery",
    "Ping",
    "Pong",
    "PresenceState",
    "PullRequest",
    "PushRequest",
    "QuarantineQuery",
    "ReplayRequest",
    "SettleRequest",
    "SettlementItem",
    "Subscribe",
    "UndoQuery",
    "Unsubscribe",
    "read_frame",
    "read_message",
    "read_query",
]

Cursor = Annotated[str, Field(max_length=256)]
Scopes = dict[str, Cursor | None]
Types = list[str] | None


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PushRequest(_Message):
    """The changes of one replica, oldest first. `schema`: the app version they were made under."""

    replica: str
    schema_: Annotated[int, Field(ge=0, le=MAX_INTEGER, alias="schema")] = 1
    changes: list[Any]


class PullRequest(_Message):
    """Scopes by name, each with the cursor it is known up to, or null. `replica`: whose numbers to report.

    `types`: of the resources to tell of, in all of these scopes; None for all. `digest`: whether to tell the digest of
    each scope that ends with its page.
    """

    replica: str | None = None
    scopes: Scopes
    types: Types = None
    limit_bytes: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    digest: bool = False


class _Query(BaseModel):
    """The part of a URL behind its question mark, where numbers are text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Name = Annotated[str, Field(max_length=256)]
FieldName = Annotated[str, Field(min_length=1, max_length=128)]
Place = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
PageSize = Annotated[int, Field(ge=1, le=500)]


class DocumentItem(_Message):
    """What a replica holds of one document: `seq` updates of its life `since`; `state`: its state vector, in base64."""

    type: Name
    id: Name
    field: FieldName
    since: Place | None = None
    seq: Place = 0
    state: Annotated[str, Field(max_length=1_048_576)] | None = None


class DocumentsRequest(_Message):
    """The documents whose news a replica asks for."""

    documents: Annotated[list[DocumentItem], Field(max_length=200)]


class HistoryQuery(_Query):
    """What happened to a resource, or to one field of it, above `after`."""

    type: Name
    id: Name
    field: FieldName | None = None
    after: Place = 0
    limit: PageSize = 100


class DocumentQuery(_Query):
    """The content of a document, as it is, or as it was at a version of its scope."""

    type: Name
    id: Name
    field: FieldName
    version: Place | None = None


class ExplainQuery(_Query):
    """Why a resource, or one field of it, says what it says."""

    type: Name
    id: Name
    field: FieldName | None = None


class UndoQuery(_Query):
    """The change that brings back what a resource, or one field of it, said at a version, or before a change.

    `change`: such as `phone.3`, the replica and its number.
    """

    type: Name
    id: Name
    field: FieldName | None = None
    version: Place | None = None
    change: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[1-9][0-9]{0,15}$")] | None = None


class QuarantineQuery(_Query):
    """What waits in the quarantine: of one replica, in one scope, of one type."""

    replica: Name | None = None
    scope: Name | None = None
    type: Name | None = None
    after: Place = 0
    limit: PageSize = 100


class QuarantineItem(_Message):
    """One change in the quarantine."""

    replica: Name
    n: Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class _QuarantineRequest(_Message):
    items: Annotated[list[QuarantineItem], Field(max_length=500)]


class ReplayRequest(_QuarantineRequest):
    """Settle these changes anew."""


class DismissRequest(_QuarantineRequest):
    """Take these changes out of the quarantine."""


class ConflictQuery(_Query):
    """Which conflicts: in one scope, about one type or resource; `after`: the id of the last one had."""

    scope: Name | None = None
    status: Literal["open", "settled", "any"] = "open"
    type: Name | None = None
    id: Name | None = None
    after: Name = ""
    limit: PageSize = 100


class SettlementItem(_Message):
    """One answer: `choice`, the key of a candidate, or `value`. `version`: of the conflict as it was shown."""

    conflict: Name
    choice: Name | None = None
    value: Any = None
    version: Place | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.choice is None) is ("value" not in self.model_fields_set):
            raise ValueError("either choice, the key of a candidate, or value")
        return self


class SettleRequest(_Message):
    """Answer these conflicts."""

    settlements: Annotated[list[SettlementItem], Field(min_length=1, max_length=500)]


class Hello(_Message):
    """The first frame of a socket; a later one brings a fresh token. `format`: of what the server sends."""

    type: Literal["hello"]
    token: str | None = None
    replica: str | None = None
    format: Literal["json", "msgpack"] | None = None


class Subscribe(_Message):
    """Watch these scopes, each from the cursor it is known up to, or null. `types`: as of a pull. `documents`: whether
    deltas are to bring updates of documents.
    """

    type: Literal["subscribe"]
    scopes: Scopes
    types: Types = None
    documents: bool = False


class Unsubscribe(_Message):
    """Watch these scopes no more."""

    type: Literal["unsubscribe"]
    scopes: list[str]


class Ping(_Message):
    """Are you there?"""

    type: Literal["ping"]


class Pong(_Message):
    """Yes."""

    type: Literal["pong"]


class PresenceState(_Message):
    """What this replica says of itself to those who watch a scope; null: it is here no more."""

    type: Literal["presence"]
    scope: str
    state: Any


Frame = Hello | Subscribe | Unsubscribe | PresenceState | Ping | Pong
_FRAMES: dict[str, type[Frame]] = {
    "hello": Hello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "presence": PresenceState,
    "ping": Ping,
    "pong": Pong,
}

Message = TypeVar("Message", bound=_Message)


def read_message(kind: type[Message], value: object) -> Message:
    """`value` as a message; raises `InvalidMessage` that names the place."""
    if not isinstance(value, dict):
        raise InvalidMessage("a message is an object")
    for key in _repeated_keys(value):
        raise InvalidMessage(f"the key {key[:80]!r} is given twice; give it once", code="repeated_key", field=key[:80])
    try:
        return kind.model_validate(value)
    except ValidationError as invalid:
        raise _invalid(kind, invalid) from None


Query = TypeVar("Query", bound=_Query)


def read_query(kind: type[Query], pairs: Iterable[tuple[str, str]]) -> Query:
    """The names and values of a URL as a query; raises `InvalidMessage` that names the place."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidMessage(f"{name[:80]!r} is given twice; give it once", code="repeated_key", field=name[:80])
        given[name] = value
    try:
        return kind.model_validate(given)
    except ValidationError as invalid:
        raise _invalid(kind, invalid) from None


def read_frame(value: object) -> Frame:
    """`value` as one of the frames that a client may send; raises `InvalidMessage` that names the place."""
    name = value.get("type") if isinstance(value, dict) else None
    kind = _FRAMES.get(name) if isinstance(name, str) else None
    if isinstance(value, dict) and kind is None and not isinstance(value, RepeatedKeys):
        raise InvalidMessage(f"type: one of {', '.join(_FRAMES)}", field="type")
    return read_message(kind or Ping, value)


def _repeated_keys(envelope: dict[Any, Any]) -> Iterator[str]:
    """Keys given twice in the envelope itself; those inside of a change are the engine's business."""
    for part in (envelope, envelope.get("scopes")):
        if isinstance(part, RepeatedKeys):
            yield part.key


def _invalid(kind: type[BaseModel], invalid: ValidationError) -> InvalidMessage:
    first = invalid.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:200]
    if first["type"] == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in kind.model_fields.items())
        return InvalidMessage(f"{place}: there is no such key here; the keys are {known}", field=place)
    if first["type"] == "missing":
        return InvalidMessage(f"{place}: this key is missing", field=place)
    return InvalidMessage(f"{place}: {_lower(first['msg'])}", field=place)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
