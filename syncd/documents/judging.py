"""A verdict for every update of a call, whatever they do to the worker.

They are sent many at a time. If the worker ends at one of them, that one is tried alone, in a fresh process on a fresh
load: if it ends that one too, it is refused. If not, the next are sent one at a time; and what ends a worker only
together with earlier ones, which were fine, is found by halving those. It must not know how workers are started or
watched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from syncd.documents.frames import Step
from syncd.documents.limits import PoolLimits
from syncd.documents.protocol import Verdict
from syncd.documents.replies import Judgement

__all__ = ["Died", "Judging", "Try"]

_MAX_LOST: Final = 3
"""So often a worker may end while it repeats what was fine, before the last of that is refused."""

_SAID: Final[dict[Step, str]] = {
    "load": "loading the document",
    "replay": "merging it again",
    "scan": "reading the update",
    "apply": "applying the update",
    "release": "applying an update that had waited for this one",
    "read": "reading the document after it",
    "encode": "encoding the document after it",
    "decode": "reading the document back from its encoding",
    "compare": "comparing the document with what its encoding gives",
}


class Died(NamedTuple):
    """A worker ended. `place`: at which of the updates that it was sent, if at one of them."""

    how: str
    step: Step | None
    place: int | None

    @property
    def sentence(self) -> str:
        """What happened, for whoever sent it."""
        step = "merging the update" if self.step is None else _SAID[self.step]
        if self.how == "hung":
            return f"{step} did not end"
        if self.how == "panicked":
            return f"{step} made the merging library fail"
        return f"{step} ended the process that did it"

    @property
    def before_the_updates(self) -> bool:
        """Whether it ended before it came to any of what it was sent to judge."""
        return self.step in ("load", "replay")

    @property
    def in_the_round_trip(self) -> bool:
        """Whether the document itself was read before it ended."""
        return self.step in ("encode", "decode", "compare")


Try = Callable[[Sequence[bytes], Sequence[bytes], bool], Awaitable[Judgement | Died]]
"""(accepted, updates, anew): judge `updates` after `accepted`, which were fine; `anew`: in a fresh process, on a fresh
load. Raises `DocumentUnreadable` if what is stored cannot be loaded."""


class Judging:
    """The updates of one call."""

    def __init__(self, updates: Sequence[bytes], limits: PoolLimits, attempt: Try) -> None:
        self._updates = updates
        self._limits = limits
        self._try = attempt
        self._verdicts: list[Verdict | None] = [self._outright(update) for update in updates]
        self._count = limits.turn_updates
        self._singly_until = -1
        self._deaths: Counter[int] = Counter()
        self._lost = 0

    async def verdicts(self) -> list[Verdict]:
        """All of them, in order."""
        while part := self._part():
            reply = await self._try(self._accepted(), [self._updates[index] for index in part], False)
            if isinstance(reply, Died):
                await self._learn(reply, part)
                continue
            for index, verdict in zip(part, reply.verdicts, strict=False):
                self._verdicts[index] = verdict
            self._count = min(reply.next_count, self._limits.turn_updates)
        return [verdict or Verdict() for verdict in self._verdicts]

    def _outright(self, update: bytes) -> Verdict | None:
        limit = self._limits.update_bytes
        if len(update) <= limit:
            return None
        return Verdict(
            "invalid_document_update",
            f"the update has {len(update):,} bytes; no more than {limit:,} are taken at once: send it in parts",
        )

    def _part(self) -> list[int]:
        """What to send next."""
        part: list[int] = []
        size = 0
        for index, verdict in enumerate(self._verdicts):
            if verdict is None:
                size += len(self._updates[index])
                if part and (size > self._limits.turn_bytes or len(part) >= self._count or index <= self._singly_until):
                    break
                part.append(index)
        return part

    def _accepted(self) -> list[bytes]:
        return [self._updates[index] for index in self._fine()]

    def _fine(self) -> list[int]:
        return [index for index, verdict in enumerate(self._verdicts) if verdict is not None and verdict.code is None]

    async def _learn(self, died: Died, part: Sequence[int]) -> None:
        """Find out which update it was, if it was one."""
        if died.before_the_updates:
            self._lost += 1
            if self._lost >= _MAX_LOST:
                self._lost = 0
                await self._without_the_last(part, died)
            return
        place = 0 if len(part) == 1 else died.place
        if place is None or place >= len(part):
            self._singly_until = part[-1]
            return
        index = part[place]
        self._deaths[index] += 1
        alone = await self._try([], [self._updates[index]], True)
        if isinstance(alone, Died):
            # Whether it was loaded or not: what ends fresh processes one after the other is not tried for ever.
            if not alone.before_the_updates or self._deaths[index] >= _MAX_LOST:
                self._refuse(index, alone)
        elif self._deaths[index] < 2:
            self._singly_until = part[-1]
        elif alone.verdicts and alone.verdicts[0] == Verdict():
            await self._halve(index, died)
        else:
            # It hangs on earlier ones of this call: without them it cannot be told.
            self._refuse(index, died)

    async def _without_the_last(self, part: Sequence[int], died: Died) -> None:
        """It does not come as far as the updates: either what was fine is not, or what is stored."""
        fine = self._fine()
        if fine:
            self._refuse(fine[-1], died)
        else:
            alone = await self._try([], [self._updates[part[0]]], True)
            if isinstance(alone, Died):
                self._refuse(part[0], alone)

    async def _halve(self, index: int, died: Died) -> None:
        """`index` is fine alone, and ends a worker after those before it: refuse the one that makes the difference."""
        fine = [earlier for earlier in self._fine() if earlier < index]
        passes, ends = 0, len(fine)
        while ends - passes > 1:
            middle = (passes + ends) // 2
            earlier = [self._updates[one] for one in fine[:middle]]
            if isinstance(await self._try(earlier, [self._updates[index]], True), Died):
                ends = middle
            else:
                passes = middle
        self._refuse(fine[ends - 1] if fine else index, died)

    def _refuse(self, index: int, died: Died) -> None:
        """Refuse it, and judge anew what was found fine after it."""
        self._verdicts[index] = Verdict("document_update_failed", died.sentence)
        for later in self._fine():
            if later > index:
                self._verdicts[later] = None
