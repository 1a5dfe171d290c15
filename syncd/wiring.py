"""Settings to a server: store, bus, engine, API. The one place that names concrete classes.

Starting is a list of named steps (`STEPS`), each of which leaves behind what undoes it; stopping undoes them backwards.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web

from syncd.api.access import Access
from syncd.api.application import make_application
from syncd.api.body import BodyReader
from syncd.api.conflicts import ConflictRoutes
from syncd.api.documents import DocumentRoutes
from syncd.api.health import HealthRoutes
from syncd.api.history import HistoryRoutes
from syncd.api.live import LiveRoute
from syncd.api.quarantine import QuarantineRoutes
from syncd.api.sockets import Sockets
from syncd.api.stream import StreamRoute
from syncd.api.sync import SyncRoutes
from syncd.app import App
from syncd.bus.local import LocalBus
from syncd.bus.protocol import Bus
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Documents
from syncd.engine.conflict_inbox import ConflictInbox
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.engine.limits import Limits
from syncd.engine.presence import Presence
from syncd.engine.pull import Puller
from syncd.engine.push import Pusher
from syncd.engine.quarantine import Quarantine
from syncd.engine.watch import Watcher
from syncd.settings import Settings
from syncd.store.protocol import Store
from syncd.store.quarantine_file import QuarantineFile
from syncd.store.sqlite import SqliteStore

__all__ = ["STEPS", "Server", "open_server"]

log = structlog.get_logger(__name__)


def wall_clock_ms() -> int:
    """The server's clock, in milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(slots=True)
class Server:
    """The parts of one server, filled in by the steps of its start."""

    settings: Settings
    app: App
    now_ms: Callable[[], int]
    limits: Limits = field(init=False)
    access: Access = field(init=False)
    store: Store = field(init=False)
    bus: Bus = field(init=False)
    documents: Documents = field(init=False)
    watcher: Watcher = field(init=False)
    presence: Presence = field(init=False)
    pusher: Pusher = field(init=False)
    puller: Puller = field(init=False)
    history: History = field(init=False)
    quarantine: Quarantine = field(init=False)
    inbox: ConflictInbox = field(init=False)
    sockets: Sockets = field(init=False)
    web: web.Application = field(init=False)


async def check_settings(server: Server, undo: AsyncExitStack) -> None:
    """Refuse what cannot be before anything is opened."""
    server.settings.check()
    server.limits = server.settings.limits
    server.access = Access(server.settings.shared_token, server.settings.websocket_origins)


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
    server.watcher = Watcher(server.store, server.bus, server.limits)
    undo.push_async_callback(server.watcher.close)
    server.presence = Presence(server.limits)
    undo.callback(server.presence.close)
    server.puller = Puller(server.store, server.limits)
    server.pusher = Pusher(
        server.store, server.app, server.bus, server.watcher, server.now_ms, server.limits, server.documents
    )
    undo.push_async_callback(server.pusher.close)
    server.history = History(server.store, server.app, server.documents)
    server.inbox = ConflictInbox(server.store, server.pusher.act)
    server.quarantine = Quarantine(
        server.store,
        server.pusher.push,
        QuarantineFile(server.settings.database),
        server.settings.quarantine_bounds,
        server.now_ms,
    )
    undo.push_async_callback(server.quarantine.close)
    server.pusher.on_rejected = server.quarantine.noticed
    # The bounds may have been lowered, or the server stopped before it had kept them.
    await server.quarantine.look_over()


async def open_web(server: Server, undo: AsyncExitStack) -> None:
    """The application that a listener, or a test, serves."""
    settings = server.settings
    server.sockets = Sockets()
    bodies = BodyReader(max_bytes=server.limits.max_body_bytes, timeout_s=settings.body_timeout_s)
    server.web = make_application(
        access=server.access,
        sync=SyncRoutes(
            pusher=server.pusher,
            puller=server.puller,
            bodies=bodies,
            limits=server.limits,
            schema=server.app.version,
            now_ms=server.now_ms,
        ),
        live=LiveRoute(
            watcher=server.watcher,
            presence=server.presence,
            access=server.access,
            limits=server.limits,
            sockets=server.sockets,
            schema=server.app.version,
            now_ms=server.now_ms,
            hello_timeout_s=settings.hello_timeout_s,
            heartbeat_s=settings.heartbeat_s,
        ),
        stream=StreamRoute(
            watcher=server.watcher,
            access=server.access,
            limits=server.limits,
            sockets=server.sockets,
            schema=server.app.version,
            now_ms=server.now_ms,
            comment_s=settings.comment_s,
            patience_s=settings.heartbeat_s,
        ),
        history=HistoryRoutes(history=server.history),
        quarantine=QuarantineRoutes(quarantine=server.quarantine, bodies=bodies),
        conflicts=ConflictRoutes(inbox=server.inbox, bodies=bodies),
        documents=DocumentRoutes(
            reader=DocumentReader(server.app, server.store, server.documents, server.history),
            bodies=bodies,
            limits=server.limits,
        ),
        health=HealthRoutes(store=server.store, app=server.app),
    )


Step = Callable[[Server, AsyncExitStack], Awaitable[None]]
STEPS: Final[Sequence[Step]] = (check_settings, open_store, open_bus, open_documents, open_engine, open_web)


@asynccontextmanager
async def open_server(
    settings: Settings, app: App, *, now_ms: Callable[[], int] = wall_clock_ms
) -> AsyncIterator[Server]:
    """A server with every part open, and no port; raises `SyncdError` if a step cannot be done."""
    server = Server(settings, app, now_ms)
    async with AsyncExitStack() as undo:
        for step in STEPS:
            log.debug("starting", step=getattr(step, "__name__", "?"))
            await step(server, undo)
        yield server
