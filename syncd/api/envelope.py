"""What all requests, queries and frames are: objects with known keys, checked strictly.

What is wrong is told with a sentence, and the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from conflict_rules.values import RepeatedKeys
from syncd.errors import InvalidMessage

__all__ = ["Envelope", "Message", "UrlQuery", "read_message", "read_query"]


class Envelope(BaseModel):
    """A body or a frame: no key that is not known, and each of its type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class UrlQuery(BaseModel):
    """The part of a URL behind its question mark, where numbers are text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Message = TypeVar("Message", bound=Envelope)


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


Query = TypeVar("Query", bound=UrlQuery)


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
