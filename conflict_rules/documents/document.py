"""One document, merged by pycrdt, which of these only `difference` imports besides. The server's worker and the SDK
both run it.

pycrdt is given no update that `yjs_update` and `yjs_shape` have not let through, and none whose needs are not met.
Whatever it then fails at spoils this object, and a spoilt one is never asked again: after a panic of native code its
memory is worth nothing. Its owner opens another from what is stored.

It must not know of resources, stores or processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from pycrdt import Array, Doc, Map, Text, merge_updates

from conflict_rules.documents.waiting_room import MAX_WAITING_BYTES, MAX_WAITING_COUNT, Waiting, WaitingRoom
from conflict_rules.documents.yjs_shape import KINDS, Kind, Shape
from conflict_rules.documents.yjs_update import (
    Extent,
    MalformedUpdate,
    Ref,
    read_state_vector,
    read_update,
    write_state_vector,
)
from conflict_rules.values import JsonValue

__all__ = ["REMOTE", "STEPS", "Arrival", "Document", "Dropped", "MergeFailed", "Root", "Step", "Unreadable"]

Step = Literal["apply", "release", "read", "encode", "decode", "compare"]
"""What is being done: an update applied, one applied that had waited, the content read; then the round trip."""

STEPS: Final[tuple[Step, ...]] = ("apply", "release", "read", "encode", "decode", "compare")

Root = Text | Map[Any] | Array[Any]

REMOTE: Final = "remote"
"""The origin of a transaction that applies updates of others: undo leaves it alone."""

_ORDINARY: Final = frozenset({Ref.STRING, Ref.ANY, Ref.DELETED})
_CLASSES: Final[Mapping[Kind, type[Root]]] = {"text": Text, "map": Map, "array": Array}
_SAID: Final = {
    "apply": "applying the update",
    "release": "applying an update that had waited for this one",
    "read": "reading the document",
    "encode": "encoding the document",
    "decode": "reading the document back from its encoding",
    "compare": "comparing the document with what its encoding gives",
}


class MergeFailed(Exception):
    """pycrdt could not do a step; the document object is spoilt, what it was opened from is not."""

    def __init__(self, step: Step, why: str) -> None:
        super().__init__(f"{_SAID[step]} failed: {why}")
        self.step = step


class Unreadable(Exception):
    """What is stored of a document does not load (invariant 12: never an empty document instead)."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An update that had waited, and turned out to fit nowhere when what it waited for came."""

    update: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of an update. `waits`: it is held until what it needs arrives. `dropped`: see there."""

    waits: bool
    dropped: Sequence[Dropped] = ()


class Document:
    """A document of one root.

    `field`: the root's name. `beside`: further roots, of documents that others made. `step`: told before each step, so
    that whoever watches from outside knows where it ended or hangs. A method that raises `MergeFailed`, or anything
    that is no `Exception`, has spoilt the object; `MalformedUpdate` and `WaitingRoomFull` leave it as it was.
    `dropped`: all that was let go of since it was opened. `unproven_bytes`: of the updates that were merged since the
    last round trip. `doubtful`: whether one of them, since then or since it was loaded, was more than a run of
    characters or values by one client.
    """

    def __init__(
        self,
        kind: Kind,
        field: str,
        *,
        beside: Mapping[str, Kind] | None = None,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        max_waiting_count: int = MAX_WAITING_COUNT,
        step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"a document is one of {', '.join(KINDS)}, not {kind!r}")
        self.kind: Kind = kind
        self.field = field
        self._roots: Mapping[str, Kind] = {**(beside or {}), field: kind}
        self.dropped: list[Dropped] = []
        self.unproven_bytes = 0
        self.doubtful = False
        self._step = step
        self._spoilt = False
        self._shape = Shape(self._roots)
        self._room = WaitingRoom(max_bytes=max_waiting_bytes, max_count=max_waiting_count)
        self._doc, self._shared = _open(self._roots)

    @classmethod
    def load(cls, kind: Kind, field: str, snapshot: bytes, updates: Iterable[bytes] = (), **options: Any) -> Document:
        """The document of a snapshot (b"": there is none yet) and the updates since. Raises `Unreadable`."""
        document = cls(kind, field, **options)
        try:
            if snapshot:
                document._load_snapshot(snapshot)
            for update in updates:
                document.offer(update, trusted=True)
        except (MalformedUpdate, MergeFailed) as failure:
            raise Unreadable(str(failure)) from failure
        document.doubtful = False
        return document

    @property
    def doc(self) -> Doc[Any]:
        """pycrdt's own, to edit and observe. What a transaction of it made must be told by `edited`."""
        self._check()
        return self._doc

    @property
    def root(self) -> Root:
        """The shared type of the field, to edit and observe."""
        self._check()
        return self._shared[self.field]

    @property
    def waiting(self) -> Sequence[bytes]:
        """The updates that wait, oldest first."""
        self._settle()
        return self._room.updates

    @property
    def missing(self) -> Mapping[int, int]:
        """By client, from which clock on something is missing that updates here wait for."""
        self._settle()
        return self._room.missing()

    def offer(self, update: bytes, *, trusted: bool = False) -> Arrival:
        """Merge an update, or hold it until what it needs arrives; what has waited for it is merged with it.

        `trusted`: a server of ours made it of what it holds, so that it may be as large as a document, and there is
        room for it to wait. Raises `MalformedUpdate`, `WaitingRoomFull`, `MergeFailed`.
        """
        self._check()
        extent = read_update(update, max_structs=None) if trusted else read_update(update)
        self._shape.refuse_outright(extent)
        arrived = Waiting(update, extent)
        if not self._room.arrive(arrived, bounded=not trusted):
            return Arrival(True, self._join_together(however_few=False))
        due = self._apply(arrived, "apply")
        return Arrival(False, self._release(due))

    def edited(self, update: bytes) -> None:
        """Take note of what a transaction on `doc` has made: the update that its observer was given. If it is more than
        an update may be, raises `MalformedUpdate`, and the object is spoilt: `doc` holds what nobody will take."""
        self._check()
        try:
            extent = read_update(update)
            self._shape.admit(extent, self._room.have)
        except MalformedUpdate:
            self._spoilt = True
            raise
        self._release(self._room.applied(extent))

    def view(self, root: str | None = None) -> JsonValue:
        """The content as JSON: text without its formats, whole numbers as such, bytes as base64. Raises
        `MergeFailed`."""
        self._settle()
        with self._native("read"):
            return _content(self._shared[root or self.field])

    def state_vector(self) -> Mapping[int, int]:
        """By client, rising, how far the document has come. Equal ones are not equal documents: deletes do not show."""
        self._settle()
        with self._native("encode"):
            return read_state_vector(self._doc.get_state())

    def diff(self, state_vector: Mapping[int, int]) -> bytes:
        """What is new to a replica with that state vector, and every delete. What waits is not in it."""
        self._settle()
        whole = {client: self._shape.whole_before(client, clock) for client, clock in state_vector.items()}
        with self._native("encode"):
            return self._doc.get_update(write_state_vector(whole))

    def read(self) -> None:
        """Read all of it, as whoever asks for it will, and throw it away. Raises `MergeFailed`."""
        self._settle()
        with self._native("read"):
            for root in self._shared.values():
                _read(root)

    def round_trip(self) -> bytes:
        """The encoded document, after pycrdt has loaded it anew, and read the same. Raises `MergeFailed` with the
        step."""
        return self._proved(self._decoded)

    def snapshot(self) -> tuple[bytes, Sequence[bytes]]:
        """What may replace the updates so far, and those that wait and so must be kept beside it: pycrdt leaves out of
        its encoding what is pending. After a round trip by way of `load`, as it will be loaded later: that takes some
        twenty times as long as one by pycrdt alone. Raises `MergeFailed`."""
        return self._proved(self._loaded), self.waiting

    def _proved(self, copied: Callable[[bytes], tuple[Doc[Any], Mapping[str, Root]]]) -> bytes:
        self._settle()
        with self._native("read"):
            content = _whole(self._shared)
        with self._native("encode"):
            encoded = self._doc.get_update()
            state = read_state_vector(self._doc.get_state())
        with self._native("decode"):
            doc, shared = copied(encoded)
        with self._native("compare"):
            if read_state_vector(doc.get_state()) != state:
                raise ValueError("the state vectors differ")
            if _whole(shared) != content:
                raise ValueError("the contents differ")
        self.unproven_bytes, self.doubtful = 0, False
        return encoded

    def _decoded(self, encoded: bytes) -> tuple[Doc[Any], Mapping[str, Root]]:
        doc, shared = _open(self._roots)
        doc.apply_update(encoded)
        return doc, shared

    def _loaded(self, encoded: bytes) -> tuple[Doc[Any], Mapping[str, Root]]:
        copy = Document.load(self.kind, self.field, encoded, beside=self._roots)
        return copy.doc, copy._shared

    def _load_snapshot(self, snapshot: bytes) -> None:
        extent = read_update(snapshot, max_structs=None)
        if not self._room.arrive(Waiting(snapshot, extent)):
            raise MalformedUpdate("the snapshot lacks what it needs")
        self._apply(Waiting(snapshot, extent), "apply")
        self.unproven_bytes = 0

    def _apply(self, waiting: Waiting, step: Step) -> list[Waiting]:
        """Apply an update whose needs are met. Returns those that are due with it."""
        extent = waiting.extent
        self._shape.admit(extent, self._room.have)
        with self._native(step):
            with self._doc.transaction(origin=REMOTE):
                self._doc.apply_update(waiting.update)
                state = self._doc.get_state()
            if not _reaches(state, extent.ends):
                raise ValueError("a part of it was not integrated")
        self.unproven_bytes += len(waiting.update)
        self.doubtful |= not _is_ordinary(extent, self._room.have)
        return self._room.applied(extent)

    def _release(self, due: list[Waiting]) -> list[Dropped]:
        """Apply what is due, and what is due with that, and so on."""
        dropped: list[Dropped] = []
        while due:
            waiting = due.pop()
            if not self._room.arrive(waiting, bounded=False):
                continue
            try:
                due += self._apply(waiting, "release")
            except MalformedUpdate as failure:
                dropped += self._drop([waiting], failure)
        return dropped

    def _settle(self) -> None:
        """Nothing is read before all that can be merged is."""
        self._check()
        self._join_together(however_few=True)

    def _join_together(self, *, however_few: bool) -> list[Dropped]:
        dropped: list[Dropped] = []
        while together := self._room.together(however_few=however_few):
            with self._native("release"):
                merged = merge_updates(*(waiting.update for waiting in together))
            try:
                due = self._apply(Waiting(merged, read_update(merged)), "release")
            except MalformedUpdate as failure:
                dropped += self._drop(together, failure)
            else:
                dropped += self._release(due)
        return dropped

    def _drop(self, waiting: Iterable[Waiting], failure: MalformedUpdate) -> list[Dropped]:
        dropped = [Dropped(one.update, str(failure)) for one in waiting]
        self.dropped += dropped
        return dropped

    def _check(self) -> None:
        if self._spoilt:
            raise RuntimeError("this document has failed before and must not be used again: load it anew")

    @contextmanager
    def _native(self, step: Step) -> Iterator[None]:
        """One step of pycrdt's. Whatever it raises spoils the document, panics too, which are no `Exception`."""
        self._check()
        self._step(step)
        try:
            yield
        except Exception as failure:
            self._spoilt = True
            raise MergeFailed(step, f"{failure}" or type(failure).__name__) from failure
        except BaseException:
            self._spoilt = True
            raise


