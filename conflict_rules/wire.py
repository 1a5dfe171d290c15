"""The wire form: changes, states and outcomes as plain dicts of JSON values, for the server and the SDK alike.

Only shapes are checked here; whether a change may be applied is the engine's question.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson

from conflict_rules.change import Change, Op
from conflict_rules.outcome import Kind, Outcome
from conflict_rules.stamp import Stamp, StampMalformed
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import (
    MAX_DEPTH,
    MAX_INTEGER,
    InvalidValue,
    JsonValue,
    RepeatedKeys,
    canonical_json,
    clean_fields,
    plain,
    valid_id,
    valid_scope,
    valid_type,
)

__all__ = [
    "PROTOCOL_VERSION",
    "MalformedChange",
    "change_digest",
    "decode_change",
    "decode_outcome",
    "decode_own",
    "decode_state",
    "encode_change",
    "encode_outcome",
    "encode_state",
    "outcome_text",
    "spelling_of",
]

PROTOCOL_VERSION: Final = 1
"""1 (2026-11): push, pull, live; creates, updates, deletes, restores and settlements."""

_CHANGE_KEYS = frozenset(
    {"n", "scope", "type", "id", "op", "fields", "base", "stamp", "group", "schema", "was", "conflict"}
)

_OPS: Final = {op.value: op for op in Op}
_NOTHING: Final[Mapping[str, JsonValue]] = MappingProxyType({})

_HASHED_DEPTH = MAX_DEPTH + 8
"""Below this nothing can be applied, so that what is there need not tell two changes apart."""


@dataclass(frozen=True, slots=True)
class MalformedChange:
    """A change that cannot be read, with what is needed to settle its number and to tell its author why.

    `n` is None where not even the number can be read; then there is nothing to settle.
    """

    n: int | None
    code: str
    message: str
    field: str | None


def encode_change(change: Change) -> dict[str, JsonValue]:
    """The wire form of a change; its replica is named once, by the envelope."""
    encoded: dict[str, JsonValue] = {
        "n": change.n,
        "scope": change.scope,
        "type": change.type,
        "id": change.id,
        "op": change.op.value,
        "base": change.base,
        "stamp": str(change.stamp),
        "schema": change.schema,
    }
    if change.fields:
        encoded["fields"] = dict(change.fields)
    if change.group is not None:
        encoded["group"] = change.group
    if change.was:
        encoded["was"] = dict(change.was)
    if change.conflict is not None:
        encoded["conflict"] = change.conflict
    return encoded


def decode_change(
    raw: object, replica: str, *, schema: int = 1, stamp: Stamp | None = None
) -> Change | MalformedChange:
    """Read one change of `replica`.

    `schema` and `stamp` stand in where the change names none. `scope` is left empty ("") where it is not given; the
    engine then finds it from the app or from the resource.
    """
    # Asked of every change, here and below: a dict is known for one without asking what a mapping is.
    if not isinstance(raw, (dict, Mapping)):
        return MalformedChange(None, "invalid_change", "a change is an object", None)
    n = raw.get("n")
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_INTEGER:
        return MalformedChange(
            None, "invalid_number", "n: a change's number is an integer, counted by its replica from 1", "n"
        )
    try:
        return _decode(raw, n, replica, schema, stamp)
    except InvalidValue as invalid:
        return MalformedChange(n, invalid.code, str(invalid), invalid.field)
    except StampMalformed as malformed:
        return MalformedChange(n, "invalid_stamp", f"stamp: {malformed}", "stamp")


def decode_own(raw: Mapping[str, Any], replica: str) -> Change:
    """A change as `encode_change` has written it, where it was checked before: nothing is, here. Raises `KeyError`,
    `TypeError` or `ValueError` for most of what it has not written."""
    return Change(
        replica=replica,
        n=raw["n"],
        scope=raw["scope"],
        type=raw["type"],
        id=raw["id"],
        op=_OPS[raw["op"]],
        stamp=Stamp.parse(raw["stamp"]),
        base=raw["base"],
        fields=raw.get("fields", {}),
        group=raw.get("group"),
        schema=raw["schema"],
        was=raw.get("was", _NOTHING),
        conflict=raw.get("conflict"),
    )


def spelling_of(raw: object) -> bytes | None:
    """A change as it was sent, in the one spelling of equal values; None for what is not made of plain values."""
    if plain(raw):
        # Else there are keys that are no text, half a surrogate pair, or an integer of more than 64 bits.
        with suppress(TypeError):
            return orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    return None


def change_digest(raw: object, spelling: bytes | None = None) -> bytes:
    """16 bytes that tell a repeat from another change under the same number (law 3).

    Taken over the change as it was sent: any JSON value, readable as a change or not. `spelling`: see `spelling_of`,
    for whoever has asked for it before.
    """
    text = spelling or spelling_of(raw) or canonical_json(_hashable(raw))
    return hashlib.sha256(text).digest()[:16]


def encode_state(state: State) -> dict[str, JsonValue]:
    """The wire form of a state; its scope is named once, by what encloses it.

    `marks` is `[[version, stamp, [field, …]], …]`; the entry without fields covers every field not named in another.
    A tombstone has the delete's mark there; what it keeps of its fields (`update_wins`) is in `kept`.
    """
    encoded: dict[str, JsonValue] = {
        "type": state.type,
        "id": state.id,
        "version": state.version,
        "origin": [state.origin.replica, state.origin.n],
    }
    if state.rule_data:
        encoded["rule_data"] = dict(state.rule_data)
    if state.floor is not None:
        encoded["floor"] = _encode_mark(state.floor)
    if state.deleted is not None:
        encoded["deleted"] = True
        encoded["marks"] = [_encode_mark(state.deleted)]
        if state.fields:
            encoded["kept"] = {"fields": dict(state.fields), "marks": _encode_marks(state)}
        return encoded
    encoded["fields"] = dict(state.fields)
    encoded["marks"] = _encode_marks(state)
    return encoded


def _encode_mark(mark: Mark) -> list[JsonValue]:
    return [mark.version, str(mark.stamp)]


def _encode_marks(state: State) -> list[JsonValue]:
    if not state.marks:
        return []
    first = next(iter(state.marks.values()))
    if len(set(map(id, state.marks.values()))) == 1:
        # Most have been set by one change, and never again.
        return [_encode_mark(first)]
    by_mark: dict[Mark, list[str]] = {}
    for name, mark in state.marks.items():
        by_mark.setdefault(mark, []).append(name)
    # In one order, so that equal states are equal bytes.
    in_order = sorted(by_mark, key=lambda mark: (mark.version, mark.stamp))
    widest = max(in_order, key=lambda mark: len(by_mark[mark]), default=None)
    marks: list[JsonValue] = []
    for mark in in_order:
        entry = _encode_mark(mark)
        if mark != widest:
            entry.append(sorted(by_mark[mark]))
        marks.append(entry)
    return marks


def decode_state(raw: Mapping[str, JsonValue], scope: str) -> State:
    """Read what `encode_state` wrote; raises ValueError, KeyError or TypeError if it was something else."""
    origin = raw["origin"]
    if not isinstance(origin, list):
        raise TypeError("the origin of a state is an array")
    deleted: Mark | None = None
    fields: dict[str, JsonValue] = {}
    marks: dict[str, Mark] = {}
    if raw.get("deleted"):
        deleted = _decode_mark(next(iter(raw["marks"]), None))  # type: ignore[call-overload]  # raises what it says
        if "kept" in raw:
            fields, marks = _decode_fields(raw["kept"])  # type: ignore[arg-type]
    else:
        fields, marks = _decode_fields(raw)
    floor = raw.get("floor")
    rule_data = raw.get("rule_data", {})
    if not isinstance(rule_data, Mapping):
        raise TypeError("the rule data of a state is an object")
    version = raw["version"]
    if not isinstance(version, int):
        raise TypeError("the version of a state is an integer")
    return State(
        scope,
        str(raw["type"]),
        str(raw["id"]),
        version,
        fields,
        marks,
        Origin(str(origin[0]), int(origin[1])),
        deleted,
        dict(rule_data),
        None if floor is None else _decode_mark(floor),
    )


def _decode_mark(raw: Any) -> Mark:
    if not isinstance(raw, list) or len(raw) < 2:
        raise TypeError("a mark is an array of a version and a stamp")
    return Mark(int(raw[0]), Stamp.parse(raw[1]))


def _decode_fields(raw: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], dict[str, Mark]]:
    given, entries = raw["fields"], raw["marks"]
    if not isinstance(given, Mapping) or not isinstance(entries, list):
        raise TypeError("the fields of a state are an object, its marks an array")
    rest: Mark | None = None
    marks: dict[str, Mark] = {}
    for entry in entries:
        mark = _decode_mark(entry)
        if len(entry) == 2:
            rest = mark
        else:
            marks.update(dict.fromkeys(entry[2], mark))
    if rest is not None:
        marks.update({name: rest for name in given if name not in marks})
    return dict(given), marks


def encode_outcome(n: int | None, outcome: Outcome) -> dict[str, JsonValue]:
    """The wire form of the outcome of change `n`; what is absent is left out."""
    encoded: dict[str, JsonValue] = {"n": n, "outcome": outcome.kind.value, "version": outcome.version}
    if outcome.code is not None:
        encoded["code"] = outcome.code
    if outcome.message is not None:
        encoded["message"] = outcome.message
    if outcome.field is not None:
        encoded["field"] = outcome.field
    if outcome.lost:
        encoded["lost"] = list(outcome.lost)
    if outcome.conflicts:
        encoded["conflicts"] = list(outcome.conflicts)
    if outcome.told:
        encoded["told"] = list(outcome.told)
    return encoded


def outcome_text(n: int, outcome: Outcome) -> bytes:
    """The outcome of change `n` in one spelling, as it is kept."""
    says_why = not (outcome.code is outcome.message is outcome.field is None)
    if outcome.kind is Kind.APPLIED and not (says_why or outcome.lost or outcome.conflicts or outcome.told):
        # What most come to.
        return b'{"n":%d,"outcome":"applied","version":%d}' % (n, outcome.version)
    return canonical_json(encode_outcome(n, outcome))


def decode_outcome(raw: Mapping[str, JsonValue]) -> Outcome:
    """Read what `encode_outcome` wrote; raises ValueError, KeyError or TypeError if it was something else."""
    lost = raw.get("lost", [])
    conflicts = raw.get("conflicts", [])
    told = raw.get("told", [])
    version = raw.get("version", 0)
    if not (isinstance(lost, list) and isinstance(conflicts, list) and isinstance(told, list)):
        raise TypeError("lost, conflicts and told are arrays")
    if not isinstance(version, int):
        raise TypeError("the version of an outcome is an integer")
    return Outcome(
        Kind(str(raw["outcome"])),
        version,
        _optional_text(raw.get("code")),
        _optional_text(raw.get("message")),
        _optional_text(raw.get("field")),
        tuple(str(name) for name in lost),
        tuple(str(conflict) for conflict in conflicts),
        tuple(str(name) for name in told),
    )


def _decode(raw: Mapping[str, object], n: int, replica: str, schema: int, stamp: Stamp | None) -> Change:
    if isinstance(raw, RepeatedKeys):
        raise InvalidValue("repeated_key", raw.key, f"the key {raw.key!r} is given twice; give it once")
    if not raw.keys() <= _CHANGE_KEYS:
        key = next(key for key in raw if key not in _CHANGE_KEYS)
        raise InvalidValue("unknown_key", str(key)[:140], f"a change has no {str(key)[:140]!r}")
    if not valid_type(raw.get("type")):
        raise InvalidValue(
            "invalid_type", "type", "type: lower-case letters, digits and underscores, a letter first, at most 64"
        )
    if not valid_id(raw.get("id")):
        raise InvalidValue("invalid_id", "id", "id: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")
    scope = raw.get("scope", "")
    if scope != "" and not valid_scope(scope):
        raise InvalidValue("invalid_scope", "scope", "scope: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -")
    name = raw.get("op")
    op = _OPS.get(name) if isinstance(name, str) else None
    if op is None:
        raise InvalidValue("invalid_op", "op", f"op: one of {', '.join(Op)}")
    group = raw.get("group")
    if group is not None and not valid_id(group):
        raise InvalidValue("invalid_group", "group", "group: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")
    fields = raw.get("fields", {})
    if not isinstance(fields, (dict, Mapping)):
        raise InvalidValue("invalid_fields", "fields", "fields: an object of field names and values")
    if op is Op.DELETE and fields:
        raise InvalidValue("invalid_fields", "fields", "fields: a delete carries none")
    was = raw.get("was", {})
    if not isinstance(was, (dict, Mapping)):
        raise InvalidValue("invalid_was", "was", "was: an object of field names and the values that were shown")
    conflict = raw.get("conflict")
    if (op is Op.SETTLE) != (conflict is not None) or not (conflict is None or valid_id(conflict)):
        raise InvalidValue("invalid_conflict", "conflict", "conflict: a settlement names the conflict that it settles")
    if op is not Op.CREATE and "base" not in raw:
        raise InvalidValue(
            "missing_base", "base", "base: say which version of the resource the person was shown (0 for none)"
        )
    stamp = Stamp.parse(raw.get("stamp")) if "stamp" in raw or stamp is None else stamp
    if stamp.replica != replica:
        raise InvalidValue("foreign_stamp", "stamp", "stamp: it names another replica than the one that pushes")
    return Change(
        replica=replica,
        n=n,
        scope=scope,  # type: ignore[arg-type]  # each of the three is text by now
        type=raw["type"],  # type: ignore[arg-type]
        id=raw["id"],  # type: ignore[arg-type]
        op=op,
        stamp=stamp,
        base=_count(raw.get("base", 0), "base"),
        fields=clean_fields(fields),
        group=str(group) if group is not None else None,
        schema=_count(raw.get("schema", schema), "schema"),
        was=clean_fields(was) if "was" in raw else _NOTHING,
        conflict=None if conflict is None else str(conflict),
    )


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise InvalidValue(f"invalid_{name}", name, f"{name}: an integer, 0 or more")
    return value


def _optional_text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def _hashable(raw: object, depth: int = 0) -> JsonValue:
    """`raw` with what has no canonical JSON replaced by a text that tells it apart."""
    if isinstance(raw, str):
        return _hashable_text(raw)
    if raw is None or isinstance(raw, (bool, int)):
        return raw
    if isinstance(raw, float):
        # A number stays one: its text under the same number is another change.
        return raw if math.isfinite(raw) else {"not a number": repr(raw)}
    if depth > _HASHED_DEPTH:
        return {"too deep": type(raw).__name__}
    if isinstance(raw, RepeatedKeys):
        return {"repeated key": [[_hashable(key), _hashable(value, depth + 1)] for key, value in raw.pairs]}
    if isinstance(raw, Mapping):
        return {_hashable_text(str(key)): _hashable(value, depth + 1) for key, value in raw.items()}
    if isinstance(raw, (list, tuple)):
        return [_hashable(value, depth + 1) for value in raw]
    return {type(raw).__name__: repr(raw)}


def _hashable_text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")
