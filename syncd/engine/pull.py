"""Pull: the newest state of each resource, by scope and version, in pages that a thin connection can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from conflict_rules.digest import digest_text
from conflict_rules.values import valid_replica, valid_scope
from syncd.engine.cursor import Cursor
from syncd.engine.limits import Limits
from syncd.errors import InvalidMessage, TooLarge
from syncd.store.protocol import Snapshot, Store

__all__ = ["Puller", "ScopePage", "check_scopes"]


@dataclass(frozen=True, slots=True)
class ScopePage:
    """One scope's part of a pull.

    `bodies`: encoded states in version order, tombstones among them. `settled`: the replica's highest number that was
    settled in this scope within what the page covers (law 4). `more`: pull again from `cursor`. `reset`: this is the
    first page of a fresh snapshot; what the replica holds of the scope and does not meet again until `more` is false
    is gone. `digest`: of everything that lives in the scope at `cursor`; only if it was asked for, and `more` is false.
    """

    bodies: Sequence[bytes]
    cursor: str
    settled: int
    more: bool
    reset: bool
    digest: str | None = None


class Puller:
    """The pull use case."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    async def pull(
        self,
        replica: str | None,
        scopes: Mapping[str, str | None],
        limit_bytes: int | None = None,
        *,
        digest: bool = False,
    ) -> dict[str, ScopePage]:
        """A page of each scope after its cursor (None: from the start), all from one snapshot.

        The scopes share `limit_bytes`, in the order given; one that finds no room keeps its cursor and has `more`.
        Raises `InvalidMessage` for a name that cannot be a scope's.
        """
        check_scopes(scopes, self._limits)
        if replica is not None and not valid_replica(replica):
            raise InvalidMessage(
                "replica: 1 to 64 characters of A-Z a-z 0-9 _ -", field="replica", code="invalid_replica"
            )
        room = min(limit_bytes or self._limits.page_bytes, self._limits.max_page_bytes)
        pages: dict[str, ScopePage] = {}
        async with self._store.snapshot() as snapshot:
            for scope, cursor in scopes.items():
                page = await self._page(snapshot, replica, scope, cursor, room)
                room -= sum(map(len, page.bodies))
                pages[scope] = page
            if digest:
                # All of one snapshot: a page without more stands at the head that the digest is of.
                digests = await snapshot.digests([scope for scope, page in pages.items() if not page.more])
                pages.update({scope: replace(pages[scope], digest=digest_text(digests[scope])) for scope in digests})
        return pages

    async def _page(
        self, snapshot: Snapshot, replica: str | None, scope: str, cursor: str | None, room: int
    ) -> ScopePage:
        after = 0 if cursor is None else await self.position(snapshot, scope, cursor)
        if room <= 0:
            return ScopePage([], self._cursor(0) if cursor is None else cursor, 0, more=True, reset=False)
        page = await snapshot.page(scope, after or 0, room)
        settled = 0 if replica is None else await snapshot.settled(replica, scope, page.upto)
        return ScopePage(page.bodies, self._cursor(page.upto), settled, page.more, reset=after is None)

    async def position(self, snapshot: Snapshot, scope: str, cursor: str) -> int | None:
        """The version that `cursor` stands for, or None if this database cannot vouch for it.

        Law 10: unknown incarnations, and positions beyond where their own ended, belong to a past that this database
        does not have, as when it was restored from a backup.
        """
        known = Cursor.parse(cursor)
        if known is None:
            return None
        end = await snapshot.end_of(scope, known.incarnation)
        return known.version if end is not None and known.version <= end else None

    def _cursor(self, version: int) -> str:
        return str(Cursor(self._store.incarnation, version))


def check_scopes(scopes: Mapping[str, object] | Sequence[str], limits: Limits) -> None:
    """Raise for a name that cannot be a scope's, or for too many of them."""
    if len(scopes) > limits.max_scopes:
        raise TooLarge(f"{len(scopes)} scopes at once, more than the {limits.max_scopes} allowed", field="scopes")
    for scope in scopes:
        if not valid_scope(scope):
            raise InvalidMessage(
                f"scopes: {scope[:80]!r} is not a scope name: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -",
                field="scopes",
                code="invalid_scope",
            )
