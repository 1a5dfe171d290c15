"""What the commands ask a server over the network, and what they make of its answers."""

from __future__ import annotations

import pytest

from client_sdk.errors import Denied
from client_sdk.transport import Transport
from syncd.commands.remote import next_page
from tests.support.scripted_server import reply, scripted_server


async def test_a_scope_that_may_not_be_seen_is_said_to_be_one() -> None:
    async with scripted_server() as server:
        server.answer["pull"] = lambda request: reply(scopes={scope: {"gone": True} for scope in request["scopes"]})
        transport = Transport(server.url, None, 5)
        try:
            with pytest.raises(Denied, match="match:9f may not be seen with this token"):
                await next_page(transport, "someone", "match:9f", None)
        finally:
            await transport.close()
