"""What the network brings, into the local file: pages and deltas, each in one local commit.

Knows the replica and the messages, not how they came. Law 4: a page, and the pending changes that it already holds,
change places in one commit, so that nothing is ever shown twice.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from client_sdk.departures import Departures
from client_sdk.document_rows import DocumentKey
from client_sdk.local_documents import Fetched
from client_sdk.local_rows import ResourceRow, ScopeRow
from client_sdk.messages import Delta, Page, Relayed
from client_sdk.numbering import Numbering
from client_sdk.outbox import Entry, ResourceKey
from client_sdk.rebase import base_in_past_of, is_included, is_settled_by_page
from client_sdk.replica import Replica
from client_sdk.shown_changes import ShownChanges
from conflict_rules import Stamp, State
from conflict_rules.crdt import Marker
from conflict_rules.scrubbed import by_scrubber

__all__ = ["Intake"]

log = logging.getLogger(__name__)

Shown = dict[ResourceKey, State | None]


class Intake:
    """Of one replica. `on_taken(scope, whole)` is awaited once something of a scope is in the file, or it is gone;
    inside of the same write. `whole`: whether all of it is here now, None if that is as it was.
    """

    def __init__(
        self,
        replica: Replica,
        numbering: Numbering,
        shown: ShownChanges,
        departures: Departures | None = None,
        on_taken: Callable[[str, bool | None], Awaitable[None]] | None = None,
    ) -> None:
        self._replica = replica
        self._departures = departures or Departures(replica, shown, lambda scope: None)
        self._on_taken = on_taken
        self._numbering = numbering
        self._shown = shown
        self._settled_before_reset: dict[str, set[int]] = {}

    async def apply_page(
        self, scope: str, sent_cursor: str | None, pulled_as: str, page: Page, generation: int | None = None
    ) -> bool:
        """Apply a page that was pulled from `sent_cursor` under the replica id `pulled_as`. `generation`: of the scope
        when it was asked for, None if it cannot have been emptied meanwhile.

        Returns False, with nothing changed, if the scope has moved on meanwhile: a page must not take it back.
        """
        applied = False

        async def commit() -> None:
            nonlocal applied
            row = self._replica.scopes.get(scope)
            if row is None or not row.followed or row.cursor != sent_cursor:
                return
            if generation not in (None, row.generation):
                return
            applied = True
            if self._replica.is_absent(scope):
                await self._departures.let_in(scope)
                row = self._replica.scopes[scope]
            if page.reset:
                log.warning(
                    "%s starts over from a snapshot: its cursor is of another past, or of other types (reset)", scope
                )
                # What is held stays in sight until the new snapshot is complete; what it did not meet goes then.
                row = replace(row, version=0, generation=row.generation + 1, resetting=True)
                self._settled_before_reset[scope] = self._settled_in(scope)
            ends_reset = row.resetting and not page.more
            # Settled in a past that the server may no longer have: their versions say nothing of this snapshot, which
            # is what is left of them.
            past = self._settled_before_reset.get(scope, self._settled_in(scope)) if ends_reset else set()
            version = max([row.version, *(state.version for state, _ in page.states)])
            row = replace(row, cursor=page.cursor, resetting=row.resetting and page.more, types=self._replica.types)
            brought = {(state.type, state.id) for state, _ in page.states}
            if not page.more:
                row = replace(row, version=version)
            origins = _origins(page.states)

            def is_held(entry: Entry) -> bool:
                # Others may have written on top of it: then its resource comes with a later page, at their version.
                if page.more and entry.key not in brought:
                    return False
                if entry.seq in past or is_settled_by_page(entry.change, pulled_as, page.settled):
                    return True
                return is_included(entry.change, entry.outcome, version, origins)

            rebased = await self._rebased(scope, page) if row.resetting or ends_reset else []
            settled = {**origins, pulled_as: max(page.settled, origins.get(pulled_as, 0))}
            await self._take_in(row, page.states, settled, is_held, rebased, purge=ends_reset, whole=not page.more)
            if ends_reset:
                self._settled_before_reset.pop(scope, None)
            await self._numbering.leave_taken(pulled_as, page.settled)

        await self._replica.write(commit)
        return applied

    async def apply_delta(self, delta: Delta) -> bool:
        """Apply a delta; returns False, with nothing changed, if there is a gap before it."""
        applied = False

        async def commit() -> None:
            nonlocal applied
            row = self._replica.scopes.get(delta.scope)
            if row is None or row.cursor != delta.after:
                return
            applied = True
            version = max([row.version, *(state.version for state, _ in delta.states)])
            origins = _origins(delta.states)
            await self._take_in(
                replace(row, cursor=delta.upto, version=version),
                delta.states,
                origins,
                lambda entry: is_included(entry.change, entry.outcome, version, origins),
                relayed=delta.documents,
            )

        await self._replica.write(commit)
        return applied

    async def lose(self, scopes: Collection[str]) -> None:
        """The server says that these may not be seen, or not any more: nothing of them stays here."""

        async def commit() -> None:
            for scope in scopes:
                self._settled_before_reset.pop(scope, None)
                await self._departures.lose(scope)
                if self._on_taken is not None:
                    await self._on_taken(scope, False)

        if scopes:
            await self._replica.write(commit)

    async def start_over(self, scope: str) -> bool:
        """Bring the scope anew, whatever is held of it; False if that is under way, or nobody follows it.

        As if the server had said `reset`: what is held stays in sight until the new snapshot is complete.
        """
        replica = self._replica
        begun = False

        async def commit() -> None:
            nonlocal begun
            row = replica.scopes.get(scope)
            if row is None or not row.followed or row.resetting:
                return
            begun = True
            row = replace(row, cursor=None, version=0, generation=row.generation + 1, resetting=True)
            async with replica.store.transaction():
                await replica.store.save_scope(row)
                await replica.store.documents.distrust(scope)
            self._settled_before_reset[scope] = self._settled_in(scope)
            replica.scopes[scope] = row
            replica.documents.distrust(scope)
            await replica.documents.look_again(replica.documents.resources_in(scope))

        await replica.write(commit)
        return begun

    async def adopt_cursor(self, scope: str, sent_cursor: str | None, cursor: str) -> bool:
        """The server says that `cursor` is what ours is called now; False if ours is another one meanwhile."""
        replica = self._replica
        adopted = False

        async def commit() -> None:
            nonlocal adopted
            row = replica.scopes.get(scope)
            if row is None or row.cursor != sent_cursor:
                return
            adopted = True
            if cursor != sent_cursor:
                row = replace(row, cursor=cursor)
                async with replica.store.transaction():
                    await replica.store.save_scope(row)
                replica.scopes[scope] = row

        await replica.write(commit)
        return adopted

    async def learn_time(self, server_time_ms: int, round_trip_ms: int) -> None:
        """A reply told the server's time; what is learned of it counts for changes made from now on (law 2)."""
        replica = self._replica
        if not replica.clock.learn(server_time_ms, round_trip_ms):
            return
        log.info("the clock of this device is %+d ms off the server's", -replica.clock.offset_ms)

        async def commit() -> None:
            row = replica.with_clock(replica.row)
            async with replica.store.transaction():
                await replica.store.save_replica(row)
            replica.row = row

        await replica.write(commit)

    async def _take_in(
        self,
        row: ScopeRow,
        states: Sequence[tuple[State, str]],
        settled: Mapping[str, int],
        is_held: Callable[[Entry], bool],
        rebased: Sequence[Entry] = (),
        *,
        purge: bool = False,
        whole: bool | None = None,
        relayed: Sequence[Relayed] = (),
    ) -> None:
        """States, cursor, the end of pending changes, and what stands in the place of others, in one commit.

        `settled`: of what waits, whatever `is_held` may be true of has a number up to these, by replica id. `relayed`:
        what is taken of it has commits of its own behind that one; whatever gets lost in between is fetched.
        """
        replica = self._replica
        held = [entry for entry in replica.outbox.may_be_held(row.name, settled) if is_held(entry)]
        keys = {(state.type, state.id) for state, _ in states}
        keys |= {key for entry in (*held, *rebased) for key in replica.touched_by(entry)}
        if purge and self._shown.is_watched(row.name):
            keys |= {(known.type, known.id) for known in await replica.store.resources(None, row.name)}
        before = await self._shown.look(keys)
        echoes = replica.documents.echoes_of((entry, entry.outcome) for entry in held)
        # Every fresh snapshot of a scope: the server may count documents in another past.
        began_anew = row.generation != replica.scopes[row.name].generation
        replica.clock.take_note(_stamps(state for state, _ in states))
        replica_row = replica.with_clock(replica.row)
        erased = [state for state, _ in states if state.deleted is not None and by_scrubber(state.origin.replica)]
        unseen = [key for state in erased for key in replica.documents.documents_of((state.type, state.id), None)]
        async with replica.store.transaction():
            await replica.store.save_resources(
                ResourceRow(state.type, state.id, row.name, state.version, row.generation, body)
                for state, body in states
            )
            await replica.store.renumber(entry.row() for entry in rebased)
            await replica.store.hide(entry.seq for entry in held)
            await replica.store.documents.add_echoes(echoes)
            if began_anew:
                await replica.store.documents.distrust(row.name)
            if purge:
                await replica.store.purge(row.name, row.generation)
                unseen += await replica.documents.unseen_in(row.name)
            if unseen:
                await replica.store.documents.drop(unseen)
            await replica.store.save_scope(row)
            if replica_row != replica.row:
                await replica.store.save_replica(replica_row)
        replica.row = replica_row
        replica.scopes[row.name] = row
        for entry in rebased:
            known = replica.outbox.get(entry.seq)
            if known is not None:
                known.become(entry)
        for entry in held:
            entry.shown = False
            replica.outbox.tidy(entry.seq)
        replica.documents.took(echoes)
        if began_anew:
            replica.documents.distrust(row.name)
            keys |= replica.documents.resources_in(row.name)
        # Before anybody finds that these documents are behind. What own updates account for needs nothing of it.
        own: list[Relayed] = []
        for each in relayed:
            if replica.documents.own(_document(each)):
                own.append(each)
            else:
                await self._take_relayed(each)
        await replica.open_conflicts.look_again(keys)
        if purge:
            await replica.open_conflicts.look_again_in(row.name)
            keys |= replica.documents.resources_in(row.name)
        replica.documents.forget(unseen)
        await replica.documents.look_again(keys)
        for each in own:
            if _document(each) in replica.documents.wanted:
                await self._take_relayed(each)
        await self._shown.tell(before)
        if self._on_taken is not None:
            await self._on_taken(row.name, whole)

    async def _take_relayed(self, relayed: Relayed) -> None:
        """Save updates that came with a delta, if they lead on from exactly what is held of their document."""
        documents, key = self._replica.documents, _document(relayed)
        if documents.rule(key.type, key.field) is None:
            return
        head = documents.head(key)
        held = None if head is None or head.stale else Marker(head.since, head.seq)
        asked = Marker(relayed.since, relayed.after) if relayed.after else None
        # Where it begins with the first, it is all of a life of which nothing is here yet.
        fits = held == asked if asked is not None else held is None or held.since != relayed.since
        if fits:
            await documents.take(Fetched(key, asked, relayed.since, relayed.seq, relayed.updates))

    async def _rebased(self, scope: str, page: Page) -> list[Entry]:
        """Changes with other bases, since the server has another past (law 10); of those that were never sent.

        What was sent keeps its content for ever: it may have been settled under it, and would count twice (law 3).
        """
        brought = {(state.type, state.id): state for state, _ in page.states}
        rebased: list[Entry] = []
        for entry in self._replica.outbox.shown_in(scope):
            change = entry.change
            if entry.sent or not entry.waiting or (entry.key not in brought and not page.reset):
                continue
            held, _, _ = await self._replica.look(entry.key)
            base = base_in_past_of(brought.get(entry.key), held, change.base)
            if base != change.base:
                rebased.append(entry.made_anew(change.replica, change.n, base))
        return rebased

    def _settled_in(self, scope: str) -> set[int]:
        return {entry.seq for entry in self._replica.outbox.shown_and_answered(scope)}


def _document(relayed: Relayed) -> DocumentKey:
    return DocumentKey(relayed.type, relayed.id, relayed.field)


def _origins(states: Iterable[tuple[State, str]]) -> dict[str, int]:
    """The highest number of each replica that these states came of."""
    highest: dict[str, int] = {}
    for state, _ in states:
        highest[state.origin.replica] = max(state.origin.n, highest.get(state.origin.replica, 0))
    return highest


def _stamps(states: Iterable[State]) -> Iterable[Stamp]:
    for state in states:
        if state.deleted is not None:
            yield state.deleted.stamp
        for mark in state.marks.values():
            yield mark.stamp
