"""The ledger in pages, for whoever goes through a long stretch of it and lets others write in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from syncd.store.protocol import LedgerPage, LedgerRow, ResourceKey, Store
from syncd.store.traces import Traces

__all__ = ["LedgerPages"]

_ROWS: Final = 100
"""Read in one go: a page of them keeps nobody waiting for long."""
_PAGE_BYTES: Final = 1 << 20

Pages = AsyncIterator[Sequence[LedgerRow]]


class LedgerPages:
    """Of one database."""

    def __init__(self, store: Store, traces: Traces) -> None:
        self._store = store
        self._traces = traces

    def of_replica(self, replica: str) -> Pages:
        """What a replica has sent, by number."""

        async def ask(after: int) -> LedgerPage:
            return await self._traces.changes_of(replica, after=after, limit=_ROWS, limit_bytes=_PAGE_BYTES)

        return _pages(ask, lambda row: row.settled.n)

    def in_scope(self, scope: str) -> Pages:
        """What was sent to a scope, in the order of settling."""

        async def ask(after: int) -> LedgerPage:
            return await self._traces.changes_in(scope, after=after, limit=_ROWS, limit_bytes=_PAGE_BYTES)

        return _pages(ask, lambda row: row.no)

    def about(self, key: ResourceKey) -> Pages:
        """What was sent about a resource, in the order of settling."""

        async def ask(after: int) -> LedgerPage:
            async with self._store.snapshot() as snapshot:
                return await snapshot.history(key, after=after, limit=_ROWS, limit_bytes=_PAGE_BYTES)

        return _pages(ask, lambda row: row.no)


async def _pages(ask: Callable[[int], Awaitable[LedgerPage]], place: Callable[[LedgerRow], int]) -> Pages:
    after, more = 0, True
    while more:
        page = await ask(after)
        more = page.more
        if page.rows:
            after = place(page.rows[-1])
            yield page.rows
            await asyncio.sleep(0)
