"""Fields that hold the work of several: what two do at once adds up, and what a rule cannot take is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Add, Client, Increment, NotHere, Remove, Unfit
from conflict_rules import InvalidValue, Kind
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.cup import Game, Page, Stand, cup
from tests.support.clocks import ahead
from tests.support.served import served


@pytest.fixture
async def two(tmp_path: Path, open_client: OpenClient) -> AsyncIterator[list[Client]]:
    """Two phones that both hold the game "g", and are offline; the clock of the second is ahead."""
    async with served(tmp_path / "server.db", cup) as server:
        opened = [
            await open_client(name, server.url, app=cup, scopes=["cup"], now_ms=ahead(by_ms))
            for name, by_ms in (("one", 0), ("two", 500))
        ]
        await opened[0].collection(Game).put(Game(id="g", likes=1, tags={"cup", "rain"}))
        await meet(opened)
        await part(opened)
        yield opened


async def part(phones: list[Client]) -> None:
    for phone in phones:
        await phone.pause()


async def meet(phones: list[Client]) -> None:
    for phone in phones:
        await phone.resume()
    for _ in range(2):
        await asyncio.gather(*(phone.synced(10) for phone in phones))


async def game(phone: Client) -> Game:
    found = await phone.collection(Game).get("g")
    assert found is not None
    return found


async def test_increments_add_up(two: list[Client]) -> None:
    await two[0].collection(Game).update("g", likes=Increment(3))
    await two[0].collection(Game).update("g", likes=Increment(-1))
    await two[1].collection(Game).update("g", likes=Increment())
    assert [(await game(phone)).likes for phone in two] == [3, 2]
    await meet(two)
    assert [(await game(phone)).likes for phone in two] == [4, 4]


async def test_elements_come_and_go_and_an_addition_outlives_a_removal_that_has_not_seen_it(two: list[Client]) -> None:
    await two[0].collection(Game).update("g", tags=Add("final", "cup") & Remove("rain"))
    await two[1].collection(Game).update("g", tags=Remove("cup"))
    assert [(await game(phone)).tags for phone in two] == [{"cup", "final"}, {"rain"}]
    await meet(two)
    assert [(await game(phone)).tags for phone in two] == [{"cup", "final"}] * 2


async def test_a_resource_that_is_put_says_by_how_much_it_differs(two: list[Client]) -> None:
    mine, theirs = [await game(phone) for phone in two]
    change = await two[0].collection(Game).put(mine.model_copy(update={"likes": 6, "tags": {"rain", "final"}}))
    assert change.change.fields == {"likes": {"increment": 5}, "tags": {"add": ["final"], "remove": ["cup"]}}
    await two[1].collection(Game).put(theirs.model_copy(update={"likes": 2, "tags": {"rain", "cup", "sun"}}))
    await meet(two)
    assert [(await game(phone)).likes for phone in two] == [7, 7]
    assert [(await game(phone)).tags for phone in two] == [{"rain", "final", "sun"}] * 2


async def test_a_set_in_another_order_is_the_same_set(two: list[Client]) -> None:
    change = await two[0].collection("game").put({"id": "g", "tags": ["rain", "cup"], "home": 0})
    assert change.change.fields == {}


async def test_a_field_that_was_never_set_starts_from_nothing(two: list[Client]) -> None:
    await two[0].collection("game").put({"id": "bare", "home": 1})
    await two[0].collection("game").put({"id": "bare", "likes": 2, "tags": ["new"]})
    await meet(two)
    bare = await two[1].collection("game").get("bare")
    assert bare == {"id": "bare", "home": 1, "likes": 2, "tags": ["new"]}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"likes": 5}, "invalid_increment"),
        ({"likes": Increment(2**53 - 1)}, "counter_out_of_range"),
        ({"likes": {"increment": 1.5}}, "invalid_field"),
        ({"tags": ["a"]}, "invalid_set_edit"),
        ({"tags": {"put": ["a"]}}, "invalid_field"),
        ({"tags": Add(*map(str, range(1001)))}, "invalid_set_edit"),
        ({"home": Increment(1)}, "invalid_field"),
    ],
)
async def test_what_a_rule_cannot_take_is_told_before_anything_is_queued(
    two: list[Client], fields: Mapping[str, Any], code: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await two[0].collection(Game).update("g", **fields)
    assert refused.value.code == code
    assert two[0].status.pending == 0


async def test_what_was_shown_goes_along_where_somebody_may_be_asked(two: list[Client]) -> None:
    games = two[0].collection(Game)
    assert (await games.update("g", home=1, likes=Increment(1))).change.was == {"home": 0}
    assert (await games.update("g", home=2, away=1)).change.was == {"home": 1, "away": 0}
    assert (await two[0].collection(Page).put(Page(id="p", text="x"))).change.was == {}


async def test_what_was_deleted_comes_back_as_it_was_last_known(two: list[Client]) -> None:
    games = two[0].collection(Game)
    await games.delete("g")
    with pytest.raises(NotHere, match="bring it back with restore"):
        await games.put(Game(id="g"))
    await games.restore("g")
    assert await game(two[0]) == Game(id="g", likes=1, tags={"cup", "rain"})
    await games.delete("g")
    await meet(two)
    assert await two[1].collection(Game).get("g") is None
    change = await two[1].collection(Game).restore("g", home=2)
    assert (await change.outcome(10)).kind is Kind.APPLIED
    await meet(two)
    assert [await game(phone) for phone in two] == [Game(id="g", home=2, likes=1, tags={"cup", "rain"})] * 2


async def test_what_the_tombstone_keeps_is_not_told_again(two: list[Client]) -> None:
    pages = two[0].collection(Page)
    await pages.put(Page(id="p", text="x", reads=4))
    await pages.delete("p")
    change = await pages.restore("p")
    assert change.change.fields == {}
    await meet(two)
    assert [await phone.collection(Page).get("p") for phone in two] == [Page(id="p", text="x", reads=4)] * 2
    await pages.delete("p")
    change = await pages.restore("p", text="y", reads=5)
    assert change.change.fields == {"text": "y", "reads": {"increment": 1}}
    await meet(two)
    assert [await phone.collection(Page).get("p") for phone in two] == [Page(id="p", text="y", reads=5)] * 2


async def test_a_restore_that_cannot_be_says_why(two: list[Client], open_client: OpenClient) -> None:
    games = two[0].collection(Game)
    with pytest.raises(NotHere, match="no game"):
        await games.restore("nobody")
    with pytest.raises(Unfit, match="not deleted"):
        await games.restore("g")
    await games.delete("g")
    await meet(two)
    await two[0].unfollow("cup")
    await two[0].follow("cup")
    await meet(two)
    with pytest.raises(NotHere, match="say what it is to hold"):
        await games.restore("g")
    await games.restore("g", home=5)
    await meet(two)
    assert (await game(two[1])).home == 5


async def test_a_rule_for_the_whole_record_leaves_what_it_only_counts_alone(two: list[Client]) -> None:
    stands = [phone.collection(Stand) for phone in two]
    await stands[0].put(Stand(id="s", name="tea", sold=2))
    await meet(two)
    await part(two)
    await stands[0].update("s", sold=Increment(1), name="coffee")
    await stands[1].update("s", sold=Increment(1), place="gate")
    await meet(two)
    shown = [await each.get("s") for each in stands]
    assert shown[0] == shown[1] == Stand(id="s", name="tea", place="gate", sold=4)
