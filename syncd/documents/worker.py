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
from typing import Any, Final

from conflict_rules.documents.difference import update_towards
from conflict_rules.documents.document import Document, MergeFailed, Unreadable
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_update import MalformedUpdate, read_state_vector
from syncd.documents import frames
from syncd.documents.frames import NOWHERE
from syncd.documents.limits import WorkerLimits
from syncd.documents.opened import Answer, OpenDocument, Progress, Request
from syncd.documents.protocol import Verdict

__all__ = ["work"]

_ROUND_TRIP: Final = frozenset({"encode", "decode", "compare"})


@dataclass(slots=True)
class _Judging:
    """The updates of one request on their way to verdicts."""

    opened: OpenDocument
    progress: Progress
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
                too_large = self.opened.verify([self.updates[start + place] for place in fine])
                refusal = Verdict("document_too_large", too_large) if too_large else None
                if refusal is not None:
                    self.opened.reopen()
            except Exception as failure:
                _end_without_memory(failure)
                refusal = _failed(failure)
                if not self.opened.stands():
                    return [len(told)]
            if refusal is not None:
                if len(fine) > 1:
                    # Split so that half of those that came into question are on each side.
                    place = fine[len(fine) // 2]
                    return [len(told) - place, place]
                told[fine[0]] = refusal
        self.opened.taken([self.updates[start + place] for place, verdict in enumerate(told) if verdict.code is None])
        self.verdicts += told
        return []


class _Shop:
    """Answers requests, and keeps documents open for the next."""

    def __init__(self, limits: WorkerLimits, progress: Progress) -> None:
        self._limits = limits
        self._progress = progress
        self._open: OrderedDict[tuple[str, str, str], OpenDocument] = OrderedDict()
        self._operations: dict[str, Callable[[OpenDocument, Any], Answer]] = {
            "check": self._check,
            "view": lambda opened, _: (opened.document.view(),),
            "diff": lambda opened, state: (opened.document.diff(read_state_vector(state)),),
            "squash": lambda opened, _: opened.squash(),
            "revert": self._revert,
        }

    def answer(self, request: Request) -> Answer:
        """What is replied: ("cold",), ("done", size, ...), or "unreadable", "unproven" or "invalid" and why."""
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
            unproven = request.operation == "squash" and failure.step in _ROUND_TRIP
            return ("unproven" if unproven else "unreadable", str(failure))
        except MalformedUpdate as refusal:
            answer = None
            why = str(refusal)
        self._open[key] = opened
        self._make_room()
        return ("invalid", why) if answer is None else ("done", opened.size, *answer)

    def _opened(self, request: Request) -> OpenDocument:
        opened = OpenDocument(request, self._limits, self._progress)
        self._progress.within = "replay"
        for update in request.whole[1] if request.whole else ():
            opened.replay(update)
        self._progress.within = None
        return opened

    def _check(self, opened: OpenDocument, updates: Sequence[bytes]) -> Answer:
        judging = _Judging(opened, self._progress, updates, time.monotonic() + self._limits.turn_s)
        next_count = judging.judge()
        return next_count, [(verdict.code, verdict.message, verdict.waits) for verdict in judging.verdicts]

    def _revert(self, opened: OpenDocument, earlier: Sequence[bytes]) -> Answer:
        document = opened.document
        self._progress.within = "read"
        try:
            wanted = Document.load(document.kind, document.field, b"", earlier, step=self._progress)
        except Unreadable as failure:
            raise MergeFailed("read", str(failure)) from failure
        finally:
            self._progress.within = None
        return (update_towards(document, wanted),)

    def _make_room(self) -> None:
        """Close what was not asked for longest; what was asked for just now stays, whatever its size, unless it is
        outworn."""
        last = next(reversed(self._open))
        if self._open[last].outworn:
            del self._open[last]
        while len(self._open) > 1 and (
            len(self._open) > self._limits.warm_documents
            or sum(one.kept_bytes for one in self._open.values()) > self._limits.warm_bytes
        ):
            self._open.popitem(last=False)


def work(connection: socket.socket, limits: WorkerLimits) -> None:
    """Answer requests until the server has gone. Returns never."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What native code prints when it panics may quote the content.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    progress = Progress(connection)
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
