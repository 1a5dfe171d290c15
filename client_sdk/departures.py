"""Scopes that may not be seen, or not any more: what is here of them goes, at once and in one local commit.

What was typed here and not sent yet is not the scope's but the user's: it stays in the outbox, is sent, and kept with
the reason if the server refuses it. The view shows it no more, since what it was made over is gone, and shows it again
if the scope comes back first. The scope stays followed, so that it may come back.

Every coroutine runs inside a write of the replica.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from client_sdk.replica import Replica
from client_sdk.shown_changes import ShownChanges

__all__ = ["Departures", "GoneCallback", "GoneCallbacks"]

log = logging.getLogger(__name__)

GoneCallback = Callable[[str], object]


class GoneCallbacks:
    """Whoever wants to be told that a scope is gone. A callback that fails is logged and holds up nothing.

    Called inside of the write that emptied it, once the file has that and the view shows nothing: they must not wait.
    """

    def __init__(self) -> None:
        self._callbacks: dict[object, GoneCallback] = {}

    def add(self, callback: GoneCallback) -> Callable[[], None]:
        """Call it from now on; returns what ends that."""
        key = object()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def tell(self, scope: str) -> None:
        """This one may not be seen, or not any more."""
        for callback in list(self._callbacks.values()):
            try:
                callback(scope)
            except Exception:
                log.exception("a callback for scopes that are gone failed")


class Departures:
    """Of one replica. `on_gone(scope)` is told once nothing of it is here."""

    def __init__(self, replica: Replica, shown: ShownChanges, on_gone: Callable[[str], None]) -> None:
        self._replica = replica
        self._shown = shown
        self._on_gone = on_gone

    async def lose(self, scope: str) -> None:
        """The server says that this scope may not be seen; nothing, if that is known or nobody follows it."""
        replica = self._replica
        row = replica.scopes.get(scope)
        if row is None or not row.followed or row.gone:
            return
        pending = replica.outbox.shown_in(scope)
        if row.cursor is None and not row.generation and any(entry.waiting for entry in pending):
            # Nothing was ever held of it: it may not be there yet, and begin with what was made here.
            replica.unfounded.add(scope)
            return
        keys = {(known.type, known.id) for known in await replica.store.resources(None, scope)}
        keys |= {key for entry in pending for key in replica.touched_by(entry)}
        documents = replica.documents.resources_in(scope)
        before = await self._shown.look(keys if self._shown.is_watched(scope) else ())
        # A page that was asked for before does not fit any more: its cursor, or its generation.
        emptied = replace(row, cursor=None, version=0, generation=row.generation + 1, resetting=False, gone=True)
        async with replica.store.transaction():
            await replica.store.empty_scope(scope)
            await replica.store.hide(entry.seq for entry in pending)
            await replica.store.save_scope(emptied)
        replica.scopes[scope] = emptied
        replica.unfounded.discard(scope)
        for entry in pending:
            entry.shown = False
            replica.outbox.tidy(entry.seq)
        log.warning("%s may not be seen any more: what was here of it is gone", scope)
        await replica.open_conflicts.look_again(keys)
        await replica.open_conflicts.look_again_in(scope)
        await replica.documents.look_again(documents | keys)
        await self._shown.tell(before)
        self._on_gone(scope)

    async def let_in(self, scope: str) -> None:
        """The server shows this scope, perhaps once more: what waits in it shows again."""
        replica = self._replica
        replica.unfounded.discard(scope)
        row = replica.scopes[scope]
        if not row.gone:
            return
        hidden = [entry for entry in replica.outbox.waiting_in(scope) if not entry.shown]
        keys = {key for entry in hidden for key in replica.touched_by(entry)}
        before = await self._shown.look(keys)
        back = replace(row, gone=False)
        async with replica.store.transaction():
            await replica.store.show_again(entry.seq for entry in hidden)
            await replica.store.save_scope(back)
        replica.scopes[scope] = back
        for entry in hidden:
            entry.shown = True
            replica.outbox.tidy(entry.seq)
        await replica.open_conflicts.look_again(keys)
        await replica.documents.look_again(keys)
        await self._shown.tell(before)

    async def drop(self, scope: str) -> None:
        """Follow a scope no more of which nothing is here."""
        replica = self._replica
        async with replica.store.transaction():
            await replica.store.drop_scope(scope)
        replica.scopes.pop(scope, None)
        replica.unfounded.discard(scope)
