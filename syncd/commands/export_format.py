"""The lines of an export: a header, one line for each resource, and an end that says how many there were. Pure.

{"syncd_export":1,"syncd":"0.1.0","exported_at":"2026-11-03T17:04:09Z"}
{"scope":"match:9f","type":"event","id":"0193-a","version":2,"fields":{"kind":"goal","minute":48}}
{"scope":"match:9f","type":"event","id":"0193-b","version":3,"deleted":true}
{"scope":"match:9f","type":"report","id":"0193-c","version":9,"fields":{"title":"Derby"},
 "documents":{"text":{"since":4,"seq":7,"updates":["AAEC…","AwQF…"]}}}                          (one line)
{"end":true,"scopes":1,"resources":1,"deleted":1}
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from conflict_rules.values import Fields, InvalidValue, RepeatedKeys, clean_fields, valid_id, valid_scope, valid_type
from syncd.api.codec import decode_json
from syncd.errors import InvalidMessage
from syncd.store.protocol import StateRow, StoredDocument

__all__ = [
    "EXPORT_VERSION",
    "BadLine",
    "DocumentPart",
    "EndLine",
    "ResourceLine",
    "encode_end",
    "encode_header",
    "encode_resource",
    "read_header",
    "read_line",
]

EXPORT_VERSION: Final = 1
"""1 (2026-11): the newest state of each resource, with its fields as a whole, and its documents."""

_RESOURCE_KEYS: Final = frozenset({"scope", "type", "id", "version", "fields", "documents", "deleted"})
_DOCUMENT_KEYS: Final = frozenset({"since", "seq", "updates"})


class BadLine(ValueError):
    """A line that cannot be read; `code` is stable text, the exception's text a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document of a resource. `updates`: Yjs updates in base64, in order, the oldest of which may be a snapshot.

    `since`, `seq`: how far it was where it comes from; whoever has the same is the very same database.
    """

    since: int
    seq: int
    updates: Sequence[str]


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """One resource. `fields` is None for one that was deleted; `documents` are none of the fields."""

    scope: str
    type: str
    id: str
    fields: Fields | None
    documents: Mapping[str, DocumentPart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndLine:
    """What the writer had written when it came to its end. `lines`: of resources, deleted ones included."""

    lines: int


def encode_header(**facts: object) -> bytes:
    """The first line."""
    return _line({"syncd_export": EXPORT_VERSION, **facts})


def encode_resource(row: StateRow, documents: Mapping[str, StoredDocument] = MappingProxyType({})) -> bytes:
    """The line of one stored state, with what is stored beside it of its documents."""
    head = {"scope": row.scope, "type": row.type, "id": row.id, "version": row.version}
    if row.deleted:
        return _line({**head, "deleted": True})
    fields = {name: value for name, value in json.loads(row.body)["fields"].items() if name not in documents}
    beside = {name: _encode_document(document) for name, document in documents.items()}
    return _line({**head, "fields": fields, **({"documents": beside} if beside else {})})


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
    fields = _fields(value)
    documents = _documents(value.get("documents", {}), fields)
    return ResourceLine(str(scope), str(type_name), str(resource_id), fields, documents)


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


def _encode_document(document: StoredDocument) -> dict[str, object]:
    snapshot = [document.snapshot] if document.snapshot_seq else []
    updates = [*snapshot, *(update for _, update in document.updates)]
    texts = [base64.b64encode(update).decode() for update in updates]
    return {"since": document.since, "seq": document.seq, "updates": texts}


def _documents(value: object, fields: Fields | None) -> dict[str, DocumentPart]:
    if not isinstance(value, Mapping) or (value and fields is None):
        raise BadLine("invalid_fields", "documents: an object, on a line with fields")
    try:
        clean_fields(value if isinstance(value, RepeatedKeys) else dict.fromkeys(value))
    except InvalidValue as invalid:
        raise BadLine(invalid.code, str(invalid)) from None
    documents = {name: _document(name, part) for name, part in value.items()}
    for name in documents.keys() & (fields or {}).keys():
        raise BadLine("invalid_fields", f"{name[:80]!r} is either a field or a document")
    return documents


def _document(name: str, part: object) -> DocumentPart:
    if isinstance(part, Mapping) and not isinstance(part, RepeatedKeys) and part.keys() == _DOCUMENT_KEYS:
        since, seq, updates = part["since"], part["seq"], part["updates"]
        if (
            _is_count(since)
            and _is_count(seq)
            and isinstance(updates, list)
            and updates
            and all(map(_is_update, updates))
        ):
            return DocumentPart(since, seq, updates)
    raise BadLine(
        "invalid_fields", f'documents.{name[:80]}: {{"since": 4, "seq": 7, "updates": […]}}, one or more in base64'
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_update(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


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
