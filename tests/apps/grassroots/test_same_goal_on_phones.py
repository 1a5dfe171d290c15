"""Two scorers with the SDK who log the same goal: what each sees, and answers, without a signal and with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from client_sdk import Client
from conflict_rules import Kind
from syncd.apps.grassroots import ONE, TWO, Event, Match, app
from tests.apps.grassroots.make import SCOPE, a_match, event
from tests.support.served import Served, served


@asynccontextmanager
async def two_phones(folder: Path) -> AsyncIterator[tuple[Served, Client, Client]]:
    """Both have the match, and then the server is out of reach."""
    async with (
        served(folder / "server.db", app) as server,
        Client(server.url, replica=folder / "a.db", app=app, scopes=[SCOPE]) as a,
        Client(server.url, replica=folder / "b.db", app=app, scopes=[SCOPE]) as b,
    ):
        await a.collection(Match).put(a_match())
        await a.synced()
        await b.synced()
        await server.stop()
        yield server, a, b


async def log(phone: Client, event_id: str, **fields: Any) -> Any:
    return await phone.collection(Event).put(event(event_id, **fields))


async def home(*phones: Client) -> list[int]:
    """The goals of the home side, as each phone shows them."""
    scores: list[Any] = [await phone.view("score", SCOPE) for phone in phones]
    return [score["home"] for score in scores]


async def test_the_same_goal_from_two_phones_is_one_on_both_and_either_can_say_so(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1", player="Ada")
        told = await log(b, "e2", minute=11)
        await server.start()
        await a.synced()
        await b.synced()
        await a.synced()
        outcome = await told.outcome()
        (asked,) = await b.conflicts.all(SCOPE)
        assert (outcome.kind, outcome.conflicts) == (Kind.CONFLICT, (asked.id,))
        assert await home(a, b) == [1, 1]

        await server.stop()
        await a.conflicts.settle(asked, choice=ONE)
        assert await a.conflicts.all(SCOPE) == []
        await server.start()
        await a.synced()
        await b.synced()
        assert await b.conflicts.all(SCOPE) == []
        assert await home(a, b) == [1, 1]


async def test_two_goals_count_at_once_on_the_phone_that_says_so_without_a_signal(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1")
        await log(b, "e2")
        await server.start()
        await a.synced()
        await b.synced()
        await a.synced()
        await server.stop()
        (asked,) = await b.conflicts.all(SCOPE)
        await b.conflicts.settle(asked, choice=TWO)
        assert await home(a, b) == [1, 2]
        await server.start()
        await b.synced()
        await a.synced()
        assert await home(a, b) == [2, 2]

        await a.conflicts.reopen(asked.id)
        assert await home(a) == [1]
        await a.synced()
        await b.synced()
        assert await home(a, b) == [1, 1]
        assert len(await b.conflicts.all(SCOPE)) == 1


async def test_scorers_who_disagree_without_a_signal_end_with_one_answer(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1")
        await log(b, "e2")
        await server.start()
        for phone in (a, b, a):
            await phone.synced()
        await server.stop()
        (asked,) = await a.conflicts.all(SCOPE)
        await a.conflicts.settle(asked, choice=ONE)
        await b.conflicts.settle(asked, choice=TWO)
        assert await home(a, b) == [1, 2]
        await server.start()
        for phone in (b, a, b):
            await phone.synced()
        seen = [await phone.conflicts.get(asked.id) for phone in (a, b)]
        assert seen[0] == seen[1]
        assert seen[0] is not None
        assert {seen[0].answer, *(earlier["value"] for earlier in seen[0].settlements)} == {ONE, TWO}
        assert await home(a, b) == ([2, 2] if seen[0].answer == TWO else [1, 1])


async def test_who_has_the_other_goal_on_the_screen_is_not_asked(tmp_path: Path) -> None:
    """Law 1: the base of a create is the version of the scope that is shown, though its own resource is new."""
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1")
        await server.start()
        await a.synced()
        await b.synced()
        await server.stop()
        await log(b, "e2", minute=30)
        await b.collection(Event).update("e2", minute=11)
        await server.start()
        await b.synced()
        assert await b.conflicts.all(SCOPE) == []
        assert await home(b) == [2]


async def test_what_a_phone_is_shown_later_does_not_count_as_shown_before(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1")
        await server.start()
        await a.synced()
        await server.stop()
        await log(b, "e2", minute=30)
        await b.collection(Event).update("e2", minute=11)
        await server.start()
        await b.synced()
        assert len(await b.conflicts.all(SCOPE)) == 1
        assert await home(b) == [1]


async def test_an_id_that_somebody_else_took_meanwhile_had_not_been_shown(tmp_path: Path) -> None:
    """Law 1: a create with a base overwrites nothing that came after it; the later stamp stands, whoever came last."""
    async with two_phones(tmp_path) as (server, a, b):
        early = await log(b, "e1", minute=20, notes="early")
        await log(a, "e1", minute=40, notes="late")
        await server.start()
        await a.synced()
        assert (await early.outcome()).kind in (Kind.OVERRULED, Kind.MERGED)
        await b.synced()
        shown = await b.collection(Event).get("e1")
        assert shown is not None
        assert (shown.minute, shown.notes) == (40, "late")


async def test_a_goal_deleted_on_the_phone_that_was_wrong_leaves_no_question(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (server, a, b):
        await log(a, "e1")
        await log(b, "e2")
        await b.collection(Event).delete("e2")
        await server.start()
        for phone in (a, b, a):
            await phone.synced()
        assert [await phone.conflicts.all(SCOPE, open=None) for phone in (a, b)] == [[], []]
        assert await home(a, b) == [1, 1]
