"""A live socket of somebody in the world."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import WSMsgType

from tests.access.world import World

__all__ = ["Talk"]


class Talk:
    """A socket of somebody's, after his hello."""

    def __init__(self, club: World, who: str, replica: str | None = None) -> None:
        self.club, self.who, self.replica = club, who, replica or f"{who}-phone"
        self.said = ""

    async def __aenter__(self) -> Talk:
        self.socket = await self.club.http.ws_connect("/sync/v1/live")
        hello: dict[str, Any] = {"type": "hello", "replica": self.replica}
        if self.club.tokens[self.who] is not None:
            hello["token"] = self.club.tokens[self.who]
        await self.socket.send_json(hello)
        frame = await self.receive()
        self.said = frame["type"]
        if self.said == "error":
            await self.socket.receive(timeout=10)
            self.said = str(self.socket.close_code)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def receive(self, *kinds: str) -> dict[str, Any]:
        """The next frame, of one of these types if any are named."""
        while True:
            message = await self.socket.receive(timeout=10)
            assert message.type is WSMsgType.TEXT, message
            frame: dict[str, Any] = json.loads(message.data)
            if not kinds or frame["type"] in kinds:
                return frame

    async def say(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def subscribe(self, match: str) -> dict[str, Any]:
        await self.say(type="subscribe", scopes={match: None})
        standing: dict[str, Any] = (await self.receive("subscribed"))["scopes"][match]
        return standing

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes it, whatever comes before."""
        while True:
            message = await self.socket.receive(timeout=10)
            if message.type is WSMsgType.CLOSE:
                return message.data, message.extra or ""
            assert message.type is WSMsgType.TEXT, message
