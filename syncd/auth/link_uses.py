"""How often each share link has opened something, and when last: counted in memory, written down now and then.

A link itself is a resource, and its count none: nobody's replica is to hear of every visitor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from syncd.auth.committer import Committer
from syncd.store.accounts import AccountCommit, AccountStore, AccountTransaction, LinkUseRow

__all__ = ["LinkUses"]


class LinkUses:
    """The counters of one server."""

    def __init__(self, store: AccountStore, committer: Committer, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._commit = committer.run
        self._now_ms = now_ms
        self._waiting: dict[str, LinkUseRow] = {}

    def count(self, link: str) -> None:
        """Somebody has come in by it: with a request, or a socket."""
        self._waiting[link] = _sum(self._waiting.get(link), LinkUseRow(link, 1, self._now_ms()))

    async def of(self, links: Collection[str]) -> Mapping[str, LinkUseRow]:
        """The counts of these links, of those that were ever used."""
        waiting = dict(self._waiting)
        written = {row.link: row for row in await self._store.link_uses(links)}
        return {
            link: _sum(written.get(link), waiting[link]) if link in waiting else written[link]
            for link in links
            if link in waiting or link in written
        }

    async def write(self) -> int:
        """Write down what was counted, all at once, and how many links that were; before the store is closed, too."""
        waiting, self._waiting = self._waiting, {}

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, int]:
            written = {row.link: row for row in await tx.link_uses(list(waiting))}
            return AccountCommit(link_uses=[_sum(written.get(link), row) for link, row in waiting.items()]), len(
                waiting
            )

        return await self._commit(decide) if waiting else 0


def _sum(one: LinkUseRow | None, other: LinkUseRow) -> LinkUseRow:
    return (
        other if one is None else LinkUseRow(other.link, one.uses + other.uses, max(one.used_at_ms, other.used_at_ms))
    )
