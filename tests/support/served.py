"""A real server in the test's own process: store, engine and API on a real SQLite file, behind a real port.

async with served(tmp_path / "club.db") as server:
    server.url, server.port
    await server.stop(); await server.start()     # the same port and file: a new incarnation
    await server.stop(); await server.start(app)  # and with another version of the app
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from syncd.api.access import Authenticates
from syncd.api.listener import listening
from syncd.app import App, open_app
from syncd.settings import Settings
from syncd.wiring import Server, open_server, wall_clock_ms
from tests.support.database import prepare_database
from tests.support.people import People

__all__ = ["Served", "served"]


class Served:
    """One server that may be stopped and started again."""

    def __init__(
        self,
        database: Path,
        app: App | None,
        now_ms: Callable[[], int],
        accounts: Authenticates | bool,
        settings: dict[str, Any],
    ) -> None:
        self.database = database
        self.url = ""
        self._app = app or open_app()
        self._now_ms = now_ms
        self._accounts = accounts
        self._settings = settings
        self._port = 0
        self._undo: AsyncExitStack | None = None
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, also while it is stopped."""
        return self._port

    @property
    def parts(self) -> Server:
        """Store, engine and the rest."""
        assert self._server is not None
        return self._server

    async def start(self, app: App | None = None) -> None:
        """Open the file and listen; from now on with `app`, if it is given."""
        assert self._undo is None
        self._app = app or self._app
        prepare_database(self.database)
        self._undo = AsyncExitStack()
        # Its own people, or those of a test.
        own = isinstance(self._accounts, bool)
        settings = Settings(database=self.database, accounts=self._accounts is True, **self._settings)
        self._server = await self._undo.enter_async_context(
            open_server(settings, self._app, now_ms=self._now_ms, accounts=None if own else self._accounts)
        )
        if isinstance(self._accounts, People):
            self._accounts.open_link = self._server.links.open
            self._server.links.roles_of = self._accounts.roles_of
        self.url = await self._undo.enter_async_context(
            listening(self._server.web, host="127.0.0.1", port=self._port, idle_timeout_s=10, shutdown_timeout_s=0.2)
        )
        self._port = int(self.url.rsplit(":", 1)[1])

    async def stop(self) -> None:
        """Close everything."""
        if self._undo is not None:
            undo, self._undo = self._undo, None
            await undo.aclose()

    async def back_up(self, copy: Path) -> None:
        """Copy the stopped server's file."""
        assert self._undo is None
        shutil.copy(self.database, copy)

    async def restore(self, copy: Path) -> None:
        """Put a copy in the place of the stopped server's file."""
        assert self._undo is None
        for leftover in self.database.parent.glob(f"{self.database.name}-*"):
            leftover.unlink()
        shutil.copy(copy, self.database)


@asynccontextmanager
async def served(
    database: Path,
    app: App | None = None,
    *,
    now_ms: Callable[[], int] = wall_clock_ms,
    accounts: Authenticates | bool = False,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A server that listens while the block runs. `settings`: as in `syncd.settings`.

    `accounts`: True for the server's own; else see `people`.
    """
    server = Served(database, app, now_ms, accounts, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
