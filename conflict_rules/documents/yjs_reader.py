"""Reads the parts of an update in the format Yjs v1 from bytes: numbers, texts, values, structs, deletes.

No recursion, no memory by a claimed length, every number bounded; every failure is a `MalformedUpdate` that says
which. It must not know what an update covers or needs: that is `yjs_update`.

Layout (encoding.js, UpdateEncoder.js and structs/ of yjs 13.6; `var` is an unsigned LEB128 number):

    update  := var clients { var structs, var client, var clock, struct* } deletes
    struct  := info; ref = info & 31
      ref 0 GC, 10 Skip: var length
      else  [info & 0x80: origin] [info & 0x40: right origin]                     each an id := var client, var clock
            [neither: var 1, string root | var 0, id parent; then info & 0x20: string key], then the content by ref
    deletes := var clients { var client, var n, n * (var clock, var length) }
"""

from __future__ import annotations

import json
import math
import struct
from typing import Final, NamedTuple

__all__ = ["MAX_CLIENT", "MAX_CLOCK", "MAX_NESTING", "Id", "MalformedUpdate", "Reader", "Ref", "Struct"]

MAX_CLOCK: Final = 1 << 31
"""Clocks lie below it: Yjs writes them as 32 bits in places."""

MAX_CLIENT: Final = 1 << 53
"""Client ids lie below it: a JavaScript number holds no more."""

MAX_NESTING: Final = 64
"""How deep values may nest in one another, and shared types in one another; 27,000 end the process."""

Id = tuple[int, int]
"""A client and a clock of it: one unit (a UTF-16 unit of text, a value, a nested type) of one document."""


class MalformedUpdate(ValueError):
    """Bytes that no pycrdt is given: not an update, or one with content that documents do not take. Says which."""


class Ref:
    """What a struct holds, by the number in its info byte."""

    GC: Final = 0
    DELETED: Final = 1
    JSON: Final = 2
    BINARY: Final = 3
    STRING: Final = 4
    EMBED: Final = 5
    FORMAT: Final = 6
    TYPE: Final = 7
    ANY: Final = 8
    SUBDOCUMENT: Final = 9
    SKIP: Final = 10
    MOVE: Final = 11


_REFUSED: Final = {
    Ref.JSON: "values in the form of Yjs before 13, which cannot be read back",
    Ref.SUBDOCUMENT: "a document inside of the document",
    Ref.MOVE: "a move of items, which Yjs does not know",
}
_TYPES: Final = ("array", "map", "text", "an XML element", "an XML fragment", "an XML hook", "an XML text")


class Struct(NamedTuple):
    """One struct of an update: the clocks from `clock` to before `end` of `client`.

    `origin`, `right`: the units it was put between. `parent`: the name of a root, or the id of a nested type; None if
    the neighbours tell. `key`: its key in a map. `type`: which shared type (0 array, 1 map, 2 text) for `Ref.TYPE`.
    `text`: the content of `Ref.STRING`.
    """

    client: int
    clock: int
    end: int
    ref: int
    origin: Id | None = None
    right: Id | None = None
    parent: str | Id | None = None
    key: str | None = None
    type: int | None = None
    text: str | None = None


