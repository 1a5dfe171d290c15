"""Collections: choosing, counting, and being told of changes from here and elsewhere."""

from __future__ import annotations

import pytest

from client_sdk import CollectionChange
from client_sdk.blocking import Client as BlockingClient
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.league import Goal, league
from tests.support.served import Served
from tests.support.until import until


async def test_models_are_chosen_sorted_and_counted(open_client: OpenClient) -> None:
    client = await open_client("phone", app=league)
    goals = client.collection(Goal)
    for minute, side in [(30, "home"), (3, "away"), (88, "home"), (45, "away")]:
        await goals.put(Goal(match_id="9f", side=side, minute=minute))
    await goals.put(Goal(match_id="a0", side="home", minute=1))
    home = await goals.all("match:9f", where={"side": "home"}, sort="minute")
    assert [goal.minute for goal in home] == [30, 88]
    latest = await goals.all(where=lambda goal: goal.minute > 1, sort="-minute", limit=2)
    assert [goal.minute for goal in latest] == [88, 45]
    by_side = await goals.all("match:9f", sort=lambda goal: (goal.side, goal.minute))
    assert [goal.minute for goal in by_side] == [3, 45, 30, 88]
    assert await goals.count() == 5
    assert await goals.count("match:9f", where={"side": "away"}) == 2
    assert await goals.all(limit=0) == []


async def test_dicts_are_chosen_and_those_without_a_value_come_at_the_low_end(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="desk")
    for resource_id, rank in [("a", 2), ("b", None), ("c", 1)]:
        await notes.put({"id": resource_id} | ({} if rank is None else {"rank": rank}))
    assert [note["id"] for note in await notes.all(sort="rank")] == ["b", "c", "a"]
    assert [note["id"] for note in await notes.all(sort="-rank")] == ["a", "c", "b"]
    assert await notes.all(where={"id": "c"}) == [{"id": "c", "rank": 1}]
    assert await notes.count(where=lambda note: "rank" in note) == 2


async def test_changes_from_here_and_elsewhere_are_told_once(league_server: Served, open_client: OpenClient) -> None:
    options = {"app": league, "scopes": ["match:9f"]}
    here = await open_client("here", league_server.url, **options)
    there = await open_client("there", league_server.url, **options)
    told: list[CollectionChange[Goal]] = []
    forget = here.collection(Goal).on_change(told.append)
    goal = Goal(match_id="9f", side="home", minute=3)
    await here.collection(Goal).put(goal)
    assert told == [CollectionChange(goal.id, "match:9f", goal)]
    await here.synced()
    await there.synced()
    await there.collection(Goal).update(goal.id, minute=4)
    await until(lambda: len(told) == 2)
    assert told[1].resource is not None
    assert told[1].resource.minute == 4
    await here.collection(Goal).delete(goal.id)
    assert told[2:] == [CollectionChange(goal.id, "match:9f", None)]
    await here.synced()
    assert len(told) == 3, "an echo changes nothing"
    forget()
    await here.collection(Goal).put(Goal(match_id="9f", side="home", minute=5))
    assert len(told) == 3


async def test_a_group_is_told_when_it_ends_and_a_refusal_as_what_is_shown_then(
    league_server: Served, open_client: OpenClient
) -> None:
    client = await open_client("phone", league_server.url, app=league)
    told: list[tuple[str, bool]] = []
    notes = client.collection("note", scope="main")
    notes.on_change(lambda change: told.append((change.id, change.resource is not None)))
    async with client.group():
        await notes.put({"id": "a", "text": "fine"})
        await notes.put({"id": "b", "text": "damn"})
        assert told == []
    assert sorted(told) == [("a", True), ("b", True)]
    await client.synced()
    assert sorted(told[2:]) == [("a", False), ("b", False)]


async def test_other_types_and_scopes_are_not_told(open_client: OpenClient) -> None:
    client = await open_client("phone")
    told: list[object] = []
    client.collection("note", scope="desk").on_change(told.append)
    await client.collection("note", scope="elsewhere").put({"id": "x"})
    await client.collection("task", scope="desk").put({"id": "x"})
    assert told == []


async def test_a_callback_that_fails_is_logged_and_holds_up_nothing(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="desk")
    notes.on_change(lambda change: 1 / 0)
    handle = await notes.put({"id": "x"})
    assert handle.n == 1
    assert "a callback for changes of note failed" in caplog.text


def test_a_blocking_client_is_told_too(tmp_path: object) -> None:
    with BlockingClient(None, replica=f"{tmp_path}/script.db") as client:
        told: list[str] = []
        notes = client.collection("note", scope="desk")
        forget = notes.on_change(lambda change: told.append(change.id))
        notes.put({"id": "x"})
        forget()
        notes.put({"id": "y"})
        assert told == ["x"]
        assert notes.count() == 2
