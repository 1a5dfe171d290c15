"""The store, the bus, the readers of documents, and the use cases over them."""

from __future__ import annotations

from contextlib import AsyncExitStack

from syncd.bus.local import LocalBus
from syncd.documents.pool import DocumentPool
from syncd.engine.authorise import Authoriser
from syncd.engine.conflict_inbox import ConflictInbox
from syncd.engine.history import History
from syncd.engine.memberships import Memberships
from syncd.engine.presence import Presence
from syncd.engine.pull import Puller
from syncd.engine.push import Pusher
from syncd.engine.quarantine import Quarantine
from syncd.engine.share_links import ShareLinks
from syncd.engine.watch import Watcher
from syncd.store.quarantine_file import QuarantineFile
from syncd.store.sqlite import SqliteStore
from syncd.wiring.parts import Server

__all__ = ["open_bus", "open_documents", "open_engine", "open_store"]


async def open_store(server: Server, undo: AsyncExitStack) -> None:
    """The database, at the newest schema; a new incarnation begins."""
    server.store = await SqliteStore.open(server.settings.database)
    undo.push_async_callback(server.store.close)


async def open_bus(server: Server, undo: AsyncExitStack) -> None:
    """One process needs no more than the local one."""
    server.bus = LocalBus()
    undo.push_async_callback(server.bus.close)


async def open_documents(server: Server, undo: AsyncExitStack) -> None:
    """Whoever reads documents, in processes of their own; they begin with the first document."""
    settings = server.settings
    server.documents = DocumentPool(
        workers=settings.document_workers, limits=settings.pool_limits, worker_limits=settings.worker_limits
    )
    undo.push_async_callback(server.documents.close)


async def open_engine(server: Server, undo: AsyncExitStack) -> None:
    """The use cases. At the end, pushes that were taken are still committed."""
    server.authoriser = Authoriser(server.app)
    server.watcher = Watcher(server.store, server.bus, server.limits, server.authoriser)
    undo.push_async_callback(server.watcher.close)
    server.presence = Presence(server.limits)
    undo.callback(server.presence.close)
    server.puller = Puller(server.store, server.limits, server.authoriser)
    server.puller.on_head = server.watcher.pulled
    server.pusher = Pusher(
        server.store,
        server.app,
        server.bus,
        server.watcher,
        server.now_ms,
        server.limits,
        server.documents,
        as_of_now=server.as_of_now,
    )
    undo.push_async_callback(server.pusher.close)
    server.history = History(server.store, server.app, server.documents)
    server.memberships = Memberships(server.store, server.authoriser, server.pusher.act, server.now_ms)
    server.links = ShareLinks(server.store, server.authoriser, server.pusher.act, server.now_ms, server.roles_of)
    server.inbox = ConflictInbox(server.store, server.pusher.act)
    server.quarantine_file = QuarantineFile(server.settings.database)
    server.quarantine = Quarantine(
        server.store,
        server.pusher.push,
        server.quarantine_file,
        server.settings.quarantine_bounds,
        server.now_ms,
    )
    undo.push_async_callback(server.quarantine.close)
    server.pusher.on_rejected = server.quarantine.noticed
    # The bounds may have been lowered, or the server stopped before it had kept them.
    await server.quarantine.look_over()
