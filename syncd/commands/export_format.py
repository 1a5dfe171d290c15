"""The lines of an export: a header, one line for each resource, and an end that says how many there were. Pure.

{"syncd_export":1,"syncd":"0.1.0","exported_at":"2026-11-03T17:04:09Z"}
{"scope":"match:9f","type":"event","id":"0193-a","version":2,"fields":{"kind":"goal","minute":48}}
{"scope":"match:9f","type":"event","id":"0193-b","version":3,"deleted":true}
{"end":true,"scopes":1,"resources":1,"deleted":1}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conflict_rules.values import Fields, InvalidValue, RepeatedKeys, clean_fields, valid_id, valid_scope, valid_type
from syncd.api.codec import decode_json
from syncd.errors import InvalidMessage
from syncd.store.protocol import StateRow

__all__ = [
    "EXPORT_VERSION",
    "BadLine",
    "EndLine",
    "ResourceLine",
    "encode_end",
    "encode_header",
    "encode_resource",
    "read_header",
    "read_line",
]

EXPORT_VERSION: Final = 1
"""1 (2026-11): the newest state of each resource, with its fields as a whole."""

_RESOURCE_KEYS: Final = frozenset({"scope", "type", "id", "version", "fields", "deleted"})


class BadLine(ValueError):
    """A line that cannot be read; `code` is stable text, the exception's text a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """One resource. `fields` is None for one that was deleted."""

    scope: str
    type: str
    id: str
    fields: Fields | None


@dataclass(frozen=True, slots=True)
class EndLine:
    """What the writer had written when it came to its end. `lines`: of resources, deleted ones included."""

    lines: int


def encode_header(**facts: object) -> bytes:
    """The first line."""
    return _line({"syncd_export": EXPORT_VERSION, **facts})


def encode_resource(row: StateRow) -> bytes:
    """The line of one stored state."""
    head = {"scope": row.scope, "type": row.type, "id": row.id, "version": row.version}
    return _line({**head, "deleted": True} if row.deleted else {**head, "fields": json.loads(row.body)["fields"]})


def encode_end(*, scopes: int, resources: int, deleted: int) -> bytes:
    """The last line."""
    return _line({"end": True, "scopes": scopes, "resources": resources, "deleted": deleted})


def read_header(line: bytes) -> None:
    """Raises `BadLine` unless this is the first line of an export that this syncd can read."""
    header = _object(line)
    version = header.get("syncd_export")
    if version is None:
        raise BadLine("not_an_export", 'the first line of an export is its header, such as {"syncd_export":1}')
    if version != EXPORT_VERSION or isinstance(version, bool):
        raise BadLine("not_an_export", f"this is an export of version {version!r}, and this syncd reads version 1")


def read_line(line: bytes) -> ResourceLine | EndLine:
    """Any line but the first; raises `BadLine`."""
    value = _object(line)
    if value.get("end") is True:
        return EndLine(_count(value, "resources") + _count(value, "deleted"))
    for key in value:
        if key not in _RESOURCE_KEYS:
            raise BadLine(
                "unknown_key", f"a line has no {key[:80]!r}; its keys are {', '.join(sorted(_RESOURCE_KEYS))}"
            )
    scope, type_name, resource_id = value.get("scope"), value.get("type"), value.get("id")
    if not valid_scope(scope):
        raise BadLine("invalid_scope", "scope: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -")
    if not valid_type(type_name):
        raise BadLine("invalid_type", "type: lower-case letters, digits and underscores, a letter first, at most 64")
    if not valid_id(resource_id):
        raise BadLine("invalid_id", "id: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")
    return ResourceLine(str(scope), str(type_name), str(resource_id), _fields(value))


def _fields(value: Mapping[str, object]) -> Fields | None:
    deleted, fields = value.get("deleted", False), value.get("fields")
    if deleted is True and "fields" not in value:
        return None
    if deleted is not False or not isinstance(fields, Mapping):
        raise BadLine("invalid_fields", 'a line has either fields, an object, or "deleted": true')
    try:
        return clean_fields(fields)
    except InvalidValue as invalid:
        raise BadLine(invalid.code, str(invalid)) from None


def _object(line: bytes) -> Mapping[str, object]:
    try:
        value = decode_json(line)
    except InvalidMessage as invalid:
        raise BadLine(invalid.problem_code, invalid.message) from None
    if isinstance(value, RepeatedKeys):
        raise BadLine("repeated_key", f"the key {value.key[:80]!r} is given twice")
    if not isinstance(value, dict):
        raise BadLine("invalid_message", "a line is a JSON object")
    return value


def _count(value: Mapping[str, object], key: str) -> int:
    count = value.get(key)
    if isinstance(count, bool) or not isinstance(count, int):
        raise BadLine("invalid_message", f"{key}: the end line says how many there were")
    return count


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
