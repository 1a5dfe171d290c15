"""MessagePack to Python values and back: the same values as JSON, and the same patience with a bad change.

What is wrong with the whole raises `InvalidMessage`. What only JSON has no word for (bytes, extensions, keys that are
not text, NaN) comes out as a value that no field accepts, so that the change which holds it is refused and its
neighbours are not (invariant 6).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from conflict_rules.values import RepeatedKeys
from syncd.api.codec import CONTAINERS, MAX_TEXT_DEPTH
from syncd.errors import InvalidMessage

__all__ = ["Extension", "decode_msgpack", "encode_msgpack"]


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension type of MessagePack, which JSON does not have; no field accepts it."""

    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that is an array or a map; no object accepts it."""

    kind: str


def decode_msgpack(body: bytes) -> object:
    """The value that `body` packs. Raises `InvalidMessage` unless it is exactly one, whole, at most 1000 or so deep."""
    try:
        _check_whole(body)
        value = msgpack.unpackb(
            body, raw=False, strict_map_key=False, object_pairs_hook=_object, ext_hook=Extension, timestamp=0
        )
    except InvalidMessage:
        raise
    except UnicodeDecodeError as wrong:
        raise _invalid(f"it has text that is not UTF-8 ({wrong.reason})") from None
    except (msgpack.StackError, RecursionError):
        # The second is of msgpack without its C code.
        raise _invalid("it nests too deep") from None
    except msgpack.FormatError:
        raise _invalid("it has a byte that begins no value") from None
    except (msgpack.OutOfData, ValueError) as wrong:
        raise _invalid(str(wrong).rstrip(".") or "it ends too early") from None
    _cut(value)
    return value


def encode_msgpack(value: object) -> bytes:
    """`value`, of JSON values, packed. Half a surrogate pair, which has no UTF-8, goes as its escape."""
    packed: bytes = msgpack.packb(value, unicode_errors="backslashreplace")
    return packed


def _check_whole(body: bytes) -> None:
    """Raise unless `body` is one value and nothing else.

    Before anything is built: else every level of nesting could claim an array as long as the body, and be believed.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(body) or 1)
    unpacker.feed(body)
    try:
        unpacker.skip()
    except msgpack.OutOfData:
        raise _invalid("it ends too early") from None
    if unpacker.tell() != len(body):
        raise _invalid(f"after the value, which ends at byte {unpacker.tell()}, there is more")


def _object(pairs: Sequence[tuple[Any, object]]) -> dict[str, object]:
    """The map of these pairs; keys that are not text stay in it, for whoever reads the object to refuse."""
    try:
        named = dict(pairs)
    except TypeError:
        pairs = [(key if isinstance(key, str) else _Key(type(key).__name__), item) for key, item in pairs]
        named = dict(pairs)
    if len(named) == len(pairs):
        return named
    times = Counter(key for key, _ in pairs)
    return RepeatedKeys(str(next(key for key in times if times[key] > 1)), pairs)


def _cut(value: object) -> None:
    """Empty what lies below `MAX_TEXT_DEPTH`: too deep for any field, and a pit for whoever reads it recursively."""
    level = [value] if type(value) in CONTAINERS else []
    for _ in range(MAX_TEXT_DEPTH):
        if not level:
            return
        level = [
            item
            for container in level
            for item in (container if type(container) is list else container.values())  # type: ignore[attr-defined]
            if type(item) in CONTAINERS
        ]
    for container in level:
        container.clear()  # type: ignore[attr-defined]


def _invalid(why: str) -> InvalidMessage:
    return InvalidMessage(
        f"this is not MessagePack: {why}",
        code="invalid_msgpack",
        hint="Send one value, packed by a MessagePack library, or JSON with its own content type.",
    )
