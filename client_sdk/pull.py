"""Pull: brings scopes up to date, page by page, whenever somebody says that they may not be.

Keeps tickets, so that "caught up since I asked" has an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from client_sdk.comparison import Comparison, Held
from client_sdk.errors import Refused, TimedOut, Unreachable
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.portion import Portion
from client_sdk.progress import Reports
from client_sdk.replica import Replica
from client_sdk.transport import Transport

__all__ = ["Pull"]

_PAGE_BYTES: Final = 48 * 1024
"""What a server puts into a page that names no limit."""
_MOST_SCOPES: Final = 10_000


class Pull:
    """`on_wanted` is called whenever a scope becomes due."""

    def __init__(
        self,
        replica: Replica,
        intake: Intake,
        transport: Transport,
        feed: Feed,
        comparison: Comparison,
        reports: Reports,
        on_wanted: Callable[[], None],
    ) -> None:
        self._replica = replica
        self._intake = intake
        self._transport = transport
        self._feed = feed
        self._comparison = comparison
        self._reports = reports
        self._on_wanted = on_wanted
        self._portion = Portion()
        self._most_scopes = _MOST_SCOPES
        self._ticket = 0
        self._disliked: set[str] = set()
        self._wanted: dict[str, int] = {}
        self._behind: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def want(self, scopes: Collection[str]) -> None:
        """These scopes are behind, or were never caught up."""
        self.check(scopes)
        self._behind.update(dict.fromkeys(scopes, self._ticket))
        self._on_wanted()

    def check(self, scopes: Collection[str]) -> int:
        """See whether these scopes are up to date; returns the ticket for `done_since`."""
        self._ticket += 1
        self._wanted.update(dict.fromkeys(scopes, self._ticket))
        self._on_wanted()
        return self._ticket

    def due(self) -> bool:
        """Whether any followed scope is to be pulled."""
        return bool(self._due())

    def behind(self) -> bool:
        """Whether any followed scope is known to be behind, rather than only to be checked."""
        return any(self._behind.get(scope, 0) > self._done.get(scope, 0) for scope in self._replica.followed())

    def done_since(self, ticket: int) -> bool:
        """Whether every followed scope was caught up at a moment after that ticket was given."""
        return all(self._done.get(scope, 0) >= ticket for scope in self._replica.followed())

    async def once(self) -> None:
        """Pull one page of each due scope, as many as fit one request; raises `TransportError`."""
        scopes = self._due()[: min(self._most_scopes, self._transport.limits.max_scopes)]
        if not scopes:
            return
        ticket = self._ticket
        # Law 4 speaks of one replica id: the one under which something is in doubt. Of all else the outcome is known,
        # or the server cannot have it; and an earlier id is sent to its end before another one is.
        in_doubt = self._replica.outbox.doubtful()
        pulled_as = in_doubt[0].change.replica if in_doubt else self._replica.id
        limit_bytes = self._portion.within(_PAGE_BYTES)
        digest = self._comparison.due(scopes)
        caught_up: list[str] = []
        to_compare: list[Held] = []
        self._feed.hold(scopes)
        try:
            rows = {scope: self._replica.scopes[scope] for scope in scopes}
            cursors = {scope: row.cursor for scope, row in rows.items()}
            reply, round_trip_ms = await self._transport.pull(
                pulled_as, cursors, limit_bytes if limit_bytes < _PAGE_BYTES else None, digest=digest
            )
            self._portion.came(_PAGE_BYTES)
            await self._intake.learn_time(reply.server_time_ms, round_trip_ms)
            pages = {scope: page for scope, page in reply.pages.items() if scope in cursors}
            gone = [scope for scope in reply.gone if scope in cursors]
            if not gone and all(page.more and page.cursor == cursors[scope] for scope, page in pages.items()):
                # Asking again at once would only spin.
                raise Unreachable("the server's answer to a pull brought nothing and said that there is more")
            await self._intake.lose(gone)
            caught_up += gone
            for scope in gone:
                self._comparison.is_gone(scope)
            for scope, page in pages.items():
                generation = rows[scope].generation
                applied = await self._intake.apply_page(scope, cursors[scope], pulled_as, page, generation)
                if not applied:
                    continue
                self._reports.pulled(scope, len(page.states), sum(len(body) for _, body in page.states), more=page.more)
                if page.more:
                    continue
                caught_up.append(scope)
                if page.digest is not None:
                    to_compare.append(await self._comparison.hold(scope, page.cursor, page.digest))
                elif digest:
                    self._comparison.has_none(scope)
            self._disliked.difference_update(scopes)
            self._most_scopes = min(_MOST_SCOPES, self._most_scopes * 2)
        except TimedOut:
            self._portion.came_late(_PAGE_BYTES)
            raise
        except Refused:
            # Too many at once for a server whose limits are not known yet; or one name that it does not like, which
            # then goes to the end of the queue, so that it holds up none of the others.
            self._most_scopes = max(1, len(scopes) // 2)
            if len(scopes) == 1:
                self._disliked.add(scopes[0])
            raise
        finally:
            await self._feed.release(scopes)
        # Deltas flow on meanwhile: what is compared was read at the cursor of the page.
        differing = {held.scope for held in to_compare if not await self._comparison.judge(held)}
        self._done.update(dict.fromkeys(set(caught_up) - differing, ticket))
        if differing:
            self.want(sorted(differing))
        if untold := [held.scope for held in to_compare if held.rows is None]:
            self.check(untold)

    def _due(self) -> list[str]:
        """By priority; of one, those that have waited longest first, so that none starves behind a busy one."""
        due = [scope for scope in self._replica.followed() if self._wanted.get(scope, 0) > self._done.get(scope, 0)]

        def order(scope: str) -> tuple[bool, int, int, str]:
            return (scope in self._disliked, self._replica.scopes[scope].priority, self._wanted[scope], scope)

        return sorted(due, key=order)
