"""What a worker does: it merges updates of strangers, and is expected to die of it.

A worker is one process, forked from the zygote, with its memory limited. It answers one request after another and
keeps documents warm between them. Before each step that may not come back it writes a mark (`frames`); after a panic of
native code, or when memory has run out, it is worth nothing any more and ends at once. It must not know of the store,
of other workers, or of who sent what.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from conflict_rules.documents.document import Document, MergeFailed, Unreadable
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_update import MalformedUpdate, read_state_vector
from syncd.documents import frames
from syncd.documents.frames import NOWHERE, PANIC, STEP_LETTERS, Step
from syncd.documents.limits import WorkerLimits
from syncd.documents.protocol import Verdict

__all__ = ["Request", "work"]

_SCAN_MARK_S: Final = 0.05
"""Between marks while updates are only read: reading takes microseconds, unless they are large."""


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


Answer = Sequence[Any]


class _Progress:
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


class _Open:
    """A document that is held open. It can always be opened again, as it last was after a round trip.

    `seq_of`: where in the log an update is that waited when it came.
    """

    def __init__(self, request: Request, limits: WorkerLimits, progress: _Progress) -> None:
        self._kind, self._field = request.kind, request.field
        self._limits, self._progress = limits, progress
        self._snapshot: bytes = b""
        self._updates: Sequence[bytes] = ()
        self.since, self.seq = request.since, 0
        self.seq_of: dict[bytes, int] = {}
        stored = request.whole and request.whole[0]
        if stored:
            self.since, self.seq, self._snapshot, log = stored
            self._updates = [update for _, update in log]
            self.seq_of = {update: seq for seq, update in log}
        self.document = self._opened()
        self.seq_of = {update: self.seq_of[update] for update in self.document.waiting}

    @property
    def size(self) -> int:
        """In bytes, as it would be stored."""
        return len(self._snapshot) + sum(map(len, self._updates))

    def reopen(self) -> None:
        """After a failure: as it was after the last round trip."""
        self.document = self._opened()

    def replay(self, update: bytes) -> None:
        """Take an update that was found fine before."""
        self.document.offer(update)
        self._updates = [*self._updates, update]
        self.taken(update)

    def verify(self) -> str | None:
        """Make the round trip. Returns why the document is too large, if it is; raises `MergeFailed`."""
        encoded = self.document.round_trip()
        limit = self._limits.document_bytes
        if len(encoded) > limit and len(encoded) > len(self._snapshot):
            return f"the document would have {len(encoded):,} bytes; no more than {limit:,} are kept"
        self._snapshot, self._updates = encoded, self.document.waiting
        return None

    def taken(self, update: bytes) -> None:
        """Another update belongs to the document."""
        self.seq += 1
        self.seq_of[update] = self.seq

    def squash(self) -> tuple[bytes, list[int]]:
        """The snapshot, and the seqs of those that wait beside it."""
        snapshot, waiting = self.document.snapshot()
        return snapshot, sorted(self.seq_of[update] for update in waiting)

    def forget_applied(self) -> None:
        """Only those that wait are ever asked for their seq."""
        kept = set(self._updates)
        self.seq_of = {update: seq for update, seq in self.seq_of.items() if update in kept}

    def _opened(self) -> Document:
        self._progress.within, index = "load", self._progress.index
        self._progress.index = NOWHERE
        try:
            return Document.load(self._kind, self._field, self._snapshot, self._updates, step=self._progress)
        finally:
            self._progress.within, self._progress.index = None, index


@dataclass(slots=True)
class _Judging:
    """The updates of one request on their way to verdicts."""

    opened: _Open
    progress: _Progress
    updates: Sequence[bytes]
    ends_at: float
    verdicts: list[Verdict] = field(default_factory=list)

    def judge(self) -> int:
        """Fill `verdicts`, from the first update on, while there is time. Returns how many to try at once the next
        time: if none had a verdict yet, fewer than this time."""
        groups = [len(self.updates)]
        while groups:
            groups += self._group(groups.pop())
            if time.monotonic() > self.ends_at:
                break
        return groups[-1] if groups else 2 * len(self.updates)

    def _group(self, count: int) -> list[int]:
        """Judge the next `count` in one round trip. Returns, last first, the groups to judge next in their place if one
        spoilt the document."""
        start = len(self.verdicts)
        told: list[Verdict] = []
        for index in range(start, start + count):
            self.progress.scanning(index)
            try:
                arrival = self.opened.document.offer(self.updates[index])
            except MalformedUpdate as refusal:
                told.append(Verdict("invalid_document_update", str(refusal)))
            except WaitingRoomFull as refusal:
                told.append(Verdict("document_too_large", str(refusal)))
            except Exception as failure:
                _end_without_memory(failure)
                return self._without(index - start, count, failure)
            else:
                told.append(Verdict(waits=arrival.waits))
        return self._together(start, told)

    def _without(self, place: int, count: int, failure: Exception) -> list[int]:
        """The one at `place` failed, and spoilt what those before it had made."""
        self.opened.reopen()
        if place == 0:
            self.verdicts.append(_failed(failure))
            return [count - 1] if count > 1 else []
        return [count - place, place]

    def _together(self, start: int, told: list[Verdict]) -> list[int]:
        fine = [place for place, verdict in enumerate(told) if verdict.code is None]
        if fine:
            self.progress.index = start + fine[0] if len(fine) == 1 else NOWHERE
            try:
                too_large = self.opened.verify()
                refusal = Verdict("document_too_large", too_large) if too_large else None
            except Exception as failure:
                _end_without_memory(failure)
                refusal = _failed(failure)
            if refusal is not None:
                self.opened.reopen()
                if len(fine) > 1:
                    # Split so that half of those that came into question are on each side.
                    place = fine[len(fine) // 2]
                    return [len(told) - place, place]
                told[fine[0]] = refusal
        for place, verdict in enumerate(told):
            if verdict.code is None:
                self.opened.taken(self.updates[start + place])
        self.opened.forget_applied()
        self.verdicts += told
        return []


class _Shop:
    """Answers requests, and keeps documents open for the next."""

    def __init__(self, limits: WorkerLimits, progress: _Progress) -> None:
        self._limits = limits
        self._progress = progress
        self._open: OrderedDict[tuple[str, str, str], _Open] = OrderedDict()
        self._operations: dict[str, Callable[[_Open, Any], Answer]] = {
            "check": self._check,
            "view": lambda opened, _: (opened.document.view(),),
            "diff": lambda opened, state: (opened.document.diff(read_state_vector(state)),),
            "squash": lambda opened, _: opened.squash(),
        }

    def answer(self, request: Request) -> Answer:
        """What is replied: ("cold",), ("unreadable", why), ("invalid", why) or ("done", size, ...)."""
        key = (request.type, request.id, request.field)
        opened = self._open.pop(key, None)
        if opened is None or (opened.since, opened.seq) != (request.since, request.seq + request.accepted):
            if request.whole is None and request.seq + request.accepted > 0:
                return ("cold",)
            try:
                opened = self._opened(request)
            except (Unreadable, MergeFailed, MalformedUpdate, WaitingRoomFull) as failure:
                _end_without_memory(failure)
                return ("unreadable", str(failure))
        try:
            answer = self._operations[request.operation](opened, request.argument)
        except MergeFailed as failure:
            _end_without_memory(failure)
            return ("unreadable", str(failure))
        except MalformedUpdate as refusal:
            answer = None
            why = str(refusal)
        self._open[key] = opened
        self._make_room()
        return ("invalid", why) if answer is None else ("done", opened.size, *answer)

    def _opened(self, request: Request) -> _Open:
        opened = _Open(request, self._limits, self._progress)
        self._progress.within = "replay"
        for update in request.whole[1] if request.whole else ():
            opened.replay(update)
        self._progress.within = None
        return opened

    def _check(self, opened: _Open, updates: Sequence[bytes]) -> Answer:
        judging = _Judging(opened, self._progress, updates, time.monotonic() + self._limits.turn_s)
        next_count = judging.judge()
        return next_count, [(verdict.code, verdict.message, verdict.waits) for verdict in judging.verdicts]

    def _make_room(self) -> None:
        """Close what was not asked for longest; what was asked for just now stays, whatever its size."""
        while len(self._open) > 1 and sum(one.size for one in self._open.values()) > self._limits.warm_bytes:
            self._open.popitem(last=False)


def work(connection: socket.socket, limits: WorkerLimits) -> None:
    """Answer requests until the server has gone. Returns never."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What native code prints when it panics may quote the content.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    progress = _Progress(connection)
    shop = _Shop(limits, progress)
    try:
        while (message := frames.receive(connection)) is not None:
            progress.index, progress.within = NOWHERE, None
            connection.sendall(frames.reply_start(shop.answer(Request(*message))))
    except ConnectionError:
        pass
    except BaseException:
        # A panic is no Exception. Whatever it is, the memory of this process may be spoilt.
        progress.panic()
        os._exit(3)
    os._exit(0)


def _failed(failure: Exception) -> Verdict:
    why = str(failure) if isinstance(failure, MergeFailed) else f"it could not be merged: {type(failure).__name__}"
    return Verdict("document_update_failed", why)


def _end_without_memory(failure: BaseException) -> None:
    """Memory that has run out is nobody's fault in particular: the update gets another try in a fresh process."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise cause
        cause = cause.__cause__
