"""The local half of the SDK: one replica on one file. Makes changes and shows the view; knows of no network.

Everything here works offline, and every write is one local commit. One lock orders readers and writers, so that the
confirmed state in the file and the pending changes in memory are always read as of the same moment.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from client_sdk.device_clock import DeviceClock
from client_sdk.errors import Closed, NotHere, Unfit
from client_sdk.local_store import LocalStore, ReplicaRow, ResourceRow, ScopeRow
from client_sdk.messages import Limits
from client_sdk.outbox import Entry, Outbox, ResourceKey, decode_row
from client_sdk.rebase import Pending, base_of, show
from conflict_rules import Change, InvalidValue, Op, Stamp, State, rule_by_name
from conflict_rules.values import JsonValue, clean_fields, valid_id, valid_scope
from conflict_rules.wire import decode_state
from syncd.app import App, ResourceType

__all__ = ["Draft", "GroupDraft", "Replica", "new_replica_id"]


def new_replica_id() -> str:
    """An id that no other replica has."""
    return uuid.uuid4().hex


@dataclass(slots=True)
class Draft:
    """An intent that is not numbered yet; `entry` is set once it is."""

    scope: str
    type: str
    id: str
    op: Op
    base: int
    fields: Mapping[str, JsonValue]
    entry: Entry | None = None


@dataclass(slots=True)
class GroupDraft:
    """Drafts that become changes together, or not at all. What was drafted shows inside the group."""

    name: str
    drafts: list[Draft] = field(default_factory=list)
    done: bool = False


class Replica:
    """Open with `Replica.open`. `on_change` is called after each write, to wake whoever waits for it."""

    def __init__(
        self, store: LocalStore, app: App, row: ReplicaRow, now_ms: Callable[[], int], on_change: Callable[[], None]
    ) -> None:
        self.store = store
        self.app = app
        self.row = row
        self.outbox = Outbox()
        self.scopes: dict[str, ScopeRow] = {}
        self.rejected_count = 0
        self.clock = DeviceClock(
            row.id,
            now_ms,
            offset_ms=row.clock_offset_ms,
            last=_stamp(row.clock_last),
            shown=_stamp(row.clock_shown),
        )
        self.on_change = on_change
        self._next_seq = 1
        self._lock = asyncio.Lock()
        self._closed = False
        self._writes: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, path: Path | str, app: App, now_ms: Callable[[], int], on_change: Callable[[], None]
    ) -> Replica:
        """Open the file and take up where it was left; raises `LocalFileError` with a sentence."""
        store = await LocalStore.open(path, new_replica_id())
        try:
            replica = cls(store, app, await store.replica(), now_ms, on_change)
            replica.outbox = Outbox(map(decode_row, await store.open_changes()))
            replica.scopes = {row.name: row for row in await store.scopes()}
            replica.rejected_count = await store.count_rejected()
            replica._next_seq = await store.last_seq() + 1
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
        return self._next_seq - 1

    def followed(self) -> list[str]:
        """The scopes that are kept up to date here, sorted."""
        return sorted(name for name, row in self.scopes.items() if row.followed)

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
            for draft in _drafts(group):
                if type_name in (None, draft.type) and scope in (None, draft.scope):
                    keys.add((draft.type, draft.id))
            shown: list[State] = []
            for key in sorted(keys, key=lambda key: (key[1], key[0])):
                confirmed = _confirmed(rows.get(key))
                state = self._show(key, confirmed, self._pending(key, group))
                if state is not None and state.deleted is None:
                    shown.append(state)
            return shown

    async def look(
        self, key: ResourceKey, group: GroupDraft | None = None
    ) -> tuple[State | None, list[Pending], State | None]:
        """(confirmed, pending, shown) of one resource; the caller holds the lock."""
        confirmed = _confirmed(await self.store.resource(*key))
        pending = self._pending(key, group)
        return confirmed, pending, self._show(key, confirmed, pending)

    def _show(self, key: ResourceKey, confirmed: State | None, pending: list[Pending]) -> State | None:
        if not pending:
            return confirmed
        # A type that the app has lost since is replayed by the rule that everything has by default.
        known = self.app.type(key[0])
        return show(known.rule if known is not None else rule_by_name("merge"), confirmed, pending)

    def _pending(self, key: ResourceKey, group: GroupDraft | None) -> list[Pending]:
        pending = self.outbox.pending(key)
        drafted = [draft for draft in _drafts(group) if (draft.type, draft.id) == key]
        if drafted:
            # Inside its group a draft shows as the change it will be.
            stamp = self.clock.last or Stamp(self.clock.now_ms(), 0, self.id)
            for index, draft in enumerate(drafted):
                stamp = stamp.next(self.id)
                change = self._change(draft, self.row.next_n + index, stamp, None)
                pending.append(Pending(self._next_seq + index, change))
        return pending

    # Making changes

    def type(self, name: str) -> ResourceType:
        """The type of that name; raises `Unfit` if the app has none."""
        found = self.app.type(name)
        if found is None:
            raise Unfit(f"the app {self.app.name!r} has no type {name!r}")
        return found

    async def put(
        self,
        type_name: str,
        resource_id: str,
        scope: str | None,
        raw: Mapping[str, JsonValue],
        group: GroupDraft | None,
    ) -> Draft:
        """Create the resource, or set the fields in which it differs from what is shown.

        Raises `InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        resource_type = self.type(type_name)
        fields = clean_fields(dict(raw))
        if not valid_id(resource_id):
            raise InvalidValue("invalid_id", "id", "id: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")

        async def draft() -> Draft:
            confirmed, pending, shown = await self.look((type_name, resource_id), group)
            if shown is not None and shown.deleted is not None:
                raise NotHere(f"the {type_name} {resource_id!r} was deleted; put it under a new id")
            if shown is not None:
                if scope is not None and scope != shown.scope:
                    raise InvalidValue(
                        "scope_is_for_life", "scope", f"scope: this {type_name} lives in {shown.scope!r} for life"
                    )
                changed = {name: value for name, value in fields.items() if not _holds(shown, name, value)}
                return self._update(resource_type, resource_id, changed, confirmed, pending, shown)
            home = scope or resource_type.scope_of(resource_id, fields)
            if home is None or not valid_scope(home):
                raise InvalidValue(
                    "missing_scope", "scope", f"scope: where this {type_name} belongs cannot be told; name a scope"
                )
            resource_type.check_create(resource_id, home, fields)
            return Draft(home, type_name, resource_id, Op.CREATE, 0, fields)

        return await self._make(draft, group)

    async def update(
        self, type_name: str, resource_id: str, raw: Mapping[str, JsonValue], group: GroupDraft | None
    ) -> Draft:
        """Set fields of a resource that is shown; raises `NotHere` or `InvalidValue` before anything is queued."""
        resource_type = self.type(type_name)
        fields = clean_fields(dict(raw))

        async def draft() -> Draft:
            confirmed, pending, shown = await self.look((type_name, resource_id), group)
            living = _living(shown, type_name, resource_id)
            return self._update(resource_type, resource_id, fields, confirmed, pending, living)

        return await self._make(draft, group)

    async def delete(self, type_name: str, resource_id: str, group: GroupDraft | None) -> Draft:
        """Delete a resource that is shown; raises `NotHere`."""

        async def draft() -> Draft:
            confirmed, pending, shown = await self.look((type_name, resource_id), group)
            living = _living(shown, type_name, resource_id)
            base = base_of(confirmed, pending, living, None)
            return Draft(living.scope, type_name, resource_id, Op.DELETE, base, {})

        return await self._make(draft, group)

    async def commit_group(self, group: GroupDraft, limits: Limits) -> None:
        """Make everything drafted in the group a change, in one local commit; raises `Unfit` if it is too large."""

        async def commit() -> None:
            if len(group.drafts) > limits.max_changes:
                raise Unfit(
                    f"a group of {len(group.drafts)} changes is more than the server takes at once "
                    f"({limits.max_changes}); nothing of it was done, divide it"
                )
            if group.drafts:
                await self._queue(group.drafts, group.name if len(group.drafts) > 1 else None)
            group.done = True

        await self.write(commit)

    def _update(
        self,
        resource_type: ResourceType,
        resource_id: str,
        fields: Mapping[str, JsonValue],
        confirmed: State | None,
        pending: list[Pending],
        shown: State,
    ) -> Draft:
        resource_type.check_update(shown.scope, fields)
        if resource_type.rule.whole_record:
            fields = {**shown.fields, **fields}
        base = base_of(confirmed, pending, shown, fields)
        return Draft(shown.scope, resource_type.name, resource_id, Op.UPDATE, base, fields)

    async def _make(self, draft: Callable[[], Awaitable[Draft]], group: GroupDraft | None) -> Draft:
        made: list[Draft] = []

        async def commit() -> None:
            made.append(await draft())
            if group is None:
                await self._queue(made, None)
            elif group.done:
                raise Unfit("this group has ended; open another one")
            else:
                group.drafts.append(made[0])

        await self.write(commit)
        return made[0]

    async def _queue(self, drafts: Sequence[Draft], group: str | None) -> None:
        """Number, stamp and keep changes: the one local commit of a put."""
        entries: list[Entry] = []
        for index, draft in enumerate(drafts):
            change = self._change(draft, self.row.next_n + index, self.clock.tick(), group)
            entries.append(Entry.of(self._next_seq + index, change, self.clock.device_ms()))
        row = self.with_clock(replace(self.row, next_n=self.row.next_n + len(entries)))
        new_scopes = self._to_follow({draft.scope for draft in drafts})
        async with self.store.transaction():
            await self.store.add_changes(entry.row() for entry in entries)
            await self.store.save_replica(row)
            for scope in new_scopes:
                await self.store.save_scope(scope)
        self.row = row
        self._next_seq += len(entries)
        self.scopes.update({scope.name: scope for scope in new_scopes})
        for draft, entry in zip(drafts, entries, strict=True):
            draft.entry = entry
            self.outbox.add(entry)

    def _change(self, draft: Draft, n: int, stamp: Stamp, group: str | None) -> Change:
        return Change(
            self.id,
            n,
            draft.scope,
            draft.type,
            draft.id,
            draft.op,
            stamp,
            draft.base,
            draft.fields,
            group,
            self.app.version,
        )

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

    async def follow(self, names: Iterable[str]) -> list[str]:
        """Keep these scopes up to date from now on; returns those that were not followed yet."""
        names = set(names)
        for name in names:
            if not valid_scope(name):
                raise InvalidValue("invalid_scope", "scope", f"scope: {name!r} is not the name of a scope")
        rows: list[ScopeRow] = []

        async def commit() -> None:
            rows.extend(self._to_follow(names))
            if rows:
                async with self.store.transaction():
                    for row in rows:
                        await self.store.save_scope(row)
                self.scopes.update({row.name: row for row in rows})

        await self.write(commit)
        return [row.name for row in rows]

    async def unfollow(self, name: str) -> None:
        """Drop a scope from this replica; raises `Unfit` while changes in it have no outcome."""

        async def commit() -> None:
            shown = self.outbox.shown_in(name)
            waiting = sum(entry.waiting for entry in shown)
            if waiting:
                raise Unfit(f"{waiting} changes in {name} have not been sent yet; wait for synced() first")
            async with self.store.transaction():
                await self.store.drop_scope(name)
                await self.store.hide(entry.seq for entry in shown)
            self.scopes.pop(name, None)
            for entry in shown:
                self.outbox.remove(entry.seq)

        await self.write(commit)

    def _to_follow(self, names: Iterable[str]) -> list[ScopeRow]:
        rows = [self.scopes.get(name, ScopeRow(name, followed=False)) for name in sorted(names)]
        return [replace(row, followed=True) for row in rows if not row.followed]

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


def _drafts(group: GroupDraft | None) -> list[Draft]:
    return [] if group is None or group.done else group.drafts


def _confirmed(row: ResourceRow | None) -> State | None:
    return None if row is None else decode_state(json.loads(row.body), row.scope)


def _living(shown: State | None, type_name: str, resource_id: str) -> State:
    if shown is None:
        raise NotHere(f"there is no {type_name} {resource_id!r} in this replica")
    if shown.deleted is not None:
        raise NotHere(f"the {type_name} {resource_id!r} was deleted")
    return shown


def _holds(shown: State, name: str, value: JsonValue) -> bool:
    # True == 1 in Python, but not in JSON.
    return name in shown.fields and json.dumps(shown.fields[name], sort_keys=True) == json.dumps(value, sort_keys=True)


def _stamp(text: str | None) -> Stamp | None:
    return None if text is None else Stamp.parse(text)


def _text(stamp: Stamp | None) -> str | None:
    return None if stamp is None else str(stamp)
