"""Which values a field may hold: one answer for JSON and MessagePack, SQLite and PostgreSQL, server and device.

Each store and format has holes of its own (PostgreSQL takes no NUL, JavaScript no integer above 2^53, SQLite
stores NaN as NULL), so a value is let in only if all of them keep it as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_NAME",
    "Fields",
    "InvalidName",
    "InvalidValue",
    "JsonValue",
    "RepeatedKeys",
    "canonical_json",
    "clean_fields",
    "clean_value",
    "plain",
    "same_value",
    "valid_id",
    "valid_replica",
    "valid_scope",
    "valid_type",
]

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ID = re.compile(r"[A-Za-z0-9_.:~@-]{1,128}")
_SCOPE = re.compile(r"[A-Za-z0-9_.:~@-]{1,200}")
_REPLICA = re.compile(r"(?!_\Z)[A-Za-z0-9_-]{1,64}")
# A single "_" stands in marks for several replicas (see `several`).
_FIELD = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")  # MAX_NAME
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_ATOMS: Final = frozenset({str, int, bool, type(None)})
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))

MAX_INTEGER: Final = (1 << 53) - 1
"""The largest integer that every client language holds exactly (RFC 8259, section 6)."""

MAX_NAME: Final = 128
"""How many characters the name of a field may have."""

MAX_DEPTH: Final = 32
"""How deep arrays and objects may nest inside one field."""

JsonValue = object
"""What `clean_value` lets through: None, bool, int, float, str, and lists and string-keyed dicts of these."""

Fields = Mapping[str, JsonValue]


class InvalidValue(ValueError):
    """A value that not every store, format and language would keep as it is.

    `code` is stable text, `field` the path to the value such as `tags[2].name`. Both texts can be stored and shown
    whatever the names in them are.
    """

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(_showable(message, 500))
        self.code = code
        self.field = _showable(field, 200)


class InvalidName(InvalidValue):
    """A field name that is empty, too long, or holds control characters."""


class RepeatedKeys(dict[str, object]):
    """An object whose text named a key twice: parsers disagree on which one counts, so nobody guesses.

    `key`: the first such key. `pairs`: all there was, in order. As a dict it holds what was named once, so that a
    change can still be told its number.
    """

    def __init__(self, key: str, pairs: Sequence[tuple[str, object]] = ()) -> None:
        times = Counter(name for name, _ in pairs)
        super().__init__({name: value for name, value in pairs if times[name] == 1})
        self.key = key
        self.pairs = pairs


def valid_type(text: object) -> bool:
    """A resource type: lower-case letters, digits and underscores, at most 64."""
    return isinstance(text, str) and _TYPE.fullmatch(text) is not None


def valid_id(text: object) -> bool:
    """A resource id: 1 to 128 of `A-Z a-z 0-9 _ . : ~ @ -`."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def valid_scope(text: object) -> bool:
    """A scope name: 1 to 200 of `A-Z a-z 0-9 _ . : ~ @ -`."""
    return isinstance(text, str) and _SCOPE.fullmatch(text) is not None


def valid_replica(text: object) -> bool:
    """A replica id: 1 to 64 of `A-Z a-z 0-9 _ -`, but for a single `_`, which is nobody's."""
    return isinstance(text, str) and _REPLICA.fullmatch(text) is not None


def clean_fields(fields: Mapping[Any, object]) -> dict[str, JsonValue]:
    """`fields` with every value cleaned; raises `InvalidName` or `InvalidValue` for the first bad one."""
    if isinstance(fields, RepeatedKeys):
        raise InvalidValue("repeated_key", fields.key, f"the field {fields.key!r} is given twice; give it once")
    cleaned: dict[str, JsonValue] = {}
    for name, value in fields.items():
        # Most names are identifiers, and told to be so in a quarter of the time.
        if not (type(name) is str and len(name) <= MAX_NAME and name.isidentifier()) and (
            not isinstance(name, str) or _FIELD.fullmatch(name) is None
        ):
            raise InvalidName(
                "invalid_field_name",
                repr(name)[:140],
                "a field name is 1 to 128 characters of text without control characters",
            )
        cleaned[name] = clean_value(value, name)
    return cleaned


def clean_value(value: object, path: str = "value", depth: int = 0) -> JsonValue:
    """`value` as it will be stored and sent; raises `InvalidValue` with the path inside it.

    A float without a fraction becomes an integer, since JSON does not tell the two apart.
    """
    # Ordered by how often each type occurs; bool is an int, so it comes first.
    if type(value) is str and value.isascii() and "\x00" not in value:
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean_text(value, path)
    if isinstance(value, int):
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return int(value)
        raise InvalidValue(
            "integer_too_large",
            path,
            f"{path}: an integer lies between -(2^53-1) and 2^53-1; send it as text",
        )
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue("not_a_number", path, f"{path}: NaN and infinity are not JSON; use null")
        return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else value
    if depth >= MAX_DEPTH:
        raise InvalidValue("too_deep", path, f"{path}: values nest at most {MAX_DEPTH} deep")
    if isinstance(value, RepeatedKeys):
        raise InvalidValue(
            "repeated_key",
            f"{path}.{value.key}",
            f"{path}: the key {value.key!r} is given twice; give it once",
        )
    if isinstance(value, Mapping):
        return {_clean_key(key, path): clean_value(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise InvalidValue("unsupported_value", path, f"{path}: a value of type {type(value).__name__} is not JSON")


def canonical_json(value: JsonValue) -> bytes:
    """One spelling for equal values: sorted keys, no spaces, UTF-8 (after RFC 8785, for cleaned values)."""
    if plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            pass  # Such as an integer of more than 64 bits.
    # Fractions: the two differ in the spelling of their exponents, and what was hashed must be spelt so for ever.
    return _CANONICAL.encode(value).encode()


def plain(value: object, depth: int = 0) -> bool:
    """Whether it is made of text, whole numbers, truth values, null, and lists and dicts of these; not too deep.

    Whatever the keys are, and the text in it.
    """
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is dict:
        items: Any = value.values()  # type: ignore[attr-defined]
    elif kind is list:
        items = value
    else:
        return False
    if depth > MAX_DEPTH:
        return False
    for item in items:  # noqa: SIM110  # half as fast with `all`, and it is asked of every change
        if type(item) not in _ATOMS and not plain(item, depth + 1):
            return False
    return True


def same_value(one: JsonValue, other: JsonValue) -> bool:
    """Whether two cleaned values are the same JSON; Python's `==` alone takes True for 1."""
    if one != other:
        return False
    if type(one) is str and type(other) is str:
        return True
    return canonical_json(one) == canonical_json(other)


def _showable(text: str, length: int) -> str:
    return text[:length].replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _clean_text(text: str, path: str) -> str:
    if "\x00" in text:
        raise InvalidValue("nul_character", path, f"{path}: text must not hold the NUL character")
    if not text.isascii() and _SURROGATE.search(text) is not None:
        raise InvalidValue("invalid_unicode", path, f"{path}: text holds half of a surrogate pair")
    return text


def _clean_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidValue("unsupported_value", path, f"{path}: the keys of an object are text")
    return _clean_text(key, path)
