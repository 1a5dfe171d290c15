"""The two encodings of messages on the wire: JSON, and MessagePack, which is smaller. Knows no message and no HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal

import msgpack

from client_sdk.errors import Unreachable
from client_sdk.messages import parse
from conflict_rules.values import JsonValue

__all__ = ["CONTENT_TYPES", "Encoding", "decode", "encoded"]

Encoding = Literal["json", "msgpack"]

CONTENT_TYPES: Final[Mapping[Encoding, str]] = {"json": "application/json", "msgpack": "application/msgpack"}


def encoded(body: bytes, encoding: Encoding) -> bytes:
    """A message, given as JSON, in that encoding."""
    if encoding == "json":
        return body
    packed: bytes = msgpack.packb(json.loads(body))
    return packed


def decode(body: bytes, encoding: Encoding) -> Mapping[str, JsonValue]:
    """The object that `body` is; raises `Unreachable` if it is none: what answered is not syncd."""
    if encoding == "json":
        return parse(body)
    try:
        value = msgpack.unpackb(body, raw=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as failure:
        raise Unreachable(f"what answered is not a syncd that this SDK understands ({failure})") from failure
    if not isinstance(value, dict):
        raise Unreachable("what answered is not a syncd that this SDK understands (an object was expected)")
    return value
