"""Restored backups, of the server and of a phone: what was lost is sent again, and nothing is doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk import Increment
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.taps import Counter, taps
from tests.support.lossy_network import Fate, lossy_network
from tests.support.served import Served, served
from tests.support.until import until


async def test_clients_ahead_of_a_restored_server_are_told_reset_and_send_again_what_it_lost(
    server: Served, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    phones = [await open_client(name, server.url) for name in ("one", "two")]
    for phone in phones:
        await phone.collection("note", scope="main").put({"id": f"before-{phone.replica_id}"})
        await phone.synced()
    await server.stop()
    backup = server.database.with_suffix(".backup")
    await server.back_up(backup)
    await server.start()
    for phone in phones:
        await phone.collection("note").update(f"before-{phone.replica_id}", text="edited after the backup")
        await phone.collection("note", scope="main").put({"id": f"lost-{phone.replica_id}"})
        await phone.synced()
    await server.stop()
    await server.restore(backup)
    for phone in phones:
        await phone.collection("note", scope="main").put({"id": f"unsent-{phone.replica_id}"})
    await server.start()
    for phone in phones:
        await phone.synced()
    for phone in phones:
        await phone.synced()
    assert caplog.text.count("or of other types (reset)") >= 2
    for phone in [*phones, await open_client("fresh", server.url)]:
        await phone.synced()
        notes = {str(note["id"]): note.get("text") for note in await phone.collection("note").all()}
        assert sorted(name.partition("-")[0] for name in notes) == [
            "before",
            "before",
            "lost",
            "lost",
            "unsent",
            "unsent",
        ]
        assert [notes[name] for name in sorted(notes)[:2]] == ["edited after the backup"] * 2
        assert await phone.check("main")
        assert phone.status.repaired == 0


async def test_a_phone_restored_from_an_old_copy_of_its_file_ends_with_nothing_doubled(
    tmp_path: Path, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The rule counts every tap. The phone had sent numbers 1 to 20, and its old copy counts on from 11."""
    async with served(tmp_path / "server.db", taps) as server, lossy_network(server.port) as network:
        phone = await open_client("phone", network.url, app=taps)
        counters = phone.collection(Counter)
        await counters.put(Counter(id="c", count=1))
        for _ in range(9):
            await counters.update("c", count=Increment())
        await phone.synced()
        await phone.close()
        old_copy = (tmp_path / "phone.db").read_bytes()
        phone = await open_client("phone", network.url, app=taps)
        for _ in range(10):
            await phone.collection(Counter).update("c", count=Increment())
        await phone.synced()
        await phone.close()

        (tmp_path / "phone.db").write_bytes(old_copy)
        # Pushes come before anything else could tell that the numbers are taken.
        network.fate_of = lambda request: Fate.LOSE if request.what == "pull" else Fate.PASS
        phone = await open_client("phone", app=taps)
        for _ in range(5):
            await phone.collection(Counter).update("c", count=Increment())
        await phone.close()
        phone = await open_client("phone", network.url, app=taps)
        await until(lambda: "id_reuse" in caplog.text)
        network.fate_of = lambda request: Fate.PASS
        await phone.synced()
        family = await open_client("family", server.url, app=taps)
        await family.synced()
        for client in (phone, family):
            counter = await client.collection(Counter).get("c")
            assert counter is not None
            assert counter.count == 25
            assert await client.check("main")
        assert (phone.status.pending, phone.status.rejected) == (0, 0)
