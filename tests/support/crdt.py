"""The documents of `fixtures/crdt`, read into cases; and writing an update by hand, byte by byte.

Nothing here gives anything of `crashers.json` to pycrdt.
"""

from __future__ import annotations

import base64
import gzip
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pycrdt import Doc, Text

__all__ = [
    "STUCK",
    "TRACES",
    "Crasher",
    "RandomDocument",
    "Trace",
    "YjsDocument",
    "any_values",
    "characters",
    "crashers",
    "deleted",
    "embed",
    "fmt",
    "gc",
    "nested",
    "random_documents",
    "recorded",
    "skip",
    "trace",
    "update",
    "var",
    "words",
    "yjs_documents",
]

_FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "crdt"

TRACES: Final = ("json-crdt-blog-post", "friendsforever", "clownschool")

STUCK: Final = tuple(
    bytes.fromhex(update)
    for update in (
        "0101010004010474657874016100",
        "01010201840101016400",
        "01010102840201016500",
        "01010200840100016200",
        "01010101840200016300",
        "01010202840102016600",
    )
)
"""Two clients type "abcdef" into `text` in turns, one letter an update."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded writing, made into updates of a document with the root `text`, one a transaction, in the order of the
    recording. `end`: the text at the end."""

    updates: Sequence[bytes]
    end: str


@dataclass(frozen=True, slots=True)
class RandomDocument:
    """Updates to apply in order, and what `text`, `map` and `array` must then hold."""

    case: str
    updates: Sequence[bytes]
    holds: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class YjsDocument:
    """A whole document in one update. `root`: its name and its kind; `expected`: of a text, its runs."""

    name: str
    root: Any
    update: bytes
    expected: Any


@dataclass(frozen=True, slots=True)
class Crasher:
    """Updates that pycrdt cannot bear. `alone`: what they do to it."""

    name: str
    alone: str
    updates: Sequence[bytes]


