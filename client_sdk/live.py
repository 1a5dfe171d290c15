"""Live: deltas as they happen. An accelerator only: whatever is missed, a pull brings.

One connection at a time; `once` ends, by an exception, when it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from client_sdk.errors import TransportError
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.messages import decode_delta, decode_gone, decode_standings
from client_sdk.presence import Presences
from client_sdk.pull import Pull
from client_sdk.pulse import Pulse
from client_sdk.replica import Replica
from client_sdk.transport import LiveSocket, Transport
from conflict_rules.values import JsonValue

__all__ = ["Live"]

log = logging.getLogger(__name__)


class Live:
    """`on_reached` is called when a connection stands; `on_progress` when it may have become complete."""

    def __init__(
        self,
        replica: Replica,
        intake: Intake,
        transport: Transport,
        feed: Feed,
        pull: Pull,
        presences: Presences,
        pulse: Pulse,
        on_reached: Callable[[], None],
        on_progress: Callable[[], None],
    ) -> None:
        self._replica = replica
        self._intake = intake
        self._transport = transport
        self._feed = feed
        self._pull = pull
        self._presences = presences
        self._pulse = pulse
        self._on_reached = on_reached
        self._on_progress = on_progress
        self._asked: dict[str, str | None] = {}
        self._watching: set[str] = set()
        self.connected = False

    def watches_all(self) -> bool:
        """Whether deltas of every followed scope flow, but for those that may not be seen."""
        return self.connected and self._watching.issuperset(self._replica.present())

    async def once(self) -> None:
        """Connect, watch what is followed, and read until the connection ends; always raises `TransportError`."""
        async with self._transport.live(self._replica.id) as socket:
            self.connected = True
            self._on_reached()
            # Subscribed first and pulled then: what falls between the two comes twice, and once too few is worse.
            beside = [
                asyncio.create_task(self._ask(socket), name="live-subscribe"),
                asyncio.create_task(
                    self._presences.keep_saying(socket, self._transport.limits, self._watching), name="live-presence"
                ),
            ]
            try:
                while True:
                    await self._take(socket, await socket.receive())
            finally:
                self.connected = False
                self._asked.clear()
                self._watching.clear()
                self._feed.forget()
                self._presences.lost()
                for task in beside:
                    task.cancel()
                # Not awaited itself: its cancellation could not be told from this task's own, which must not get lost.
                await asyncio.wait(beside)
                self._on_progress()

    async def _ask(self, socket: LiveSocket) -> None:
        """Keep what the connection watches equal to what is followed."""
        # If the connection breaks here, the reader learns of it as well.
        with suppress(TransportError):
            while True:
                await self._pulse.until(lambda: bool(self._missing() or self._superfluous() or self._outdated(socket)))
                if self._outdated(socket):
                    await self._renew(socket)
                if missing := self._missing():
                    cursors = {scope: self._replica.scopes[scope].cursor for scope in missing}
                    self._asked.update(cursors)
                    await socket.subscribe(cursors)
                if superfluous := self._superfluous():
                    self._watching.difference_update(superfluous)
                    self._presences.forget(superfluous)
                    for scope in superfluous:
                        self._asked.pop(scope, None)
                    await socket.send({"type": "unsubscribe", "scopes": superfluous})

    def _outdated(self, socket: LiveSocket) -> bool:
        return socket.renewals != self._transport.credentials.renewals

    async def _renew(self, socket: LiveSocket) -> None:
        renewals = self._transport.credentials.renewals
        try:
            await socket.renew(self._transport.credentials)
        except TransportError as failure:
            # The connection lasts for as long as the token that it was opened with.
            log.info("the live connection has no other token: %s", failure.message)
            socket.renewals = renewals

    def _missing(self) -> list[str]:
        """What one connection can still watch; the rest is pulled by the timer."""
        room = max(0, self._transport.limits.max_scopes - len(self._asked))
        return [scope for scope in self._replica.present() if scope not in self._asked][:room]

    def _superfluous(self) -> list[str]:
        present = set(self._replica.present())
        return sorted(scope for scope in self._asked if scope not in present)

    async def _lose(self, scopes: Collection[str]) -> None:
        """These are watched no more: they may not be seen, or not any more."""
        lost = [scope for scope in scopes if scope in self._asked]
        self._watching.difference_update(lost)
        self._presences.forget(lost)
        await self._intake.lose(lost)
        # Only now: what is asked for again before is what the server shows once more.
        for scope in lost:
            self._asked.pop(scope, None)

    async def _take(self, socket: LiveSocket, message: Mapping[str, JsonValue]) -> None:
        match message.get("type"):
            case "delta":
                await self._feed.offer(decode_delta(message))
            case "subscribed":
                await self._lose(decode_gone(message))
                for scope, cursor in decode_standings(message).items():
                    if scope not in self._asked:
                        continue
                    self._watching.add(scope)
                    self._presences.begin([scope])
                    if cursor is None or not await self._intake.adopt_cursor(scope, self._asked[scope], cursor):
                        self._pull.want([scope])
                    else:
                        # Up to date; a pull still says what became of changes whose answer was lost (law 4).
                        self._pull.check([scope])
                self._on_progress()
            case "gone":
                await self._lose(decode_gone(message))
                self._on_progress()
            case "presence" | "present":
                self._presences.take(message)
            case "pull":
                scopes = message.get("scopes")
                self._pull.want(
                    [str(scope) for scope in scopes] if isinstance(scopes, list) else self._replica.followed()
                )
            case "ping":
                await socket.send({"type": "pong"})
            case "error":
                log.warning("the server could not follow on the live connection: %s", message.get("message"))
            case _:
                # Pongs, and what later servers may say.
                pass
