"""The local half of the SDK: one replica on one file. Shows the view and orders what is written; knows of no network.

Everything here works offline, and every write is one local commit. One lock orders readers and writers, so that the
confirmed state in the file and the pending changes in memory are always read as of the same moment.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from client_sdk.device_clock import DeviceClock
from client_sdk.drafts import GroupDraft
from client_sdk.errors import Closed, NotHere, Unfit
from client_sdk.grouped_documents import overlaid
from client_sdk.json_text import read_json
from client_sdk.lifting import lifted
from client_sdk.local_documents import LocalDocuments
from client_sdk.local_rows import ReplicaRow, ResourceRow, ScopeRow
from client_sdk.local_store import LocalStore
from client_sdk.observers import Observers
from client_sdk.open_conflicts import OpenConflicts
from client_sdk.outbox import Entry, Outbox, ResourceKey, decode_row
from client_sdk.rebase import Pending, show
from client_sdk.shown_conflicts import about_of, conflicts_of, show_conflict
from conflict_rules import CONFLICT_TYPE, Change, InvalidValue, Rule, Stamp, State, rule_by_name
from conflict_rules.values import JsonValue, valid_scope
from conflict_rules.wire import decode_state
from syncd.app import App, ResourceType

__all__ = ["Replica", "new_replica_id"]

_KEPT_STATES: Final = 256


@dataclass(slots=True)
class _Replay:
    """What is pending of a resource, up to one place in the outbox, laid over what is confirmed."""

    confirmed: State | None
    revision: int
    upto: int
    state: State | None


def new_replica_id() -> str:
    """An id that no other replica has."""
    return uuid.uuid4().hex


class Replica:
    """Open with `Replica.open`. `on_change` is called after each write, to wake whoever waits for it.

    `unfounded`: scopes that the server does not show, and that may begin with what was made here. `memberships`: what
    the user is in each scope, as far as is known here.
    """

    def __init__(
        self, store: LocalStore, app: App, row: ReplicaRow, now_ms: Callable[[], int], on_change: Callable[[], None]
    ) -> None:
        self.store = store
        self.app = app
        self.row = row
        self.outbox = Outbox()
        self.observers = Observers()
        self.open_conflicts = OpenConflicts(self.look_at)
        self.documents = LocalDocuments(self)
        self.scopes: dict[str, ScopeRow] = {}
        self.unfounded: set[str] = set()
        self.memberships: Mapping[str, str] = {}
        self.rejected_count = 0
        self.clock = DeviceClock(
            row.id,
            now_ms,
            offset_ms=row.clock_offset_ms,
            last=_stamp(row.clock_last),
            shown=_stamp(row.clock_shown),
        )
        self.on_change = on_change
        # Of the resources that the server is asked for, None for all.
        self.types: frozenset[str] | None = None
        self.next_seq = 1
        # How many had been made when an answer of the server last led to one.
        self.made_anew = 0
        self._known: dict[ResourceKey, State | None] = {}
        self._known_at = 0
        self._replays: dict[ResourceKey, _Replay] = {}
        self._lock = asyncio.Lock()
        self._closed = False
        self._writes: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, path: Path | str, app: App, now_ms: Callable[[], int], on_change: Callable[[], None]
    ) -> Replica:
        """Open the file and take up where it was left; raises `LocalFileError` with a sentence.

        What waits there may have been made under an older version of the app; raises `AppError` if its upgrades lead
        nowhere.
        """
        app.upgrades.check()
        store = await LocalStore.open(path, new_replica_id())
        try:
            replica = cls(store, app, await store.replica(), now_ms, on_change)
            replica.outbox = Outbox(decode_row(row, replica.lift) for row in await store.open_changes())
            replica.scopes = {row.name: row for row in await store.scopes()}
            replica.rejected_count = await store.count_rejected()
            replica.next_seq = await store.last_seq() + 1
            await replica.documents.begin()
            replica.open_conflicts.begin(await replica.states(CONFLICT_TYPE, None))
        except BaseException:
            await store.close()
            raise
        return replica

    async def close(self) -> None:
        """Finish the write under way and let go of the file; may be called twice."""
        self._closed = True
        if self._writes:
            await asyncio.wait(self._writes)
        async with self._lock:
            await self.store.close()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def id(self) -> str:
        """The replica's id."""
        return self.row.id

    @property
    def made(self) -> int:
        """How many changes were ever made here."""
        return self.next_seq - 1

    def followed(self) -> list[str]:
        """The scopes that are kept up to date here, sorted by priority, lower first, and by name."""
        rows = sorted((row.priority, name) for name, row in self.scopes.items() if row.followed)
        return [name for _, name in rows]

    def is_absent(self, scope: str) -> bool:
        """Whether the server said last that this scope may not be seen, or is not there."""
        row = self.scopes.get(scope)
        return scope in self.unfounded or (row is not None and row.gone)

    def present(self) -> list[str]:
        """The scopes that are followed and may be seen, as far as is known; in the order of `followed`."""
        return [scope for scope in self.followed() if not self.is_absent(scope)]

    # Reading

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """While inside, nothing is written."""
        async with self._lock:
            if self._closed:
                raise Closed
            yield

    async def state(self, key: ResourceKey, group: GroupDraft | None = None) -> State | None:
        """The resource as it is shown; None if it is not here, a tombstone if it was deleted."""
        async with self.reading():
            return (await self.look(key, group))[2]

    async def states(self, type_name: str | None, scope: str | None, group: GroupDraft | None = None) -> list[State]:
        """The living resources as they are shown, of a type or all, in a scope or all, sorted by id."""
        async with self.reading():
            rows = {(row.type, row.id): row for row in await self.store.resources(type_name, scope)}
            keys = set(rows) | set(self.outbox.pending_keys(type_name, scope))
            for draft in [] if group is None else group.open_drafts():
                if type_name in (None, draft.type) and scope in (None, draft.scope):
                    keys.add((draft.type, draft.id))
            shown: list[State] = []
            for key in sorted(keys, key=lambda key: (key[1], key[0])):
                confirmed = _confirmed(rows.get(key))
                state = await self._show(key, confirmed, self._pending(key, group), group)
                if state is not None and state.deleted is None:
                    shown.append(state)
            return shown

    async def look(
        self, key: ResourceKey, group: GroupDraft | None = None
    ) -> tuple[State | None, list[Pending], State | None]:
        """(confirmed, pending, shown) of one resource; the caller holds the lock."""
        confirmed = _confirmed(await self.store.resource(*key))
        pending = self._pending(key, group)
        return confirmed, pending, await self._show(key, confirmed, pending, group)

    async def confirmed(self, key: ResourceKey) -> State | None:
        """The confirmed state of a resource, with markers where its documents are; the caller holds the lock.

        The same object until it may have changed, to be read only: an edit of a document asks several times.
        """
        if self._known_at != self.store.resource_writes or len(self._known) >= _KEPT_STATES:
            self._known.clear()
            self._known_at = self.store.resource_writes
        if key in self._known:
            return self._known[key]
        state = self._known[key] = _confirmed(await self.store.resource(*key))
        return state

    async def replayed(self, key: ResourceKey) -> State | None:
        """What is shown of a resource, with markers where its documents are; the caller holds the lock, and only reads
        it. Changes that were added since it was asked last are laid over that, however many others are pending."""
        confirmed, revision = await self.confirmed(key), self.outbox.revision(key)
        known = self._replays.get(key)
        if known is None or known.confirmed is not confirmed or known.revision != revision:
            if len(self._replays) >= _KEPT_STATES:
                self._replays.clear()
            known = self._replays[key] = _Replay(confirmed, revision, 0, confirmed)
        for entry in self.outbox.shown_after(key, known.upto):
            known.upto = entry.seq
            if (pending := entry.pending) is not None:
                known.state = show(self.rule(key[0]), known.state, [pending])
        return known.state

    async def look_at(self, keys: Iterable[ResourceKey]) -> dict[ResourceKey, State | None]:
        """What is shown of each; the caller holds the lock."""
        return {key: (await self.look(key))[2] for key in keys}

    async def _show(
        self, key: ResourceKey, confirmed: State | None, pending: list[Pending], group: GroupDraft | None
    ) -> State | None:
        if key[0] == CONFLICT_TYPE and confirmed is not None:
            about = about_of(confirmed)
            around = [] if about is None else self._pending(about, group)
            over = _confirmed(await self.store.resource(*about)) if about is not None and around else None
            return show_conflict(confirmed, pending, self.rule(about[0] if about else ""), over, around)
        shown = show(self.rule(key[0]), confirmed, pending) if pending else confirmed
        return overlaid(await self.documents.spliced(shown, confirmed), group)

    def rule(self, type_name: str) -> Rule:
        """The rule of a type."""
        # A type that the app has lost since is replayed by the rule that everything has by default.
        known = self.app.type(type_name)
        return known.rule if known is not None else rule_by_name("merge")

    def touched_by(self, entry: Entry) -> set[ResourceKey]:
        """What may show differently because of a change: its resource, and the conflicts over its fields."""
        change = entry.meaning or entry.change
        return {entry.key, *conflicts_of(self.rule(change.type), change)}

    async def last_fields(
        self, key: ResourceKey, confirmed: State | None, pending: list[Pending]
    ) -> Mapping[str, JsonValue]:
        """What a resource that shows as deleted held when it was last alive here; the caller holds the lock."""
        rule, state, last = self.rule(key[0]), confirmed, confirmed
        if confirmed is not None and confirmed.deleted is not None:
            body = await self.store.last_living(*key)
            last = None if body is None else _state(body, confirmed.scope)
        for entry in pending:
            state = show(rule, state, [entry])
            if state is not None and state.deleted is None:
                last = state
        return {} if last is None else last.fields

    def _pending(self, key: ResourceKey, group: GroupDraft | None) -> list[Pending]:
        drafts = [] if group is None else group.open_drafts()
        pending = self.outbox.pending(key)
        drafted = [draft for draft in drafts if (draft.type, draft.id) == key]
        if drafted:
            # Inside its group a draft shows as the change it will be.
            stamp = self.clock.last or Stamp(self.clock.now_ms(), 0, self.id)
            for index, draft in enumerate(drafted):
                stamp = stamp.next(self.id)
                change = draft.change(self.id, self.row.next_n + index, stamp, None, self.app.version)
                pending.append(Pending(self.next_seq + index, change))
        return pending

    def lift(self, change: Change) -> Change | None:
        """A change made here as the app reads it now, whatever version it was made under; None: it means nothing."""
        return lifted(self.app, change)

    def type(self, name: str) -> ResourceType:
        """The type of that name; raises `Unfit` if the app has none."""
        found = self.app.type(name)
        if found is None:
            raise Unfit(f"the app {self.app.name!r} has no type {name!r}")
        return found

    async def forget_rejected(self, change: Change) -> None:
        """A rejected change has been dealt with; raises `NotHere` if it is none."""

        async def commit() -> None:
            row = await self.store.change(change.replica, change.n)
            if row is None:
                raise NotHere(f"change {change.n} of replica {change.replica} is not kept in this file")
            async with self.store.transaction():
                await self.store.forget_rejected(row.seq)
            self.rejected_count = await self.store.count_rejected()

        await self.write(commit)

    # Scopes

    async def follow(self, names: Iterable[str], priority: int | None = None) -> list[str]:
        """Keep these scopes up to date from now on; returns those that were not followed yet.

        `priority`: None leaves it as it is, 0 at first.
        """
        names = set(names)
        for name in names:
            if not valid_scope(name):
                raise InvalidValue("invalid_scope", "scope", f"scope: {name!r} is not the name of a scope")
        rows: list[ScopeRow] = []

        async def commit() -> None:
            rows.extend(self.to_follow(names))
            changed = {row.name: row for row in rows}
            for name in names:
                known = changed.get(name) or self.scopes[name]
                wanted = known.priority if priority is None else priority
                # By hand, and so for longer than a membership lasts.
                asked = replace(known, priority=wanted, granted=False)
                if asked != known:
                    changed[name] = asked
            if changed:
                async with self.store.transaction():
                    for row in changed.values():
                        await self.store.save_scope(row)
                self.scopes.update(changed)

        await self.write(commit)
        return [row.name for row in rows]

    async def unfollow(self, name: str) -> None:
        """Drop a scope from this replica; raises `Unfit` while changes in it have no outcome."""

        async def commit() -> None:
            shown = self.outbox.shown_in(name)
            if waiting := len(self.outbox.waiting_in(name)):
                raise Unfit(f"{waiting} changes in {name} have not been sent yet; wait for synced() first")
            # What a membership names would be followed again, but for the note that nobody wants it.
            unwanted = ScopeRow(name, followed=False, granted=True) if name in self.memberships else None
            async with self.store.transaction():
                await self.store.drop_scope(name)
                if unwanted is not None:
                    await self.store.save_scope(unwanted)
                await self.store.hide(entry.seq for entry in shown)
            self.scopes.pop(name, None)
            self.unfounded.discard(name)
            if unwanted is not None:
                self.scopes[name] = unwanted
            for entry in shown:
                self.outbox.remove(entry.seq)
            await self.open_conflicts.look_again_in(name)
            await self.documents.look_again(self.documents.resources_in(name))

        await self.write(commit)

    def to_follow(self, names: Iterable[str]) -> list[ScopeRow]:
        rows = [self.scopes.get(name, ScopeRow(name, followed=False)) for name in sorted(names)]
        return [replace(row, followed=True, granted=False) for row in rows if not row.followed]

    # Writing

    def with_clock(self, row: ReplicaRow) -> ReplicaRow:
        """`row` with the clock as it stands."""
        return replace(
            row,
            clock_last=_text(self.clock.last),
            clock_shown=_text(self.clock.shown),
            clock_offset_ms=self.clock.offset_ms,
        )

    async def write(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` alone, to its end even if the caller is cancelled: file and memory never part."""
        if self._closed:
            raise Closed

        async def alone() -> None:
            async with self._lock:
                await work()
            self.on_change()

        task = asyncio.create_task(alone(), name="replica-write")
        self._writes.add(task)
        task.add_done_callback(self._written)
        await asyncio.shield(task)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            # Marks it as seen: whoever asked for it may be gone, and otherwise gets it from the shield.
            task.exception()


def _confirmed(row: ResourceRow | None) -> State | None:
    return None if row is None else _state(row.body, row.scope)


def _state(body: str, scope: str) -> State:
    raw = read_json(body)
    assert isinstance(raw, dict), "states were kept"
    return decode_state(raw, scope)


def _stamp(text: str | None) -> Stamp | None:
    return None if text is None else Stamp.parse(text)


def _text(stamp: Stamp | None) -> str | None:
    return None if stamp is None else str(stamp)
