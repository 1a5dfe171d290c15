"""Where the parts of a document hang, and what may hang there: kept beside a document, fed with each update (law 12).

pycrdt takes a text into an array, and then hangs for ever when the array is read, without letting go of the
interpreter; it takes a format into a map, and then the map has no reading at all. Nothing in an update need say where
its parts go: an item names its neighbours, and hangs where they hang. So the parent of every run of clocks is kept
here, and the kind of every nested type, and an update is judged before pycrdt sees it.

It must not know of bytes (`yjs_update`), of pycrdt, or of when an update can be merged (`waiting_room`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, Literal, NamedTuple

from conflict_rules.documents.yjs_update import MAX_NESTING, Extent, Id, MalformedUpdate, Ref, Struct

__all__ = ["KINDS", "Kind", "Shape"]

Kind = Literal["text", "map", "array"]
"""What a shared type is: a document's root, or a type nested in it."""

KINDS: Final[tuple[Kind, ...]] = ("text", "map", "array")

_BY_NUMBER: Final[tuple[Kind, ...]] = ("array", "map", "text")
_VALUES: Final = frozenset({Ref.DELETED, Ref.BINARY, Ref.TYPE, Ref.ANY})
_PARENTS: Final = frozenset({Ref.GC, Ref.DELETED, Ref.TYPE})
_FITS: Final = {
    "text": frozenset({Ref.DELETED, Ref.STRING, Ref.EMBED, Ref.FORMAT, Ref.TYPE}),
    "map": _VALUES,
    "array": _VALUES,
}
_CALLED: Final = {
    Ref.DELETED: "something deleted",
    Ref.BINARY: "bytes",
    Ref.STRING: "characters",
    Ref.EMBED: "an embedded value",
    Ref.FORMAT: "a format",
    Ref.TYPE: "a shared type",
    Ref.ANY: "values",
}


class _Place(NamedTuple):
    """Where an item hangs: `parent` names a root or is the id of a nested type; None if nobody can tell any more."""

    parent: str | Id | None
    key: str | None = None


class _Run(NamedTuple):
    """The clocks from `start` to before `end` of one client hang in one place. `plain`: they hold what nothing can hang
    on, characters or values; what has been deleted may have been a shared type once."""

    start: int
    end: int
    place: _Place
    plain: bool


_COLLECTED: Final = _Place(None)
"""What was deleted and collected: its parent is gone, and pycrdt collects what is put beside it."""


class Shape:
    """The shape of one document. `roots`: its root types, by name.

    A character beyond U+FFFF takes two units. Yjs lets an update put something between them or delete one; pycrdt then
    encodes the document to what nobody can read, so `_halves` remembers the second units.
    """

    def __init__(self, roots: Mapping[str, Kind]) -> None:
        self._roots = dict(roots)
        self._runs: dict[int, list[_Run]] = {}
        self._types: dict[Id, tuple[Kind, int]] = {}
        self._halves: set[Id] = set()

    def refuse_outright(self, extent: Extent) -> None:
        """Raises `MalformedUpdate` for what fits into this document in no state of it."""
        for one in extent.structs:
            if isinstance(one.parent, str):
                self._fits(one, self._root(one.parent), _Place(one.parent, one.key))

    def admit(self, extent: Extent, have: Mapping[int, int]) -> None:
        """Take the items of an update in, whose needs `have` meets; raises `MalformedUpdate`, and then keeps
        nothing."""
        _Admission(self, extent, have).admit()

    def whole_before(self, client: int, clock: int) -> int:
        """`clock`, or the one before if that cuts a character in two: pycrdt would encode half of it as nothing."""
        return clock - 1 if (client, clock) in self._halves else clock

    def _root(self, name: str) -> tuple[Kind, int]:
        kind = self._roots.get(name)
        if kind is None:
            raise MalformedUpdate(
                f"the update writes to the root {name[:80]!r}; this document has {', '.join(map(repr, self._roots))}"
            )
        return kind, 0

    @staticmethod
    def _fits(one: Struct, parent: tuple[Kind, int], place: _Place) -> None:
        kind, depth = parent
        if one.ref not in _FITS[kind]:
            raise MalformedUpdate(f"the update puts {_CALLED[one.ref]} into {_a(kind)}")
        if (kind == "map") != (place.key is not None):
            raise MalformedUpdate(
                "the update puts something into a map without a key"
                if kind == "map"
                else f"the update puts something under a key into {_a(kind)}"
            )
        if one.ref == Ref.TYPE and depth >= MAX_NESTING:
            raise MalformedUpdate(f"the update nests shared types more than {MAX_NESTING} deep")


def _a(kind: Kind) -> str:
    return "an array" if kind == "array" else f"a {kind}"


