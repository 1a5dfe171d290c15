"""Deltas on their way in: in order, never twice, and a pull wherever that cannot be told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from client_sdk.edits import Edits
from client_sdk.feed import Feed
from client_sdk.replica import Replica
from syncd.app import open_app
from tests.client_sdk.make import Parts, delta, page, reply, state

NOW_MS = 1_763_640_000_000


class Phone:
    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        parts = Parts(replica)
        self.intake, self.settlement = parts.intake, parts.settlement
        self.wanted: list[str] = []
        self.feed = Feed(replica, self.intake, self._want)

    def _want(self, scopes: Collection[str]) -> None:
        self.wanted += scopes

    async def offer(self, after: int, upto: int, **options: object) -> None:
        await self.feed.offer(delta(f"c{after}", f"c{upto}", state(upto, v=upto), **options))  # type: ignore[arg-type]

    async def pulled(self, after: str | None, upto: int, settled: int = 0) -> None:
        answer = page(state(upto, v=upto), cursor=f"c{upto}", settled=settled)
        assert await self.intake.apply_page("main", after, self.replica.id, answer)

    async def put(self) -> None:
        await Edits(self.replica).put("note", "mine", "main", {"v": 1}, None)

    def sent(self) -> None:
        self.replica.outbox.note_sent(self.replica.outbox.waiting(), sent=True)

    @property
    def cursor(self) -> str | None:
        return self.replica.scopes["main"].cursor


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    replica = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
    await replica.follow(["main"])
    phone = Phone(replica)
    await phone.pulled(None, 1)
    yield phone
    await replica.close()


async def test_a_delta_that_follows_is_applied(phone: Phone) -> None:
    await phone.offer(1, 2)
    await phone.offer(2, 5)
    assert (phone.cursor, phone.wanted) == ("c5", [])


async def test_a_gap_asks_for_a_pull_and_changes_nothing(phone: Phone) -> None:
    await phone.offer(2, 3)
    assert (phone.cursor, phone.wanted) == ("c1", ["main"])


async def test_deltas_wait_while_a_pull_is_under_way_and_go_on_where_it_ended(phone: Phone) -> None:
    phone.feed.hold(["main"])
    for after in (1, 2, 3, 4):
        await phone.offer(after, after + 1)
    assert phone.cursor == "c1"
    await phone.pulled("c1", 3)
    await phone.feed.release(["main"])
    assert (phone.cursor, phone.wanted) == ("c5", [])


async def test_a_pull_that_brought_everything_leaves_nothing_to_apply(phone: Phone) -> None:
    phone.feed.hold(["main"])
    await phone.offer(1, 2)
    await phone.pulled("c1", 2)
    await phone.feed.release(["main"])
    assert (phone.cursor, phone.wanted) == ("c2", [])


async def test_a_pull_that_went_past_what_waited_is_made_sure_of(phone: Phone) -> None:
    phone.feed.hold(["main"])
    await phone.offer(1, 2)
    await phone.pulled("c1", 9)
    await phone.feed.release(["main"])
    assert (phone.cursor, phone.wanted) == ("c9", ["main"])


async def test_deltas_wait_for_the_answer_to_a_push_so_that_nothing_shows_twice(phone: Phone) -> None:
    await phone.put()
    phone.feed.hold_for_push(["main"])
    phone.sent()
    await phone.offer(1, 2)
    assert phone.cursor == "c1"
    answer = reply(phone.replica.id, 1, {"n": 1, "outcome": "applied", "version": 2})
    await phone.settlement.settle(phone.replica.outbox.waiting(), answer)
    await phone.feed.release_from_push(["main"], {})
    assert phone.cursor == "c2"
    assert phone.replica.outbox.shown_in("main") == []


async def test_what_came_before_the_end_of_one_push_does_not_wait_for_the_next_one(phone: Phone) -> None:
    """The next one was sent before the answer was taken in: what it comes to has higher versions than all of that."""
    await phone.put()
    first = phone.replica.outbox.waiting()
    phone.feed.hold_for_push(["main"])
    phone.sent()
    await phone.put()
    phone.feed.hold_for_push(["main"])
    phone.sent()
    await phone.offer(1, 2)
    await phone.offer(2, 3)
    answer = reply(phone.replica.id, 1, {"n": 1, "outcome": "applied", "version": 2})
    await phone.settlement.settle(first, answer)
    await phone.feed.release_from_push(["main"], {"main": 2})
    assert (phone.cursor, phone.wanted) == ("c2", []), "the third may hold something of the push under way"
    assert [entry.change.n for entry in phone.replica.outbox.shown_in("main")] == [2]
    answer = reply(phone.replica.id, 2, {"n": 2, "outcome": "applied", "version": 3})
    await phone.settlement.settle(phone.replica.outbox.waiting(), answer)
    await phone.feed.release_from_push(["main"], {})
    assert (phone.cursor, phone.wanted) == ("c3", [])
    assert phone.replica.outbox.shown_in("main") == []


async def test_a_delta_without_states_holds_up_nothing_while_a_push_is_under_way(phone: Phone) -> None:
    """Its states were of types that this replica does not follow (law 6)."""
    phone.feed.hold_for_push(["main"])
    phone.feed.hold_for_push(["main"])
    await phone.feed.release_from_push(["main"], {"main": 3})
    await phone.feed.offer(delta("c1", "c2"))
    await phone.offer(2, 3)
    assert (phone.cursor, phone.wanted) == ("c3", [])


async def test_what_is_known_of_one_push_is_forgotten_when_none_is_under_way(phone: Phone) -> None:
    phone.feed.hold_for_push(["main"])
    await phone.feed.release_from_push(["main"], {"main": 9})
    phone.feed.hold_for_push(["main"])
    await phone.offer(1, 2)
    assert phone.cursor == "c1"
    await phone.feed.release_from_push(["main"], {})
    assert phone.cursor == "c2"


async def test_a_pull_that_is_under_way_holds_back_all_of_it(phone: Phone) -> None:
    phone.feed.hold_for_push(["main"])
    phone.feed.hold_for_push(["main"])
    phone.feed.hold(["main"])
    await phone.offer(1, 2)
    await phone.feed.release_from_push(["main"], {"main": 5})
    assert phone.cursor == "c1"
    await phone.feed.release(["main"])
    assert phone.cursor == "c2"


async def test_in_doubt_a_pull_takes_the_place_of_deltas(phone: Phone) -> None:
    """The answer to the push was lost: the delta may hold the change or not, and does not say."""
    await phone.put()
    phone.feed.hold_for_push(["main"])
    phone.sent()
    await phone.offer(1, 2)
    await phone.feed.release_from_push(["main"], {})
    assert (phone.cursor, phone.wanted) == ("c1", ["main"])
    await phone.pulled("c1", 2, settled=1)
    await phone.offer(2, 3)
    assert phone.cursor == "c3", "the page has said what became of it"


async def test_holds_of_push_and_pull_add_up(phone: Phone) -> None:
    phone.feed.hold(["main"])
    phone.feed.hold_for_push(["main", "other"])
    await phone.offer(1, 2)
    await phone.feed.release(["main"])
    assert phone.cursor == "c1"
    await phone.feed.release_from_push(["main", "other"], {})
    assert phone.cursor == "c2"


async def test_other_scopes_do_not_wait(phone: Phone) -> None:
    phone.feed.hold(["other"])
    await phone.offer(1, 2)
    assert phone.cursor == "c2"


async def test_what_waits_is_bounded(phone: Phone) -> None:
    phone.feed.hold(["main"])
    for after in range(1, 400):
        await phone.offer(after, after + 1)
    assert phone.wanted == ["main"]
    await phone.feed.release(["main"])
    assert phone.wanted == ["main", "main"], "what came after the drop does not follow what is held"


async def test_deltas_of_scopes_that_are_not_followed_are_ignored(phone: Phone) -> None:
    await phone.offer(1, 2, scope="other")
    assert phone.wanted == []


async def test_what_waits_is_forgotten_with_the_connection(phone: Phone) -> None:
    phone.feed.hold(["main"])
    await phone.offer(1, 2)
    phone.feed.forget()
    await phone.feed.release(["main"])
    assert (phone.cursor, phone.wanted) == ("c1", [])
