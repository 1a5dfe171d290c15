"""Connections whose owner reads when the test says so, and puts together who is here as any client would."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import msgpack

from syncd.engine.connection import Connection

__all__ = ["Onlooker", "bodies_of", "frames_of"]


async def bodies_of(connection: Connection) -> AsyncIterator[bytes]:
    """Its frames as they come, until it is closed."""
    while (frame := await connection.take()) is not None:
        yield frame.body


async def frames_of(connection: Connection, most: int | None = None) -> list[dict[str, Any]]:
    """The frames that wait now, at most so many."""
    found: list[dict[str, Any]] = []
    while (connection.aside_count or connection._frames or connection._lagging or connection._gone) and len(
        found
    ) != most:
        # Alone it would wait for the next one where nothing was to be told after all.
        connection.put_aside(("", "end"), lambda: b'{"type":"end"}')
        frame = await connection.take()
        assert frame is not None
        decoded = (
            msgpack.unpackb(frame.body) if connection.packed and frame.body[:1] != b"{" else json.loads(frame.body)
        )
        if decoded["type"] != "end":
            found.append(decoded)
        connection.forget_aside([""])
    return found


class Onlooker:
    """What one connection makes of the frames it reads: `others` by scope and replica, `more` by scope."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.others: dict[str, dict[str, Any]] = defaultdict(dict)
        self.more: dict[str, int] = defaultdict(int)

    async def read(self, most: int | None = None) -> list[dict[str, Any]]:
        """Take what waits, at most so many frames; returns them."""
        frames = await frames_of(self.connection, most)
        for frame in frames:
            self.take(frame)
        return frames

    def take(self, frame: dict[str, Any]) -> None:
        """As docs/protocol.md tells it."""
        scope = frame["scope"]
        if frame["type"] == "present":
            self.others[scope] = {entry["replica"]: entry["state"] for entry in frame["entries"]}
            self.more[scope] = frame.get("more", 0)
        elif "more" in frame:
            self.more[scope] = frame["more"]
        elif frame["state"] is None:
            self.others[scope].pop(frame["replica"], None)
        else:
            self.others[scope][frame["replica"]] = frame["state"]

    def leave(self, scope: str) -> None:
        """It watches this scope no more."""
        self.others.pop(scope, None)
        self.more.pop(scope, None)
