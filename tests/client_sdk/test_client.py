"""The client as its user holds it, offline first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import client_sdk
from client_sdk import Client, Closed, NotHere, SyncState, Unfit
from conflict_rules import InvalidValue, Kind
from syncd.errors import AppError
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.league import Goal, Note, league
from tests.support.served import Served, served
from tests.support.until import until


def test_the_promised_names_are_there() -> None:
    assert sorted(client_sdk.__all__) == list(client_sdk.__all__)
    for name in client_sdk.__all__:
        assert hasattr(client_sdk, name)


class TestCollections:
    async def test_models_go_in_and_come_out(self, open_client: OpenClient) -> None:
        client = await open_client("phone", app=league)
        goals = client.collection(Goal)
        first = Goal(match_id="9f", side="home", minute=3)
        await goals.put(first)
        await goals.put(Goal(match_id="a0", side="away", minute=5))
        await goals.update(first.id, minute=4)
        assert await goals.get(first.id) == Goal(id=first.id, match_id="9f", side="home", minute=4)
        assert [goal.minute for goal in await goals.all("match:9f")] == [4]
        assert len(await goals.all()) == 2
        await goals.delete(first.id)
        assert await goals.get(first.id) is None
        assert await goals.all("match:9f") == []

    async def test_dicts_go_in_and_come_out(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        notes = client.collection("note", scope="desk")
        handle = await notes.put({"text": "no id given"})
        assert await notes.get(handle.id) == {"text": "no id given", "id": handle.id}
        assert await notes.all() == [{"text": "no id given", "id": handle.id}]
        assert await client.collection("note").all("elsewhere") == []

    async def test_a_value_that_does_not_fit_the_model_is_refused_before_it_is_queued(
        self, open_client: OpenClient
    ) -> None:
        client = await open_client("phone", app=league)
        goals = client.collection(Goal)
        goal = Goal(match_id="9f", side="home", minute=3)
        await goals.put(goal)
        with pytest.raises(InvalidValue, match="minute"):
            await goals.update(goal.id, minute="four")
        with pytest.raises(InvalidValue, match="match_id"):
            await goals.update(goal.id, match_id="another")
        assert client.status.pending == 1

    async def test_a_type_that_the_app_does_not_have_is_refused(self, open_client: OpenClient) -> None:
        client = await open_client("phone", app=league)
        with pytest.raises(Unfit, match="no type 'song'"):
            client.collection("song")
        plain = await open_client("plain")
        with pytest.raises(AppError, match="Goal"):
            plain.collection(Goal)

    async def test_fields_of_a_newer_app_survive(self, open_client: OpenClient) -> None:
        """Invariant 10."""
        client = await open_client("phone", app=league)
        await client.collection("note").put({"id": "x", "text": "a", "from_a_newer_app": 7})
        notes = client.collection(Note)
        note = await notes.get("x")
        assert note is not None
        note.text = "b"
        await notes.put(note)
        assert (await client.collection("note").get("x") or {})["from_a_newer_app"] == 7


class TestGroups:
    async def test_a_group_that_raises_leaves_nothing(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        notes = client.collection("note")

        async def half() -> None:
            async with client.group():
                await notes.put({"id": "x"})
                await notes.update("gone", v=1)

        with pytest.raises(NotHere):
            await half()
        assert await notes.all() == []
        assert client.status.pending == 0

    async def test_other_tasks_do_not_join_or_see_a_group(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        notes = client.collection("note")
        inside, outside = asyncio.Event(), asyncio.Event()

        async def group() -> None:
            async with client.group():
                await notes.put({"id": "grouped"})
                inside.set()
                await outside.wait()
                assert {note["id"] for note in await notes.all()} == {"grouped", "alone"}

        task = asyncio.create_task(group())
        await inside.wait()
        alone = await notes.put({"id": "alone"})
        assert [note["id"] for note in await notes.all()] == ["alone"]
        assert alone.n == 1
        outside.set()
        await task
        assert len(await notes.all()) == 2

    async def test_a_change_is_numbered_when_its_group_ends(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        async with client.group():
            handle = await client.collection("note").put({"id": "x"})
            with pytest.raises(Unfit, match="when the group ends"):
                _ = handle.n
            with pytest.raises(Unfit, match="before the group has ended"):
                await handle.outcome()
        assert handle.n == 1

    async def test_a_group_in_a_group_is_refused(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        async with client.group():
            with pytest.raises(Unfit, match="cannot hold another"):
                async with client.group():
                    pass


class TestOutcomes:
    async def test_may_be_waited_for_by_many(self, server: Served, open_client: OpenClient) -> None:
        client = await open_client("phone", server.url)
        await client.pause()
        handle = await client.collection("note").put({"id": "x"})
        waiting = [asyncio.create_task(handle.outcome()) for _ in range(3)]
        given_up = asyncio.create_task(handle.outcome())
        await asyncio.sleep(0)
        given_up.cancel()
        await client.resume()
        assert {(await task).kind for task in waiting} == {Kind.APPLIED}
        assert handle.settled
        assert (await handle.outcome()).kind is Kind.APPLIED

    async def test_are_known_by_number_after_a_restart(self, server: Served, open_client: OpenClient) -> None:
        client = await open_client("phone")
        for i in range(3):
            await client.collection("note").put({"id": f"n{i}"})
        await client.close()
        client = await open_client("phone", server.url)
        assert (await (await client.change(2)).outcome()).version == 2
        await client.synced()
        await client.close()
        client = await open_client("phone")
        third = await client.change(3, client.replica_id)
        assert third.settled
        assert (await third.outcome()).version == 3
        with pytest.raises(NotHere, match="change 4"):
            await client.change(4)


class TestPaused:
    async def test_nothing_is_sent_before_it_is_resumed(self, server: Served, open_client: OpenClient) -> None:
        client = await open_client("phone")
        await client.collection("note").put({"id": "x"})
        await client.close()
        client = await open_client("phone", server.url, paused=True)
        assert client.status.state is SyncState.PAUSED
        await asyncio.sleep(0.2)
        [waiting] = client.outbox()
        handle = await client.change(waiting.n)
        await client.resume()
        assert (await handle.outcome()).kind is Kind.APPLIED


class TestViews:
    async def test_show_what_was_done_offline(self, open_client: OpenClient) -> None:
        """Counterexample 20: the offline scorer sees his own goals."""
        client = await open_client("phone", app=league)
        goals = client.collection(Goal)
        own = Goal(match_id="9f", side="home", minute=3)
        await goals.put(own)
        await goals.put(Goal(match_id="9f", side="away", minute=5))
        assert await client.view("score", "match:9f") == {"home": 1, "away": 1}
        await goals.update(own.id, side="away")
        assert await client.view("score", "match:9f") == {"home": 0, "away": 2}
        async with client.group():
            await goals.delete(own.id)
            assert await client.view("score", "match:9f") == {"home": 0, "away": 1}

    async def test_that_do_not_exist_are_refused(self, open_client: OpenClient) -> None:
        client = await open_client("phone", app=league)
        with pytest.raises(Unfit, match="no view 'score'"):
            await client.view("score", "team:1")


class TestScopes:
    async def test_are_kept_from_one_start_to_the_next(self, open_client: OpenClient) -> None:
        client = await open_client("phone", scopes=["a"])
        await client.follow("b")
        await client.close()
        client = await open_client("phone", scopes=[])
        assert list(client.scopes) == ["a", "b"]
        await client.unfollow("a")
        assert list(client.scopes) == ["b"]

    async def test_followed_later_are_brought_and_watched(self, server: Served, open_client: OpenClient) -> None:
        writer = await open_client("writer", server.url)
        await writer.collection("note", scope="desk").put({"id": "x", "v": 1})
        await writer.synced()
        reader = await open_client("reader", server.url)
        await until(lambda: reader.status.state is SyncState.LIVE)
        await reader.follow("desk")
        await reader.synced()
        assert await reader.collection("note").get("x") == {"id": "x", "v": 1}
        await until(lambda: reader.status.state is SyncState.LIVE)
        watch = reader.watch("desk")
        await writer.collection("note").update("x", v=2)
        assert [each.fields["v"] for each in (await anext(watch)).states] == [2]
        await reader.unfollow("desk")
        assert await reader.collection("note").get("x") is None

    async def test_more_than_a_server_takes_at_once_are_all_brought(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        async with served(tmp_path / "server.db", max_scopes=3) as server:
            writer = await open_client("writer", server.url)
            for i in range(8):
                await writer.collection("note", scope=f"desk:{i}").put({"id": f"n{i}"})
            await writer.synced()
            reader = await open_client("reader", server.url, scopes=[f"desk:{i}" for i in range(8)])
            await reader.synced()
            assert len(await reader.collection("note").all()) == 8


class TestWatching:
    async def test_a_slow_watcher_gets_the_newest_of_each_resource(
        self, server: Served, open_client: OpenClient
    ) -> None:
        writer = await open_client("writer", server.url)
        reader = await open_client("reader", server.url)
        watch = reader.watch("main")
        await writer.collection("note").put({"id": "x", "v": 0})
        for v in range(1, 20):
            await writer.collection("note").update("x", v=v)
        await writer.synced()
        await reader.synced()
        delta = await anext(watch)
        assert [(each.id, each.fields["v"]) for each in delta.states] == [("x", 19)]

    async def test_deletes_are_told(self, server: Served, open_client: OpenClient) -> None:
        writer = await open_client("writer", server.url)
        await writer.collection("note").put({"id": "x"})
        await writer.synced()
        reader = await open_client("reader", server.url)
        await reader.synced()
        watch = reader.watch("main")
        await writer.collection("note").delete("x")
        (gone,) = (await anext(watch)).states
        assert gone.deleted is not None

    async def test_a_watch_that_nobody_holds_is_forgotten(self, open_client: OpenClient) -> None:
        client = await open_client("phone")
        watch = client.watch("main")
        assert client._watchers.scopes() == {"main"}
        del watch
        assert client._watchers.scopes() == set()


async def test_a_client_must_be_opened_first(tmp_path: Path) -> None:
    client = Client(None, replica=tmp_path / "phone.db")
    with pytest.raises(Unfit, match="open the client first"):
        client.collection("note")
    await client.close()


async def test_a_closed_client_says_so(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note")
    await client.close()
    with pytest.raises(Closed, match="has been closed"):
        await notes.put({"id": "x"})
    with pytest.raises(Closed):
        client.collection("note")


async def test_the_outbox_can_be_looked_at(open_client: OpenClient) -> None:
    client = await open_client("phone")
    await client.collection("note").put({"id": "x", "v": 1})
    await client.collection("note").update("x", v=2)
    assert [(change.n, change.id, change.fields) for change in client.outbox()] == [
        (1, "x", {"v": 1}),
        (2, "x", {"v": 2}),
    ]


async def test_writing_on_does_not_keep_synced_from_returning(server: Served, open_client: OpenClient) -> None:
    client = await open_client("phone", server.url)
    notes = client.collection("note")
    await notes.put({"id": "x", "v": 0})
    done = asyncio.Event()

    async def write_on() -> None:
        v = 0
        while not done.is_set():
            v += 1
            await notes.update("x", v=v)

    writing = asyncio.create_task(write_on())
    async with asyncio.timeout(20):
        await client.synced()
    done.set()
    await writing


async def test_many_tasks_share_a_client(server: Served, open_client: OpenClient) -> None:
    client = await open_client("phone", server.url)
    notes = client.collection("note")

    async def work(i: int) -> None:
        await notes.put({"id": f"n{i}", "v": 0})
        await notes.update(f"n{i}", v=1)
        assert (await notes.get(f"n{i}") or {})["v"] == 1
        if i % 3 == 0:
            await (await notes.delete(f"n{i}")).outcome()

    await asyncio.gather(*(work(i) for i in range(30)))
    await client.synced()
    assert len(await notes.all()) == 20
    assert client.status.rejected == 0
