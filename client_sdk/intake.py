"""What the network brings, into the local file: pages, deltas and outcomes, each in one local commit.

Knows the replica and the messages, not how they came. Law 4: a page, and the pending changes that it already holds,
change places in one commit, so that nothing is ever shown twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from client_sdk.local_store import ReplicaRow, ResourceRow, ScopeRow
from client_sdk.messages import Delta, Page, PushReply
from client_sdk.outbox import Entry, ResourceKey, decode_row, encode_result
from client_sdk.rebase import is_included, is_settled_by_page, same_content
from client_sdk.renumbering import after_forgetting, after_reuse
from client_sdk.replica import Replica, new_replica_id
from conflict_rules import Kind, Outcome, Stamp, State

__all__ = ["Intake"]

log = logging.getLogger(__name__)

Shown = dict[ResourceKey, State | None]


class Intake:
    """`on_shown(scope, states)` is told what changed in the view through the network; `watched` says of which scopes
    anybody wants to know. `on_outcome(seq, outcome)` is told of each outcome once it is in the file.
    """

    def __init__(
        self,
        replica: Replica,
        on_outcome: Callable[[int, Outcome], None],
        watched: Callable[[], Collection[str]],
        on_shown: Callable[[str, Sequence[State]], None],
    ) -> None:
        self._replica = replica
        self._on_outcome = on_outcome
        self._watched = watched
        self._on_shown = on_shown
        self._settled_before_reset: dict[str, set[int]] = {}

    async def apply_page(self, scope: str, sent_cursor: str | None, pulled_as: str, page: Page) -> bool:
        """Apply a page that was pulled from `sent_cursor` under the replica id `pulled_as`.

        Returns False, with nothing changed, if the scope has moved on meanwhile: a page must not take it back.
        """
        applied = False

        async def commit() -> None:
            nonlocal applied
            row = self._replica.scopes.get(scope)
            if row is None or not row.followed or row.cursor != sent_cursor:
                return
            applied = True
            if page.reset:
                # What is held stays in sight until the new snapshot is complete; what it did not meet goes then.
                row = replace(row, version=0, generation=row.generation + 1, resetting=True)
                self._settled_before_reset[scope] = self._settled_in(scope)
            ends_reset = row.resetting and not page.more
            # Settled in a past that the server may no longer have: their versions say nothing of this snapshot, which
            # is what is left of them.
            past = self._settled_before_reset.get(scope, self._settled_in(scope)) if ends_reset else set()
            version = max([row.version, *(state.version for state, _ in page.states)])
            row = replace(row, cursor=page.cursor, version=version, resetting=row.resetting and page.more)
            origins = _origins(page.states)

            def is_held(entry: Entry) -> bool:
                if entry.seq in past or is_settled_by_page(entry.change, pulled_as, page.settled):
                    return True
                return is_included(entry.change, entry.outcome, version, origins)

            await self._take_in(row, page.states, is_held, purge=ends_reset)
            if ends_reset:
                self._settled_before_reset.pop(scope, None)
            await self._leave_numbers_that_are_taken(pulled_as, page.settled)

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
                lambda entry: is_included(entry.change, entry.outcome, version, origins),
            )

        await self._replica.write(commit)
        return applied

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

    async def settle(self, sent: Sequence[Entry], reply: PushReply) -> bool:
        """Take in the answers to `sent`; returns whether anything moved on, so that sending again makes sense."""
        replica = self._replica
        by_n = {entry.change.n: entry for entry in sent}
        moved = False

        async def commit() -> None:
            nonlocal moved
            answered = [(by_n[answer.n], answer) for answer in reply.answers if answer.n in by_n]
            anew = after_reuse(answered, reply.settled, replica.outbox.waiting())
            other_numbers = {entry.seq for entry in anew}
            outcomes: list[tuple[Entry, Outcome]] = []
            for entry, answer in answered:
                if answer.outcome.kind is Kind.RETRY_LATER:
                    # Not settled, and known not to be.
                    entry.sent = False
                elif entry.seq not in other_numbers:
                    outcomes.append((entry, answer.outcome))
            await self._save_outcomes(outcomes)
            if anew:
                await self._make_anew(anew, keep_base=True)
            if not anew:
                await self._leave_numbers_that_are_taken(sent[0].change.replica, reply.settled)
            expected = next((answer.expected for _, answer in answered if answer.expected is not None), None)
            went_on = expected is not None and await self._go_on_from(sent[0].change.replica, expected)
            moved = bool(outcomes or anew or went_on)

        await replica.write(commit)
        return moved

    async def reject(self, entries: Sequence[Entry], code: str, message: str) -> None:
        """Changes that the server would not even read, and whose numbers are settled by now: kept, with the reason."""
        outcome = Outcome(Kind.REJECTED, 0, code, message)

        async def commit() -> None:
            await self._save_outcomes([(entry, outcome) for entry in entries])

        await self._replica.write(commit)

    async def _save_outcomes(self, outcomes: Sequence[tuple[Entry, Outcome]]) -> None:
        replica = self._replica
        if not outcomes:
            return

        def still_shown(entry: Entry, outcome: Outcome) -> bool:
            # Invariant: what has no effect leaves the view at once; what has one, when the confirmed state holds it.
            row = replica.scopes.get(entry.change.scope)
            included = row is None or is_included(entry.change, outcome, row.version, {})
            return entry.shown and outcome.kind.took_effect and not included

        keys = {entry.key for entry, _ in outcomes}
        before = await self._look(keys)
        async with replica.store.transaction():
            await replica.store.settle(
                (entry.seq, encode_result(entry.change.n, outcome), outcome.kind.value, still_shown(entry, outcome))
                for entry, outcome in outcomes
            )
            await replica.store.forget_old_outcomes()
        for entry, outcome in outcomes:
            entry.shown = still_shown(entry, outcome)
            entry.outcome = outcome
            replica.outbox.tidy(entry.seq)
            if outcome.kind is Kind.REJECTED:
                replica.rejected_count += 1
                log.warning("change %d was rejected: %s", entry.change.n, outcome.message)
            self._on_outcome(entry.seq, outcome)
        await self._tell(before)

    async def _take_in(
        self,
        row: ScopeRow,
        states: Sequence[tuple[State, str]],
        is_held: Callable[[Entry], bool],
        *,
        purge: bool = False,
    ) -> None:
        """States, cursor and the end of pending changes, in one commit."""
        replica = self._replica
        held = [entry for entry in replica.outbox.shown_in(row.name) if is_held(entry)]
        keys = {(state.type, state.id) for state, _ in states} | {entry.key for entry in held}
        if purge and row.name in self._watched():
            keys |= {(known.type, known.id) for known in await replica.store.resources(None, row.name)}
        before = await self._look(keys)
        replica.clock.take_note(_stamps(state for state, _ in states))
        replica_row = replica.with_clock(replica.row)
        async with replica.store.transaction():
            await replica.store.save_resources(
                ResourceRow(state.type, state.id, row.name, state.version, row.generation, body)
                for state, body in states
            )
            await replica.store.hide(entry.seq for entry in held)
            if purge:
                await replica.store.purge(row.name, row.generation)
            await replica.store.save_scope(row)
            if replica_row != replica.row:
                await replica.store.save_replica(replica_row)
        replica.row = replica_row
        replica.scopes[row.name] = row
        for entry in held:
            entry.shown = False
            replica.outbox.tidy(entry.seq)
        await self._tell(before)

    async def _go_on_from(self, replica_id: str, expected: int) -> bool:
        """Law 3: the server expects a lower number than was sent; it may have been restored from a backup."""
        replica = self._replica
        kept = [decode_row(row) for row in await replica.store.changes_from(replica_id, expected)]
        todo = after_forgetting(expected, kept, replica.outbox.waiting())
        if todo.anew:
            log.warning("the server expects change %d, which is not kept here", expected)
            await self._make_anew(todo.anew, keep_base=False)
        elif todo.again:
            log.warning("the server expects change %d again: %d are sent once more", expected, len(todo.again))
            # Their bases count versions of a past that the server no longer has: 0 claims nothing (law 1).
            again = [entry.made_anew(replica_id, entry.change.n, 0) for entry in todo.again]
            await self._save_renumbered(again, replica.row)
        return bool(todo.anew or todo.again)

    async def _leave_numbers_that_are_taken(self, replica_id: str, settled: int) -> None:
        """The server has settled numbers that this replica has not given out yet: its file is a restored backup.

        Then the numbers to come are taken, and the server would take it for someone who has seen what was lost with the
        device; so everything that is not on its way goes on under a fresh id (law 3).
        """
        replica = self._replica
        if replica_id == replica.id and settled >= replica.row.next_n:
            waiting = [entry for entry in replica.outbox.waiting() if entry.change.replica == replica_id]
            await self._make_anew([entry for entry in waiting if not entry.sent], keep_base=True)

    async def _make_anew(self, entries: Sequence[Entry], *, keep_base: bool) -> None:
        """Number changes from 1 under a fresh replica id, which everything made from now on gets as well."""
        replica = self._replica
        fresh = new_replica_id()
        log.warning("%d changes are made anew under the replica id %s", len(entries), fresh)
        anew = [
            entry.made_anew(fresh, n, entry.change.base if keep_base else 0)
            for n, entry in enumerate(sorted(entries, key=lambda entry: entry.seq), 1)
        ]
        replica.clock.rename(fresh)
        await self._save_renumbered(anew, replace(replica.row, id=fresh, next_n=len(anew) + 1))

    async def _save_renumbered(self, entries: Sequence[Entry], row: ReplicaRow) -> None:
        replica = self._replica
        async with replica.store.transaction():
            await replica.store.renumber(entry.row() for entry in entries)
            await replica.store.save_replica(row)
        rejected_count = await replica.store.count_rejected()
        # From here on without a pause: whoever looks sees all of it, or nothing.
        replica.row, replica.rejected_count = row, rejected_count
        for entry in entries:
            known = replica.outbox.get(entry.seq)
            if known is not None:
                known.become(entry)
            else:
                replica.outbox.add(entry)

    def _settled_in(self, scope: str) -> set[int]:
        return {entry.seq for entry in self._replica.outbox.shown_in(scope) if not entry.waiting}

    async def _look(self, keys: Iterable[ResourceKey]) -> dict[str, Shown]:
        """What watched scopes show of these resources."""
        found: dict[str, Shown] = {scope: {} for scope in self._watched()}
        for key in keys if found else ():
            _, _, shown = await self._replica.look(key)
            for scope, states in found.items():
                states[key] = shown if shown is not None and shown.scope == scope else None
        return found

    async def _tell(self, before: dict[str, Shown]) -> None:
        for scope, states in before.items():
            after = (await self._look(states)).get(scope, {})
            changed = [
                now or _gone(then)
                for key, then in states.items()
                if not same_content(then, now := after.get(key)) and (now or then)
            ]
            if changed:
                self._on_shown(scope, [state for state in changed if state is not None])


def _gone(state: State | None) -> State | None:
    """What was shown and is no longer here, as a watcher sees it: without fields, and deleted."""
    if state is None:
        return None
    last = max(state.marks.values(), key=lambda mark: mark.version, default=None)
    return replace(state, fields={}, marks={}, deleted=state.deleted or last)


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
