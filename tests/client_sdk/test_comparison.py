"""Invariant 13: what a replica holds is compared with the server's by digest, and repaired where it differs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, NoServer, NotHere, SyncState, Timing, Unfit
from conflict_rules.digest import digest_text, scope_digest
from tests.client_sdk.conftest import OpenClient
from tests.support.lossy_network import Fate, LossyNetwork
from tests.support.scripted_server import nothing_new, reply, scripted_server
from tests.support.served import Served
from tests.support.until import until

DAMAGES = {
    "a row is lost": "DELETE FROM resources WHERE id = 'n3'",
    "a row is there that nobody made": (
        "INSERT INTO resources SELECT type, 'ghost', scope, version, generation, replace(body, '\"n3\"', '\"ghost\"') "
        "FROM resources WHERE id = 'n3'"
    ),
    "a value is another": "UPDATE resources SET body = replace(body, 'text of n3', 'text of nx')",
    "a version is too high": (
        "UPDATE resources SET version = 1000, body = replace(body, '\"version\":4', '\"version\":1000') WHERE id = 'n3'"
    ),
    "a row cannot be read": "UPDATE resources SET body = 'not JSON' WHERE id = 'n3'",
}


async def filled(open_client: OpenClient, url: str, count: int = 10) -> None:
    """The scope `main` holds some notes."""
    writer = await open_client("writer", url)
    notes = writer.collection("note", scope="main")
    for index in range(count):
        await notes.put({"id": f"n{index}", "text": f"text of n{index}"})
    await writer.synced()


async def damage(client: Client, sql: str) -> None:
    replica = client._replica
    assert replica is not None

    async def commit() -> None:
        async with replica.store.transaction():
            await replica.store._connection.execute(sql)

    await replica.write(commit)


async def texts(client: Client) -> dict[Any, Any]:
    return {note["id"]: note["text"] for note in await client.collection("note", scope="main").all()}


EXPECTED = {f"n{index}": f"text of n{index}" for index in range(10)}


@pytest.mark.parametrize("sql", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_scope_that_differs_is_brought_anew(
    server: Served, open_client: OpenClient, sql: str, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(open_client, server.url)
    phone = await open_client("phone", server.url)
    await phone.synced()
    assert await phone.check("main")
    assert phone.status.repaired == 0
    await damage(phone, sql)
    with caplog.at_level(logging.WARNING, "client_sdk"):
        assert not await phone.check("main")
    assert "main differs" in caplog.text
    await phone.synced()
    assert await texts(phone) == EXPECTED
    assert await phone.check("main")
    assert phone.status.repaired == 1


async def test_nothing_flickers_while_a_scope_is_repaired_and_the_outbox_is_kept(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    await filled(open_client, server.url)
    phone = await open_client("phone", network.url)
    await phone.synced()
    network.fate_of = lambda request: Fate.LOSE if request.what == "push" else Fate.PASS
    handle = await phone.collection("note", scope="main").put({"id": "own", "text": "not sent yet"})
    await damage(phone, DAMAGES["a row is there that nobody made"])
    # Small pages, so that the repair takes several.
    assert phone._loop is not None
    phone._loop._pull._portion._bytes = 400
    watch = phone.watch("main")
    assert not await phone.check("main")
    while phone._loop._pull.behind():
        shown = await texts(phone)
        assert EXPECTED.items() <= shown.items()
        assert "own" in shown
    assert await texts(phone) == {**EXPECTED, "own": "not sent yet"}
    assert phone.status.pending == 1
    delta = await anext(watch)
    assert [(state.id, state.deleted is not None) for state in delta.states] == [("ghost", True)]
    network.fate_of = lambda request: Fate.PASS
    await handle.outcome()
    await phone.synced()
    assert await phone.check("main")


async def test_a_repair_that_is_cut_off_goes_on_after_a_restart(
    server: Served, network: LossyNetwork, open_client: OpenClient, tmp_path: Path
) -> None:
    await filled(open_client, server.url)
    async with Client(network.url, replica=tmp_path / "p.db", scopes=["main"]) as phone:
        await phone.synced()
        await damage(phone, DAMAGES["a row is there that nobody made"])
        network.fate_of = lambda request: Fate.PASS if request.json.get("digest") else Fate.LOSE
        assert phone._loop is not None
        phone._loop._pull._portion._bytes = 400
        assert not await phone.check("main")
    network.fate_of = lambda request: Fate.PASS
    async with Client(network.url, replica=tmp_path / "p.db") as phone:
        await phone.synced()
        assert await texts(phone) == EXPECTED


async def test_digests_are_asked_for_after_a_bootstrap_and_after_each_reconnection_only(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    def asked() -> list[bool]:
        return [bool(request.json.get("digest")) for request in network.requests if request.what == "pull"]

    await filled(open_client, server.url)
    phone = await open_client("phone", network.url)
    await phone.synced()
    await until(lambda: phone.status.state is SyncState.LIVE)
    assert asked()[0]
    await phone.synced()
    assert not asked()[-1]
    await damage(phone, DAMAGES["a row is lost"])
    await phone.synced()
    assert len(await texts(phone)) == 9
    network.break_live()
    await until(lambda: phone.status.repaired == 1)
    await phone.synced()
    assert await texts(phone) == EXPECTED


async def test_a_long_quiet_replica_is_compared_now_and_then(server: Served, open_client: OpenClient) -> None:
    await filled(open_client, server.url)
    often = Timing(first_retry_s=0.01, longest_retry_s=0.05, poll_s=0.02, poll_without_live_s=0.02, check_s=0.05)
    phone = await open_client("phone", server.url, timing=often)
    await phone.synced()
    await until(lambda: phone.status.state is SyncState.LIVE)
    await damage(phone, DAMAGES["a value is another"])
    await until(lambda: phone.status.repaired == 1)
    await phone.synced()
    assert await texts(phone) == EXPECTED


async def test_a_difference_that_repairs_do_not_mend_is_no_loop_of_snapshots(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted_server() as scripted:

        def wrong(request: Any) -> Any:
            page = {"resources": [], "cursor": "c0", "settled": 0, "more": False, "digest": "0" * 31 + "1"}
            return reply(scopes=dict.fromkeys(request["scopes"], page))

        scripted.answer["pull"] = wrong
        phone = await open_client("phone", scripted.url)
        await phone.synced()
        assert not await phone.check("main")
        assert not await phone.check("main")
        assert phone.status.repaired == 1
        assert "still differs" in caplog.text
        assert [pull["scopes"]["main"] for pull in scripted.seen("pull")].count(None) == 2
        assert await asyncio.wait_for(phone.synced(), 10) is None


async def test_a_server_without_digests_is_no_reason_to_wait(open_client: OpenClient) -> None:
    async with scripted_server() as scripted:
        scripted.answer["pull"] = nothing_new
        phone = await open_client("phone", scripted.url)
        await phone.synced()
        with pytest.raises(Unfit, match="no digests"):
            await phone.check("main")


async def test_what_cannot_be_compared_says_why(server: Served, open_client: OpenClient) -> None:
    alone = await open_client("alone")
    with pytest.raises(NoServer):
        await alone.check("main")
    phone = await open_client("phone", server.url)
    with pytest.raises(NotHere, match="elsewhere"):
        await phone.check("elsewhere")
    await phone.pause()
    with pytest.raises(TimeoutError):
        await phone.check("main", timeout_s=0.01)
    asking = asyncio.create_task(phone.check("main"))
    await asyncio.sleep(0)
    await phone.unfollow("main")
    with pytest.raises(Unfit, match="not followed"):
        await asking


async def test_the_digest_is_of_what_is_confirmed_not_of_what_is_pending(
    server: Served, open_client: OpenClient
) -> None:
    await filled(open_client, server.url)
    phone = await open_client("phone", server.url)
    await phone.synced()
    await phone.pause()
    await phone.collection("note", scope="main").update("n1", text="pending")
    replica = phone._replica
    assert replica is not None
    async with replica.reading():
        confirmed = [(await replica.look(("note", f"n{index}")))[0] for index in range(10)]
    page = (await server.parts.puller.pull(None, {"main": None}, 1 << 20, digest=True))["main"]
    assert page.digest == digest_text(scope_digest([state for state in confirmed if state is not None]))
