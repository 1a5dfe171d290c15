"""Random histories of documents on devices whose sync loops run by themselves: all end alike.

What must be in the documents in the end is held in tests/reference, where one thing happens at a time.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, Document
from tests.client_sdk.club_notes import Note, club_notes
from tests.client_sdk.conftest import QUICK
from tests.client_sdk.scripted_documents import SCOPE, ScriptedClub
from tests.sizes import SIZES
from tests.support.scripted_server import ScriptedServer, scripted_server

STEPS = 40
LETTERS = "abcé😀न "


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server that answers what the test says."""
    async with scripted_server() as server:
        yield server


class Device:
    """One replica that is closed and opened again."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.client: Client
        self.docs: dict[str, Document] = {}

    async def open(self) -> None:
        """Open it, and both documents."""
        self.client = Client(self.url, replica=self.path, app=club_notes, scopes=[SCOPE], timing=QUICK)
        await self.client.__aenter__()
        if await self.client.collection(Note).get("n1") is None:
            await self.client.synced(10)
        self.docs = {field: await self.client.document(Note, "n1", field=field) for field in ("body", "plan")}

    async def step(self, dice: random.Random) -> None:
        """Something that a person or a network does."""
        body, plan = self.docs["body"], self.docs["plan"]
        what = dice.choice(["type"] * 6 + ["cut"] * 2 + ["add"] * 2 + ["drop", "undo", "redo", "title", "away", "back"])
        if what == "type":
            await body.edit(lambda text: text.insert(dice.randint(0, len(text)), dice.choice(LETTERS) * 2))
        elif what == "cut":
            await body.edit(lambda text: text.delete(dice.randrange(len(text) or 1), min(1, len(text))))
        elif what == "add":
            await plan.edit(lambda items: items.insert(dice.randint(0, len(items)), dice.randint(0, 9)))
        elif what == "drop":
            await plan.edit(lambda items: items.delete(dice.randrange(len(items) or 1), min(1, len(items))))
        elif what == "undo":
            await body.undo()
        elif what == "redo":
            await body.redo()
        elif what == "title":
            await self.client.collection(Note).update("n1", title=dice.choice("xyz"))
        elif what == "away":
            await self.client.pause()
        elif what == "back":
            await self.client.resume()
            await self.client.synced(10)

    def says(self) -> tuple[Any, Any]:
        """What it shows."""
        return str(self.docs["body"]), self.docs["plan"].to_json()


@pytest.mark.parametrize("seed", range(SIZES.looped_documents))
@pytest.mark.parametrize("refusals", [False, True], ids=["", "refused"])
async def test_all_devices_end_alike(scripted: ScriptedServer, tmp_path: Path, seed: int, refusals: bool) -> None:
    dice = random.Random(f"{seed} {refusals}")
    club = ScriptedClub(scripted, club_notes)
    async with Client(scripted.url, replica=tmp_path / "first.db", app=club_notes, timing=QUICK) as first:
        await first.collection(Note).put(Note(id="n1", club="a"))
        await first.synced(10)
    if refusals:
        luck = random.Random(seed)
        club.refuse = lambda change: "unlucky" if "title" not in change.fields and luck.random() < 0.15 else None
    devices = [Device(tmp_path / f"{name}.db", scripted.url) for name in ("phone", "laptop", "tablet")]
    for device in devices:
        await device.open()
    try:
        for _ in range(STEPS):
            device = dice.choice(devices)
            if dice.random() < 0.06:
                await device.client.close()
                await device.open()
            await device.step(dice)
        club.refuse = lambda change: None
        for _ in range(2):
            for device in devices:
                await device.client.resume()
                await device.client.synced(10)
        said = (
            club.say("n1", "body") if ("note", "n1", "body") in club.logs else "",
            club.say("n1", "plan") if ("note", "n1", "plan") in club.logs else [],
        )
        assert [device.says() for device in devices] == [said] * 3
        for device in devices:
            before = device.says()
            await device.client.close()
            await device.open()
            assert device.says() == before
    finally:
        for device in devices:
            await device.client.close()