class Reader:
    """A place in some bytes, and how to go on from it. Every failure is a `MalformedUpdate`."""

    __slots__ = ("at", "data", "end", "what")

    def __init__(self, data: bytes, what: str = "update") -> None:
        self.data = data
        self.end = len(data)
        self.at = 0
        self.what = what

    def _ends_early(self) -> MalformedUpdate:
        return MalformedUpdate(f"the {self.what} ends early, after {self.end:,} bytes")

    def finish(self) -> None:
        if self.at != self.end:
            raise MalformedUpdate(f"{self.end - self.at:,} bytes are left over behind the {self.what}")

    def byte(self) -> int:
        if self.at >= self.end:
            raise self._ends_early()
        value = self.data[self.at]
        self.at += 1
        return value

    def var(self) -> int:
        at = self.at
        if at >= self.end:
            raise self._ends_early()
        value = self.data[at]
        self.at = at + 1
        if value < 128:
            return value
        value &= 127
        shift = 7
        while True:
            more = self.byte()
            value |= (more & 127) << shift
            if more < 128:
                if more == 0:
                    raise MalformedUpdate(f"byte {self.at:,} of the {self.what} ends a number that needs no such byte")
                return value
            shift += 7
            if shift > 56:
                raise MalformedUpdate(f"byte {self.at:,} of the {self.what} goes on with a number of more than 63 bits")

    def count(self) -> int:
        """How many follow: each takes a byte at least, so no more than there are bytes left."""
        value = self.var()
        if value > self.end - self.at:
            raise self._ends_early()
        return value

    def client(self) -> int:
        value = self.var()
        if value >= MAX_CLIENT:
            raise MalformedUpdate(f"the client id {value} is beyond 53 bits")
        return value

    def clock(self) -> int:
        value = self.var()
        if value >= MAX_CLOCK:
            raise MalformedUpdate(f"the clock {value} is beyond 31 bits")
        return value

    def id(self) -> Id:
        return self.client(), self.clock()

    def skip(self, length: int) -> None:
        if length > self.end - self.at:
            raise self._ends_early()
        self.at += length

    def string(self) -> str:
        length = self.count()
        start = self.at
        self.at += length
        try:
            return self.data[start : self.at].decode()
        except UnicodeDecodeError:
            raise MalformedUpdate(f"the text at byte {start:,} of the {self.what} is not UTF-8") from None

    def struct(self, client: int, clock: int) -> Struct:
        info = self.byte()
        ref = info & 31
        if ref in (Ref.GC, Ref.SKIP):
            if info != ref:
                raise MalformedUpdate(f"a gap in the update has the flags {info}: it can have none")
            return Struct(client, clock, self._reach(clock, self.clock()), ref)
        origin = self.id() if info & 0x80 else None
        right = self.id() if info & 0x40 else None
        if origin is not None and origin == right:
            raise MalformedUpdate("the update puts something between a unit and itself")
        parent: str | Id | None = None
        key = None
        if not info & 0xC0:
            named = self.var()
            if named > 1:
                raise MalformedUpdate(f"a struct of the update has a parent of the kind {named}: there are 0 and 1")
            parent = self.string() if named else self.id()
            if info & 0x20:
                key = self.string()
        kind = text = None
        length = 1
        if ref == Ref.STRING:
            text = self.string()
            length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        elif ref == Ref.DELETED:
            length = self.clock()
        elif ref == Ref.ANY:
            length = self.count()
            for _ in range(length):
                self.any()
        elif ref == Ref.TYPE:
            kind = self.var()
            if kind > 2:
                name = _TYPES[kind] if kind < len(_TYPES) else f"a type {kind}"
                raise MalformedUpdate(f"the update brings {name}; documents hold text, maps and arrays")
        elif ref == Ref.BINARY:
            self.skip(self.count())
        elif ref == Ref.EMBED:
            self.json()
        elif ref == Ref.FORMAT:
            self.string()
            self.json()
        else:
            raise MalformedUpdate(f"the update brings {_REFUSED.get(ref, f'a struct of the unknown kind {ref}')}")
        return Struct(client, clock, self._reach(clock, length), ref, origin, right, parent, key, kind, text)

    def _reach(self, clock: int, length: int) -> int:
        if length == 0:
            raise MalformedUpdate("the update brings an empty struct")
        if clock + length > MAX_CLOCK:
            raise MalformedUpdate(f"a struct of the update reaches the clock {clock + length}, beyond 31 bits")
        return clock + length

    def deletes(self) -> dict[int, list[tuple[int, int]]]:
        deletes: dict[int, list[tuple[int, int]]] = {}
        for _ in range(self.count()):
            client = self.client()
            if client in deletes:
                raise MalformedUpdate(f"the deletes of the update name client {client} twice")
            deletes[client] = deleted = []
            for _ in range(self.count()):
                start, length = self.clock(), self.clock()
                if start + length > MAX_CLOCK:
                    raise MalformedUpdate(f"the update deletes up to the clock {start + length}, beyond 31 bits")
                deleted.append((start, start + length))
        return deletes

    def any(self) -> None:
        """Pass over one value. The open containers are a list, not a recursion."""
        left, keyed = [1], [False]
        while left:
            if left[-1] == 0:
                left.pop()
                keyed.pop()
                continue
            left[-1] -= 1
            if keyed[-1]:
                self.string()
            tag = self.byte()
            if tag == 125:
                self.integer()
            elif tag in (124, 123):
                self.float(4 if tag == 124 else 8)
            elif tag == 122:
                self.skip(8)
            elif tag == 119:
                self.string()
            elif tag == 116:
                self.skip(self.count())
            elif tag in (118, 117):
                if len(left) > MAX_NESTING:
                    raise MalformedUpdate(f"a value in the update nests more than {MAX_NESTING} deep")
                left.append(self.count())
                keyed.append(tag == 118)
            elif tag not in (127, 126, 121, 120):
                raise MalformedUpdate(f"the update brings a value of the unknown kind {tag}")

    def integer(self) -> None:
        """A signed number: six bits and a sign, then seven bits a byte."""
        value = self.byte()
        size = value & 63
        shift = 6
        while value > 127:
            value = self.byte()
            size |= (value & 127) << shift
            shift += 7
            if shift > 55:
                break
        if size > MAX_CLIENT or value > 127:
            raise MalformedUpdate("the update brings a whole number beyond 53 bits that is not marked as a long one")

    def float(self, width: int) -> None:
        start = self.at
        self.skip(width)
        if not math.isfinite(struct.unpack_from(">f" if width == 4 else ">d", self.data, start)[0]):
            raise MalformedUpdate("the update brings a number that JSON cannot write: NaN or infinity")

    def json(self) -> None:
        """Pass over a text that must be JSON, as formats and embedded values are."""
        text = self.string()
        if text in ("true", "false", "null"):
            return
        try:
            value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise MalformedUpdate("a format or an embedded value of the update is not JSON") from None
        if not _shallow(value):
            raise MalformedUpdate(f"a format or an embedded value of the update nests more than {MAX_NESTING} deep")


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [
            part
            for one in level
            if isinstance(one, (list, dict))
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False
