"""Conflicts on the device: opened by the server, shown everywhere, settled by whoever has a phone, offline too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from client_sdk import Client, NotHere, Unfit
from client_sdk.blocking import Client as BlockingClient
from conflict_rules import InvalidValue, Kind
from syncd.app import Conflict
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.cup import Game, Goal, Stand, cup
from tests.support.clocks import ahead
from tests.support.served import Served, served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with the app of `tests/client_sdk/cup.py`."""
    async with served(tmp_path / "server.db", cup) as server:
        yield server


async def phones(open_client: OpenClient, server: Served, count: int) -> list[Client]:
    """Phones that all hold the game "g" at 0:0; the clock of each is ahead of those before it."""
    opened = [
        await open_client(f"phone{index}", server.url, app=cup, scopes=["cup"], now_ms=ahead(300 * index))
        for index in range(count)
    ]
    await opened[0].collection(Game).put(Game(id="g"))
    await all_synced(opened)
    return opened


async def all_synced(opened: Sequence[Client]) -> None:
    """Twice, so that each has what the last has sent."""
    for _ in range(2):
        await asyncio.gather(*(phone.synced(10) for phone in opened))


async def offline(opened: Sequence[Client]) -> None:
    await asyncio.gather(*(phone.pause() for phone in opened))


async def online(opened: Sequence[Client]) -> None:
    """One after the other, so that the order of arrival is known."""
    for phone in opened:
        await phone.resume()
        await phone.synced(10)
    await all_synced(opened)


async def home(phone: Client) -> int:
    game = await phone.collection(Game).get("g")
    assert game is not None
    return game.home


async def the_conflict(phone: Client) -> Conflict:
    [conflict] = await phone.conflicts.all(open=None)
    return conflict


async def dispute(opened: Sequence[Client]) -> Conflict:
    """Each sets another home score, offline; the first to come back is the accepted one."""
    await offline(opened)
    for score, phone in enumerate(opened, 1):
        await phone.collection(Game).update("g", home=score)
    await online(opened)
    return await the_conflict(opened[0])


async def test_five_that_disagree_get_one_conflict_with_five_candidates_and_settle_it_offline(
    server: Served, open_client: OpenClient
) -> None:
    five = await phones(open_client, server, 5)
    conflict = await dispute(five)
    for phone in five:
        shown = await the_conflict(phone)
        assert shown.open
        assert (shown.about, shown.field, shown.accepted, shown.base) == ({"type": "game", "id": "g"}, "home", 1, 0)
        assert [candidate["value"] for candidate in shown.candidates] == [1, 2, 3, 4, 5]
        assert [candidate["replica"] for candidate in shown.candidates] == [each.replica_id for each in five]
        assert await home(phone) == 1

    await offline(five)
    await five[4].conflicts.settle(conflict, choice=conflict.candidates[2]["key"])
    settled = await the_conflict(five[4])
    assert (settled.open, settled.answer, settled.pending) == (False, 3, True)
    assert await home(five[4]) == 3
    assert await five[4].conflicts.all() == []

    await online(five)
    for phone in five:
        settled = await the_conflict(phone)
        assert (settled.open, settled.answer, settled.pending, await home(phone)) == (False, 3, False, 3)


