"""Closing ends, whatever the server does at that moment."""

from __future__ import annotations

import asyncio

from tests.client_sdk.conftest import OpenClient
from tests.support.scripted_server import scripted_server


async def test_a_client_can_be_closed_right_after_its_server_has_gone(open_client: OpenClient) -> None:
    for attempt in range(5):
        async with scripted_server() as scripted:
            phone = await open_client(f"phone{attempt}", scripted.url)
            await phone.synced()
        async with asyncio.timeout(0.9):
            await phone.close()
