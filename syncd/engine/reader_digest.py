"""Digests of a scope as one reader class sees it (law 6, invariant 13).

For those who see all, the scope's digest is stored with each commit. For others it is summed up from the states that
they see, on request and in a thread, page by page; the last ones are remembered, so that many readers of one class cost
no more than one.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Final

from conflict_rules.digest import resource_digest
from conflict_rules.wire import decode_state
from syncd.engine.reader_class import ReaderClass
from syncd.store.protocol import Page, Snapshot

__all__ = ["ReaderDigests"]

_PAGE_BYTES: Final = 1024 * 1024
_PAGE_ROWS: Final = 10_000
_REMEMBERED: Final = 256
_MODULUS: Final = 1 << 128


class ReaderDigests:
    """Of one store, while it is open."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ReaderClass], tuple[int, bytes]] = OrderedDict()

    async def of(self, snapshot: Snapshot, scopes: Collection[str], reader: ReaderClass) -> Mapping[str, bytes]:
        """The digest, 16 bytes, of what `reader` sees of each scope, as of its head in this snapshot."""
        if reader.sees_all:
            return await snapshot.digests(scopes)
        heads = await snapshot.heads(scopes)
        return {scope: await self._of(snapshot, scope, head, reader) for scope, head in heads.items()}

    async def _of(self, snapshot: Snapshot, scope: str, head: int, reader: ReaderClass) -> bytes:
        known = self._known.get((scope, reader))
        # What stands at a version never changes, for as long as the store is open.
        if known is None or known[0] != head:
            known = (head, await _summed(snapshot, scope, reader))
        self._known[scope, reader] = known
        self._known.move_to_end((scope, reader))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known[1]


async def _summed(snapshot: Snapshot, scope: str, reader: ReaderClass) -> bytes:
    after, total, more = 0, 0, True
    while more:
        page = await snapshot.page(scope, after, _PAGE_BYTES, types=reader.types, limit_rows=_PAGE_ROWS)
        if page.bodies:
            total += await asyncio.to_thread(_sum, scope, page, reader)
        after, more = page.upto, page.more
    return (total % _MODULUS).to_bytes(16, "big")


def _sum(scope: str, page: Page, reader: ReaderClass) -> int:
    shown = reader.shown(zip(page.types, page.bodies, strict=True))
    return sum(resource_digest(decode_state(json.loads(body), scope)) for body in shown)