async def test_the_outcome_of_a_disagreement_names_the_conflict(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await offline(two)
    await two[0].collection(Game).update("g", home=1)
    change = await two[1].collection(Game).update("g", home=2)
    assert change.change.was == {"home": 0}
    await online(two)
    outcome = await change.outcome(10)
    conflict = await two[1].conflicts.get(outcome.conflicts[0])
    assert outcome.kind is Kind.CONFLICT
    assert conflict is not None
    assert conflict.open


async def test_two_settlements_that_disagree_end_in_one_that_both_are_told(
    server: Served, open_client: OpenClient
) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await offline(two)
    first = await two[0].conflicts.settle(conflict, value=1)
    second = await two[1].conflicts.settle(conflict, value=2)
    await online(two[::-1])
    assert (await second.outcome(10)).kind in (Kind.APPLIED, Kind.MERGED)
    lost = await first.outcome(10)
    assert (lost.kind, lost.code) == (Kind.OVERRULED, "settled_otherwise")
    for phone in two:
        settled = await the_conflict(phone)
        assert (settled.answer, await home(phone)) == (2, 2)
        assert [each["value"] for each in settled.settlements] == [1]


async def test_a_value_that_nobody_had_named_settles_too(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await two[1].conflicts.settle((await dispute(two)).id, value=7)
    await all_synced(two)
    assert [await home(phone) for phone in two] == [7, 7]
    assert (await the_conflict(two[0])).answer == 7


async def test_a_later_edit_of_the_field_by_who_has_seen_the_dispute_settles_it_at_once_on_his_screen(
    server: Served, open_client: OpenClient
) -> None:
    two = await phones(open_client, server, 2)
    await dispute(two)
    await offline(two)
    await two[0].collection(Game).update("g", home=4)
    assert ((await the_conflict(two[0])).answer, (await the_conflict(two[0])).pending) == (4, True)
    await online(two)
    assert [(await the_conflict(phone)).answer for phone in two] == [4, 4]


async def test_a_whole_resource_that_is_put_settles_nothing(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await dispute(two)
    game = await two[1].collection(Game).get("g")
    assert game is not None
    await two[1].collection(Game).put(game.model_copy(update={"away": 3}))
    await two[1].collection(Game).update("g", home=game.home, away=4)
    await all_synced(two)
    assert [(await the_conflict(phone)).open for phone in two] == [True, True]


async def test_a_whole_record_does_not_carry_what_asks_or_counts(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await two[0].collection(Stand).put(Stand(id="s", name="tea", sold=5, price=2))
    await all_synced(two)
    await offline(two)
    await two[0].collection(Stand).update("s", price=3)
    change = await two[1].collection(Stand).update("s", name="coffee")
    assert change.change.fields == {"name": "coffee", "place": ""}
    await online(two)
    assert (await change.outcome(10)).kind is Kind.MERGED
    assert await two[0].collection(Stand).get("s") == Stand(id="s", name="coffee", sold=5, price=3)


async def test_what_was_settled_is_asked_again_when_it_is_reopened(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await two[0].conflicts.settle(conflict, value=2)
    await all_synced(two)
    await offline(two)
    await two[1].conflicts.reopen(conflict)
    assert (await the_conflict(two[1])).open
    await online(two)
    for phone in two:
        shown = await the_conflict(phone)
        assert (shown.open, [each["value"] for each in shown.settlements]) == (True, [2])
    await two[0].conflicts.settle(conflict, value=9)
    await all_synced(two)
    assert [(await the_conflict(phone)).answer for phone in two] == [9, 9]


async def test_all_that_was_settled_and_reopened_in_one_offline_spell_arrives_in_order(
    server: Served, open_client: OpenClient
) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await offline(two)
    for value in (5, 6):
        await two[0].conflicts.settle(conflict, value=value)
        await two[0].conflicts.reopen(conflict)
        assert (await the_conflict(two[0])).open
    await two[0].conflicts.settle(conflict, value=7)
    shown = await the_conflict(two[0])
    assert (shown.answer, shown.pending, await home(two[0])) == (7, True, 7)
    await online(two)
    for phone in two:
        shown = await the_conflict(phone)
        assert (shown.answer, shown.pending, await home(phone)) == (7, False, 7)


async def test_a_question_of_a_hook_is_answered_by_one_of_its_options(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await offline(two)
    await two[0].collection(Goal).put(Goal(id="a", side="home"))
    change = await two[1].collection(Goal).put(Goal(id="b", side="home"))
    await online(two)
    outcome = await change.outcome(10)
    conflict = await the_conflict(two[0])
    assert (outcome.kind, outcome.conflicts) == (Kind.CONFLICT, (conflict.id,))
    assert (conflict.question, conflict.field, conflict.message) == ("same_goal", None, "One goal, or two?")
    assert {conflict.about["id"], conflict.others[0]["id"]} == {"a", "b"}

    with pytest.raises(Unfit, match="no candidate"):
        await two[0].conflicts.settle(conflict, choice="three")
    with pytest.raises(Unfit, match="by choice="):
        await two[0].conflicts.settle(conflict, value=1)
    await offline(two)
    await two[0].conflicts.settle(conflict, choice="one")
    shown = await the_conflict(two[0])
    assert (shown.open, shown.answer, shown.pending) == (False, "one", True)
    await online(two)
    shown = await the_conflict(two[1])
    assert (shown.open, shown.answer, shown.pending) == (False, "one", False)


async def test_callbacks_are_told_what_opens_and_what_is_answered(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    opened: list[Conflict] = []
    told: list[tuple[bool, bool]] = []
    forget = two[0].conflicts.on_open(opened.append)
    two[0].conflicts.on_change(
        lambda change: told.append((change.resource.open, change.resource.pending)) if change.resource else None
    )
    conflict = await dispute(two)
    assert [each.id for each in opened] == [conflict.id]
    assert told == [(True, False)]
    await two[0].pause()
    await two[0].conflicts.settle(conflict, value=2)
    assert told[1:] == [(False, True)]
    await two[0].resume()
    await all_synced(two)
    assert told[2:] == [(False, False)]
    await two[1].conflicts.reopen(conflict)
    await all_synced(two)
    assert len(opened) == 2
    forget()
    await two[1].conflicts.settle(conflict, value=3)
    await two[1].conflicts.reopen(conflict)
    await all_synced(two)
    assert len(opened) == 2


async def test_a_settlement_that_cannot_be_is_told_before_anything_is_queued(
    server: Served, open_client: OpenClient
) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    with pytest.raises(NotHere):
        await two[0].conflicts.settle("c-none", value=1)
    with pytest.raises(Unfit, match="one of the two"):
        await two[0].conflicts.settle(conflict)
    with pytest.raises(InvalidValue, match="home"):
        await two[0].conflicts.settle(conflict, value="many")
    with pytest.raises(InvalidValue) as refused:
        await two[0].collection(Conflict).update(conflict.id, status="settled")
    assert refused.value.code == "built_in_type"
    assert two[0].status.pending == 0


async def test_a_settlement_survives_the_end_of_the_process(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await two[0].pause()
    await two[0].conflicts.settle(conflict, value=8)
    await two[0].close()
    again = await open_client("phone0", server.url, app=cup, scopes=["cup"])
    await all_synced([again, two[1]])
    assert (await the_conflict(two[1])).answer == 8


async def test_scripts_that_block_settle_the_same_way(server: Served, open_client: OpenClient, tmp_path: Path) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)

    def script() -> Kind:
        with BlockingClient(server.url, replica=tmp_path / "script.db", app=cup, scopes=["cup"]) as client:
            client.synced(10)
            [found] = client.conflicts.all("cup")
            assert client.conflicts.get(conflict.id) == found
            change = client.conflicts.settle(found, choice=found.candidates[1]["key"])
            return change.outcome(10).kind

    assert await asyncio.to_thread(script) is Kind.APPLIED
    await all_synced(two)
    assert [await home(phone) for phone in two] == [2, 2]
