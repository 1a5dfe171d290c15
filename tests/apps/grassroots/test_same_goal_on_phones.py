"""Two scorers with the SDK who log the same goal: what each sees, and answers, without a signal and with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client
from syncd.apps.grassroots import ONE, TWO, Event, Match, app
from tests.apps.grassroots.make import SCOPE, a_match, event
from tests.support.clocks import ahead
from tests.support.served import served


class Phones:
    """Phones that have the match; each has a signal only while the test says so.

    Whoever is opened later has the later clock, also within a millisecond.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._opened = 0

    def without_signal(self, name: str) -> AbstractAsyncContextManager[Client]:
        return self._phone(name, None)

    def with_signal(self, name: str) -> AbstractAsyncContextManager[Client]:
        return self._phone(name, self._url)

    def _phone(self, name: str, url: str | None) -> Client:
        self._opened += 1
        replica, now_ms = self._folder / f"{name}.db", ahead(20 * self._opened)
        return Client(url, replica=replica, app=app, scopes=[SCOPE], now_ms=now_ms)

    async def log(self, name: str, event_id: str, **fields: Any) -> None:
        """Log a goal without a signal."""
        async with self.without_signal(name) as phone:
            await phone.collection(Event).put(event(event_id, **fields))

    async def sync(self, *names: str) -> None:
        """A moment of signal for each, one after the other."""
        for name in names:
            async with self.with_signal(name) as phone:
                await phone.synced()

    async def answer(self, name: str, choice: str) -> None:
        """Answer the one question that the phone asks, without a signal."""
        async with self.without_signal(name) as phone:
            (asked,) = await phone.conflicts.all(SCOPE)
            await phone.conflicts.settle(asked, choice=choice)

    async def asked(self, name: str) -> int:
        """How many questions the phone shows."""
        async with self.without_signal(name) as phone:
            return len(await phone.conflicts.all(SCOPE))

    async def home(self, *names: str) -> list[int]:
        """The goals of the home side, as each phone shows them without a signal."""
        goals: list[int] = []
        for name in names:
            async with self.without_signal(name) as phone:
                score: Any = await phone.view("score", SCOPE)
                goals.append(score["home"])
        return goals


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Phones]:
    async with served(tmp_path / "server.db", app) as server:
        phones = Phones(server.url, tmp_path)
        async with phones.with_signal("a") as a:
            await a.collection(Match).put(a_match())
            await a.synced()
        await phones.sync("b")
        yield phones


async def test_the_same_goal_from_two_phones_is_one_on_both_and_either_can_say_so(phones: Phones) -> None:
    await phones.log("a", "e1", player="Ada")
    await phones.log("b", "e2", minute=11)
    await phones.sync("a", "b", "a")
    assert [await phones.asked(name) for name in "ab"] == [1, 1]
    assert await phones.home("a", "b") == [1, 1]

    await phones.answer("a", ONE)
    assert [await phones.asked(name) for name in "ab"] == [0, 1]
    await phones.sync("a", "b")
    assert [await phones.asked(name) for name in "ab"] == [0, 0]
    assert await phones.home("a", "b") == [1, 1]


async def test_two_goals_count_at_once_on_the_phone_that_says_so_and_can_be_asked_about_again(phones: Phones) -> None:
    await phones.log("a", "e1")
    await phones.log("b", "e2")
    await phones.sync("a", "b", "a")
    await phones.answer("b", TWO)
    assert await phones.home("a", "b") == [1, 2]
    await phones.sync("b", "a")
    assert await phones.home("a", "b") == [2, 2]

    async with phones.without_signal("a") as a:
        (settled,) = await a.conflicts.all(SCOPE, open=False)
        await a.conflicts.reopen(settled)
    assert await phones.home("a", "b") == [1, 2]
    await phones.sync("a", "b")
    assert await phones.home("a", "b") == [1, 1]
    assert await phones.asked("b") == 1


async def test_scorers_who_disagree_without_a_signal_end_with_one_answer_and_both_see_the_other(phones: Phones) -> None:
    await phones.log("a", "e1")
    await phones.log("b", "e2")
    await phones.sync("a", "b", "a")
    await phones.answer("a", ONE)
    await phones.answer("b", TWO)
    assert await phones.home("a", "b") == [1, 2]
    await phones.sync("b", "a", "b")
    for name in "ab":
        async with phones.without_signal(name) as phone:
            (settled,) = await phone.conflicts.all(SCOPE, open=False)
            assert (settled.answer, [earlier["value"] for earlier in settled.settlements]) == (TWO, [ONE])
    assert await phones.home("a", "b") == [2, 2]


async def test_who_has_the_other_goal_on_the_screen_is_not_asked(phones: Phones) -> None:
    """Law 1: the base of a create is the version of the scope that is shown, and a correction in the queue keeps it."""
    await phones.log("a", "e1")
    await phones.sync("a", "b")
    await phones.log("b", "e2", minute=30)
    async with phones.without_signal("b") as b:
        await b.collection(Event).update("e2", minute=11)
    await phones.sync("b")
    assert await phones.asked("b") == 0
    assert await phones.home("b") == [2]


async def test_a_correction_without_a_signal_can_make_it_the_same_goal(phones: Phones) -> None:
    await phones.log("a", "e1")
    await phones.log("b", "e2", minute=30)
    async with phones.without_signal("b") as b:
        await b.collection(Event).update("e2", minute=11)
    await phones.sync("a", "b")
    assert await phones.asked("b") == 1
    assert await phones.home("b") == [1]


async def test_an_id_that_somebody_else_took_meanwhile_had_not_been_shown(phones: Phones) -> None:
    """Law 1: a create with a base overwrites nothing that came after it; the later stamp stands, whoever comes last."""
    await phones.log("b", "e1", minute=20, notes="early")
    await phones.log("a", "e1", minute=40, notes="late")
    await phones.sync("a", "b")
    async with phones.without_signal("b") as b:
        shown = await b.collection(Event).get("e1")
    assert shown is not None
    assert (shown.minute, shown.notes) == (40, "late")


async def test_a_goal_that_was_deleted_before_anybody_saw_it_leaves_no_question(phones: Phones) -> None:
    await phones.log("a", "e1")
    await phones.log("b", "e2")
    async with phones.without_signal("b") as b:
        await b.collection(Event).delete("e2")
    await phones.sync("a", "b", "a")
    for name in "ab":
        async with phones.without_signal(name) as phone:
            assert await phone.conflicts.all(SCOPE, open=None) == []
    assert await phones.home("a", "b") == [1, 1]
