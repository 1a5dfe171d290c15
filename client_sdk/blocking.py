"""The client for scripts that block: the same words, without `await`.

from client_sdk.blocking import Client

with Client("http://127.0.0.1:8000", replica="script.db", scopes=["main"]) as client:
    notes = client.collection("note", scope="main")
    notes.put({"text": "from a script"})
    client.synced(timeout_s=30)

Everything happens in the asynchronous client, on an event loop in a thread of its own; here stands only a table of what
is forwarded to it. Several threads may share one client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from client_sdk import client as asynchronous
from client_sdk import collections, conflicts, documents, handles, presence, watch
from client_sdk.portal import Calls, Facade, Portal, Reads, Waits
from client_sdk.watch import WatchDelta
from syncd.app import Resource

__all__ = ["ChangeHandle", "Client", "Collection", "Conflicts", "DictCollection", "Document", "Presence", "Watch"]

P = ParamSpec("P")
R = TypeVar("R", bound=Resource)


class ChangeHandle(Facade):
    """One change made here; see `client_sdk.ChangeHandle`."""

    change = Reads(handles.ChangeHandle.change)
    n = Reads(handles.ChangeHandle.n)
    replica = Reads(handles.ChangeHandle.replica)
    id = Reads(handles.ChangeHandle.id)
    settled = Reads(handles.ChangeHandle.settled)
    outcome = Waits(handles.ChangeHandle.outcome)

    def __repr__(self) -> str:
        return repr(self._inner)


class Watch(Facade):
    """What changes in the view of a scope through the network: `for delta in watch`; ends when the client closes."""

    _inner: watch.Watch

    @property
    def scope(self) -> str:
        """What is watched."""
        return self._inner.scope

    def __iter__(self) -> Iterator[WatchDelta]:
        return self

    def __next__(self) -> WatchDelta:
        async def following() -> WatchDelta | None:
            return await anext(self._inner, None)

        delta = self._portal.wait(following)
        if delta is None:
            raise StopIteration
        return delta


class _Makes(Waits[P, ChangeHandle]):
    """A method that makes a change; returns its handle."""

    def __init__(self, method: Callable[Concatenate[Any, P], Any]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, ChangeHandle]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | Callable[P, ChangeHandle]:
        if facade is None:
            return self
        make = super().__get__(facade, owner)
        return lambda *args, **kwargs: ChangeHandle(facade._portal, make(*args, **kwargs))


class _Collection(Facade):
    delete = _Makes(collections.DictCollection.delete)
    restore = _Makes(collections.DictCollection.restore)
    update = _Makes(collections.DictCollection.update)


class Collection(_Collection, Generic[R]):
    """Resources of one declared type; see `client_sdk.Collection`."""

    put = _Makes(collections.Collection[R].put)
    get = Waits(collections.Collection[R].get)
    all = Waits(collections.Collection[R].all)
    count = Waits(collections.Collection[R].count)
    on_change = Calls(collections.Collection[R].on_change)


class DictCollection(_Collection):
    """Resources of one type as dicts; see `client_sdk.DictCollection`."""

    put = _Makes(collections.DictCollection.put)
    get = Waits(collections.DictCollection.get)
    all = Waits(collections.DictCollection.all)
    count = Waits(collections.DictCollection.count)
    on_change = Calls(collections.DictCollection.on_change)


class _MayMake(Waits[P, ChangeHandle | None]):
    """A method that makes a change, unless there is nothing to change; returns its handle, or None."""

    def __init__(self, method: Callable[Concatenate[Any, P], Any]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, ChangeHandle | None]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | Callable[P, ChangeHandle | None]:
        if facade is None:
            return self
        make: Callable[P, Any] = super().__get__(facade, owner)

        def forward(*args: P.args, **kwargs: P.kwargs) -> ChangeHandle | None:
            made = make(*args, **kwargs)
            return None if made is None else ChangeHandle(facade._portal, made)

        return forward


class _MakesMany(Waits[P, list[ChangeHandle]]):
    """A method that makes changes; returns the handle of each."""

    def __init__(self, method: Callable[Concatenate[Any, P], Any]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, list[ChangeHandle]]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | Callable[P, list[ChangeHandle]]:
        if facade is None:
            return self
        make = super().__get__(facade, owner)
        return lambda *args, **kwargs: [ChangeHandle(facade._portal, made) for made in make(*args, **kwargs)]


class Document(Facade):
    """What several people edit at once; see `client_sdk.Document`. What is given to `edit` runs in the client's thread,
    and only there a text, a map or a list can be touched: from elsewhere, `to_json` and `str` read it."""

    current = Reads(documents.Document.current)
    can_undo = Reads(documents.Document.can_undo)
    can_redo = Reads(documents.Document.can_redo)
    to_json = Calls(documents.Document.to_json)
    on_change = Calls(documents.Document.on_change)
    edit = _MayMake(documents.Document.edit)
    undo = _MayMake(documents.Document.undo)
    redo = _MayMake(documents.Document.redo)
    apply = _Makes(documents.Document.apply)
    apply_all = _MakesMany(documents.Document.apply_all)
    close = Waits(documents.Document.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._inner)

    def __str__(self) -> str:
        return str(self.to_json())


class Conflicts(Facade):
    """What waits for somebody's answer; see `client_sdk.Conflicts`."""

    all = Waits(conflicts.Conflicts.all)
    get = Waits(conflicts.Conflicts.get)
    settle = _Makes(conflicts.Conflicts.settle)
    reopen = _Makes(conflicts.Conflicts.reopen)
    on_open = Calls(conflicts.Conflicts.on_open)
    on_change = Calls(conflicts.Conflicts.on_change)


