"""Pull: the newest state of each resource, by scope and version, in pages that a thin connection can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from conflict_rules.digest import digest_text
from conflict_rules.values import valid_replica, valid_scope
from syncd.engine.cursor import Cursor
from syncd.engine.limits import Limits
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from syncd.engine.reader_digest import ReaderDigests
from syncd.errors import InvalidMessage, TooLarge
from syncd.store.protocol import Page, Snapshot, Store

__all__ = ["Puller", "ScopePage", "check_scopes"]

_MAX_ROWS: Final = 20_000
"""Looked at for one pull of a class that does not see all, where bytes alone would set no bound."""


@dataclass(frozen=True, slots=True)
class ScopePage:
    """One scope's part of a pull.

    `bodies`: encoded states in version order, tombstones among them. `settled`: the replica's highest number that was
    settled in this scope within what the page covers (law 4). `more`: pull again from `cursor`. `reset`: this is the
    first page of a fresh snapshot; what the replica holds of the scope and does not meet again until `more` is false
    is gone. `digest`: of all that the reader sees of the scope at `cursor`; only if it was asked for, and `more` is
    false.
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
        self._digests = ReaderDigests()

    async def pull(
        self,
        replica: str | None,
        scopes: Mapping[str, str | None],
        limit_bytes: int | None = None,
        *,
        reader: ReaderClass = SEES_ALL,
        digest: bool = False,
    ) -> dict[str, ScopePage]:
        """A page of each scope after its cursor (None: from the start), as `reader` sees it, all from one snapshot.

        The scopes share `limit_bytes`, in the order given; one that finds no room keeps its cursor and has `more`.
        What is hidden from `reader` takes no room, but its page may end early for it (law 6).
        Raises `InvalidMessage` for a name that cannot be a scope's.
        """
        check_scopes(scopes, self._limits)
        if replica is not None and not valid_replica(replica):
            raise InvalidMessage(
                "replica: 1 to 64 characters of A-Z a-z 0-9 _ -", field="replica", code="invalid_replica"
            )
        room = min(limit_bytes or self._limits.page_bytes, self._limits.max_page_bytes)
        limit_rows = None if reader.sees_all else max(1, _MAX_ROWS // max(1, len(scopes)))
        async with self._store.snapshot() as snapshot:
            positions = await self.positions(snapshot, scopes, reader)
            after = {scope: positions.get(scope, 0) for scope in scopes}
            found = await snapshot.pages(after, room, types=reader.types, limit_rows=limit_rows)
            settled: Mapping[str, int] = {}
            if replica is not None:
                settled = await snapshot.settled(replica, {scope: page.upto for scope, page in found.items()})
            pages = {
                scope: self._page(
                    cursor,
                    reader,
                    found.get(scope),
                    settled.get(scope, 0),
                    reset=cursor is not None and scope not in positions,
                )
                for scope, cursor in scopes.items()
            }
            if digest:
                # All of one snapshot: a page without more stands at the head that the digest is of.
                ended = [scope for scope, page in pages.items() if not page.more]
                digests = await self._digests.of(snapshot, ended, reader)
                pages.update({scope: replace(pages[scope], digest=digest_text(digests[scope])) for scope in digests})
        return pages

    def _page(
        self, cursor: str | None, reader: ReaderClass, page: Page | None, settled: int, *, reset: bool
    ) -> ScopePage:
        if page is None:
            return ScopePage([], self._cursor(0, reader) if cursor is None else cursor, 0, more=True, reset=False)
        return ScopePage(page.bodies, self._cursor(page.upto, reader), settled, page.more, reset)

    async def positions(
        self, snapshot: Snapshot, cursors: Mapping[str, str | None], reader: ReaderClass
    ) -> dict[str, int]:
        """The version that each scope's cursor stands for; a scope is absent if it has none, or if this database cannot
        vouch for it.

        Law 6: one that another class was given says nothing of what was hidden from it. Law 10: unknown incarnations,
        and positions beyond where their own ended, belong to a past that this database does not have, as when it was
        restored from a backup.
        """
        read = {scope: Cursor.parse(cursor) for scope, cursor in cursors.items() if cursor is not None}
        known = {scope: cursor for scope, cursor in read.items() if cursor is not None and cursor.tag == reader.tag}
        ends = await snapshot.ends_of({scope: cursor.incarnation for scope, cursor in known.items()}) if known else {}
        return {
            scope: cursor.version for scope, cursor in known.items() if scope in ends and cursor.version <= ends[scope]
        }

    def _cursor(self, version: int, reader: ReaderClass) -> str:
        return str(Cursor(self._store.incarnation, version, reader.tag))


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
