"""Settings to a server: store, bus, engine, API. The one place that names concrete classes.

Starting is a list of named steps (`STEPS`), each of which leaves behind what undoes it; stopping undoes them backwards.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog

from syncd.api.access import Authenticates
from syncd.app import App
from syncd.settings import Settings
from syncd.wiring.engine import open_bus, open_documents, open_engine, open_store
from syncd.wiring.jobs import open_jobs
from syncd.wiring.parts import Server
from syncd.wiring.people import open_people, open_tokens
from syncd.wiring.web import open_rates, open_web

__all__ = ["STEPS", "open_server", "wall_clock_ms"]

log = structlog.get_logger(__name__)


def wall_clock_ms() -> int:
    """The server's clock, in milliseconds since 1970."""
    return int(time.time() * 1000)


async def check_settings(server: Server, undo: AsyncExitStack) -> None:
    """Refuse what cannot be before anything is opened."""
    server.settings.check()
    server.limits = server.settings.limits


Step = Callable[[Server, AsyncExitStack], Awaitable[None]]
STEPS: Final[Sequence[Step]] = (
    check_settings,
    open_rates,
    open_tokens,
    open_store,
    open_people,
    open_bus,
    open_documents,
    open_engine,
    open_jobs,
    open_web,
)


@asynccontextmanager
async def open_server(
    settings: Settings,
    app: App,
    *,
    now_ms: Callable[[], int] = wall_clock_ms,
    accounts: Authenticates | None = None,
) -> AsyncIterator[Server]:
    """A server with every part open, and no port; raises `SyncdError` if a step cannot be done.

    `accounts`: knows people otherwise than by the settings.
    """
    server = Server(settings, app, now_ms, accounts)
    async with AsyncExitStack() as undo:
        for step in STEPS:
            log.debug("starting", step=getattr(step, "__name__", "?"))
            await step(server, undo)
        yield server
