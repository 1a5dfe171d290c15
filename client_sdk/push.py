"""Push: what waits in the outbox goes to the server, in order, and the answers into the file.

A batch that the server will not read is halved until the culprit is found; only a change whose number a harmless one
can take is to blame, and is kept with the reason, while the queue goes on (invariant 6).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
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

    def due(self) -> bool:
        """Whether anything waits."""
        return self._replica.outbox.has_waiting()

    async def once(self) -> None:
        """Send the next batch; raises `TransportError` or `OtherVersion`, with what has no outcome still waiting."""
        limits = self._transport.limits
        most_bytes = _room(limits)
        units = self._replica.outbox.next_batch(
            self._replica.id, min(limits.max_changes, _AT_ONCE), self._portion.within(most_bytes)
        )
        if not units:
            return
        try:
            await self._send(units)
        except TimedOut:
            self._portion.came_late(most_bytes)
            raise
        except UpgradeRequired:
            if not await self._settle_without_meaning(units[0]):
                raise
        self._portion.came(most_bytes)

    async def _send(self, units: Sequence[Sequence[Entry]]) -> None:
        entries = all_of(units)
        scopes = {entry.change.scope for entry in entries}
        planned = _numbers(units)
        # What was never sent may be given other content, under this lock; from here on it keeps what it has (law 3).
        async with self._replica.reading():
            if _numbers(units) != planned:
                return
            doubtful = {entry.seq for entry in entries if entry.sent}
            for entry in entries:
                entry.sent = True
        refused: Refused | None = None
        self._feed.hold(scopes)
        try:
            await self._exchange(entries)
        except Refused as refusal:
            # Nothing of this message was applied; what was sent before it may have been.
            for entry in entries:
                entry.sent = entry.seq in doubtful
            refused = refusal
        finally:
            await self._feed.release(scopes)
        if refused is None:
            self._report(entries)
            if not self._deltas_flow():
                self._want(scopes)
        elif len(units) > 1:
            first, second = units[: len(units) // 2], units[len(units) // 2 :]
            numbers = _numbers(second)
            await self._send(first)
            if _numbers(second) == numbers:
                await self._send(second)
            # Otherwise the first half's answers gave the second other numbers: the next batch is planned anew.
        else:
            await self._stand_in(entries, refused)
            self._report(entries)

    def _report(self, entries: Sequence[Entry]) -> None:
        settled = [entry for entry in entries if not entry.waiting]
        size = sum(len(entry.body) for entry in settled)
        self._reports.pushed(len(settled), size, self._replica.outbox.waiting_count)

    async def _exchange(self, entries: Sequence[Entry]) -> None:
        replica_id = entries[0].change.replica
        reply, round_trip_ms = await self._transport.push(
            replica_id, self._replica.app.version, [entry.body for entry in entries]
        )
        await self._intake.learn_time(reply.server_time_ms, round_trip_ms)
        if not await self._settlement.settle(entries, reply):
            raise _other_version(reply) or Busy("the server settled none of the changes that were sent")

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


def _numbers(units: Sequence[Sequence[Entry]]) -> list[tuple[str, int]]:
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
