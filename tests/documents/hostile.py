"""Hostile updates without end: what has ended, hung, panicked or poisoned native readers of Yjs updates, and whatever a
generator that knows the format can think of.

An `Attacker` attacks one document; the same seed and the same answers give the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from conflict_rules.crdt import DocumentKind
from tests.documents.yjs import number, text, typed

__all__ = ["FIELD", "KINDS", "Attacker", "chains", "honest"]

FIELD: Final = "root"
KINDS: Final[tuple[DocumentKind, ...]] = ("text", "map", "array")

_VALUES: Final = (
    b"\x7f",
    b"\x7e",
    b"\x79",
    b"\x78",
    b"\x7d\x05",
    b"\x7d\x45",
    b"\x77\x01a",
    b"\x77\x04" + "\N{GRINNING FACE}".encode(),
    b"\x75\x01\x7e",
    b"\x76\x01\x01a\x7e",
    b"\x7b" + bytes(8),
    b"\x7b\x7f\xf8" + bytes(6),
    b"\x7a\xff" + bytes(7),
    b"\x74\x01z",
)
_TEXTS: Final = ("a", "bc", "\N{GRINNING FACE}x", "é", "", "नेपाली")
_JSON: Final = ("{}", "1", '{"a":[]}', "null", "true", "{", '"x"')
_FITTING: Final = {"text": (1, 4, 4, 4, 5, 6, 7), "map": (1, 3, 7, 8, 8), "array": (1, 3, 7, 8, 8)}
_HUGE: Final = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 1)


class Attacker:
    """Somebody who sends updates to one document, and learns from what was taken where the next may hang."""

    def __init__(self, seed: int, kind: DocumentKind) -> None:
        self.dice = random.Random(seed)
        self.kind = kind
        self._taken: dict[int, int] = {}
        self._sent: dict[bytes, dict[int, int]] = {}
        self._clients = list(self._taken)

    def updates(self, count: int) -> list[bytes]:
        """The next so many, each made in one of the ways below."""
        made: list[bytes] = []
        for _ in range(count):
            way = self.dice.choices(_WAYS, _WEIGHTS)[0]
            made.append(way(self, made))
        return made

    def learn(self, update: bytes) -> None:
        """It has become a part of the document."""
        self._taken.update(self._sent.pop(update, {}))
        self._clients = list(self._taken)

    def noise(self, made: Sequence[bytes]) -> bytes:
        """Any bytes."""
        return self.dice.randbytes(self.dice.choice((0, 1, 2, 5, 20, 200)))

    def truncated(self, made: Sequence[bytes]) -> bytes:
        """An update cut off somewhere."""
        update = self._some(made)
        return update[: self.dice.randrange(len(update) + 1)]

    def mutated(self, made: Sequence[bytes]) -> bytes:
        """An update with a few bytes changed, taken out, doubled or put in."""
        update = bytearray(self._some(made) or b"\x00")
        for _ in range(self.dice.randint(1, 3)):
            place = self.dice.randrange(len(update) or 1)
            match self.dice.randrange(4):
                case 0 if update:
                    update[place] = self.dice.randrange(256)
                case 1 if update:
                    update[place] ^= 1 << self.dice.randrange(8)
                case 2:
                    del update[place : place + self.dice.randint(1, 4)]
                case _:
                    update[place:place] = self.dice.randbytes(self.dice.randint(1, 4))
        return bytes(update)

    def huge(self, made: Sequence[bytes]) -> bytes:
        """Counts, lengths, clocks and clients beyond all measure."""
        large = number(self.dice.choice(_HUGE))
        root = text(FIELD)
        return self.dice.choice(
            (
                large,
                b"\x01" + large,
                b"\x01\x01" + large + b"\x00\x04\x01" + root + b"\x01a\x00",
                b"\x01\x01\x01" + large + b"\x04\x01" + root + b"\x01a\x00",
                b"\x01\x01\x01\x00\x04\x01" + root + large + b"a\x00",
                b"\x01\x01\x01\x00\x08\x01" + root + large + b"\x7e\x00",
                b"\x01\x02\x01\x00\x00" + large + b"\x00" + large + b"\x00",
                b"\x01\x02\x01\x00\x01\x01" + root + large + b"\x81\x01\x00" + large + b"\x00",
                b"\x00\x01\x01\x01\x00" + large,
                b"\x00\x01\x01" + large,
            )
        )

    def deep(self, made: Sequence[bytes]) -> bytes:
        """Values, or shared types, nested in one another."""
        depth = self.dice.choice((60, 63, 64, 65, 200, 1000, 3000))
        if self.dice.random() < 0.5:
            flag, key = (b"\x28", text("k")) if self.kind == "map" else (b"\x08", b"")
            opening = self.dice.choice((b"\x75\x01", b"\x76\x01\x01a"))
            return b"\x01\x01\x09\x00" + flag + b"\x01" + text(FIELD) + key + b"\x01" + opening * depth + b"\x7e\x00"
        first = b"\x07\x01" + text(FIELD) + b"\x00"
        nested = b"".join(b"\x07\x00\x09" + number(place) + b"\x00" for place in range(depth - 1))
        return b"\x01" + number(depth) + b"\x09\x00" + first + nested + b"\x00"

    def recorded(self, made: Sequence[bytes]) -> bytes:
        """What has ended, hung or poisoned pycrdt before, as near as it comes to this document."""
        root = text(FIELD)
        return self.dice.choice(
            (
                b"\x01\x01\x04\x00\x04\x01" + root + text("\N{GRINNING FACE}x") + b"\x00",  # hangs in an array
                b"\x01\x01\x03\x26\x01" + root + b"\x01k\x01b\x011\x00",  # a format under a key: no reading
                b"\x01\x01\x01\x00\x02\x01" + root + b"\x01\x011\x00",  # cannot be decoded again
                b"\x01\x01\x00\x07\x01" + root + b"\x04\x00",  # an XML fragment
                b"\x01\x01\x01\x00\x09\x01" + root + b"\x01g\x76\x00\x00",  # a document in a document
                b"\x01\x01\x01\x00\x84\x01\x00\x01a\x00",  # beside itself
                b"\x01\x01\x01\x00\x07\x00\x01\x00\x00\x00",  # inside of itself
                b"\x01\x01\x01\x00\x04\x01" + root + b"\x03\xed\xa0\x80\x00",  # half of a character
                b"\x01\x00\x01\x00\x00",  # a client for nothing
            )
        )

    def structured(self, made: Sequence[bytes]) -> bytes:
        """A well-formed update of a few structs that mostly refer to what is there; what they are may fit nowhere."""
        return self._update(fitting=False)

    def fitting(self, made: Sequence[bytes]) -> bytes:
        """A well-formed update whose structs fit their places; most get as far as pycrdt."""
        return self._update(fitting=True)

    def _some(self, made: Sequence[bytes]) -> bytes:
        if made and self.dice.random() < 0.7:
            return self.dice.choice(made[-20:])
        return self._update(fitting=True)

    def _update(self, *, fitting: bool) -> bytes:
        dice = self.dice
        out, ends = b"", {}
        for _ in range(dice.choice((1, 1, 2))):
            goes_on = self._clients and dice.random() < 0.3
            client = dice.choice(self._clients) if goes_on else dice.randrange(1, 1 << 20)
            if client in ends:
                continue
            start = self._taken.get(client, 0) + (dice.randint(1, 3) if dice.random() < 0.05 else 0)
            structs = [self._struct(fitting=fitting) for _ in range(dice.randint(1, 4))]
            out += number(len(structs)) + number(client) + number(start) + b"".join(one for one, _ in structs)
            ends[client] = start + sum(length for _, length in structs)
        update = number(len(ends)) + out + self._deletes()
        self._sent[update] = ends
        return update

    def _struct(self, *, fitting: bool) -> tuple[bytes, int]:
        """One struct, and how many clocks it takes."""
        dice = self.dice
        ref = dice.choice(_FITTING[self.kind]) if fitting else dice.choice((0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9))
        if ref == 0:
            length = dice.randint(1, 2)
            return b"\x00" + number(length), length
        place, flags = self._place(fitting=fitting)
        content, length = self._content(ref, fitting=fitting)
        return bytes((ref | flags,)) + place + content, length

    def _known(self) -> bytes:
        """The id of something that is there."""
        client = self.dice.choice(self._clients)
        return number(client) + number(self.dice.randrange(self._taken[client]))

    def _place(self, *, fitting: bool) -> tuple[bytes, int]:
        dice = self.dice
        known = bool(self._clients)
        # In a map, what goes on with an item is under its key; so there, mostly, everything begins anew.
        likely = 0.2 if fitting and self.kind == "map" else 0.6
        left = known and dice.random() < likely
        right = known and dice.random() < (0.1 if fitting else 0.3)
        flags = 0x80 * left | 0x40 * right
        place = (self._known() if left else b"") + (self._known() if right else b"")
        if left or right:
            return place, flags
        nested = known and dice.random() < (0.1 if fitting else 0.4)
        keyed = self.kind == "map" if fitting else dice.random() < 0.4
        parent = b"\x00" + self._known() if nested else b"\x01" + text(FIELD)
        return parent + (text(dice.choice("kq")) if keyed else b""), 0x20 * keyed

    def _content(self, ref: int, *, fitting: bool) -> tuple[bytes, int]:
        dice = self.dice
        match ref:
            case 1:
                length = dice.randint(1, 3)
                return number(length), length
            case 2:
                return b"\x01" + text("1"), 1
            case 3:
                return text("xx"), 1
            case 4:
                value = dice.choice([one for one in _TEXTS if one or not fitting])
                return text(value), len(value.encode("utf-16-le")) // 2
            case 5:
                return text(dice.choice(_JSON)), 1
            case 6:
                return text(dice.choice("bi")) + text(dice.choice(_JSON)), 1
            case 7:
                return bytes((dice.choice((0, 1, 2) if fitting else (0, 1, 2, 4)),)), 1
            case 8:
                length = dice.randint(1, 3)
                return number(length) + b"".join(dice.choice(_VALUES) for _ in range(length)), length
        return text("g") + b"\x76\x00", 1

    def _deletes(self) -> bytes:
        dice = self.dice
        clients = sorted(set(dice.choices(self._clients, k=dice.choice((0, 0, 1, 2))))) if self._clients else []
        out = number(len(clients))
        for client in clients:
            ranges = [
                (dice.randrange(self._taken[client]), dice.choice((1, 1, 1, 2))) for _ in range(dice.randint(1, 2))
            ]
            out += number(client) + number(len(ranges))
            out += b"".join(number(clock) + number(length) for clock, length in ranges)
        return out


def chains(count: int) -> bytes:
    """Letters typed in a row and never joined, one struct each: pycrdt takes memory by the square of their count."""
    structs = b"".join(b"\x84\x05" + number(place) + b"\x01x" for place in range(count - 1))
    return b"\x01" + number(count) + b"\x05\x00\x04\x01" + text(FIELD) + b"\x01x" + structs + b"\x00"


Way = Callable[[Attacker, Sequence[bytes]], bytes]

_MIX: Final[Sequence[tuple[Way, int]]] = (
    (Attacker.noise, 6),
    (Attacker.truncated, 10),
    (Attacker.mutated, 20),
    (Attacker.huge, 6),
    (Attacker.deep, 2),
    (Attacker.recorded, 10),
    (Attacker.structured, 20),
    (Attacker.fitting, 26),
)
_WAYS: Final = [way for way, _ in _MIX]
_WEIGHTS: Final = [weight for _, weight in _MIX]


def honest(client: int, place: int) -> bytes:
    """One letter that somebody types into the text `root`."""
    return typed(client, "x", at=place, field=FIELD)
