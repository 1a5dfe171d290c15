"""Pull: the newest state of each resource, by scope and version, in pages that a thin connection can carry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from conflict_rules.digest import digest_text
from conflict_rules.values import valid_replica, valid_scope
from syncd.engine.authorise import Authoriser
from syncd.engine.cursor import Cursor
from syncd.engine.limits import Limits
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from syncd.engine.reader_digest import ReaderDigests
from syncd.errors import InvalidMessage, TooLarge
from syncd.store.protocol import Page, Snapshot, Store

__all__ = ["Puller", "ScopePage", "check_scopes"]

_MUCH_BYTES: Final = 32 * 1024
"""Of states to look into, which a thread does."""
_MAX_ROWS: Final = 20_000
"""Looked at for one pull of a class that does not see all, where bytes alone would set no bound."""


@dataclass(frozen=True, slots=True)
class ScopePage:
    """One scope's part of a pull.

    `bodies`: encoded states in version order, tombstones among them. `settled`: the replica's highest number that was
    settled in this scope within what the page covers (law 4). `more`: pull again from `cursor`. `reset`: this is the
    first page of a fresh snapshot; what the replica holds of the scope and does not meet again until `more` is false
    is gone. `digest`: of all that the reader sees of the scope at `cursor`; only if it was asked for, and `more` is
    false. `gone`: the reader may not see this scope, or not any more, or it never was: he lets go of what he holds.
    """

    bodies: Sequence[bytes]
    cursor: str
    settled: int
    more: bool
    reset: bool
    digest: str | None = None
    gone: bool = False


GONE: Final = ScopePage([], "", 0, more=False, reset=False, gone=True)


class Puller:
    """The pull use case."""

    def __init__(self, store: Store, limits: Limits, authoriser: Authoriser | None = None) -> None:
        """`authoriser`: says who may see what; without one, whoever asks sees everything."""
        self._store = store
        self._limits = limits
        self._authoriser = authoriser
        self._digests = ReaderDigests()
        self.on_head: Callable[[str, int], None] = lambda scope, version: None
        """Told of each scope of which a page was given that ends at the head; whoever sends deltas sets this."""

    async def pull(
        self,
        replica: str | None,
        scopes: Mapping[str, str | None],
        limit_bytes: int | None = None,
        *,
        reader: ReaderClass = SEES_ALL,
        digest: bool = False,
        principal: Principal = OPERATOR,
    ) -> dict[str, ScopePage]:
        """A page of each scope after its cursor (None: from the start), as `reader` sees it, all from one snapshot.

        `principal`: who asks; of what `reader` asks for he gets what he may see. The scopes share `limit_bytes`, those
        of one class after those of another; one that finds no room keeps its cursor and has `more`.
        What is hidden takes no room, but a page may end early for it (law 6).
        Raises `InvalidMessage` for a name that cannot be a scope's.
        """
        check_scopes(scopes, self._limits)
        if replica is not None and not valid_replica(replica):
            raise InvalidMessage(
                "replica: 1 to 64 characters of A-Z a-z 0-9 _ -", field="replica", code="invalid_replica"
            )
        room = min(limit_bytes or self._limits.page_bytes, self._limits.max_page_bytes)
        async with self._store.snapshot() as snapshot:
            readers = await self.readers(snapshot, principal, scopes, reader)
            positions = await self.positions(snapshot, scopes, readers)
            found: dict[str, Page] = {}
            for each, shown in _by_class(readers):
                # None has looked at more than its share, however many classes there are.
                limit_rows = None if each.sees_all else max(1, _MAX_ROWS // len(scopes))
                after = {scope: positions.get(scope, 0) for scope in shown}
                pages = await snapshot.pages(after, room, types=each.types, limit_rows=limit_rows) if room > 0 else {}
                found |= {scope: await _as_shown(page, each) for scope, page in pages.items()}
                room -= sum(len(body) for page in pages.values() for body in page.bodies)
            for scope, page in found.items():
                if not page.more:
                    self.on_head(scope, page.upto)
            settled: Mapping[str, int] = {}
            if replica is not None and (principal.user or principal.caller is Caller.OPERATOR):
                upto = {scope: page.upto for scope, page in found.items()}
                # Whoever has no name has no replica either: he would be told of anybody's.
                settled = await snapshot.settled(replica, upto, principal.user or None)
            answer = {
                scope: self._page(
                    cursor,
                    readers[scope],
                    found.get(scope),
                    settled.get(scope, 0),
                    reset=cursor is not None and scope not in positions,
                )
                if scope in readers
                else GONE
                for scope, cursor in scopes.items()
            }
            if digest:
                # All of one snapshot: a page without more stands at the head that the digest is of.
                for each, shown in _by_class(readers):
                    ended = [scope for scope in shown if not answer[scope].more]
                    for scope, value in (await self._digests.of(snapshot, ended, each)).items():
                        answer[scope] = replace(answer[scope], digest=digest_text(value))
        return answer

    async def readers(
        self, snapshot: Snapshot, principal: Principal, scopes: Collection[str], asked: ReaderClass
    ) -> dict[str, ReaderClass]:
        """As which class `principal` reads each scope, of what he asks for; one that he may not see is absent."""
        if self._authoriser is None or principal.caller is Caller.OPERATOR:
            return dict.fromkeys(scopes, asked)
        rights = await self._authoriser.rights_in(principal, scopes, snapshot.states)
        return {
            scope: granted.reader.asking_for(asked.types, asked.schema)
            for scope, granted in rights.items()
            if granted is not None
        }

    def _page(
        self, cursor: str | None, reader: ReaderClass, page: Page | None, settled: int, *, reset: bool
    ) -> ScopePage:
        if page is None:
            return ScopePage([], self._cursor(0, reader) if cursor is None else cursor, 0, more=True, reset=False)
        return ScopePage(page.bodies, self._cursor(page.upto, reader), settled, page.more, reset)

    async def positions(
        self, snapshot: Snapshot, cursors: Mapping[str, str | None], readers: Mapping[str, ReaderClass]
    ) -> dict[str, int]:
        """The version that each scope's cursor stands for; a scope is absent if it has none, if this database cannot
        vouch for it, or if nobody reads it.

        Law 6: one that another class was given says nothing of what was hidden from it. Law 10: unknown incarnations,
        and positions beyond where their own ended, belong to a past that this database does not have, as when it was
        restored from a backup.
        """
        given = {scope: cursor for scope, cursor in cursors.items() if cursor is not None and scope in readers}
        read = {scope: Cursor.parse(cursor) for scope, cursor in given.items()}
        known = {
            scope: cursor for scope, cursor in read.items() if cursor is not None and cursor.tag == readers[scope].tag
        }
        ends = await snapshot.ends_of({scope: cursor.incarnation for scope, cursor in known.items()}) if known else {}
        return {
            scope: cursor.version for scope, cursor in known.items() if scope in ends and cursor.version <= ends[scope]
        }

    def _cursor(self, version: int, reader: ReaderClass) -> str:
        return str(Cursor(self._store.incarnation, version, reader.tag))


def _by_class(readers: Mapping[str, ReaderClass]) -> Iterable[tuple[ReaderClass, list[str]]]:
    """The scopes that are read by each class, in the order given."""
    found: dict[ReaderClass, list[str]] = {}
    for scope, reader in readers.items():
        found.setdefault(reader, []).append(scope)
    return found.items()


async def _as_shown(page: Page, reader: ReaderClass) -> Page:
    if not reader.looks_inside:
        return page

    def look() -> Page:
        return replace(page, bodies=reader.shown(zip(page.types, page.bodies, strict=True)), types=())

    return look() if sum(map(len, page.bodies)) < _MUCH_BYTES else await asyncio.to_thread(look)


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