class Presence(Facade):
    """Who else is here in a scope; see `client_sdk.Presence`."""

    said = Reads(presence.Presence.said)
    present = Reads(presence.Presence.present)
    set = Calls(presence.Presence.set)
    update = Calls(presence.Presence.update)
    leave = Calls(presence.Presence.leave)
    on_change = Calls(presence.Presence.on_change)


def _same_arguments(
    constructor: Callable[Concatenate[Any, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Client, P], None]]:
    return lambda function: function


class Client(Facade):
    """One replica: `with Client("http://…", replica="script.db") as client`; see `client_sdk.Client`."""

    _inner: asynchronous.Client

    @_same_arguments(asynchronous.Client.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(Portal(), asynchronous.Client(*args, **kwargs))

    def __enter__(self) -> Self:
        self._portal.open()
        try:
            self._portal.wait(self._inner.__aenter__)
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop syncing and let go of the file; what waits is sent by whoever opens it next. May be called twice."""
        if self._portal.opened:
            self._portal.wait(self._inner.close)
            self._portal.close()

    @overload
    def collection(self, type_: type[R]) -> Collection[R]: ...

    @overload
    def collection(self, type_: str, *, scope: str | None = None) -> DictCollection: ...

    def collection(self, type_: type[R] | str, *, scope: str | None = None) -> Collection[R] | DictCollection:
        """The resources of a declared type, or of a type by its name (as dicts, new ones in `scope`).

        Raises `Unfit`, or `syncd.errors.AppError`, if the app has no such type.
        """
        if isinstance(type_, str):
            named = type_
            return DictCollection(self._portal, self._portal.call(lambda: self._inner.collection(named, scope=scope)))
        return Collection(self._portal, self._portal.call(lambda: self._inner.collection(type_)))

    def document(self, type_: type[Resource] | str, resource_id: str, *, field: str | None = None) -> Document:
        """What several people edit at once in a field of a resource: a text, a map or a list, offline too.

        Raises as `client_sdk.Client.document`.
        """
        return Document(self._portal, self._portal.wait(lambda: self._inner.document(type_, resource_id, field=field)))

    @contextmanager
    def group(self) -> Iterator[None]:
        """What this thread puts, updates and deletes inside becomes one all-or-nothing group."""
        with self._portal.within(self._inner.group()):
            yield

    def watch(self, scope: str) -> Watch:
        """What changes in the view of a scope through the network, from now until the client closes."""
        return Watch(self._portal, self._portal.call(lambda: self._inner.watch(scope)))

    def change(self, n: int, replica_id: str | None = None) -> ChangeHandle:
        """A change by its number, also one made before a restart; raises `NotHere` if it is no longer kept."""
        return ChangeHandle(self._portal, self._portal.wait(lambda: self._inner.change(n, replica_id)))

    def presence(self, scope: str) -> Presence:
        """Who else is here in a scope that is followed, and what this replica says of itself there; never stored."""
        return Presence(self._portal, self._portal.call(lambda: self._inner.presence(scope)))

    @property
    def conflicts(self) -> Conflicts:
        """What waits for somebody's answer, and answering it."""
        return Conflicts(self._portal, self._inner.conflicts)

    replica_id = Reads(asynchronous.Client.replica_id)
    scopes = Reads(asynchronous.Client.scopes)
    status = Reads(asynchronous.Client.status)

    check = Waits(asynchronous.Client.check)
    dismiss = Waits(asynchronous.Client.dismiss)
    explain = Waits(asynchronous.Client.explain)
    export_outbox = Waits(asynchronous.Client.export_outbox)
    follow = Waits(asynchronous.Client.follow)
    history = Waits(asynchronous.Client.history)
    import_outbox = Waits(asynchronous.Client.import_outbox)
    memberships = Calls(asynchronous.Client.memberships)
    nudge = Calls(asynchronous.Client.nudge)
    on_gone = Calls(asynchronous.Client.on_gone)
    on_progress = Calls(asynchronous.Client.on_progress)
    on_rejected = Calls(asynchronous.Client.on_rejected)
    outbox = Calls(asynchronous.Client.outbox)
    pause = Waits(asynchronous.Client.pause)
    rejected = Waits(asynchronous.Client.rejected)
    resume = Waits(asynchronous.Client.resume)
    set_token = Calls(asynchronous.Client.set_token)
    synced = Waits(asynchronous.Client.synced)
    undo = _Makes(asynchronous.Client.undo)
    unfollow = Waits(asynchronous.Client.unfollow)
    view = Waits(asynchronous.Client.view)
