"""`syncd serve` with one seeded fault: `python tests/demo/faulty_server.py FAULT APP --host … --port …`.

Each fault is one that a server of this kind is known to have; the demo has to notice every one of them. What is patched
here is looked up by name, so that a rename in the server breaks the start and not the test's point.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import syncd.engine.apply
import syncd.engine.watch
from conflict_rules import Change, Mark, Stamp
from syncd.bus.local import LocalBus
from syncd.cli import main
from syncd.engine.hook_transaction import EngineHookTransaction
from syncd.engine.incoming import Incoming
from syncd.engine.settle import Reply, Settler
from syncd.store.protocol import Commit, Loaded, Page, Wanted
from syncd.store.sqlite import SqliteSnapshot, SqliteStore, SqliteTransaction

LATE_S = 0.5
SKIPPED_VERSION = 5
"""In the script for wc2022-64 the state of a goal that nobody touches again."""


def patch(owner: object, name: str, fault: Callable[..., Any]) -> None:
    """Put `fault` in the place of what is there; raises AttributeError if nothing is."""
    getattr(owner, name)
    setattr(owner, name, fault)


def acknowledges_before_commit() -> None:
    """The reply goes out, and the commit comes a moment later: merged in memory, stored and told in the background."""
    late: list[Commit] = []
    commit, load, close, transaction = (
        SqliteTransaction.commit,
        SqliteTransaction.load,
        SqliteStore.close,
        SqliteStore.transaction,
    )
    publish = LocalBus.publish
    stores: list[SqliteStore] = []
    timers: set[asyncio.Task[None]] = set()

    async def write_late(self: SqliteTransaction) -> None:
        while late:
            await commit(self, late.pop(0))

    async def in_a_moment() -> None:
        await asyncio.sleep(LATE_S)
        async with transaction(stores[0], replicas=(), scopes=()) as late_transaction:
            await write_late(late_transaction)

    async def commit_later(self: SqliteTransaction, what: Commit) -> None:
        late.append(what)
        timers.add(asyncio.create_task(in_a_moment()))

    async def load_after_all(self: SqliteTransaction, wanted: Wanted) -> Loaded:
        await write_late(self)
        return await load(self, wanted)

    async def close_after_all(self: SqliteStore) -> None:
        await asyncio.gather(*timers)
        await close(self)

    def transaction_of_known_store(self: SqliteStore, **locks: Any) -> Any:
        stores[:] = [self]
        return transaction(self, **locks)

    def publish_later(self: LocalBus, scope: str, version: int) -> None:
        asyncio.get_running_loop().call_later(LATE_S * 1.2, publish, self, scope, version)

    patch(LocalBus, "publish", publish_later)
    patch(SqliteTransaction, "commit", commit_later)
    patch(SqliteTransaction, "load", load_after_all)
    patch(SqliteStore, "close", close_after_all)
    patch(SqliteStore, "transaction", transaction_of_known_store)


def forgets_outcomes() -> None:
    """What comes again is applied again: the outcome of the first time is not looked for."""
    settle_unit = Settler._settle_unit

    async def settle_anew(self: Settler, unit: Sequence[Incoming]) -> list[Reply]:
        member, *others = unit
        n = member.change.n
        if others or n is None or n > self._workspace.replica(self._replica).settled:
            return await settle_unit(self, unit)
        applied = await self._applier.apply(member)
        return [Reply(n, applied.outcome)]

    patch(Settler, "_settle_unit", settle_anew)


def lets_the_wrong_clock_win() -> None:
    """No clamp, and the later stamp stands even over a change whose author has seen what he replaced."""

    def as_it_came(stamp: Stamp, **_: object) -> Stamp:
        return stamp

    def by_the_same(self: Mark, change: Change) -> bool:
        return self.stamp.replica == change.replica

    patch(syncd.engine.apply, "effective_stamp", as_it_came)
    patch(Mark, "seen_by", by_the_same)


def skips_a_version() -> None:
    """One state is left out, of pages and of deltas, and cursors move on as if it had been there."""
    page, pages = SqliteSnapshot.page, SqliteSnapshot.pages
    encode_delta = syncd.engine.watch.encode_delta  # type: ignore[attr-defined]

    def without_the_skipped(bodies: Iterable[bytes]) -> list[bytes]:
        return [body for body in bodies if b'"version":%d,' % SKIPPED_VERSION not in body]

    def with_a_hole(whole: Page) -> Page:
        return replace(whole, bodies=without_the_skipped(whole.bodies))

    async def page_with_a_hole(self: SqliteSnapshot, *position: Any, **options: Any) -> Page:
        return with_a_hole(await page(self, *position, **options))

    async def pages_with_a_hole(self: SqliteSnapshot, *positions: Any, **options: Any) -> Mapping[str, Page]:
        whole = await pages(self, *positions, **options)
        return {scope: with_a_hole(page_of_scope) for scope, page_of_scope in whole.items()}

    def delta_with_a_hole(scope: str, after: Any, upto: Any, bodies: Iterable[bytes]) -> bytes:
        frame: bytes = encode_delta(scope, after, upto, without_the_skipped(bodies))
        return frame

    patch(SqliteSnapshot, "page", page_with_a_hole)
    patch(SqliteSnapshot, "pages", pages_with_a_hole)
    patch(syncd.engine.watch, "encode_delta", delta_with_a_hole)


def asks_nothing() -> None:
    """Whatever a hook asks, nobody hears of it."""

    async def keep_quiet(self: EngineHookTransaction, question: str, /, **_: object) -> None:
        return None

    patch(EngineHookTransaction, "ask", keep_quiet)


def none() -> None:
    """The same server, started the same way, without a fault."""


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (
        none,
        acknowledges_before_commit,
        asks_nothing,
        forgets_outcomes,
        lets_the_wrong_clock_win,
        skips_a_version,
    )
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    if sys.argv[1:2] != ["serve"]:
        sys.argv.insert(1, "serve")
    main()
