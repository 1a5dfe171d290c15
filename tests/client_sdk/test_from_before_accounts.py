"""A phone with a file from before its server had accounts: its owner logs in, and goes on where he was."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk import Increment
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.members import grant, quarantined
from tests.client_sdk.taps import Counter, taps
from tests.support.people import People
from tests.support.served import served


@pytest.mark.parametrize("replies_lost", [False, True], ids=["nothing in doubt", "five whose reply was lost"])
async def test_its_queue_comes_through_under_a_fresh_id_without_loss_or_doubling(
    tmp_path: Path, open_client: OpenClient, replies_lost: bool
) -> None:
    """The rule counts every tap; twenty wait when there are accounts."""

    async def tap(url: str | None, times: int, **options: str) -> str:
        phone = await open_client("phone", url, app=taps, **options)
        counters = phone.collection(Counter)
        if not await counters.all():
            await counters.put(Counter(id="c", count=0))
        for _ in range(times):
            await counters.update("c", count=Increment())
        if url is not None:
            await phone.synced(10)
        name = phone.replica_id
        await phone.close()
        return name

    async with served(tmp_path / "server.db", taps) as server:
        before = await tap(server.url, 5)
        await tap(None, 5)
        queued = (tmp_path / "phone.db").read_bytes()
        await tap(server.url, 0)
    if replies_lost:
        # The server has them, and this file knows of no answer.
        (tmp_path / "phone.db").write_bytes(queued)
    assert await tap(None, 20) == before

    async with served(tmp_path / "server.db", taps, accounts=People()) as server:
        await grant(server, "sam", "owner", "main")
        assert await tap(server.url, 0, token="sam") != before
        name = await tap(server.url, 1, token="sam")
        phone = await open_client("phone", server.url, app=taps, token="sam")
        family = await open_client("family", server.url, app=taps, token="sam")
        for client in (phone, family):
            await client.synced(10)
            counter = await client.collection(Counter).get("c")
            assert counter is not None
            assert counter.count == 31
            assert await client.check("main", 10)
        assert (phone.replica_id, phone.status.pending, phone.status.rejected) == (name, 0, 0)
        assert await quarantined(server, "sam") == []
        async with server.parts.store.snapshot() as snapshot:
            assert await snapshot.owners([before, name]) == {before: "", name: "sam"}
