"""JSON to Python values and back, strictly: RFC 8259 to the letter, and never a traceback whatever the bytes are.

Knows no message. What is wrong with the text as a whole raises `InvalidMessage`; what only one change may suffer for
(a key given twice, a giant number, a pit of brackets) comes out as a value that no field accepts, so that the change
which holds it is refused and its neighbours are not (invariant 6).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

import orjson

from conflict_rules.values import RepeatedKeys
from syncd.errors import InvalidMessage

__all__ = ["CONTAINERS", "MAX_TEXT_DEPTH", "decode_json", "encode_json"]

MAX_TEXT_DEPTH: Final = 64
"""How deep a message may nest: its own few levels, and what a field may hold (`MAX_DEPTH`) with room to spare."""

CONTAINERS: Final = frozenset({dict, list, RepeatedKeys})
"""What the readers make of arrays and objects."""

_TOO_DEEP_FOR_A_FIELD: Final = 40
_MAX_DIGITS: Final = 400
_LOOKED_INTO: Final = frozenset({dict, list, float})
_EXACT: Final = 2.0**63
"""Integers from here on, orjson reads as fractions."""
_BLANK_BEFORE_COLON: Final = re.compile(rb'"[ \t\n\r]+:')
# A string that never ends is matched to the end of the text, so that no second look is taken at it.
_NESTING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


def decode_json(body: bytes) -> object:
    """The value that `body` spells. Raises `InvalidMessage` unless it is UTF-8 and JSON."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        # What is wrong, and whether only with one change, the slower reader says.
        return _decode_carefully(body)
    return value if _faithful(value, body) else _decode_carefully(body)


def _faithful(value: object, body: bytes) -> bool:
    """Whether nothing of `body` was lost on the way to `value`: no key given twice, no integer made a fraction; and it
    nests no deeper than `MAX_TEXT_DEPTH`.

    With no blank between a key and its colon, there are as many `":` as keys in the text, or more, if texts hold some.
    So if there are as many as keys in `value`, none was given twice.
    """
    if _BLANK_BEFORE_COLON.search(body) is not None:
        return False
    keys = 0
    level = [value]
    for _ in range(MAX_TEXT_DEPTH + 1):
        deeper: list[object] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                keys += len(item)  # type: ignore[arg-type]
                deeper += [inner for inner in item.values() if type(inner) in _LOOKED_INTO]  # type: ignore[attr-defined]
            elif kind is list:
                deeper += [inner for inner in item if type(inner) in _LOOKED_INTO]  # type: ignore[attr-defined]
            elif kind is float and not -_EXACT < item < _EXACT:  # type: ignore[operator]
                return False
        if not deeper:
            return keys == body.count(b'":')
        level = deeper
    return False


def _decode_carefully(body: bytes) -> object:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise InvalidMessage(
            f"the text is not UTF-8: byte {wrong.start} cannot be read",
            code="invalid_utf8",
            hint="Encode the JSON text as UTF-8.",
        ) from None
    if text.startswith("\ufeff"):
        raise InvalidMessage(
            "the text begins with a byte order mark, which JSON does not have (RFC 8259, section 8.1)",
            code="invalid_json",
            hint="Leave out the first three bytes (EF BB BF).",
        )
    try:
        value = _decode(text)
    except RecursionError:
        return _decode(_fill_pits(text))
    return value if _shallow(value, text) else _decode(_fill_pits(text))


def encode_json(value: object) -> bytes:
    """`value` in one line of UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half a surrogate pair has no UTF-8, and an integer may have any size; they are JSON all the same.
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _decode(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as wrong:
        message = f"the text is not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}"
        raise InvalidMessage(message, code="invalid_json", hint="Send one JSON value as in RFC 8259.") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    named = dict(pairs)
    if len(named) == len(pairs):
        return named
    seen: set[str] = set()
    repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return RepeatedKeys(repeated, pairs)


def _integer(digits: str) -> int:
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    # No field takes an integer this large, and converting it costs the square of its length. It need only stay too
    # large, and tell itself from others.
    fingerprint = int.from_bytes(hashlib.sha512(digits.encode()).digest(), "big")
    return (fingerprint | 1 << 512) * (-1 if digits.startswith("-") else 1)


def _no_constant(name: str) -> object:
    raise InvalidMessage(
        f"the text is not JSON: {name} is not a JSON value",
        code="invalid_json",
        hint="Send null, or leave the field out.",
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_constant)


def _shallow(value: object, text: str) -> bool:
    """Whether `value`, which `text` spells, nests at most `MAX_TEXT_DEPTH` deep; a level at a time, no recursion."""
    if text.count("[") + text.count("{") <= MAX_TEXT_DEPTH:
        return True
    level = [value] if type(value) in CONTAINERS else []
    for _ in range(MAX_TEXT_DEPTH):
        if not level:
            return True
        level = [
            item
            for container in level
            for item in (container if type(container) is list else container.values())  # type: ignore[attr-defined]
            if type(item) in CONTAINERS
        ]
    return not level


def _fill_pits(text: str) -> str:
    """`text` with whatever lies below `MAX_TEXT_DEPTH` replaced by something that is merely too deep for any field.

    So a recursive reader survives it, and the change around it is refused by itself.
    """
    parts: list[str] = []
    depth = 0
    kept_from = pit_from = 0
    for match in _NESTING.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth += 1
            if depth == MAX_TEXT_DEPTH + 1:
                pit_from = match.start()
        elif bracket in "]}":
            depth -= 1
            if depth == MAX_TEXT_DEPTH:
                parts.extend((text[kept_from:pit_from], _pit(text[pit_from : match.end()])))
                kept_from = match.end()
    if depth > MAX_TEXT_DEPTH:
        raise InvalidMessage(
            f"the text is not JSON: it nests more than {MAX_TEXT_DEPTH} deep and does not close again",
            code="invalid_json",
            hint="Send one JSON value as in RFC 8259.",
        )
    return "".join((*parts, text[kept_from:]))


def _pit(text: str) -> str:
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return "[" * _TOO_DEEP_FOR_A_FIELD + f'"{fingerprint}"' + "]" * _TOO_DEEP_FOR_A_FIELD
