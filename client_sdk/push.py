"""Push: what waits in the outbox goes to the server, in order, and the answers into the file.

While an answer is taken in, the next message is on its way, so that server and replica work at once. A batch that the
server will not read is halved until the culprit is found; only a change whose number a harmless one can take is to
blame, and is kept with the reason, while the queue goes on (invariant 6).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from client_sdk.errors import (
    Busy,
    Refused,
    ServerOutdated,
    SyncError,
    TimedOut,
    Unreachable,
    UpgradeRequired,
)
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.lifting import why_not
from client_sdk.messages import Limits, PushReply
from client_sdk.outbox import Entry, all_of, stand_in
from client_sdk.portion import Portion
from client_sdk.progress import Reports
from client_sdk.replica import Replica
from client_sdk.settlement import Settlement
from client_sdk.transport import Transport
from conflict_rules import Kind

__all__ = ["Push"]

log = logging.getLogger(__name__)

_ENVELOPE_BYTES: Final = 1024
_AT_ONCE: Final = 100
"""Changes in a message: a server reads and answers that many in a few ms, so that it keeps others waiting no longer."""

Units = Sequence[Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class _Message:
    """Changes that are on their way. `doubtful`: of those that had been sent before, their places in the outbox."""

    units: Units
    entries: Sequence[Entry]
    scopes: Collection[str]
    doubtful: Collection[int]
    answer: asyncio.Task[_Answer]


@dataclass(frozen=True, slots=True)
class _Answer:
    """`arrived_s`: by the monotonic clock."""

    reply: PushReply
    round_trip_ms: int
    arrived_s: float


class Push:
    """`want` asks for a pull of scopes; `deltas_flow` says whether that is unnecessary."""

    def __init__(
        self,
        replica: Replica,
        intake: Intake,
        settlement: Settlement,
        transport: Transport,
        feed: Feed,
        want: Callable[[Collection[str]], object],
        deltas_flow: Callable[[], bool],
        reports: Reports,
    ) -> None:
        self._replica = replica
        self._intake = intake
        self._settlement = settlement
        self._transport = transport
        self._feed = feed
        self._want = want
        self._deltas_flow = deltas_flow
        self._reports = reports
        self._portion = Portion()
        self._ahead: _Message | None = None

    def due(self) -> bool:
        """Whether anything waits."""
        return self._ahead is not None or self._replica.outbox.has_waiting()

    async def once(self) -> None:
        """Send the next batch, or take in the answer to the one that was sent ahead; raises `TransportError` or
        `OtherVersion`, with what has no outcome still waiting."""
        message, self._ahead = self._ahead, None
        if message is None:
            message = await self._start(self._next_units())
        if message is None:
            return
        most_bytes = _room(self._transport.limits)
        try:
            await self._finish(message)
        except TimedOut:
            self._portion.came_late(most_bytes)
            raise
        except UpgradeRequired:
            if not await self._settle_without_meaning(message.units[0]):
                raise
        self._portion.came(most_bytes)

    def _next_units(self, behind: int = 0) -> Units:
        limits = self._transport.limits
        return self._replica.outbox.next_batch(
            self._replica.id,
            min(limits.max_changes, _AT_ONCE),
            self._portion.within(_room(limits)),
            behind=behind,
        )

    def _units_behind(self, last: Entry) -> Units:
        """What goes on from that entry, under the same replica id."""
        units = self._next_units(behind=last.change.n)
        return units if units and units[0][0].change.replica == last.change.replica else ()

    async def _start(self, units: Units) -> _Message | None:
        """Send a message; None if there is nothing in it, or its numbers are no longer what they were."""
        entries = all_of(units)
        if not entries:
            return None
        scopes = {entry.change.scope for entry in entries}
        planned = _numbers(units)
        # What was never sent may be given other content, under this lock; from here on it keeps what it has (law 3).
        async with self._replica.reading():
            if _numbers(units) != planned:
                return None
            doubtful = {entry.seq for entry in entries if entry.sent}
            self._replica.outbox.note_sent(entries, sent=True)
            bodies = [entry.body for entry in entries]
        self._feed.hold_for_push(scopes)
        answer = asyncio.create_task(self._ask(entries[0].change.replica, bodies), name="push")
        # Whoever gives it up does not care how it ended.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        return _Message(units, entries, scopes, doubtful, answer)

    async def _ask(self, replica_id: str, bodies: Sequence[str]) -> _Answer:
        reply, round_trip_ms = await self._transport.push(replica_id, self._replica.app.version, bodies)
        return _Answer(reply, round_trip_ms, time.monotonic())

    async def _finish(self, message: _Message, *, alone: bool = False) -> None:
        """Take in the answer to a message, and send another one ahead meanwhile, if that may be; never if `alone`."""
        try:
            await self._take_answer(message, alone=alone)
        except BaseException:
            await self._give_up_ahead()
            raise

    async def _take_answer(self, message: _Message, *, alone: bool) -> None:
        entries, units = message.entries, message.units
        refused: Refused | None = None
        settled: Mapping[str, int] = {}
        try:
            answer = await _of(message.answer)
            reply = answer.reply
            if not alone and _is_plain(reply, entries):
                self._ahead = await self._start(self._units_behind(entries[-1]))
                if self._ahead is not None:
                    settled = _versions(reply, entries)
            # The answer may have lain here for a while, behind the one before it.
            lain_ms = int((time.monotonic() - answer.arrived_s) * 1000)
            await self._intake.learn_time(reply.server_time_ms + lain_ms, answer.round_trip_ms)
            await self._settle(entries, reply)
        except Refused as refusal:
            # Nothing of this message was applied; what was sent before it may have been.
            self._replica.outbox.note_sent((each for each in entries if each.seq not in message.doubtful), sent=False)
            refused = refusal
        finally:
            await self._feed.release_from_push(message.scopes, settled)
        if refused is None:
            self._report(entries)
            if not self._deltas_flow():
                self._want(message.scopes)
            elif absent := [scope for scope in message.scopes if self._replica.is_absent(scope)]:
                # Whoever may write there may see it; and otherwise there is nothing left that could begin it.
                self._want(absent)
        elif len(units) > 1:
            await self._send_halves(units)
        else:
            await self._stand_in(entries, refused)
            self._report(entries)

    async def _settle(self, entries: Sequence[Entry], reply: PushReply) -> None:
        if not await self._settlement.settle(entries, reply):
            raise _other_version(reply) or Busy("the server settled none of the changes that were sent")

    async def _give_up_ahead(self) -> None:
        """Nobody waits for the answer to what was sent ahead any more; the server may have it all the same."""
        message, self._ahead = self._ahead, None
        if message is None:
            return
        message.answer.cancel()
        try:
            await asyncio.wait([message.answer])
        finally:
            await self._feed.release_from_push(message.scopes, {})

    async def _send_halves(self, units: Units) -> None:
        first, second = units[: len(units) // 2], units[len(units) // 2 :]
        numbers = _numbers(second)
        await self._send(first)
        if _numbers(second) == numbers:
            await self._send(second)
        # Otherwise the first half's answers gave the second other numbers: the next batch is planned anew.

    async def _send(self, units: Units) -> None:
        message = await self._start(units)
        if message is not None:
            await self._finish(message, alone=True)

    def _report(self, entries: Sequence[Entry]) -> None:
        settled = [entry for entry in entries if not entry.waiting]
        size = sum(len(entry.body) for entry in settled)
        self._reports.pushed(len(settled), size, self._replica.outbox.waiting_count)

    async def _settle_without_meaning(self, unit: Sequence[Entry]) -> bool:
        """What the app here refuses cannot be sent in words that the server reads, and must not stop what follows.

        Returns False if it is not that for which the queue waits.
        """
        app = self._replica.app
        refused = next((entry.change for entry in unit if entry.meaning is None), None)
        if refused is None:
            return False
        code, message = why_not(app, refused)
        await self._stand_in(unit, Refused(message, code), app.version)
        return True

    async def _stand_in(self, entries: Sequence[Entry], refusal: Refused, schema: int | None = None) -> None:
        """Settle the numbers of what the server will not read, so that there is no gap, and keep it as rejected."""
        limits = self._transport.limits
        # One by one they are small, but the group they stand for may have been over the limits.
        at_once = max(1, min(limits.max_changes, _room(limits) // 1024))
        for start in range(0, len(entries), at_once):
            part = entries[start : start + at_once]
            try:
                reply, _ = await self._transport.push(
                    part[0].change.replica, self._replica.app.version, [stand_in(entry, schema) for entry in part]
                )
            except Refused:
                # Then the change is not to blame, and nothing is taken from the queue.
                raise Unreachable(f"the server refuses every message: {refusal.message}") from refusal
            settled = {answer.n for answer in reply.answers if answer.outcome.kind is not Kind.RETRY_LATER}
            if any(entry.change.n not in settled for entry in part):
                unsettled = Busy(f"the server refuses a change and cannot settle its number yet: {refusal.message}")
                raise _other_version(reply) or unsettled
            log.warning("the server will not read change %d: %s", part[0].change.n, refusal.message)
            await self._settlement.reject(part, refusal.problem_code, refusal.message)


async def _of(answer: asyncio.Task[_Answer]) -> _Answer:
    """What it brings; whoever waits for it no longer does not leave it behind."""
    try:
        return await answer
    finally:
        if not answer.done():
            answer.cancel()
            await asyncio.wait([answer])


def _is_plain(reply: PushReply, entries: Sequence[Entry]) -> bool:
    """Whether every change took effect, and the server knows of none beyond: then the next ones keep what they say."""
    return (
        len(reply.answers) == len(entries)
        and reply.settled == entries[-1].change.n
        and all(
            answer.n == entry.change.n and answer.outcome.kind.took_effect
            for entry, answer in zip(entries, reply.answers, strict=True)
        )
    )


def _versions(reply: PushReply, entries: Sequence[Entry]) -> dict[str, int]:
    """Up to which version of each scope these changes were settled."""
    versions: dict[str, int] = {}
    for entry, answer in zip(entries, reply.answers, strict=True):
        scope = entry.change.scope
        versions[scope] = max(answer.outcome.version, versions.get(scope, 0))
    return versions


def _numbers(units: Units) -> list[tuple[str, int]]:
    return [(entry.change.replica, entry.change.n) for entry in all_of(units)]


def _other_version(reply: PushReply) -> SyncError | None:
    """What keeps the changes of a push waiting, if it is the version of the app."""
    for answer in reply.answers:
        for kind in (UpgradeRequired, ServerOutdated):
            if answer.outcome.kind is Kind.RETRY_LATER and answer.outcome.code == kind.code:
                return kind(answer.outcome.message or kind.code)
    return None


def _room(limits: Limits) -> int:
    """Bytes for the changes themselves."""
    return max(_ENVELOPE_BYTES, limits.max_body_bytes - _ENVELOPE_BYTES)
