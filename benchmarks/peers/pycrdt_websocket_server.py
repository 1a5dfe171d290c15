"""pycrdt-websocket behind uvicorn and uvloop: python pycrdt_websocket_server.py PORT [DATABASE]

Runs in an environment of its own, and imports nothing of ours.
"""

# mypy: ignore-errors
# What it imports is not in our environment.

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import uvicorn
import uvloop
from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom


class StoredRooms(WebsocketServer):
    """Rooms whose documents are read from a SQLite file when they are opened, and written to it update by update."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self._stores: Any = type("Stores", (SQLiteYStore,), {"db_path": database})
        self._opening = asyncio.Lock()

    async def get_room(self, name: str) -> YRoom:
        """The room, with what is stored in it."""
        async with self._opening:
            if name not in self.rooms:
                store = self._stores(path=name)
                room = YRoom(ready=False, ystore=store)
                self.rooms[name] = room
                await self.start_room(room)
                await store.started.wait()
                with suppress(YDocNotFound):
                    await store.apply_updates(room.ydoc)
                room.ready = True
        return self.rooms[name]


async def _serve(port: int, database: str | None) -> None:
    rooms = StoredRooms(database) if database else WebsocketServer()
    # The library's `serve` asks for a room and then cleans it when its last client has gone; both as by default.
    config = uvicorn.Config(
        ASGIServer(rooms),
        host="127.0.0.1",
        port=port,
        loop="none",
        log_level="warning",
        backlog=4096,
        ws="websockets",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
    )
    async with rooms:
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
