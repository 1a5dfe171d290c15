"""Laws 1 and 10: the server was restored, and its versions stand for other values than those that were shown here."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from conflict_rules import Kind, rule_by_name
from tests.client_sdk.interleavings import Other, Phone, app_with
from tests.support.engine import Engine, open_engine

MERGE = rule_by_name("merge")


class Story:
    """x was set before the backup and again after it; the phone has seen both, and the second is lost."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.app = app_with(MERGE)

    async def open(self, name: str) -> Engine:
        self.engine = await self.stack.enter_async_context(open_engine(self.folder / name, app=self.app))
        return self.engine

    async def begin(self) -> None:
        engine = await self.open("first.db")
        one = Other(engine, "one", "main", MERGE)
        one.make("x", {"v": "kept", "w": "kept"}, "create")
        await one.send()
        await engine.store.close()
        shutil.copy(self.folder / "first.db", self.folder / "backup.db")
        engine = await self.open("first.db")
        one.engine = engine
        await one.look()
        for number in range(5):
            one.make("x", {"v": f"lost {number}"}, "update")
        await one.send()
        self.phone = Phone(engine, self.app, self.folder / "phone.db", "main")
        await self.phone.start()
        self.stack.push_async_callback(self.phone.stop)
        await self.phone.catch_up()
        assert (await self.phone.shown())["x"].fields["v"] == "lost 4"

    async def restore(self) -> Other:
        """The server comes back as of the backup; somebody who has seen nothing of the rest writes on."""
        engine = await self.open("backup.db")
        engine.clock.advance(60)
        self.phone.engine, self.phone.wire._engine = engine, engine
        two = Other(engine, "two", "main", MERGE)
        await two.look()
        return two

    async def pull(self) -> None:
        self.phone.pull.check(["main"])
        await self.phone._whole("pull")

    async def push(self) -> None:
        await self.phone._whole("push")


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with AsyncExitStack() as stack:
        story = Story(tmp_path, stack)
        await story.begin()
        yield story


async def test_a_base_of_a_lost_past_does_not_claim_to_have_seen_what_was_written_since(story: Story) -> None:
    """Without it the phone, at base 6, would overwrite version 2 of the new past as if it had seen it."""
    await story.phone.edits.update("thing", "x", {"v": "mine"}, None)
    two = await story.restore()
    two.make("x", {"v": "theirs"}, "update")
    two.make("y", {"v": "1"}, "create")
    for number in range(6):
        two.make("z", {"v": str(number)}, "create" if number == 0 else "update")
    await two.send()
    await story.pull()
    assert (await story.phone.shown())["x"].fields["v"] == "theirs", "its stamp is the later one"
    await story.push()
    assert story.phone.outcomes[1].kind is Kind.OVERRULED
    await story.phone.catch_up()
    assert (await story.phone.shown())["x"].fields["v"] == "theirs"


async def test_what_both_pasts_have_is_still_seen(story: Story) -> None:
    """The clock of this device is a day slow: only what it has seen lets its edit stand."""
    story.phone.replica.clock.offset_ms = -86_400_000
    await story.phone.edits.update("thing", "x", {"w": "mine"}, None)
    two = await story.restore()
    two.make("y", {"v": "1"}, "create")
    await two.send()
    await story.pull()
    (waiting,) = story.phone.replica.outbox.waiting()
    assert waiting.change.base == 1
    await story.push()
    assert story.phone.outcomes[1].kind is Kind.APPLIED
    await story.phone.catch_up()
    assert (await story.phone.shown())["x"].fields == {"v": "kept", "w": "mine"}


async def test_what_was_sent_keeps_its_content(story: Story) -> None:
    """Its answer was lost: under other content the server would take it for another change (law 3)."""
    await story.phone.edits.update("thing", "x", {"v": "mine"}, None)
    await story.phone.begin("push")
    await story.phone.end("push", lost=True)
    (waiting,) = story.phone.replica.outbox.waiting()
    body = waiting.body
    await story.restore()
    await story.pull()
    (waiting,) = story.phone.replica.outbox.waiting()
    assert waiting.body == body
    await story.phone.catch_up()
    assert story.phone.outcomes[1].kind.took_effect


async def test_the_new_base_is_in_the_file(story: Story) -> None:
    await story.phone.edits.update("thing", "x", {"v": "mine"}, None)
    before = [entry.change for entry in story.phone.replica.outbox.waiting()]
    await story.restore()
    await story.pull()
    await story.phone.stop()
    await story.phone.start()
    after = [entry.change for entry in story.phone.replica.outbox.waiting()]
    assert [change.base for change in before] == [6]
    assert after == [replace(change, base=1) for change in before]