class _Admission:
    """One update on its way into a shape. `_new`, `_types`: what it brings, kept only if all of it fits."""

    def __init__(self, shape: Shape, extent: Extent, have: Mapping[int, int]) -> None:
        self._shape = shape
        self._have = have
        self._new: dict[int, list[_Run]] = {}
        self._types: dict[Id, tuple[Kind, int]] = {}
        self._halves: set[Id] = set()
        self._deletes = extent.deletes
        self._queues: dict[int, deque[Struct]] = {}
        for one in extent.structs:
            if one.end > have.get(one.client, 0):
                self._queues.setdefault(one.client, deque()).append(one)

    def admit(self) -> None:
        """Place the items client by client, and turn to another client where one hangs on it: each item is looked at
        once, and once more for each thing that it had to wait for."""
        reached = {client: queue[0].clock for client, queue in self._queues.items()}
        blocked: dict[int, list[tuple[int, int]]] = {}  # by client, a heap of (the clock wanted of it, who wants it)
        ready = list(self._queues)
        while ready:
            client = ready.pop()
            queue = self._queues[client]
            while queue:
                wanted = self._unplaced(queue[0], reached)
                if wanted is not None:
                    heappush(blocked.setdefault(wanted[0], []), (wanted[1], client))
                    break
                one = queue.popleft()
                self._place(one)
                reached[client] = one.end
            waiting = blocked.get(client)
            while waiting and waiting[0][0] < reached[client]:
                ready.append(heappop(waiting)[1])
        if any(self._queues.values()):
            raise MalformedUpdate("items of the update hang on one another in a circle")
        for client, deleted in self._deletes.items():
            for start, end in deleted:
                self._whole(client, start)
                self._whole(client, end)
        self._keep()

    def _unplaced(self, one: Struct, reached: Mapping[int, int]) -> Id | None:
        """What `one` refers to and this update has yet to place."""
        for wanted in (one.origin, one.right, one.parent):
            if type(wanted) is tuple:
                client, clock = wanted
                if clock >= self._have.get(client, 0) and clock >= reached.get(client, 0):
                    return wanted
        return None

    def _place(self, one: Struct) -> None:
        if one.origin is not None:
            self._whole(one.origin[0], one.origin[1] + 1)
        if one.right is not None:
            self._whole(*one.right)
        if one.text is not None and not one.text.isascii():
            self._halves.update((one.client, one.clock + unit) for unit in _second_units(one.text))
        place = self._where(one)
        known = self._have.get(one.client, 0)
        if one.clock < known and one.ref != Ref.GC:
            place = self._continue(one, known, place)
        if place.parent is not None:
            parent = self._kind(place.parent)
            if parent is None:
                place = _COLLECTED
            else:
                self._shape._fits(one, parent, place)
                if one.type is not None:
                    self._types[one.client, one.clock] = (_BY_NUMBER[one.type], parent[1] + 1)
        _join(
            self._new.setdefault(one.client, []), _Run(max(one.clock, known), one.end, place, one.ref not in _PARENTS)
        )

    def _where(self, one: Struct) -> _Place:
        if one.ref == Ref.GC:
            return _COLLECTED
        if one.parent is not None:
            return _Place(one.parent, one.key)
        left = self._of(one.origin) if one.origin else _COLLECTED
        right = self._of(one.right) if one.right else _COLLECTED
        if left.parent is None:
            return right
        if right.parent is not None and right != left:
            raise MalformedUpdate("the update puts something between neighbours of two parents")
        return left

    def _continue(self, one: Struct, known: int, place: _Place) -> _Place:
        """`one` begins with what is here already: pycrdt cuts that off, and puts the rest behind it, wherever that
        is."""
        self._whole(one.client, known)
        for neighbour in (one.origin, one.right):
            if neighbour is not None and neighbour[0] == one.client and neighbour[1] >= one.clock:
                raise MalformedUpdate("the update puts an item beside a part of itself")
        before = self._of((one.client, known - 1))
        if before.parent is None:
            return place
        if place.parent is not None and before != place:
            raise MalformedUpdate("the update goes on with an item in another place than where it began")
        return before

    def _whole(self, client: int, clock: int) -> None:
        """Something begins or ends before that unit: it must not be the second one of a character."""
        if (client, clock) in self._halves or (client, clock) in self._shape._halves:
            raise MalformedUpdate("the update cuts a character in two")

    def _kind(self, parent: str | Id) -> tuple[Kind, int] | None:
        """The kind and depth of a parent; None if it has been deleted, and nobody can tell any more."""
        if isinstance(parent, str):
            return self._shape._root(parent)
        known = self._types.get(parent) or self._shape._types.get(parent)
        if known is None:
            run = self._run(parent)
            if run is not None and run.plain:
                raise MalformedUpdate("the update puts something into what is no text, map or array")
        return known

    def _of(self, wanted: Id) -> _Place:
        run = self._run(wanted)
        return _COLLECTED if run is None else run.place

    def _run(self, wanted: Id) -> _Run | None:
        client, clock = wanted
        for runs in (self._new.get(client), self._shape._runs.get(client)):
            if runs:
                place = bisect_right(runs, clock, key=_start) - 1
                if place >= 0 and clock < runs[place].end:
                    return runs[place]
        return None

    def _keep(self) -> None:
        self._shape._types.update(self._types)
        self._shape._halves.update(self._halves)
        for client, runs in self._new.items():
            kept = self._shape._runs.setdefault(client, [])
            for run in runs:
                _join(kept, run)


def _second_units(text: str) -> Iterator[int]:
    """Where in a text, in UTF-16 units, the second units of its characters are."""
    if max(text) > "\uffff":
        unit = 0
        for character in text:
            unit += 1
            if character > "\uffff":
                yield unit
                unit += 1


def _start(run: _Run) -> int:
    return run.start


def _join(runs: list[_Run], run: _Run) -> None:
    if runs and runs[-1].end == run.start and runs[-1][2:] == run[2:]:
        runs[-1] = _Run(runs[-1].start, run.end, run.place, run.plain)
    else:
        runs.append(run)
