"""Traces: what one person has left in a database, for whoever hands it out or wipes it out, in types and prose.

Reads are of their own moment each. None of them is on the path of a push or a pull: some look through whole tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from syncd.store.protocol import LedgerPage, ReplicaRow, ResourceKey

__all__ = ["Rewritten", "Traces"]


class Rewritten(NamedTuple):
    """What takes the place of a settled change's payload and outcome; its digest stays, so that a repeat is still known
    (law 3). `no`: its place in the ledger.
    """

    no: int
    change: bytes
    outcome: bytes


class Traces(Protocol):
    """Of one database."""

    async def replicas_of(self, user: str) -> Sequence[ReplicaRow]:
        """The replicas that belong to somebody, by name."""
        ...

    async def change_count(self, user: str) -> int:
        """How many settled changes his replicas have sent."""
        ...

    async def changes_of(self, replica: str, *, after: int = 0, limit: int, limit_bytes: int) -> LedgerPage:
        """Settled changes of one replica by number, those above `after`; bounds as for `Snapshot.history`."""
        ...

    async def changes_in(self, scope: str, *, after: int = 0, limit: int, limit_bytes: int) -> LedgerPage:
        """Settled changes of one scope in the order of settling, those whose `no` is above `after`; bounds as above."""
        ...

    async def touched_by(self, user: str, *, after: ResourceKey = ("", ""), limit: int) -> Sequence[ResourceKey]:
        """The resources that changes of his replicas took effect on, by key, those above `after`."""
        ...

    async def naming(self, type: str, text: str, *, after: str = "", limit: int) -> Sequence[str]:
        """The ids above `after` of resources of a type that have `text` in them, or had at some time: in their state,
        or in what was sent about them.
        """
        ...

    async def rewrite(self, rows: Sequence[Rewritten]) -> None:
        """Put other payloads in the place of those that are in the ledger, durably."""
        ...

    async def disown(self, user: str, pseudonym: str) -> None:
        """Let his replicas belong to `pseudonym`, durably."""
        ...
