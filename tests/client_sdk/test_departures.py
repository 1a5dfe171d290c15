"""Scopes that go and come back, message by message: nothing counts twice, and nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from client_sdk import Unfit
from client_sdk.edits import Edits
from client_sdk.feed import Feed
from client_sdk.numbering import Numbering
from client_sdk.replica import Replica
from conflict_rules import CONFLICT_TYPE, State
from syncd.app import App, Resource, open_app, rules
from tests.client_sdk.make import Parts, delta, page, state

NOW_MS = 1_763_640_000_000


class Phone:
    """A replica that follows `main`, and what comes of it."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.edits = Edits(replica)
        self.intake = Parts(replica).intake

    async def brought(self, *states: State, cursor: str = "c1", settled: int = 0, asked: int | None = None) -> bool:
        sent = self.replica.scopes["main"].cursor
        answer = page(*states, cursor=cursor, settled=settled)
        return await self.intake.apply_page("main", sent, self.replica.id, answer, asked)

    async def shown(self) -> dict[str, dict[str, object]]:
        return {each.id: dict(each.fields) for each in await self.replica.states(None, "main")}

    def hidden(self) -> list[str]:
        return [entry.change.id for entry in self.replica.outbox.waiting() if not entry.shown]


async def open_phone(tmp_path: Path, app: App | None = None) -> Phone:
    replica = await Replica.open(tmp_path / "phone.db", app or open_app(), lambda: NOW_MS, lambda: None)
    await replica.follow(["main"])
    return Phone(replica)


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    phone = await open_phone(tmp_path)
    await phone.brought(state(1, v="theirs"))
    yield phone
    await phone.replica.close()


async def test_what_is_typed_over_what_goes_is_out_of_sight_and_what_is_typed_later_is_not(phone: Phone) -> None:
    await phone.edits.update("note", "x", {"v": "mine"}, None)
    await phone.edits.put("note", "y", "main", {"v": "mine"}, None)
    await phone.intake.lose(["main"])
    assert (await phone.shown(), phone.hidden()) == ({}, ["x", "y"])
    await phone.edits.put("note", "z", "main", {"v": "later"}, None)
    await phone.intake.lose(["main"])
    assert (await phone.shown(), phone.hidden()) == ({"z": {"v": "later"}}, ["x", "y"])


async def test_what_waits_shows_again_over_what_comes_back(phone: Phone, tmp_path: Path) -> None:
    await phone.edits.update("note", "x", {"v": "mine"}, None)
    await phone.intake.lose(["main"])
    await phone.replica.close()
    phone.replica = (again := await open_phone(tmp_path)).replica
    assert (await again.shown(), again.hidden()) == ({}, ["x"])
    await again.brought(state(1, v="theirs", w=1))
    assert (await again.shown(), again.hidden()) == ({"x": {"v": "mine", "w": 1}}, [])
    assert not again.replica.scopes["main"].gone


async def test_a_change_whose_answer_was_lost_counts_once_when_the_scope_comes_back_with_it(tmp_path: Path) -> None:
    """Law 4."""
    app = App("likes")

    @app.resource(scope="main", rule=rules.counter)
    class Note(Resource):
        likes: int = 0

    phone = await open_phone(tmp_path, app)
    await phone.brought(state(1, likes=1))
    await phone.edits.update("note", "x", {"likes": {"increment": 1}}, None)
    phone.replica.outbox.note_sent(phone.replica.outbox.waiting(), sent=True)
    await phone.intake.lose(["main"])
    await phone.brought(state(2, by=phone.replica.id, n=1, likes=2), settled=1)
    assert await phone.shown() == {"x": {"likes": 2}}
    await phone.replica.close()


async def test_a_page_that_was_asked_for_before_the_scope_went_does_not_bring_it_back(phone: Phone) -> None:
    await phone.intake.start_over("main")
    asked = phone.replica.scopes["main"].generation
    await phone.intake.lose(["main"])
    assert not await phone.brought(state(1, v="theirs"), asked=asked)
    assert await phone.shown() == {}
    assert phone.replica.scopes["main"].gone


async def test_deltas_that_wait_when_a_scope_goes_are_dropped_and_ask_for_nothing(phone: Phone) -> None:
    wanted: list[str] = []

    def want(scopes: Collection[str]) -> None:
        wanted.extend(scopes)

    feed = Feed(phone.replica, phone.intake, want)
    feed.hold(["main"])
    await feed.offer(delta("c1", "c2", state(2, v="theirs")))
    await phone.intake.lose(["main"])
    await feed.release(["main"])
    await feed.offer(delta("c2", "c3", state(3, v="theirs")))
    assert (await phone.shown(), wanted) == ({}, [])


async def test_what_is_numbered_anew_stays_out_of_sight(phone: Phone) -> None:
    await phone.edits.update("note", "x", {"v": "mine"}, None)
    await phone.edits.put("note", "y", "main", {"v": "mine"}, None)
    await phone.intake.lose(["main"])
    numbering, waiting = Numbering(phone.replica), phone.replica.outbox.waiting()

    async def anew() -> None:
        await numbering.make_anew(waiting, keep_base=True)

    await phone.replica.write(anew)
    assert (await phone.shown(), phone.hidden()) == ({}, ["x", "y"])
    rows = await phone.replica.store.open_changes()
    assert [(row.n, row.shown) for row in rows] == [(1, False), (2, False)]


async def test_open_questions_of_it_are_counted_no_more(phone: Phone) -> None:
    asked = replace(state(2, id="q", status="open", about={"type": "note", "id": "x"}), type=CONFLICT_TYPE)
    await phone.intake.apply_delta(delta("c1", "c2", asked))
    assert phone.replica.open_conflicts.count == 1
    await phone.intake.lose(["main"])
    assert phone.replica.open_conflicts.count == 0


async def test_it_cannot_be_unfollowed_while_changes_wait_though_they_are_out_of_sight(phone: Phone) -> None:
    await phone.edits.update("note", "x", {"v": "mine"}, None)
    await phone.intake.lose(["main"])
    with pytest.raises(Unfit, match="1 changes in main have not been sent yet"):
        await phone.replica.unfollow("main")


async def test_one_that_is_not_followed_cannot_go(phone: Phone) -> None:
    await phone.intake.lose(["other"])
    assert list(phone.replica.scopes) == ["main"]
