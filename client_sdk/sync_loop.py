"""The sync loop: push, pull, live and documents side by side, none waiting for another, each tried again for ever.

Woken by the timer, by any contact with the server, and by a new write. No failure ends a loop: what fails is shown in
the status, waited out with jittered back-off, and tried again. One failure and then silence is the most reported bug
of this kind of software.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from client_sdk.backoff import Backoff, Timing
from client_sdk.comparison import Comparison
from client_sdk.document_fetch import Fetch
from client_sdk.errors import Busy, Closed, Denied, OtherVersion, SyncError, TransportError, Unfit
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.live import Live
from client_sdk.presence import Presences
from client_sdk.progress import Progress, Reports
from client_sdk.pull import Pull
from client_sdk.pulse import Pulse
from client_sdk.push import Push
from client_sdk.replica import Replica
from client_sdk.settlement import Settlement
from client_sdk.sync_state import SyncEvent, SyncState, next_state
from client_sdk.transport import Transport

__all__ = ["SyncLoop"]

log = logging.getLogger(__name__)

_UNEXPECTED: Final = "something unexpected went wrong here; the log says more"


class SyncLoop:
    """Between one replica and one server. `pulse` beats whenever something changed, here or in the replica."""

    def __init__(
        self,
        replica: Replica,
        intake: Intake,
        settlement: Settlement,
        transport: Transport,
        timing: Timing,
        dice: random.Random,
        pulse: Pulse,
        on_progress: Callable[[Progress], None],
        presences: Presences,
    ) -> None:
        self._replica = replica
        self._transport = transport
        self._timing = timing
        self._dice = dice
        self._pulse = pulse
        self._feed = Feed(replica, intake, lambda scopes: self._pull.want(scopes))
        self._comparison = Comparison(replica, intake, timing.check_s)
        reports = Reports(on_progress)
        self._pull = Pull(replica, intake, transport, self._feed, self._comparison, reports, self._judge)
        self._push = Push(
            replica,
            intake,
            settlement,
            transport,
            self._feed,
            self._pull.want,
            lambda: self._live.watches_all(),
            reports,
        )
        self._live = Live(
            replica, intake, transport, self._feed, self._pull, presences, pulse, self._live_reached, self._judge
        )
        self._fetch = Fetch(replica, transport)
        self._tasks: list[asyncio.Task[None]] = []
        self._errors: dict[str, SyncError] = {}
        self._backoffs = {name: Backoff(timing, dice) for name in ("push", "pull", "live", "documents")}
        self._nudges = 0
        self._was_connected = False
        self._absent_asked_s = time.monotonic()
        self.state = SyncState.OFFLINE

    @property
    def last_error(self) -> SyncError | None:
        """Why something does not work at the moment."""
        return next(iter(self._errors.values()), None)

    @property
    def repaired(self) -> int:
        """How often a scope differed from the server's and was brought anew."""
        return self._comparison.repaired

    def start(self) -> None:
        """Begin, or go on after `pause`."""
        if self._tasks:
            return
        self._happen(SyncEvent.RESUME)
        self._pull.want(self._replica.followed())
        self._tasks = [
            asyncio.create_task(self._keep("push", self._push_ready, self._push.once), name="sync-push"),
            asyncio.create_task(self._keep("pull", self._pull_ready, self._pull.once), name="sync-pull"),
            asyncio.create_task(self._keep("live", _at_once, self._live.once), name="sync-live"),
            asyncio.create_task(self._keep("documents", self._fetch_ready, self._fetch.once), name="sync-documents"),
        ]

    async def stop(self) -> None:
        """End all traffic at once, whatever is under way; may be called twice."""
        tasks, self._tasks = self._tasks, []
        pending = set(tasks)
        while pending:
            # More than once: code of others may take a cancellation for its own.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=1.0)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pause(self) -> None:
        """Stop until `start`."""
        self._happen(SyncEvent.PAUSE)
        await self.stop()
        self._errors.clear()

    def nudge(self) -> None:
        """Something may have got better (a network, a token): try at once, and soon again if that fails."""
        self._pull.check([scope for scope in self._replica.followed() if self._replica.is_absent(scope)])
        self._wake()

    def want(self, scope: str) -> None:
        """This scope is to be pulled."""
        self._pull.want([scope])

    async def synced(self) -> None:
        """Return once all that was made before is settled, and every followed scope was caught up after that.

        Raises `Closed` if the replica is closed meanwhile.
        """
        replica, made = self._replica, self._replica.made
        await self._until(lambda: not replica.outbox.has_waiting(max(made, replica.made_anew)))
        ticket = self._pull.check(self._replica.followed())
        self._fetch.try_again()
        await self._until(lambda: self._pull.done_since(ticket) and not self._fetch.due())

    async def check(self, scope: str) -> bool:
        """Compare a scope with the server's now; False if it differs, and is brought anew.

        Raises `Unfit` if the server gives no digests, or nobody follows the scope here; `Closed`.
        """
        ticket = self._comparison.ask(scope)
        self._pull.check([scope])

        def known() -> bool:
            return self._comparison.answered(scope, ticket) or scope not in self._replica.followed()

        await self._until(known)
        if not self._comparison.answered(scope, ticket):
            raise Unfit(f"{scope} is not followed here any more")
        return self._comparison.answer(scope)

    def _wake(self) -> None:
        for backoff in self._backoffs.values():
            # What failed before says nothing of now.
            backoff.reset()
        self._nudges += 1
        self._pulse.beat()

    async def _until(self, condition: Callable[[], bool]) -> None:
        await self._pulse.until(lambda: self._replica.closed or condition())
        if self._replica.closed:
            raise Closed

    async def _keep(
        self,
        name: str,
        ready: Callable[[], Awaitable[None]],
        once: Callable[[], Awaitable[None]],
    ) -> None:
        backoff = self._backoffs[name]
        while True:
            await ready()
            try:
                await once()
            except Closed:
                return
            except SyncError as failure:
                self._failed(name, failure)
                await self._rest(name, backoff, failure)
            except Exception as failure:
                # A fault of the SDK or of a view: loud in the log, and still no reason to fall silent.
                log.exception("the %s loop failed", name)
                self._failed(name, SyncError(f"{_UNEXPECTED}: {failure!r}"))
                await self._rest(name, backoff, failure)
            else:
                backoff.reset()
                self._succeeded(name)

    async def _push_ready(self) -> None:
        await self._pulse.until(self._push.due)

    async def _fetch_ready(self) -> None:
        await self._pulse.until(self._fetch.due)

    async def _pull_ready(self) -> None:
        while not self._pull.due():
            flowed = self._live.watches_all()
            wait_s = self._timing.poll_s if flowed else self._timing.poll_without_live_s

            def anything(flowed: bool = flowed) -> bool:
                return self._pull.due() or self._live.watches_all() != flowed

            if not await self._pulse.until_or(anything, wait_s):
                self._pull.check(self._polled())

    def _polled(self) -> list[str]:
        """What the timer asks for: a scope that may not be seen now and then only, whether or not deltas flow."""
        now_s = time.monotonic()
        if now_s - self._absent_asked_s < self._timing.poll_s:
            return self._replica.present()
        self._absent_asked_s = now_s
        return self._replica.followed()

    async def _rest(self, name: str, backoff: Backoff, failure: Exception) -> None:
        """Wait; a nudge ends it early, and for push a new write, unless the server itself asked for the time."""
        asked_s = failure.retry_after_s if isinstance(failure, Busy) else None
        wait_s = backoff.next_s(asked_s)
        if isinstance(failure, OtherVersion):
            # No further write mends that. A restart does, or the server's, which ends the connection: a nudge.
            wait_s = self._dice.uniform(0.5, 1.0) * self._timing.other_version_s
        log.debug("%s failed (%s); next attempt in %.2f s", name, failure, wait_s)
        nudges, made = self._nudges, self._replica.made
        # However many writes there are, attempts stay this far apart.
        least_s = min(wait_s, self._timing.first_retry_s)
        await asyncio.sleep(least_s)
        if asked_s is not None:
            await asyncio.sleep(wait_s - least_s)
            return

        def better() -> bool:
            if self._nudges != nudges:
                return True
            helps = name == "push" and not isinstance(failure, (Denied, OtherVersion))
            return helps and self._replica.made != made

        await self._pulse.until_or(better, wait_s - least_s)

    def _failed(self, name: str, failure: SyncError) -> None:
        known = self._errors.get(name)
        if known is None or known.message != failure.message:
            log.info("%s: %s", name, failure.message)
        self._errors[name] = failure
        if isinstance(failure, OtherVersion):
            self._reached()
        elif isinstance(failure, TransportError) and not self._live.connected:
            self._happen(SyncEvent.LOST)

    def _succeeded(self, name: str) -> None:
        self._errors.pop(name, None)
        self._reached()
        self._judge()

    def _live_reached(self) -> None:
        self._backoffs["live"].reset()
        if self._was_connected:
            self._comparison.reconnected()
        self._was_connected = True
        self._errors.pop("live", None)
        self._fetch.try_again()
        self._reached()

    def _reached(self) -> None:
        was = self.state
        self._happen(SyncEvent.REACHED)
        if was is SyncState.OFFLINE and self.state is not was:
            # The network is back: whoever rests has no reason to.
            self._wake()

    def _judge(self) -> None:
        complete = self._live.watches_all() and not self._pull.behind()
        self._happen(SyncEvent.CAUGHT_UP if complete else SyncEvent.FELL_BEHIND)

    def _happen(self, event: SyncEvent) -> None:
        before, self.state = self.state, next_state(self.state, event)
        if self.state is not before:
            log.info("%s → %s", before, self.state)
        self._pulse.beat()


async def _at_once() -> None:
    return None
