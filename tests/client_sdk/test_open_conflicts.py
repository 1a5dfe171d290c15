"""How many conflicts wait for an answer is in the status at any moment, and is what the list of them says."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from client_sdk import Client, NotHere, Unfit
from client_sdk.blocking import Client as BlockingClient
from conflict_rules import InvalidValue
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.cup import Game, Goal, Page, cup
from tests.client_sdk.test_conflicts import all_synced, dispute, offline, online, phones
from tests.client_sdk.test_conflicts import server as server
from tests.client_sdk.test_statements import trace
from tests.support.served import Served


async def open_on(*opened: Client) -> list[int]:
    """How many are open by the status of each, which is what its list has; nothing may be on its way meanwhile."""
    for client in opened:
        assert client.status.open_conflicts == len(await client.conflicts.all())
    return [client.status.open_conflicts for client in opened]


async def test_it_counts_what_opens_and_what_anybody_answers(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    assert await open_on(*two) == [0, 0]
    conflict = await dispute(two)
    assert await open_on(*two) == [1, 1]
    await two[0].conflicts.settle(conflict, value=5)
    await all_synced(two)
    assert await open_on(*two) == [0, 0]
    await two[1].conflicts.reopen(conflict)
    assert await open_on(two[1]) == [1]
    await all_synced(two)
    assert await open_on(*two) == [1, 1]


async def test_an_answer_counts_at_once_offline_however_it_is_given(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await offline(two)
    await two[0].conflicts.settle(conflict, choice=conflict.candidates[1]["key"])
    await two[1].collection(Game).update("g", home=9)
    assert await open_on(*two) == [0, 0]
    await online(two)
    # The edit had not seen the answer: they disagree again.
    assert await open_on(*two) == [1, 1]


async def test_what_is_deleted_asks_nobody_and_asks_again_when_it_is_back(
    server: Served, open_client: OpenClient
) -> None:
    two = await phones(open_client, server, 2)
    await dispute(two)
    await offline(two)
    await two[0].collection(Game).delete("g")
    assert await open_on(*two) == [0, 1]
    await two[0].collection(Game).restore("g")
    await open_on(two[0])
    await online(two)
    await open_on(*two)


async def test_an_answer_that_came_to_nothing_leaves_it_open(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    await two[0].collection(Goal).put(Goal(id="first", side="home"))
    conflict = await dispute(two)
    await offline(two)
    async with two[0].group():
        await two[0].conflicts.settle(conflict, value=5)
        await two[0].collection(Goal).update("first", side="away")
    await two[1].collection(Goal).delete("first")
    assert await open_on(*two) == [0, 1]
    await online(two[::-1])
    assert await open_on(*two) == [1, 1]


async def test_questions_of_the_app_count_too(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    for index, phone in enumerate(two):
        await phone.collection(Goal).put(Goal(id=f"goal{index}", side="home"))
    await all_synced(two)
    assert await open_on(*two) == [1, 1]
    await offline(two)
    await two[0].conflicts.settle("same-goal1", choice="one")
    assert await open_on(*two) == [0, 1]
    await online(two)
    assert await open_on(*two) == [0, 0]


async def test_it_is_known_from_the_start_and_without_a_network(
    server: Served, open_client: OpenClient, tmp_path: Path
) -> None:
    two = await phones(open_client, server, 2)
    conflict = await dispute(two)
    await offline(two)
    await two[1].conflicts.settle(conflict, value=5)
    for phone in two:
        await phone.close()
    again = [await open_client(f"phone{index}", app=cup) for index in range(2)]
    assert await open_on(*again) == [1, 0]
    await again[0].close()

    def in_a_script() -> int:
        with BlockingClient(None, replica=tmp_path / "phone0.db", app=cup) as phone:
            return phone.status.open_conflicts

    assert await asyncio.to_thread(in_a_script) == 1


async def test_scopes_that_are_left_or_start_over_take_theirs_along(
    server: Served, open_client: OpenClient, tmp_path: Path
) -> None:
    two = await phones(open_client, server, 2)
    await server.stop()
    await server.back_up(tmp_path / "before.db")
    await server.start()
    await all_synced(two)
    await dispute(two)
    for index, phone in enumerate(two):
        await phone.collection(Goal).put(Goal(id=f"goal{index}", side="home"))
        await all_synced(two)
    await two[1].unfollow("cup")
    assert await open_on(*two) == [2, 0]
    await two[1].close()
    await server.stop()
    await server.restore(tmp_path / "before.db")
    await server.start()
    await two[0].synced(10)
    assert await open_on(two[0]) == [0]


async def test_who_is_told_of_one_finds_it_counted(server: Served, open_client: OpenClient) -> None:
    two = await phones(open_client, server, 2)
    counts: list[int] = []
    two[0].conflicts.on_open(lambda conflict: counts.append(two[0].status.open_conflicts))
    await dispute(two)
    assert counts == [1]


@pytest.mark.parametrize("count", [0, 3])
async def test_asking_costs_no_read_and_a_put_elsewhere_none_more(
    server: Served, open_client: OpenClient, count: int
) -> None:
    two = await phones(open_client, server, 2)
    for index in range(count):
        await two[0].collection(Goal).put(Goal(id=f"goal{index}", side="home"))
    await two[0].synced(10)
    await offline(two)
    statements = await trace(two[0])
    assert two[0].status.open_conflicts == max(0, count - 1)
    assert statements == []
    await two[0].collection(Page).put(Page(id="p"))
    assert [statement.split()[0] for statement in statements] == ["SELECT", "BEGIN", "INSERT", "UPDATE", "COMMIT"]


@pytest.mark.parametrize("seed", range(4))
async def test_it_is_what_the_list_says_after_whatever_has_happened(
    server: Served, open_client: OpenClient, seed: int
) -> None:
    dice = random.Random(seed)
    two = await phones(open_client, server, 2)
    await offline(two)
    most = 0
    for step in range(80):
        phone = dice.choice(two)
        try:
            await do_something(phone, dice, step)
        except (NotHere, Unfit, InvalidValue):
            continue  # It cannot be done as things stand; nothing was.
        counts = await open_on(phone)
        most = max(most, *counts)
    await online(two)
    await open_on(*two)
    assert most > 0


async def do_something(phone: Client, dice: random.Random, step: int) -> None:
    games, conflicts = phone.collection(Game), await phone.conflicts.all(open=None)
    match dice.randrange(9):
        case 0 | 1 | 2:
            await games.update("g", **{dice.choice(["home", "away"]): dice.randrange(5)})
        case 3:
            await phone.collection(Goal).put(Goal(id=f"goal{step}", side="home"))
        case 4 if conflicts:
            conflict = dice.choice(conflicts)
            await phone.conflicts.settle(conflict, choice=dice.choice(conflict.candidates)["key"])
        case 5 if conflicts:
            await phone.conflicts.reopen(dice.choice(conflicts))
        case 6:
            await games.delete("g")
        case 7:
            await games.restore("g")
        case _:
            await phone.resume()
            await phone.synced(10)
            await phone.pause()
