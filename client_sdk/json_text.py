"""JSON of messages and of rows in the file: by orjson, and by the standard library where orjson cannot."""

from __future__ import annotations

import json

import orjson

from conflict_rules.values import JsonValue

__all__ = ["read_json", "write_json"]


def read_json(text: str | bytes) -> JsonValue:
    """The value that `text` spells; raises ValueError, or RecursionError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Halves of surrogate pairs, which orjson does not read; whatever else is wrong is told in known words.
        return json.loads(text)


def write_json(value: JsonValue) -> str:
    """`value` in one line."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Halves of surrogate pairs again, and integers of any size.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
