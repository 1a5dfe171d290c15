"""A document as a worker holds it open: with what it takes to open it again, and when its round trip is due.

Each update that is acknowledged has been applied, and the document read afterwards. That it also reads the same from
its encoding is found out at once where that is cheap or in doubt, and else when enough is new; what was acknowledged
before stays, whatever is found then (docs/decisions/0011).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from conflict_rules.documents.document import Document, MergeFailed
from syncd.documents import frames
from syncd.documents.frames import NOWHERE, PANIC, STEP_LETTERS, Step
from syncd.documents.limits import WorkerLimits

__all__ = ["Answer", "OpenDocument", "Progress", "Request"]

_SCAN_MARK_S: Final = 0.05
"""Between marks while updates are only read: reading takes microseconds, unless they are large."""

_SMALL_BYTES: Final = 32 << 10
"""A document of no more makes its round trip after each call: it takes less than a millisecond. One of 900 kB takes 50,
which is too much for a keystroke, see docs/decisions/0011."""

_SHARE: Final = 16
"""A larger one makes it when this part of it is new, and at once after anything but typing."""

_MOST_KEPT: Final = 2_000
"""So many updates are kept beside a document since it was opened. It is squashed long before."""

Answer = Sequence[Any]


class Request(NamedTuple):
    """One thing that is asked, as it travels.

    The document is held at `seq` and as many more as `accepted`; or it is to be opened from `whole`: what is stored
    (since, seq, snapshot, updates with their seqs; None: nothing), and the updates that this call has found fine.
    """

    operation: str
    type: str
    id: str
    field: str
    kind: Any
    since: int
    seq: int
    accepted: int
    whole: tuple[tuple[int, int, bytes, Sequence[tuple[int, bytes]]] | None, Sequence[bytes]] | None
    argument: Any


class Progress:
    """Writes the marks. `index`: of the update that is being judged; `step`: told in its place while it is set."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._marked = 0.0
        self.index = NOWHERE
        self.within: Step | None = None

    def __call__(self, step: Step) -> None:
        self._connection.sendall(frames.mark(STEP_LETTERS[self.within or step], self.index))
        self._marked = time.monotonic()

    def scanning(self, index: int) -> None:
        """The update at `index` is about to be read."""
        self.index = index
        if time.monotonic() - self._marked > _SCAN_MARK_S:
            self("scan")

    def panic(self) -> None:
        """The last that is heard of this process."""
        self._connection.sendall(frames.mark(PANIC, self.index))


class OpenDocument:
    """A document that is held open. It can always be opened again, as it was after the last call: from the snapshot
    that the store has and every update since, as everybody will open it. Not from a newer encoding, though there may be
    one: in that, what was deleted is gone, and much is let in beside it that would not load after the updates
    themselves.

    `seq_of`: where in the log an update is that waited when it came. `dropped`: by seq, why an update that had waited
    was let go of, since the document was opened. `unprovable`: what it has taken before fails its round trip. `size`:
    in bytes, as it would be stored. `kept_bytes`: of what it is opened from. `outworn`: it holds so much that it is
    cheaper to read what the store has by now.
    """

    def __init__(self, request: Request, limits: WorkerLimits, progress: Progress) -> None:
        self._kind, self._field = request.kind, request.field
        self._limits, self._progress = limits, progress
        self._snapshot: bytes = b""
        self._updates: list[bytes] = []
        self.since, self.seq = request.since, 0
        self.seq_of: dict[bytes, int] = {}
        self.dropped: dict[int, str] = {}
        self.unprovable = False
        stored = request.whole and request.whole[0]
        if stored:
            self.since, self.seq, self._snapshot, log = stored
            self._updates = [update for _, update in log]
            self.seq_of = {update: seq for seq, update in log}
        self._loaded = len(self._updates)
        self._proved = 0
        self._encoded_bytes = len(self._snapshot)
        self.size = self.kept_bytes = len(self._snapshot) + sum(map(len, self._updates))
        self.document = self._opened()
        self.settle()

    @property
    def outworn(self) -> bool:
        """See above."""
        return len(self._updates) - self._loaded > _MOST_KEPT

    def reopen(self) -> None:
        """After a failure: as it was after the last call."""
        self.document = self._opened()
        self.document.unproven_bytes = sum(map(len, self._updates[self._proved :]))

    def replay(self, update: bytes) -> None:
        """Take an update that was found fine before."""
        self.document.offer(update)
        self._grow([update])
        self.taken([update])

    def verify(self, further: Sequence[bytes]) -> str | None:
        """Read the document as it is with these, and make the round trip if it is time. Returns why the document is too
        large, if it is; raises `MergeFailed`."""
        self.document.read()
        size = self.size + sum(map(len, further))
        encoded = self.document.round_trip() if self._is_due(size) else None
        size = size if encoded is None else len(encoded)
        limit = self._limits.document_bytes
        if size > limit and size > self._encoded_bytes:
            return f"the document would have {size:,} bytes; no more than {limit:,} are kept"
        self._grow(further)
        if encoded is not None:
            self._prove(encoded)
        return None

    def stands(self) -> bool:
        """Whether what it had taken before makes the round trip, after one has failed: reopens it to see that."""
        self.reopen()
        if self.unprovable or self.document.unproven_bytes == 0:
            return True
        try:
            self._prove(self.document.round_trip())
        except MergeFailed:
            # All of it was acknowledged: it is kept as the updates that it is, and is not proved by each call anew.
            self.unprovable = True
            self.reopen()
        return not self.unprovable

    def taken(self, updates: Sequence[bytes]) -> None:
        """These belong to the document from now on."""
        for update in updates:
            self.seq += 1
            self.seq_of[update] = self.seq
        self.settle()

    def settle(self) -> None:
        """Take note of what was let go of. Only what waits is ever asked for its seq."""
        waiting = self.document.waiting
        for gone in self.document.dropped:
            if gone.update in self.seq_of:
                self.dropped[self.seq_of[gone.update]] = gone.why
        self.document.dropped.clear()
        self.seq_of = {update: self.seq_of[update] for update in waiting}

    def squash(self) -> Answer:
        """The snapshot, the seqs of those that wait beside it, and those that were let go of, each with the reason."""
        snapshot, _ = self.document.snapshot()
        self._prove(snapshot)
        self.unprovable = False
        self.settle()
        return snapshot, sorted(self.seq_of.values()), sorted(self.dropped.items())

    def _is_due(self, size: int) -> bool:
        if size > self._limits.document_bytes:
            # Encoded it may be smaller.
            return not self.unprovable
        document = self.document
        new = document.doubtful or size <= _SMALL_BYTES or document.unproven_bytes * _SHARE > size
        return new and not self.unprovable

    def _prove(self, encoded: bytes) -> None:
        self._proved = len(self._updates)
        self._encoded_bytes = self.size = len(encoded)

    def _grow(self, further: Sequence[bytes]) -> None:
        self._updates += further
        more_bytes = sum(map(len, further))
        self.size += more_bytes
        self.kept_bytes += more_bytes

    def _opened(self) -> Document:
        self._progress.within, index = "load", self._progress.index
        self._progress.index = NOWHERE
        try:
            return Document.load(self._kind, self._field, self._snapshot, self._updates, step=self._progress)
        finally:
            self._progress.within, self._progress.index = None, index
