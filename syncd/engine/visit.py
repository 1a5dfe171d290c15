"""A visit: one connection of somebody who watches, for as long as his credentials last, by the rights of now.

Knows no HTTP: what it has to say goes through the connection's queue, and two callbacks. Work on one visit is done one
thing after the other, so that no right that is taken away slips past a subscription that is under way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from syncd.engine.authorise import OPERATORS_SCOPE, own_scope
from syncd.engine.connection import Connection
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from syncd.engine.watch import Standing, Watcher
from syncd.errors import Forbidden, SyncdError, Unauthenticated

__all__ = ["Visit", "Visits"]

log = structlog.get_logger(__name__)

Ended = Callable[[SyncdError], None]


class Visits:
    """Those of one server that go on, so that whoever ends a session can end them."""

    def __init__(self) -> None:
        self._all: set[Visit] = set()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, visit: Visit) -> None:
        """It begins."""
        self._all.add(visit)

    def discard(self, visit: Visit) -> None:
        """It is over."""
        self._all.discard(visit)

    def by_session(self) -> Counter[str]:
        """How many go on by each session, key or share link."""
        return Counter(visit.principal.session for visit in self._all)

    def end(self, sessions: Collection[str], users: Collection[str]) -> None:
        """End those that came in by one of these sessions or tokens, as one of these users, or by a link of theirs."""
        for visit in tuple(self._all):
            # Of whoever runs the server neither is anybody's.
            whose = {visit.principal.user, visit.principal.made_by} - {""}
            by = {visit.principal.session, visit.principal.token}
            if not by.isdisjoint(sessions) or not whose.isdisjoint(users):
                visit.end(
                    Unauthenticated("this session has ended", code="session_ended", hint="Log in again, if you may.")
                )

    def renew(self, user: str, roles: Callable[[frozenset[str]], frozenset[str]]) -> None:
        """What a user is in the whole app has changed: `roles` from what he was. His share links hold by that, too."""
        for visit in tuple(self._all):
            if user in (visit.principal.user, visit.principal.made_by):
                now = roles(visit.principal.roles) | visit.principal.lent
                visit.principal = replace(visit.principal, roles=now)
                visit.look_again()


def _identity(principal: Principal) -> tuple[str, ...]:
    """What stays as it is when a token is renewed."""
    link = principal.session if principal.caller is Caller.LINK else ""
    return (principal.caller.value, principal.user, link)


def _home(principal: Principal) -> str | None:
    """The scope in which stands what gives him his rights; None where that does not change."""
    if principal.caller is Caller.USER:
        return own_scope(principal.user)
    if principal.caller is Caller.LINK:
        return own_scope(principal.made_by) if principal.made_by else OPERATORS_SCOPE
    return None


class Visit:
    """`on_gone`: told which scopes it watches no more, since they may not be seen any longer; the reader hears of it.
    `on_end`: told why nothing more may be said at all; whoever is told closes the visit.
    """

    def __init__(
        self,
        watcher: Watcher,
        connection: Connection,
        now_ms: Callable[[], int],
        on_gone: Callable[[Sequence[str]], None],
        on_end: Ended,
        visits: Visits,
    ) -> None:
        self._visits = visits
        visits.add(self)
        self._watcher = watcher
        self._connection = connection
        self._now_ms = now_ms
        self._on_gone = on_gone
        self._on_end = on_end
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._listens = False
        self._outdated = False
        self.principal = OPERATOR

    async def admit(self, principal: Principal) -> None:
        """Go on as `principal`: at first, and whenever a fresh token comes. Raises `Forbidden` for another person."""
        if self._listens and _identity(principal) != _identity(self.principal):
            raise Forbidden(
                "this connection is somebody else's",
                code="other_account",
                hint="Open another connection for another account.",
                field="token",
            )
        # At once, before it waits for its turn: whoever ends these credentials looks here.
        self.principal = principal
        async with self._turn:
            renewed = self._listens
            self._expire_at(principal.expires_at_ms)
            home = _home(principal)
            if home is None:
                return
            self._listens = True
            if not renewed:
                await self._watcher.listen(self._connection, home, self.look_again)
        if renewed:
            self.look_again()

    async def subscribe(
        self, scopes: Mapping[str, str | None], reader: ReaderClass = SEES_ALL, *, documents: bool = False
    ) -> dict[str, Standing]:
        """See `Watcher.subscribe`."""
        async with self._turn:
            return await self._watcher.subscribe(
                self._connection, scopes, reader, documents=documents, principal=self.principal
            )

    def look_again(self) -> None:
        """Rights may have changed: see, in a moment, what may still be watched."""
        self._outdated = True
        # Before anything else is sent: whoever was turned away hears of nothing that comes after that.
        self._watcher.doubt(self._connection)
        if not self._connection.closed and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(), name="look-again")

    def end(self, why: SyncdError) -> None:
        """Nothing more may be said: the account is suspended, say, or the session was ended."""
        self._on_end(why)

    def close(self) -> None:
        """The connection is closed; may be called twice."""
        self._visits.discard(self)
        if self._expiry is not None:
            self._expiry.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _expire_at(self, at_ms: int | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if at_ms is not None:
            left_s = max(0.0, (at_ms - self._now_ms()) / 1000)
            self._expiry = asyncio.get_running_loop().call_later(left_s, self._expired)

    def _expired(self) -> None:
        self._on_end(
            Unauthenticated(
                "the token has expired",
                code="token_expired",
                hint="Send a fresh one in another hello before it does; or connect again with one.",
            )
        )

    async def _look(self) -> None:
        try:
            while self._outdated:
                async with self._turn:
                    self._outdated = False
                    gone = await self._watcher.look_again(self._connection, self.principal)
                    if gone:
                        self._on_gone(gone)
        except SyncdError as failure:
            # What may be seen cannot be told now: then nothing is shown.
            log.warning("rights_not_read", reason=failure.message)
            self._on_end(failure)
