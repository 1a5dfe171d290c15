"""Client: what a user of the SDK holds. Opens the replica, starts the sync loop, and closes both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from client_sdk.backoff import Timing
from client_sdk.collections import Collection as TypedCollection
from client_sdk.collections import DictCollection
from client_sdk.conflicts import Conflicts
from client_sdk.credentials import TokenSource
from client_sdk.departures import Departures, GoneCallback, GoneCallbacks
from client_sdk.documents import Document, open_document
from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.encoding import Encoding
from client_sdk.errors import Closed, NoServer, NotHere, Unfit
from client_sdk.handles import ChangeHandle, Outcomes, handle_by_number
from client_sdk.intake import Intake
from client_sdk.memberships import Memberships
from client_sdk.messages import Limits
from client_sdk.numbering import Numbering
from client_sdk.outbox import decode_row
from client_sdk.outbox_file import Imported, export_outbox, import_outbox
from client_sdk.past import Past
from client_sdk.presence import Presence, Presences
from client_sdk.progress import Progress, ProgressCallbacks
from client_sdk.pulse import Pulse
from client_sdk.rejections import RejectionCallback, RejectionCallbacks
from client_sdk.replica import Replica
from client_sdk.settlement import Settlement
from client_sdk.shown_changes import ShownChanges
from client_sdk.status import Status
from client_sdk.sync_loop import SyncLoop
from client_sdk.sync_state import SyncState
from client_sdk.transport import Transport
from client_sdk.watch import Watch, Watchers
from conflict_rules import CONFLICT_TYPE, Change, Outcome
from conflict_rules.values import JsonValue, valid_type
from syncd.app import App, Resource, Resources, new_id, open_app
from syncd.app.builtin import MEMBERSHIP_TYPE

__all__ = ["Client"]

R = TypeVar("R", bound=Resource)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _kept(types: Iterable[str] | None, user: str | None) -> frozenset[str] | None:
    if types is None:
        return None
    if isinstance(types, str):
        raise Unfit(f'types: one type is types=["{types}"]')
    # Else a question about what is kept would not be heard of here.
    names = frozenset([*types, CONFLICT_TYPE, *([] if user is None else [MEMBERSHIP_TYPE])])
    for name in names:
        if not valid_type(name):
            raise Unfit(f"types: {name!r} is no type: lower-case letters, digits and _, a letter first, at most 64")
    return names


class Client:
    """One replica: `async with Client("http://…", replica="phone.db", app=app, scopes=["match:9f"]) as client`.

    `url`: the server; None for a replica that only ever works alone. `replica`: its local file, opened by one process
    at a time. `app`: whose types and views it knows; without one, any type with rule `merge`. `scopes`: what it keeps
    up to date, besides what its file says; a mapping gives each its priority (see `follow`). `now_ms`: reads the wall
    clock. `timing`, `dice`: of polling and back-off. `encoding`: "json", or "msgpack" for smaller messages. `types`:
    names of the types to keep up to date, None for all; conflicts come with them. What is put of any other type is
    sent all the same, and is shown here until the server has it. `token`: or a function that gives one, or is awaited
    for one, asked at first and whenever the server takes the last one no more. `user`: the id of the account whose
    replica this is; then the scopes that it is a member of are followed by themselves. `paused`: nothing is sent, or
    asked for, before `resume`.

    Opening never waits for the network. Raises `LocalFileError` with a sentence if the file cannot be used.
    """

    def __init__(
        self,
        url: str | None,
        *,
        replica: Path | str,
        app: App | None = None,
        token: TokenSource = None,
        user: str | None = None,
        scopes: Mapping[str, int] | Iterable[str] = (),
        now_ms: Callable[[], int] = _wall_clock_ms,
        timing: Timing | None = None,
        dice: random.Random | None = None,
        encoding: Encoding = "json",
        types: Iterable[str] | None = None,
        paused: bool = False,
    ) -> None:
        self._path = replica
        self._paused = paused
        self._app = app or open_app()
        self._first_scopes = scopes if isinstance(scopes, Mapping) else dict.fromkeys(scopes)
        self._now_ms = now_ms
        self._pulse = Pulse()
        self._outcomes = Outcomes()
        self._watchers = Watchers()
        self._presences = Presences(self._followed)
        self._progress = ProgressCallbacks()
        self._rejections = RejectionCallbacks()
        self._gone = GoneCallbacks()
        self._user = user
        self._group: ContextVar[GroupDraft | None] = ContextVar("group", default=None)
        timing = timing or Timing()
        self._timing = timing
        self._dice = dice or random.Random()
        self._types = _kept(types, user)
        self._transport = None if url is None else Transport(url, token, timing.timeout_s, encoding, self._types, user)
        self._replica: Replica | None = None
        self._loop: SyncLoop | None = None

    async def __aenter__(self) -> Self:
        replica = await Replica.open(self._path, self._app, self._now_ms, self._pulse.beat)
        replica.types = self._types
        shown = ShownChanges(replica, self._watchers.scopes, self._watchers.tell)
        departures = Departures(replica, shown, self._lost)
        memberships: Memberships | None = None
        try:
            for priority in set(self._first_scopes.values()):
                await replica.follow([name for name, each in self._first_scopes.items() if each == priority], priority)
            if self._user is not None:
                memberships = Memberships(replica, departures, self._user, self._allowed_otherwise)
                await memberships.begin()
        except BaseException:
            await replica.close()
            raise
        self._replica = replica
        if self._transport is not None:
            numbering = Numbering(replica)
            intake = Intake(replica, numbering, shown, departures, None if memberships is None else memberships.took)
            settlement = Settlement(replica, numbering, shown, self._outcomes.tell, self._rejections.tell)
            self._loop = SyncLoop(
                replica,
                intake,
                settlement,
                self._transport,
                self._timing,
                self._dice,
                self._pulse,
                self._progress.tell,
                self._presences,
            )
            if self._paused:
                await self._loop.pause()
            else:
                self._loop.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop syncing and let go of the file; what waits is sent by whoever opens it next. May be called twice."""
        if self._loop is not None:
            await self._loop.stop()
        if self._transport is not None:
            await self._transport.close()
        self._outcomes.close()
        self._watchers.close()
        self._presences.close()
        if self._replica is not None:
            await self._replica.close()
        self._pulse.beat()

    # Data

    @overload
    def collection(self, type_: type[R]) -> TypedCollection[R]: ...

    @overload
    def collection(self, type_: str, *, scope: str | None = None) -> DictCollection: ...

    def collection(self, type_: type[R] | str, *, scope: str | None = None) -> TypedCollection[R] | DictCollection:
        """The resources of a declared type, or of a type by its name (as dicts, new ones in `scope`).

        Raises `Unfit`, or `syncd.errors.AppError`, if the app has no such type.
        """
        replica = self._opened()
        if isinstance(type_, str):
            return DictCollection(replica, replica.type(type_).name, scope, self._handle, self._group.get)
        return TypedCollection(replica, self._app.type_of(type_).name, type_, self._handle, self._group.get)

    async def document(self, type_: type[Resource] | str, resource_id: str, *, field: str | None = None) -> Document:
        """What several people edit at once in a field of a resource: a text, a map or a list, offline too.

        `field`: None for the only document of its type. Raises `Unfit` if there is no such document, `NotHere` if the
        resource is not here, `DocumentUnreadable`.
        """
        replica = self._opened()
        known = replica.type(self._type_name(type_))
        return await open_document(replica, known, resource_id, field, self._handle, self._group.get)

    @property
    def conflicts(self) -> Conflicts:
        """What waits for somebody's answer, and answering it."""
        return Conflicts(self._opened, self._handle, self._group.get)

    async def history(
        self, type_: type[Resource] | str, resource_id: str, *, field: str | None = None
    ) -> list[dict[str, Any]]:
        """What happened to a resource, or one field of it: lines as in docs/history.md, oldest first, from the server.

        Needs the network; raises `NoServer`, `TransportError`, or `Unfit` if it cannot be asked so.
        """
        return await self._past().history(self._type_name(type_), resource_id, field)

    async def explain(
        self, type_: type[Resource] | str, resource_id: str, *, field: str | None = None
    ) -> dict[str, Any]:
        """Why the server's copy says what it says, as in docs/history.md; raises as `history`."""
        return await self._past().explain(self._type_name(type_), resource_id, field)

    async def undo(
        self,
        type_: type[Resource] | str,
        resource_id: str,
        *,
        version: int | None = None,
        change: tuple[str, int] | None = None,
        field: str | None = None,
    ) -> ChangeHandle:
        """Bring back what a resource, or one field, said at a version, or before a change: its replica and number.

        The server tells what leads back from what it has; one local commit makes that a change like any other, over
        what is shown here. Raises as `history`, also where there is nothing to undo, and as `update`.
        """
        to = {
            "version": None if version is None else str(version),
            "change": None if change is None else f"{change[0]}.{change[1]}",
            "field": field,
        }
        edits, group = Edits(self._opened()), self._group.get()
        return self._handle(await self._past().undo(edits, self._type_name(type_), resource_id, to, group))

    async def view(self, name: str, scope: str) -> JsonValue:
        """What the app's view says of this scope, as it is shown here; raises `Unfit` if there is no such view."""
        view = self._app.view_for(name, scope)
        if view is None:
            raise Unfit(f"the app {self._app.name!r} has no view {name!r} for scopes such as {scope!r}")
        states = await self._opened().states(None, scope, self._group.get())
        return view.function(Resources.from_states(self._app, states))

    @asynccontextmanager
    async def group(self) -> AsyncIterator[None]:
        """What is put, updated and deleted inside becomes one all-or-nothing group, here and on the server.

        If the block raises, nothing of it was done. Reads inside see it.
        """
        replica = self._opened()
        if self._group.get() is not None:
            raise Unfit("a group cannot hold another group")
        limits = self._transport.limits if self._transport is not None else Limits()
        draft = GroupDraft(new_id())
        reset = self._group.set(draft)
        try:
            yield
            await Edits(replica).commit_group(draft, limits)
        finally:
            draft.done = True
            self._group.reset(reset)

    # Sync

    @property
    def replica_id(self) -> str:
        """The id under which changes are numbered now."""
        return self._opened().id

    @property
    def status(self) -> Status:
        """How it stands, at this moment."""
        replica = self._opened()
        outbox, clock, loop = replica.outbox, replica.clock, self._loop
        oldest_ms = outbox.oldest_ms()
        state = SyncState.OFFLINE if loop is None else loop.state
        error = None if loop is None else loop.last_error
        return Status(
            state=state,
            pending=outbox.waiting_count,
            oldest_ms=None if oldest_ms is None else max(0, self._now_ms() - oldest_ms),
            last_error=None if error is None else error.message,
            connected=state.connected,
            clock_offset_ms=clock.offset_ms,
            clock_drift=clock.drift,
            rejected=replica.rejected_count,
            repaired=0 if loop is None else loop.repaired,
            last_error_code=None if error is None else error.code,
            open_conflicts=replica.open_conflicts.count,
            gone=tuple(sorted(row.name for row in replica.scopes.values() if row.followed and row.gone)),
        )

    @property
    def scopes(self) -> Collection[str]:
        """The scopes that are followed, sorted by priority and name."""
        return self._opened().followed()

    async def follow(self, scope: str, priority: int = 0) -> None:
        """Keep a scope up to date here, also after the next start. Of several, the lower priority is brought first."""
        replica = self._opened()
        new = await replica.follow([scope], priority)
        if self._loop is not None and (new or replica.is_absent(scope)):
            self._loop.want(scope)

    async def unfollow(self, scope: str) -> None:
        """Stop, and drop what is here of it; raises `Unfit` while changes in it have no outcome.

        A scope that a membership names stays unfollowed until that membership ends, or `follow`.
        """
        await self._opened().unfollow(scope)
        self._presences.unfollowed(scope)

    def memberships(self) -> dict[str, str]:
        """What the user is in each scope, as far as is known here: scope → role. Works offline.

        Raises `Unfit` if the client was opened without `user`.
        """
        replica = self._opened()
        if self._user is None:
            raise Unfit("whose memberships? Open the client with the id of the account: Client(…, user=…)")
        return dict(replica.memberships)

    def on_gone(self, callback: GoneCallback) -> Callable[[], None]:
        """Call it with each scope that may not be seen, or not any more, from now on; returns what ends that.

        It runs in the event loop, once nothing of the scope is here or in view, and cannot wait.
        """
        return self._gone.add(callback)

    async def synced(self, timeout_s: float | None = None) -> None:
        """Return once everything made here until now is settled, and every followed scope was caught up after that.

        Waits for the network as long as it takes, or raises `TimeoutError`; syncing goes on all the same. Raises
        `NoServer` without a url, `Closed` if closed meanwhile.
        """
        self._opened()
        if self._loop is None:
            raise NoServer
        async with asyncio.timeout(timeout_s):
            await self._loop.synced()

    async def check(self, scope: str, timeout_s: float | None = None) -> bool:
        """Compare a scope with the server's by its digest, now; False if it differs: then it is brought anew.

        That happens by itself as well: once a scope has been brought, after each reconnection, and now and then
        (`Timing.check_s`). Raises `NotHere` if the scope is not followed, and what `synced` raises.
        """
        if scope not in self._opened().followed():
            raise NotHere(f"the scope {scope!r} is not followed here")
        if self._loop is None:
            raise NoServer
        async with asyncio.timeout(timeout_s):
            return await self._loop.check(scope)

    def on_progress(self, callback: Callable[[Progress], object]) -> Callable[[], None]:
        """Call it with each step of a push or a pull, from the event loop; returns a function that ends that."""
        return self._progress.add(callback)

    def watch(self, scope: str) -> Watch:
        """What changes in the view of a scope through the network, from now until the client closes."""
        self._opened()
        return self._watchers.watch(scope)

    def presence(self, scope: str) -> Presence:
        """Who else is here in a scope that is followed, and what this replica says of itself there; never stored.

        The same object each time. Raises `NotHere` if the scope is not followed.
        """
        if scope not in self._opened().followed():
            raise NotHere(f"the scope {scope!r} is not followed here")
        return self._presences.of(scope)

    async def change(self, n: int, replica_id: str | None = None) -> ChangeHandle:
        """A change by its number, also one made before a restart; raises `NotHere` if it is no longer kept."""
        replica = self._opened()
        return await handle_by_number(replica, self._outcomes, replica_id or replica.id, n)

    def outbox(self) -> list[Change]:
        """Changes without an outcome, in the order made: what would be lost with this device."""
        return [entry.change for entry in self._opened().outbox.waiting()]

    async def rejected(self) -> list[tuple[Change, Outcome]]:
        """Changes that were refused, with the reason, in the order made. They stay until `dismiss`."""
        replica = self._opened()
        async with replica.reading():
            entries = [decode_row(row) for row in await replica.store.rejected()]
        return [(entry.change, entry.outcome) for entry in entries if entry.outcome is not None]

    def on_rejected(self, callback: RejectionCallback) -> Callable[[], None]:
        """Call it with each change that the server refuses from now on, and its outcome; returns what ends that.

        It runs in the event loop, once the file has the reason and the view shows the change no more, and cannot wait.
        """
        return self._rejections.add(callback)

    async def dismiss(self, change: Change) -> None:
        """A rejected change has been dealt with."""
        await self._opened().forget_rejected(change)

    async def export_outbox(self, path: Path | str) -> int:
        """Write what waits, and what was rejected, to a file of JSON lines; returns how many. Nothing changes here.

        Raises `FileUnusable` if the file cannot be written.
        """
        return await export_outbox(self._opened(), path)

    async def import_outbox(self, path: Path | str, *, rejected: bool = False) -> Imported:
        """Make the changes of an exported outbox anew in this replica; importing it again changes nothing.

        `rejected`: also those that the server had refused. Raises `FileUnusable` or `Unfit` before anything is made.
        """
        replica = self._opened()
        followed = set(replica.followed())
        imported = await import_outbox(replica, path, rejected=rejected)
        for scope in replica.followed():
            if scope not in followed and self._loop is not None:
                self._loop.want(scope)
        return imported

    async def pause(self) -> None:
        """Stop all traffic; everything else goes on working."""
        self._opened()
        if self._loop is not None:
            await self._loop.pause()

    async def resume(self) -> None:
        """End a pause."""
        self._opened()
        if self._loop is not None:
            self._loop.start()

    def set_token(self, token: TokenSource) -> None:
        """Use another token from now on, and try again at once; a live connection that stands goes on with it."""
        if self._transport is not None:
            self._transport.credentials.use(token)
        self.nudge()

    def nudge(self) -> None:
        """The network may be back: try at once instead of waiting out the back-off."""
        if self._loop is not None:
            self._loop.nudge()

    def _lost(self, scope: str) -> None:
        # Whoever may not be there says nothing of himself there any more.
        self._presences.unfollowed(scope)
        self._gone.tell(scope)

    def _allowed_otherwise(self, scopes: Sequence[str]) -> None:
        # Before the loop is there, it is about to ask for all of them.
        for scope in scopes:
            if self._loop is not None:
                self._loop.want(scope)

    def _past(self) -> Past:
        self._opened()
        if self._transport is None:
            raise NoServer
        return Past(self._transport)

    def _type_name(self, type_: type[Resource] | str) -> str:
        return self._opened().type(type_).name if isinstance(type_, str) else self._app.type_of(type_).name

    def _handle(self, draft: Draft) -> ChangeHandle:
        return ChangeHandle(self._opened(), self._outcomes, draft)

    def _followed(self) -> Collection[str]:
        return () if self._replica is None else self._replica.followed()

    def _opened(self) -> Replica:
        if self._replica is None:
            raise Unfit("open the client first: async with Client(…) as client")
        if self._replica.closed:
            raise Closed
        return self._replica