def recorded(name: str) -> dict[str, Any]:
    """A trace as published."""
    with gzip.open(_FOLDER / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        published: dict[str, Any] = json.load(file)
    return published


@cache
def trace(name: str) -> Trace:
    """One of `TRACES`, typed into pycrdt: a document for each writer, which hears of what he had heard of."""
    published = recorded(name)
    transactions = published["txns"]
    plain = all(inserted.isascii() for one in transactions for _, _, inserted in one["patches"])
    writers = [_Writer(number + 1, plain) for number in range(published.get("numAgents", 1))]
    updates: list[bytes] = []
    ancestors: list[int] = []  # a set of transactions each, as bits
    for number, transaction in enumerate(transactions):
        parents = transaction.get("parents", [number - 1] if number else [])
        seen = 0
        for parent in parents:
            seen |= ancestors[parent] | 1 << parent
        ancestors.append(seen)
        writer = writers[transaction.get("agent", 0)]
        writer.hear(seen, updates)
        updates.append(writer.type(transaction["patches"]))
        writer.seen |= 1 << number
    return Trace(updates, published["endContent"])


class _Writer:
    """One person. `plain`: the text stays ASCII, so that a position in code points is one in bytes as well."""

    def __init__(self, client: int, plain: bool) -> None:
        self.seen = 0
        self._plain = plain
        self._doc: Doc[Any] = Doc(client_id=client)
        self._doc["text"] = self._text = Text()
        self._made: list[bytes] = []
        self._subscription = self._doc.observe(lambda event: self._made.append(event.update))

    def hear(self, seen: int, updates: Sequence[bytes]) -> None:
        missing = seen & ~self.seen
        self.seen |= seen
        while missing:
            lowest = missing & -missing
            self._doc.apply_update(updates[lowest.bit_length() - 1])
            missing ^= lowest

    def type(self, patches: Sequence[tuple[int, int, str]]) -> bytes:
        self._made.clear()
        with self._doc.transaction():
            for position, deleted_count, inserted in patches:
                start, end = position, position + deleted_count
                if not self._plain:
                    text = str(self._text)
                    start, end = len(text[:start].encode()), len(text[:end].encode())
                if end > start:
                    del self._text[start:end]
                if inserted:
                    self._text.insert(start, inserted)
        return self._made[0] if self._made else b"\0\0"


def random_documents() -> Iterator[RandomDocument]:
    """All 984."""
    with lzma.open(_FOLDER / "yrs_random_updates.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            updates = [base64.b64decode(update) for update in row["updates_b64"]]
            yield RandomDocument(str(row["case"]), updates, {root: row[root] for root in ("text", "map", "array")})


def yjs_documents() -> list[YjsDocument]:
    """What Yjs 13.2 wrote: 3 documents."""
    rows = json.loads((_FOLDER / "yjs_v13_2_documents.json").read_text(encoding="utf-8"))
    return [
        YjsDocument(row["name"], row["root"], base64.b64decode(row["update_v1_b64"]), row["expected"]) for row in rows
    ]


def crashers() -> list[Crasher]:
    """Found ones. Only for what reads without pycrdt, and for processes that may die."""
    rows = json.loads((_FOLDER / "crashers.json").read_text(encoding="utf-8"))
    return [Crasher(row["name"], row["alone"], [bytes.fromhex(update) for update in row["updates"]]) for row in rows]


# An update by hand. A place is a root's name, a nested type's id, or the neighbours: `origin`, `right`.


def update(
    *clients: tuple[int, int, Sequence[bytes]], deletes: Mapping[int, Sequence[tuple[int, int]]] | None = None
) -> bytes:
    """`clients`: client, first clock and structs each. `deletes`: by client, clock and length."""
    out = var(len(clients))
    for client, clock, structs in clients:
        out += var(len(structs)) + var(client) + var(clock) + b"".join(structs)
    out += var(len(deletes or {}))
    for client, ranges in (deletes or {}).items():
        out += var(client) + var(len(ranges)) + b"".join(var(clock) + var(length) for clock, length in ranges)
    return out


def var(number: int) -> bytes:
    """A number of seven bits a byte."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def words(text: str) -> bytes:
    """A text with its length before it."""
    return var(len(text.encode())) + text.encode()


def _item(
    ref: int,
    content: bytes,
    at: str | tuple[int, int] | None = None,
    *,
    key: str | None = None,
    origin: tuple[int, int] | None = None,
    right: tuple[int, int] | None = None,
) -> bytes:
    out = bytes([ref | (0x80 if origin else 0) | (0x40 if right else 0) | (0x20 if key is not None else 0)])
    for unit in (origin, right):
        if unit:
            out += var(unit[0]) + var(unit[1])
    if not origin and not right:
        assert at is not None
        out += b"\1" + words(at) if isinstance(at, str) else b"\0" + var(at[0]) + var(at[1])
        if key is not None:
            out += words(key)
    return out + content


def gc(length: int) -> bytes:
    return b"\0" + var(length)


def skip(length: int) -> bytes:
    return b"\x0a" + var(length)


def characters(text: str, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    return _item(4, words(text), at, **place)


def any_values(*encoded: bytes, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    """Each value as its bytes: b"\\x7e" is null, b"\\x78" true, b"\\x77" + words(...) a text."""
    return _item(8, var(len(encoded)) + b"".join(encoded), at, **place)


def deleted(length: int, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    return _item(1, var(length), at, **place)


def embed(text: str, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    return _item(5, words(text), at, **place)


def fmt(name: str, value: str, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    return _item(6, words(name) + words(value), at, **place)


def nested(number: int, at: str | tuple[int, int] | None = None, **place: Any) -> bytes:
    """A shared type: 0 an array, 1 a map, 2 a text; 3 to 6 of XML."""
    return _item(7, var(number) + (words("p") if number in (3, 5) else b""), at, **place)