def _open(roots: Mapping[str, Kind]) -> tuple[Doc[Any], dict[str, Root]]:
    """A fresh document, with a fresh client id: the same one in two copies would divide them for ever."""
    doc: Doc[Any] = Doc()
    shared: dict[str, Root] = {}
    for name, kind in roots.items():
        doc[name] = shared[name] = _CLASSES[kind]()
    return doc, shared


def _reaches(state: bytes, ends: Mapping[int, int]) -> bool:
    """Whether a state vector has come to all the `ends`. Most often it ends just there, and says so: a document that
    was opened often has as many clients, and is not to be decoded for each letter."""
    if all(write_state_vector({client: end})[1:] in state for client, end in ends.items()):
        return True
    clocks = read_state_vector(state)
    return all(clocks.get(client, 0) >= end for client, end in ends.items())


def _is_ordinary(extent: Extent, have: Mapping[int, int]) -> bool:
    """Whether it is what typing makes: one client goes on with characters or values, or deletes. Nine of ten updates
    that read differently once encoded were more than that."""
    return len(extent.ranges) <= 1 and all(
        one.ref in _ORDINARY and one.clock >= have.get(one.client, 0) for one in extent.structs
    )


def _read(root: Root) -> str:
    """The content, read by pycrdt: a text's characters, anything else as JSON. pycrdt's `to_py` asks an array for each
    item by its place, and walks to it each time: 20,000 cards take it 7 s, the native JSON 12 ms."""
    if isinstance(root, Text):
        return str(root)
    with root.doc.transaction() as transaction:
        read: str = root.integrated.to_json(transaction._txn)
    return read


def _content(root: Root) -> JsonValue:
    """The content as JSON."""
    read: JsonValue = _read(root) if isinstance(root, Text) else json.loads(_read(root))
    return read


def _whole(shared: Mapping[str, Root]) -> list[str]:
    """All that the roots hold, and the formats of a text, in a form to compare: 1 and true are two things in it, and
    the names in a map have an order, which pycrdt gives in that of a hash table, another one in each copy."""
    return [_told(root) for root in shared.values()]


def _told(root: Root) -> str:
    if not isinstance(root, Text):
        return json.dumps(_content(root), sort_keys=True, ensure_ascii=False)
    # An embedded shared type is shown by pycrdt as where it lies in memory.
    return repr([str(root), _ordered(root.diff())])


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _ordered(one)) for key, one in sorted(value.items())]
    if isinstance(value, (list, tuple)):
        return [_ordered(one) for one in value]
    return _told(value) if isinstance(value, (Text, Map, Array)) else value
