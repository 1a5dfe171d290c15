"""The client for scripts that block: the same client, without `await`, from as many threads as there are."""

from __future__ import annotations

import asyncio
import inspect
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import client_sdk
from client_sdk import Closed, NoServer, NotHere, SyncState, Unfit, blocking
from client_sdk.portal import Portal
from conflict_rules import InvalidValue, Kind
from tests.client_sdk.conftest import QUICK
from tests.client_sdk.league import Goal, league
from tests.support.served import Served


@pytest.fixture
def client(tmp_path: Path) -> Iterator[blocking.Client]:
    """Without a server."""
    with blocking.Client(None, replica=tmp_path / "script.db", app=league, scopes=["main"]) as client:
        yield client


class ServerThread:
    """A real server on a loop of its own, since the test blocks."""

    def __init__(self, database: Path) -> None:
        self._portal = Portal()
        self._portal.open()
        self._served = Served(database, league, lambda: 1_763_640_000_000, None, {})
        self._portal.wait(self._served.start)
        self.url = self._served.url

    def close(self) -> None:
        self._portal.wait(self._served.stop)
        self._portal.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = ServerThread(tmp_path / "server.db")
    yield server.url
    server.close()


def open_client(url: str, path: Path, **options: Any) -> blocking.Client:
    options = {"scopes": ["main", "match:9f"], "timing": QUICK, "dice": random.Random(1), **options}
    return blocking.Client(url, replica=path, app=league, **options)


@pytest.mark.parametrize(
    ("facade", "original"),
    [
        (blocking.Client, client_sdk.Client),
        (blocking.Collection, client_sdk.Collection),
        (blocking.DictCollection, client_sdk.DictCollection),
        (blocking.ChangeHandle, client_sdk.ChangeHandle),
    ],
)
def test_whatever_the_asynchronous_one_has_is_there(facade: type, original: type) -> None:
    promised = {name for name in dir(original) if not name.startswith("_")}
    assert promised <= set(dir(facade))


def test_help_is_that_of_the_asynchronous_one(client: blocking.Client) -> None:
    assert client.follow.__doc__ == client_sdk.Client.follow.__doc__
    assert "scope" in inspect.signature(client.follow).parameters


def test_models_and_dicts_go_in_and_come_out(client: blocking.Client) -> None:
    goals = client.collection(Goal)
    goal = Goal(match_id="9f", side="home", minute=3)
    handle = goals.put(goal)
    assert (handle.n, handle.id, handle.settled) == (1, goal.id, False)
    assert handle.replica == client.replica_id
    goals.update(goal.id, minute=4)
    assert [goal.minute for goal in goals.all("match:9f")] == [4]
    assert client.view("score", "match:9f") == {"home": 1, "away": 0}
    goals.delete(goal.id)
    assert goals.get(goal.id) is None
    notes = client.collection("note", scope="main")
    note = notes.put({"text": "by name"})
    assert notes.get(note.id) == {"text": "by name", "id": note.id}
    assert client.status.pending == len(client.outbox()) == 4
    assert list(client.scopes) == ["main", "match:9f"]


def test_errors_come_through_as_they_are(client: blocking.Client) -> None:
    with pytest.raises(NotHere):
        client.collection(Goal).update("gone", minute=1)
    with pytest.raises(InvalidValue):
        client.follow("not a scope")
    with pytest.raises(NoServer):
        client.synced()
    with pytest.raises(NotHere):
        client.change(99)


