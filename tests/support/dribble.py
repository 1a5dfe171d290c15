"""A request that is begun and then takes its time: who asks is told by its header, what he asks by a body that comes to
its end only after something else has happened.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from syncd.engine.principal import Principal
from tests.support.served import Served

__all__ = ["dribbled"]


async def dribbled(
    server: Served, token: str, method: str, path: str, body: object, meanwhile: Callable[[], Awaitable[object]]
) -> tuple[int, Any]:
    """Status and answer of a request whose body ends after `meanwhile`, which begins once the server knows who asks."""
    access = server.parts.access
    by_header, known = access.by_header, asyncio.Event()

    async def noted(authorization: str | None) -> Principal:
        principal = await by_header(authorization)
        known.set()
        return principal

    async def arriving() -> AsyncIterator[bytes]:
        data = json.dumps(body).encode()
        yield data[:1]
        await known.wait()
        await meanwhile()
        yield data[1:]

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with asyncio.timeout(20), ClientSession() as http:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(access, "by_header", noted)
            async with http.request(method, server.url + path, data=arriving(), headers=headers) as response:
                return response.status, json.loads(await response.read())
