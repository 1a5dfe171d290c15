"""Recorded writing over a real server: typed by a device for each writer, or sent update by update in any order, with a
server that is killed; all end with the recorded text, and so does whoever comes later.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from client_sdk import Client, Document
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.recorded_texts import Patch, Typist, arriving, shortened, typists
from tests.client_sdk.writing_desk import SCOPE, Page, writing_desk
from tests.sizes import SIZES
from tests.support import crdt
from tests.support.served import served
from tests.support.server import running_server
from tests.support.until import until

DESK: dict[str, Any] = {"app": writing_desk, "scopes": [SCOPE]}
PATIENCE_S = 60.0

PER_EDIT = 25
"""So many transactions of the recording are typed in one edit."""

PER_SPELL = 1_000
"""So many may be typed between two syncs. No two writers typed at one spot at one time, and here neither do they; with
2,000 they would, once in friendsforever, and whose letters come first there is told by the dice."""

AT_ONCE = 400

ORDERS = [(order, seed) for seed in range(SIZES.served_shuffles) for order in ("shuffled", "window")]


async def a_page(client: Client, field: str = "text") -> Document:
    """A fresh page, on the server already, and one of its documents."""
    await client.collection(Page).put(Page(id="p", desk="a"))
    await client.synced(PATIENCE_S)
    return await client.document(Page, "p", field=field)


async def all_hold(
    expected: Any, url: str, devices: Sequence[Client], open_client: OpenClient, field: str = "text"
) -> None:
    """Devices, server and a newcomer hold it; nothing waits and nothing was refused."""
    newcomer = await open_client("newcomer", url, **DESK)
    for device in (*devices, newcomer):
        await device.synced(PATIENCE_S)
        doc = await device.document(Page, "p", field=field)
        assert doc.to_json() == expected
        assert doc.current
        assert (device.status.pending, await device.rejected()) == (0, [])
        page = await device.collection(Page).get("p")
        assert page is not None
        assert getattr(page, field) == expected
    async with ClientSession(url) as http:
        async with http.get("/sync/v1/document", params={"type": "page", "id": "p", "field": field}) as answer:
            assert (await answer.json())["value"] == expected
        async with http.get("/sync/v1/quarantine") as answer:
            assert (await answer.json())["changes"] == []


class Desk:
    """Writers, with a device and the document each."""

    def __init__(self, writers: list[Typist], devices: list[Client], docs: list[Document]) -> None:
        self.devices = devices
        self._writers = writers
        self._docs = docs

    @property
    def writing(self) -> bool:
        """Whether anything is left to type."""
        return any(writer.left for writer in self._writers)

    async def type_offline(self) -> None:
        """A spell without a network: each types on from what he has, up to where he needs what he has not heard."""
        for device in self.devices:
            await device.pause()
        for writer, doc in zip(self._writers, self._docs, strict=True):
            for _ in range(PER_SPELL // PER_EDIT):
                if not (patches := writer.types(PER_EDIT)):
                    break
                await doc.edit(partial(types, patches=patches))
        assert any(writer.fresh for writer in self._writers), "each waits for another"

    async def meet(self) -> None:
        """All come online, and hear what the others have typed."""
        for device in self.devices:
            await device.resume()
        # What one has sent, the next may have asked for before.
        for _ in range(2):
            await asyncio.gather(*(device.synced(PATIENCE_S) for device in self.devices))
        for writer in self._writers:
            for other in self._writers:
                if other is not writer:
                    writer.hear(other.fresh)
        for writer, doc in zip(self._writers, self._docs, strict=True):
            writer.fresh = []
            assert str(doc) == writer.screen


def types(text: Any, patches: Sequence[Patch]) -> None:
    """As it was typed."""
    for at, gone, come in patches:
        text.replace(at, gone, come)


async def a_desk(name: str, url: str, open_client: OpenClient) -> Desk:
    """All is ready to write a trace."""
    writers = typists(name, SIZES.served_transactions)
    devices = [await open_client(f"device{number}", url, **DESK) for number in range(len(writers))]
    docs = [await a_page(devices[0])]
    for device in devices[1:]:
        await device.synced(PATIENCE_S)
        docs.append(await device.document(Page, "p", field="text"))
    return Desk(writers, devices, docs)


@pytest.mark.parametrize("name", crdt.TRACES)
async def test_a_text_typed_on_a_device_for_each_writer_ends_as_it_did(
    name: str, tmp_path: Path, open_client: OpenClient
) -> None:
    async with served(tmp_path / "server.db", writing_desk) as server:
        desk = await a_desk(name, server.url, open_client)
        while desk.writing:
            await desk.type_offline()
            await desk.meet()
        await all_hold(shortened(name, SIZES.served_transactions).end, server.url, desk.devices, open_client)


@pytest.mark.parametrize(("order", "seed"), ORDERS)
@pytest.mark.parametrize("name", crdt.TRACES)
async def test_single_updates_in_any_order_with_a_tenth_repeated_make_the_same_text(
    name: str, order: str, seed: int, tmp_path: Path, open_client: OpenClient
) -> None:
    trace = shortened(name, SIZES.served_updates)
    async with served(tmp_path / "server.db", writing_desk) as server:
        device = await open_client("device", server.url, **DESK)
        doc = await a_page(device)
        await send(device, doc, arriving(trace.updates, order, seed))
        await all_hold(trace.end, server.url, [device], open_client)


async def send(device: Client, doc: Document, updates: Sequence[bytes]) -> None:
    """A change for each, up to so many in one local commit, as fast as the server takes them."""
    dice, sent = random.Random(len(updates)), 0
    while sent < len(updates):
        some = dice.randint(1, AT_ONCE)
        await doc.apply_all(updates[sent : sent + some])
        sent += some
        await until(lambda: device.status.pending < 2 * AT_ONCE)


@pytest.mark.parametrize("name", crdt.TRACES)
async def test_a_server_killed_in_the_middle_of_what_is_typed_has_it_all_in_the_end(
    name: str, tmp_path: Path, open_client: OpenClient
) -> None:
    app = "tests.client_sdk.writing_desk:writing_desk"
    async with running_server(tmp_path / "server.db", app=app) as server:
        desk = await a_desk(name, server.url, open_client)
        for _ in range(SIZES.served_kills):
            await desk.type_offline()
            await desk.meet()
            await desk.type_offline()
            meeting = asyncio.create_task(desk.meet())
            await until(lambda: any(device.status.connected for device in desk.devices))
            await server.kill()
            await server.start()
            await meeting
        while desk.writing:
            await desk.type_offline()
            await desk.meet()
        await all_hold(shortened(name, SIZES.served_transactions).end, server.url, desk.devices, open_client)


@pytest.mark.parametrize("name", crdt.TRACES[: SIZES.served_kills])
async def test_a_server_killed_in_the_middle_of_single_updates_has_them_all_in_the_end(
    name: str, tmp_path: Path, open_client: OpenClient
) -> None:
    trace = shortened(name, SIZES.served_updates)
    coming = arriving(trace.updates, "shuffled", 0)
    app = "tests.client_sdk.writing_desk:writing_desk"
    async with running_server(tmp_path / "server.db", app=app) as server:
        device = await open_client("device", server.url, **DESK)
        doc = await a_page(device)
        part = len(coming) // (SIZES.served_kills + 1)
        for number in range(SIZES.served_kills):
            await send(device, doc, coming[number * part : (number + 1) * part])
            await server.kill()
            await server.start()
        await send(device, doc, coming[SIZES.served_kills * part :])
        await all_hold(trace.end, server.url, [device], open_client)


@pytest.mark.parametrize("document", crdt.yjs_documents(), ids=lambda document: document.name)
async def test_a_document_that_yjs_wrote_shows_the_same_everywhere(
    document: crdt.YjsDocument, tmp_path: Path, open_client: OpenClient
) -> None:
    expected = document.expected
    if document.root == "text":
        # Of runs with formats and embedded values, a view shows the letters.
        expected = "".join(run["insert"] for run in expected if isinstance(run["insert"], str))
    async with served(tmp_path / "server.db", writing_desk) as server:
        device = await open_client("device", server.url, **DESK)
        doc = await a_page(device, document.root)
        change = await doc.apply(document.update)
        assert change is not None
        await all_hold(expected, server.url, [device], open_client, document.root)
        assert (await change.outcome()).code is None