def test_a_group_is_all_or_nothing_and_shows_within(client: blocking.Client) -> None:
    notes = client.collection("note", scope="main")
    with client.group():
        handle = notes.put({"id": "a"})
        notes.put({"id": "b"})
        assert len(notes.all()) == 2
        with ThreadPoolExecutor() as other:
            assert other.submit(notes.all).result() == [], "another thread is not within"
    assert handle.n == 1
    assert len({change.group for change in client.outbox()}) == 1

    def half() -> None:
        with client.group():
            notes.put({"id": "c"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert len(notes.all()) == 2
    notes.put({"id": "alone"})
    assert client.outbox()[-1].group is None


def test_rights_are_told_as_by_the_asynchronous_one(tmp_path: Path) -> None:
    with blocking.Client(None, replica=tmp_path / "sam.db", app=league, user="sam", token=lambda: "sam") as client:
        told: list[str] = []
        forget = client.on_gone(told.append)
        assert (client.memberships(), list(client.scopes), client.status.gone) == ({}, ["user:sam"], ())
        forget()
        client.set_token("another")
    assert told == []


def test_threads_share_a_client(client: blocking.Client) -> None:
    notes = client.collection("note", scope="main")
    with ThreadPoolExecutor(8) as threads:
        handles = list(threads.map(lambda index: notes.put({"id": f"n{index}"}), range(40)))
    assert sorted(handle.n for handle in handles) == list(range(1, 41))
    assert len(notes.all()) == 40


def test_what_is_put_reaches_another_and_is_watched_there(url: str, tmp_path: Path) -> None:
    with open_client(url, tmp_path / "a.db") as here, open_client(url, tmp_path / "b.db") as there:
        there.synced(timeout_s=10)
        watch = there.watch("match:9f")
        handle = here.collection(Goal).put(Goal(match_id="9f", side="home", minute=3))
        assert handle.outcome(timeout_s=10).kind is Kind.APPLIED
        assert handle.settled
        here.synced(timeout_s=10)
        delta = next(watch)
        assert (delta.scope, delta.states[0].fields["minute"]) == ("match:9f", 3)
        assert there.collection(Goal).get(handle.id) is not None
        assert here.change(handle.n).outcome() == handle.outcome()


def test_who_is_here_is_said_and_heard(url: str, tmp_path: Path) -> None:
    with open_client(url, tmp_path / "phone.db") as phone, open_client(url, tmp_path / "tablet.db") as tablet:
        heard: queue.Queue[client_sdk.Present] = queue.Queue()
        forget = tablet.presence("main").on_change(heard.put)
        phone.presence("main").set({"name": "Asha"})
        phone.presence("main").update(minute=3)
        while (present := heard.get(timeout=10)).others != {phone.replica_id: {"name": "Asha", "minute": 3}}:
            pass
        assert tablet.presence("main").present == present
        phone.presence("main").leave()
        assert heard.get(timeout=10) == client_sdk.Present()
        assert phone.presence("main").said is None
        forget()


def test_a_refusal_is_kept_until_it_is_dismissed(url: str, tmp_path: Path) -> None:
    with open_client(url, tmp_path / "a.db") as client:
        client.collection("note", scope="main").put({"text": "damn"})
        client.synced(timeout_s=10)
        [(change, outcome)] = client.rejected()
        assert outcome.code == "swearing"
        client.dismiss(change)
        assert client.rejected() == []


def test_waiting_may_end_in_time(url: str, tmp_path: Path) -> None:
    with open_client(url, tmp_path / "a.db") as client:
        client.pause()
        assert client.status.state is SyncState.PAUSED
        handle = client.collection("note", scope="main").put({"text": "later"})
        with pytest.raises(TimeoutError):
            handle.outcome(timeout_s=0.01)
        with pytest.raises(TimeoutError):
            client.synced(timeout_s=0.01)
        client.resume()
        assert handle.outcome(timeout_s=10).kind is Kind.APPLIED


def test_a_watch_ends_when_another_thread_closes_the_client(url: str, tmp_path: Path) -> None:
    with open_client(url, tmp_path / "a.db") as client:
        watch = client.watch("main")
        with ThreadPoolExecutor() as threads:
            seen = threads.submit(list, watch)
            client.close()
            assert seen.result(10) == []


def test_a_closed_client_says_so(tmp_path: Path) -> None:
    with blocking.Client(None, replica=tmp_path / "a.db") as client:
        notes = client.collection("note", scope="main")
        notes.put({"id": "x"})
    client.close()
    with pytest.raises(Closed):
        notes.all()
    with pytest.raises(Closed):
        _ = client.status


def test_a_client_that_cannot_open_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(client_sdk.FileUnusable), blocking.Client(None, replica=tmp_path / "no" / "folder.db"):
        pass
    assert threading.active_count() == before


def test_waiting_inside_of_a_callback_is_refused_rather_than_stuck(client: blocking.Client) -> None:
    notes = client.collection("note", scope="main")
    with pytest.raises(Unfit, match="another thread"):
        client._portal.call(lambda: notes.all())


def test_an_interrupted_wait_ends_what_it_waited_for(client: blocking.Client) -> None:
    started = threading.Event()
    ended = threading.Event()

    async def for_ever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    class Interrupted(BaseException):
        pass

    def interrupt(coroutine: Any, loop: Any) -> Any:
        future = original(coroutine, loop)
        wait, future.result = future.result, None
        assert wait is not None

        def result() -> None:
            assert started.wait(10)
            raise Interrupted

        future.result = result
        return future

    original = asyncio.run_coroutine_threadsafe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "run_coroutine_threadsafe", interrupt)
        with pytest.raises(Interrupted):
            client._portal.wait(for_ever)
    assert ended.wait(10)


def test_a_script_that_does_not_close_ends_all_the_same(tmp_path: Path) -> None:
    script = (
        "import sys; from client_sdk.blocking import Client\n"
        "client = Client(None, replica=sys.argv[1]).__enter__()\n"
        "client.collection('note', scope='main').put({'id': 'x'})\n"
    )
    path = tmp_path / "script.db"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=30)
    with blocking.Client(None, replica=path) as client:
        assert client.collection("note").get("x") == {"id": "x"}
