"""Push: what waits in the outbox goes to the server, in order, and the answers into the file.

A batch that the server will not read is halved until the culprit is found; only a change whose number a harmless one
can take is to blame, and is kept with the reason, while the queue goes on (invariant 6).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final

from client_sdk.errors import Busy, Refused, Unreachable
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.outbox import Entry, all_of, stand_in
from client_sdk.replica import Replica
from client_sdk.transport import Transport
from conflict_rules import Kind

__all__ = ["Push"]

log = logging.getLogger(__name__)

_ENVELOPE_BYTES: Final = 1024


class Push:
    """`want` asks for a pull of scopes; `deltas_flow` says whether that is unnecessary."""

    def __init__(
        self,
        replica: Replica,
        intake: Intake,
        transport: Transport,
        feed: Feed,
        want: Callable[[Collection[str]], object],
        deltas_flow: Callable[[], bool],
    ) -> None:
        self._replica = replica
        self._intake = intake
        self._transport = transport
        self._feed = feed
        self._want = want
        self._deltas_flow = deltas_flow

    def due(self) -> bool:
        """Whether anything waits."""
        return self._replica.outbox.has_waiting()

    async def once(self) -> None:
        """Send the next batch; raises `TransportError`, with everything that was not answered still waiting."""
        limits = self._transport.limits
        units = self._replica.outbox.next_batch(
            self._replica.id, limits.max_changes, limits.max_body_bytes - _ENVELOPE_BYTES
        )
        if units:
            await self._send(units)

    async def _send(self, units: Sequence[Sequence[Entry]]) -> None:
        entries = all_of(units)
        scopes = {entry.change.scope for entry in entries}
        doubtful = [entry for entry in entries if entry.sent]
        self._feed.hold(scopes)
        try:
            for entry in entries:
                entry.sent = True
            moved = await self._exchange(entries)
        except Refused as refusal:
            # Nothing of this message was applied; what was sent before it may have been.
            for entry in entries:
                entry.sent = entry in doubtful
            refused: Refused | None = refusal
        else:
            refused = None
            if not moved:
                raise Busy("the server settled none of the changes that were sent")
        finally:
            await self._feed.release(scopes)
        if refused is not None:
            if len(units) > 1:
                await self._send(units[: len(units) // 2])
                await self._send(units[len(units) // 2 :])
            else:
                await self._stand_in(entries, refused)
        elif not self._deltas_flow():
            self._want(scopes)

    async def _exchange(self, entries: Sequence[Entry]) -> bool:
        replica_id = entries[0].change.replica
        reply, round_trip_ms = await self._transport.push(
            replica_id, self._replica.app.version, [entry.body for entry in entries]
        )
        await self._intake.learn_time(reply.server_time_ms, round_trip_ms)
        return await self._intake.settle(entries, reply)

    async def _stand_in(self, entries: Sequence[Entry], refusal: Refused) -> None:
        """Settle the numbers of what the server will not read, so that there is no gap, and keep it as rejected."""
        try:
            reply, _ = await self._transport.push(
                entries[0].change.replica, self._replica.app.version, [stand_in(entry) for entry in entries]
            )
        except Refused:
            # Then the change is not to blame, and nothing is taken from the queue.
            raise Unreachable(f"the server refuses every message: {refusal.message}") from refusal
        settled = {answer.n for answer in reply.answers if answer.outcome.kind is not Kind.RETRY_LATER}
        if any(entry.change.n not in settled for entry in entries):
            raise Busy(f"the server refused a change, and its number could not be settled yet: {refusal.message}")
        log.warning("the server will not read change %d: %s", entries[0].change.n, refusal.message)
        await self._intake.reject(entries, refusal.problem_code, refusal.message)
