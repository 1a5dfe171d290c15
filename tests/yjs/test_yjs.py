"""What yjs writes under a real Node goes through devices and a real server, and comes back; and the other way round."""

from __future__ import annotations

import random
from typing import Any

import pytest

from client_sdk import Document
from tests.sizes import SIZES
from tests.support.served import Served
from tests.support.until import until
from tests.yjs.node import YjsPeer
from tests.yjs.writers import KINDS, OpenDevice, Reader, a_page, apply_all, canonical, document, type_at_random

EDITS = 25

pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("seed", range(SIZES.yjs_documents))]


def same(doc: Document, shown: dict[str, Any]) -> None:
    """A device shows what yjs shows."""
    assert not shown["waits"]
    assert canonical(doc) == (shown["json"], shown["runs"])


async def test_what_yjs_wrote_comes_back_equal(
    yjs: YjsPeer, desk: Served, device: OpenDevice, kind: str, seed: int
) -> None:
    phone, laptop = await device("phone"), await device("laptop")
    await a_page(phone)
    await yjs.open("author", kind, client=1)
    mine = await document(phone, kind)
    await apply_all(mine, await yjs.edit("author", seed, EDITS))
    await phone.synced(30)
    await laptop.synced(30)
    written = await yjs.show("author")
    assert written["json"], "there is something to lose"
    same(mine, written)
    same(await document(laptop, kind), written)
    await yjs.open("reader", kind, client=2)
    reader = Reader(desk, yjs, kind, "reader")
    assert await reader.catch_up() == written, "content, formats and state vector"
    assert await reader.on_the_server() == written["json"]


async def test_what_a_device_wrote_reaches_yjs(
    yjs: YjsPeer, desk: Served, device: OpenDevice, kind: str, seed: int
) -> None:
    phone = await device("phone")
    await a_page(phone)
    mine = await document(phone, kind)
    await yjs.open("reader", kind, client=2)
    reader = Reader(desk, yjs, kind, "reader")
    dice = random.Random(seed)
    for _ in range(3):  # from nothing, and from where it was
        await type_at_random(mine, dice, EDITS // 3)
        await phone.synced(30)
        same(mine, await reader.catch_up())
        assert await reader.on_the_server() == mine.to_json()


async def test_both_sides_write_at_once(yjs: YjsPeer, desk: Served, device: OpenDevice, kind: str, seed: int) -> None:
    """yjs is on a laptop, whose SDK sends what it made; the phone is away meanwhile."""
    phone, laptop = await device("phone"), await device("laptop")
    await a_page(phone)
    mine, theirs = await document(phone, kind), await document(laptop, kind)
    await yjs.open("writer", kind, client=3)
    reader, dice = Reader(desk, yjs, kind, "writer"), random.Random(seed)
    await type_at_random(mine, dice, 5)
    await phone.synced(30)
    await reader.catch_up()
    for turn in range(3):
        await phone.pause()
        await type_at_random(mine, dice, 6)
        await apply_all(theirs, await yjs.edit("writer", 100 * seed + turn, 6))
        await type_at_random(theirs, dice, 2)
        await laptop.synced(30)
        await phone.resume()
        await phone.synced(30)
        await laptop.synced(30)
        shown = await reader.catch_up_by(theirs, [laptop, phone])
        await until(lambda: mine.to_json() == theirs.to_json())
        same(mine, shown)
        same(theirs, shown)
        assert await reader.on_the_server() == shown["json"]


async def test_what_yjs_wrote_waits_in_the_queue_without_a_network(
    yjs: YjsPeer, desk: Served, device: OpenDevice, kind: str, seed: int
) -> None:
    phone = await device("phone")
    await a_page(phone)
    await desk.stop()
    await yjs.open("author", kind, client=1)
    mine = await document(phone, kind)
    dice = random.Random(seed)
    for turn in range(4):
        await apply_all(mine, await yjs.edit("author", 10 * seed + turn, 5))
        await type_at_random(mine, dice, 2)
    assert phone.status.pending
    shown_offline = mine.to_json()
    await desk.start()
    await phone.synced(30)
    assert mine.to_json() == shown_offline
    await yjs.open("reader", kind, client=2)
    same(mine, await Reader(desk, yjs, kind, "reader").catch_up_by(mine, [phone]))
    # The author has not seen what was typed on the phone.
    same(mine, await Reader(desk, yjs, kind, "author").catch_up_by(mine, [phone]))


async def test_updates_of_yjs_come_in_any_order_and_twice(
    yjs: YjsPeer, desk: Served, device: OpenDevice, kind: str, seed: int
) -> None:
    devices = [await device(name) for name in ("phone", "laptop")]
    await a_page(devices[0])
    docs = [await document(each, kind) for each in devices]
    await yjs.open("one", kind, client=1)
    await yjs.open("other", kind, client=2)
    updates: list[str] = []
    for turn in range(3):
        for name, seen_by in (("one", "other"), ("other", "one")):
            made, to = await yjs.edit(name, 10 * seed + turn, 5), [seen_by, name]
            while made:
                updates += made
                made = await yjs.apply(to[0], made)
                to.reverse()
    dice = random.Random(seed)
    arriving = [*updates, *dice.sample(updates, 8)]
    dice.shuffle(arriving)
    for update in arriving:
        await apply_all(dice.choice(docs), [update])
    for _ in range(2):
        for each in devices:
            await each.synced(30)
    shown = await yjs.show("one")
    same(docs[0], shown)
    same(docs[1], shown)
    await yjs.open("reader", kind, client=3)
    assert await Reader(desk, yjs, kind, "reader").catch_up_by(docs[0], devices) == shown
