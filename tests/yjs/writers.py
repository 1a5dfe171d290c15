"""Both sides of a document: devices with the SDK, and yjs, which speaks to the server by what HTTP gives and takes."""

from __future__ import annotations

import base64
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import aiohttp

from client_sdk import Client, Document
from tests.client_sdk.writing_desk import SCOPE, Page
from tests.support.served import Served
from tests.yjs.node import YjsPeer

__all__ = ["KINDS", "PAGE", "OpenDevice", "Reader", "a_page", "apply_all", "canonical", "document", "type_at_random"]

OpenDevice = Callable[[str], Awaitable[Client]]
KINDS = ("text", "map", "array")
PAGE = "p1"
WORDS = ("a", "two ", "नमस्ते", "ने", "😀", "👩‍👩‍👧", "é")


async def a_page(client: Client) -> None:
    """A page, on the server."""
    await client.collection(Page).put(Page(id=PAGE, desk=SCOPE.partition(":")[2]))
    await client.synced(30)


async def document(client: Client, kind: str) -> Document:
    """The document of that kind on the page, which has come by then."""
    if await client.collection(Page).get(PAGE) is None:
        await client.synced(30)
    return await client.document(Page, PAGE, field=kind)


async def apply_all(doc: Document, updates: Iterable[str]) -> None:
    """Bring what yjs has made."""
    for update in updates:
        await doc.apply(base64.b64decode(update))


class Reader:
    """A yjs document that is kept up by what the server has. `since`, `seq`: as far as it is. `made`: what yjs has made
    upon that, and whoever has it is to send."""

    def __init__(self, desk: Served, yjs: YjsPeer, kind: str, doc: str) -> None:
        self.desk = desk
        self.yjs = yjs
        self.kind = kind
        self.doc = doc
        self.since = 0
        self.seq = 0
        self.made: list[str] = []

    async def catch_up(self) -> dict[str, Any]:
        """Bring what it lacks, and show it."""
        state = (await self.yjs.show(self.doc))["state"]
        asked = {"type": "page", "id": PAGE, "field": self.kind, "since": self.since or None, "seq": self.seq}
        async with aiohttp.ClientSession() as session:
            body = {"documents": [asked | {"state": state}]}
            async with session.post(f"{self.desk.url}/sync/v1/documents", json=body) as response:
                assert response.status == 200, await response.text()
                (part,) = (await response.json())["documents"]
        assert "code" not in part, part
        self.since, self.seq = part["since"], part["seq"]
        self.made += await self.yjs.apply(self.doc, part["updates"])
        return await self.yjs.show(self.doc)

    async def catch_up_by(self, doc: Document, devices: Sequence[Client]) -> dict[str, Any]:
        """The same, and what yjs makes upon it is sent by `doc`, which is on one of `devices`, until all have all."""
        for _ in range(8):
            shown = await self.catch_up()
            if not self.made:
                return shown
            made, self.made = self.made, []
            await apply_all(doc, made)
            for _ in range(2):
                for device in devices:
                    await device.synced(30)
        raise AssertionError("yjs tidies for ever")

    async def on_the_server(self) -> Any:
        """What the server says the document holds."""
        query = {"type": "page", "id": PAGE, "field": self.kind}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.desk.url}/sync/v1/document", params=query) as response,
        ):
            assert response.status == 200, await response.text()
            return (await response.json())["value"]


def canonical(doc: Document) -> tuple[Any, Any]:
    """What a device shows, and of a text its runs with their formats, as yjs tells them."""
    if not isinstance(doc.to_json(), str):
        return doc.to_json(), None
    runs: list[dict[str, Any]] = []
    for text, attributes in doc.text._shared.diff():
        runs.append({"insert": text} | ({"attributes": plain(attributes)} if attributes else {}))
    return doc.to_json(), runs


def plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if isinstance(value, float) else value for name, value in attributes.items()}


async def type_at_random(doc: Document, dice: random.Random, times: int) -> None:
    """Somebody edits on a device."""
    edit = {"str": text_edit, "dict": map_edit, "list": array_edit}[type(doc.to_json()).__name__]
    for _ in range(times):
        await doc.edit(lambda part: edit(part, dice))


def text_edit(text: Any, dice: random.Random) -> None:
    length = len(text)
    at = dice.randint(0, length)
    some = min(dice.randint(1, 4), length - at)
    if dice.random() < 0.65 or not some:
        text.insert(at, dice.choice(WORDS))
    elif dice.random() < 0.6:
        text.delete(at, some)
    else:
        text.format(at, some, {"bold": dice.choice([True, None])})


def value(dice: random.Random) -> Any:
    return dice.choice(["word", "नेपाल 😀", 0, 7, -3, 1.5, True, None, [1, "two"], {"plain": {"deep": []}}])


def within(held: Sequence[Any], dice: random.Random) -> bool:
    """Edit a part that is nested here, if there is one, and the dice say so."""
    shared = [each for each in held if type(each).__name__ in ("TextPart", "MapPart", "ArrayPart")]
    if not shared or dice.random() < 0.5:
        return False
    part = dice.choice(shared)
    {"TextPart": text_edit, "MapPart": map_edit, "ArrayPart": array_edit}[type(part).__name__](part, dice)
    return True


def map_edit(part: Any, dice: random.Random) -> None:
    if within([part[name] for name in part], dice):
        return
    name = dice.choice(["a", "b", "नाम", "😀"])
    if name in part and dice.random() < 0.25:
        del part[name]
    elif dice.random() < 0.6:
        part[name] = value(dice)
    elif dice.random() < 0.5:
        part.new_text(name, dice.choice(WORDS))
    else:
        part.new_array(name).append(value(dice))


def array_edit(part: Any, dice: random.Random) -> None:
    if within(list(part), dice):
        return
    at = dice.randint(0, len(part))
    if at < len(part) and dice.random() < 0.25:
        part.delete(at)
    elif dice.random() < 0.6:
        part.insert(at, value(dice))
    elif dice.random() < 0.5:
        part.new_text(at, dice.choice(WORDS))
    else:
        part.new_map(at)["a"] = value(dice)
