"""Changes made under another version of the app: lifted, refused one by one, or kept waiting; never lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from syncd.app import App, Change, HookTransaction, Intent, Resource, Veto, open_app
from syncd.errors import AppError
from syncd.store.protocol import Wanted
from tests.support.engine import Engine, Replica, open_engine
from tests.support.served import served
from tests.support.walking_club import v1, v3

TOO_OLD = App("walking_club", version=5)


@TOO_OLD.resource(scope="main")
class Walk(Resource):
    name: str


@TOO_OLD.upgrade(from_version=4)
def nothing_changed(change: Intent) -> Intent:
    return change


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "syncd.db", app=v3.club) as engine:
        yield engine


def walk(replica: Replica, op: str, id: str, base: int = 0, /, **fields: Any) -> dict[str, Any]:
    """The next change, made under version 1 unless `_schema` says otherwise."""
    schema = fields.pop("_schema", 1)
    return {**replica.change(op, id, base, _type=fields.pop("_type", "walk"), **fields), "schema": schema}


def told(outcomes: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(outcome["outcome"], outcome.get("code")) for outcome in outcomes]


async def test_a_change_of_an_older_version_is_checked_and_merged_in_the_words_of_the_newest(engine: Engine) -> None:
    a = engine.replica("a")
    outcomes = await a.push(
        walk(a, "create", "x", title="Dunes", miles=10, mood="sunny"),
        walk(a, "update", "x", 1, miles=20),
        walk(a, "create", "m", _type="memo", text="rain"),
        walk(a, "update", "x", 1, _schema=2, name="Dunes and heath"),
    )
    assert told(outcomes) == [("applied", None)] * 4
    states = await engine.states()
    assert states["x"]["fields"] == {"name": "Dunes and heath", "km": 32.19, "open_to_guests": False}
    assert (states["m"]["type"], states["m"]["fields"]) == ("note", {"text": "rain"})


async def test_an_unknown_field_survives_the_upgrade(engine: Engine) -> None:
    a = engine.replica("a")
    await a.push(walk(a, "create", "x", title="Dunes", miles=10, colour={"name": "red"}))
    assert (await engine.fields())["x"]["colour"] == {"name": "red"}


async def test_the_version_of_the_push_counts_for_changes_that_name_none(engine: Engine) -> None:
    a = engine.replica("a")
    change = {**a.change("create", "x", 0, _type="walk", title="Dunes", miles=10)}
    reply = await engine.pusher.push("a", 2, [change])
    assert told([dict(each) for each in reply.outcomes]) == [("rejected", "missing_field")], "in 2 it is called a name"


async def test_history_and_repeats_go_by_what_was_sent(engine: Engine) -> None:
    a = engine.replica("a")
    change = walk(a, "create", "x", title="Dunes", miles=10)
    assert told(await a.push(change)) == [("applied", None)]
    (again,) = await a.push(change)
    assert (again["outcome"], again["repeat"]) == ("applied", True)
    lifted = {**change, "schema": 3, "fields": {"name": "Dunes", "km": 16.09, "open_to_guests": False}}
    assert told(await a.push(lifted)) == [("rejected", "id_reuse")], "it is not what was sent"
    async with engine.store.transaction(replicas={"a"}, scopes={"main"}) as transaction:
        loaded = await transaction.load(Wanted({"a"}, {"main"}, set(), {("a", 1)}))
    (row,) = loaded.settled.values()
    assert json.loads(row.change) == change
    assert (row.type, row.id) == ("walk", "x")


async def test_the_history_says_under_which_version_a_change_was_made_if_only_its_push_said_so(engine: Engine) -> None:
    a = engine.replica("a")
    change = {**a.change("create", "x", 0, _type="walk", name="Dunes", miles=10)}
    for repeat in (None, True):
        reply = await engine.pusher.push("a", 2, [change])
        assert (reply.outcomes[0]["outcome"], reply.outcomes[0].get("repeat")) == ("applied", repeat)
    async with engine.store.transaction(replicas={"a"}, scopes={"main"}) as transaction:
        loaded = await transaction.load(Wanted({"a"}, {"main"}, set(), {("a", 1)}))
    (row,) = loaded.settled.values()
    assert json.loads(row.change) == {**change, "schema": 2}


async def test_hooks_are_told_of_the_lifted_change(tmp_path: Path) -> None:
    seen: list[tuple[str, dict[str, Any], int]] = []
    club = App("club", version=2)

    @club.resource(scope="main")
    class Note(Resource):
        text: str

    @club.upgrade(from_version=1, type="memo")
    def notes(change: Intent) -> Intent:
        return change.of_type("note").renamed("words", "text")

    @club.on_change(Note)
    async def look(tx: HookTransaction, change: Change) -> None:
        seen.append((change.type, dict(change.fields), change.schema))

    async with open_engine(tmp_path / "hooks.db", app=club) as engine:
        a = engine.replica("a")
        await a.push(a.change("create", "x", 0, _type="memo", words="hello"))
    assert seen == [("note", {"text": "hello"}, 2)]


class TestOneThatCannotBeLifted:
    @pytest.fixture
    def club(self) -> App:
        club = App("club", version=2)

        @club.resource(scope="main")
        class Note(Resource):
            text: str = ""
            size: int = 0

        @club.upgrade(from_version=1, type="poll")
        def no_polls(change: Intent) -> None:
            return None

        @club.upgrade(from_version=1, type="vote")
        def no_votes(change: Intent) -> Intent:
            raise Veto("votes were for polls, and those have ended", code="polls_ended")

        @club.upgrade(from_version=1, type=Note)
        def whole_sizes(change: Intent) -> Intent:
            return change.converted("size", lambda size: int(str(size)))

        return club

    async def test_is_refused_by_itself_and_the_queue_goes_on(self, tmp_path: Path, club: App) -> None:
        async with open_engine(tmp_path / "syncd.db", app=club) as engine:
            a = engine.replica("a")
            outcomes = await a.push(
                a.change("create", "x", 0, size="12"),
                a.change("create", "y", 0, size="twelve"),
                a.change("create", "p", 0, _type="poll", question="where?"),
                a.change("create", "v", 0, _type="vote", poll="p"),
                a.change("update", "x", 1, size="13"),
            )
            assert told(outcomes) == [
                ("applied", None),
                ("rejected", "upgrade_failed"),
                ("rejected", "obsolete"),
                ("rejected", "polls_ended"),
                ("applied", None),
            ]
            assert outcomes[3]["message"] == "votes were for polls, and those have ended"
            assert await engine.fields() == {"x": {"size": 13}}

    async def test_is_kept_as_it_was_sent_with_the_reason(self, tmp_path: Path, club: App) -> None:
        async with open_engine(tmp_path / "syncd.db", app=club) as engine:
            a = engine.replica("a")
            bad = a.change("create", "y", 0, size="twelve")
            await a.push(bad)
            async with engine.store.transaction(replicas={"a"}, scopes={"main"}) as transaction:
                loaded = await transaction.load(Wanted({"a"}, {"main"}, set(), {("a", 1)}))
            (row,) = loaded.settled.values()
            assert (json.loads(row.change), row.kind) == (bad, "rejected")

    async def test_takes_its_group_down_and_nothing_else(self, tmp_path: Path, club: App) -> None:
        async with open_engine(tmp_path / "syncd.db", app=club) as engine:
            a = engine.replica("a")
            outcomes = await a.push(
                a.change("create", "x", 0, _group="g", size="1"),
                a.change("create", "y", 0, _group="g", size="one"),
                a.change("create", "z", 0, size="2"),
            )
            assert told(outcomes) == [("rejected", "group_rejected"), ("rejected", "upgrade_failed"), ("applied", None)]
            assert list(await engine.fields()) == ["z"]


class TestOneFromAnotherVersion:
    async def test_too_old_is_not_settled_and_neither_is_what_follows(self, tmp_path: Path) -> None:
        async with open_engine(tmp_path / "syncd.db", app=TOO_OLD) as engine:
            a = engine.replica("a")
            outcomes = await a.push(
                walk(a, "create", "x", _schema=5, name="Dunes"),
                walk(a, "create", "y", _schema=4, name="Heath"),
                walk(a, "create", "z", _schema=3, name="Moor"),
                walk(a, "create", "w", _schema=5, name="Woods"),
                walk(a, "create", "q", _schema=2, name="Quay"),
            )
            waits = ("retry_later", "upgrade_required")
            assert told(outcomes) == [("applied", None), ("applied", None), waits, waits, waits]
            assert outcomes[2]["message"] == (
                "it was made under version 3 of the app 'walking_club', and this server reads changes from version 4 "
                "on; it is kept on the device, and waits until the app there is updated"
            )
            assert outcomes[3]["message"].startswith("it waits behind change 3: ")
            assert sorted(await engine.fields()) == ["x", "y"]

    async def test_newer_than_the_server_is_not_settled_either(self, engine: Engine) -> None:
        a = engine.replica("a")
        outcomes = await a.push(walk(a, "create", "x", _schema=4, title="Dunes"), walk(a, "delete", "y", _schema=3))
        assert told(outcomes) == [("retry_later", "server_outdated")] * 2
        assert outcomes[0]["message"] == (
            "it was made under version 4 of the app 'walking_club', and this server still runs version 3; "
            "it waits until the server has it too"
        )

    async def test_is_settled_under_its_number_once_the_server_can_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "syncd.db"
        async with open_engine(path, app=TOO_OLD) as engine:
            a = engine.replica("a")
            queue = [walk(a, "create", "x", title="Dunes", miles=1), walk(a, "update", "x", miles=2)]
            assert told(await a.push(*queue)) == [("retry_later", "upgrade_required")] * 2
        async with open_engine(path, app=v3.club) as engine:
            reply = await engine.pusher.push("a", 1, queue)
            assert told([dict(each) for each in reply.outcomes]) == [("applied", None)] * 2
            assert (await engine.fields())["x"] == {"name": "Dunes", "km": 3.22, "open_to_guests": False}

    async def test_does_not_hide_the_outcome_of_one_that_was_settled_before(self, tmp_path: Path) -> None:
        """The reply was lost, then the server gave up reading version 1, and the device got the new app."""
        path = tmp_path / "syncd.db"
        async with open_engine(path, app=v1.club) as engine:
            a = engine.replica("a")
            old = walk(a, "create", "x", title="Dunes", miles=1)
            await a.push(old)
        async with open_engine(path, app=TOO_OLD) as engine:
            a.engine = engine
            outcomes = await a.push(old, walk(a, "create", "y", _schema=5, name="Heath"))
            assert told(outcomes) == [("applied", None), ("applied", None)]
            assert outcomes[0]["repeat"] is True

    async def test_in_a_group_keeps_all_of_it_waiting(self, engine: Engine) -> None:
        a = engine.replica("a")
        outcomes = await a.push(
            walk(a, "create", "x", title="Dunes", miles=1, _group="g"),
            walk(a, "create", "y", _schema=4, title="Heath", _group="g"),
            walk(a, "create", "z", title="Moor", miles=1),
        )
        assert told(outcomes) == [("retry_later", "server_outdated")] * 3
        assert await engine.fields() == {}

    async def test_keeps_everything_after_it_waiting_in_a_push_of_any_length(self, engine: Engine) -> None:
        a = engine.replica("a")
        push = [walk(a, "create", f"x{n}", title="Dunes", miles=1, _schema=4 if n == 40 else 1) for n in range(500)]
        outcomes = await a.push(*push)
        assert told(outcomes) == [("applied", None)] * 40 + [("retry_later", "server_outdated")] * 460
        assert [outcome["n"] for outcome in outcomes] == list(range(1, 501))
        assert len(await engine.fields()) == 40

    async def test_behind_a_gap_is_told_of_the_gap(self, engine: Engine) -> None:
        a = engine.replica("a")
        missing, early = walk(a, "create", "x"), walk(a, "create", "y", _schema=4)
        assert told(await a.push(early)) == [("retry_later", "out_of_order")]
        assert missing["n"] == 1

    async def test_leaves_pulls_and_other_replicas_alone(self, tmp_path: Path) -> None:
        async with open_engine(tmp_path / "syncd.db", app=TOO_OLD) as engine:
            old, new = engine.replica("old"), engine.replica("new")
            assert told(await old.push(walk(old, "create", "x", title="Dunes"))) == [
                ("retry_later", "upgrade_required")
            ]
            assert told(await new.push(walk(new, "create", "y", _schema=5, name="Heath"))) == [("applied", None)]
            page = (await engine.puller.pull("old", {"main": None}, 1 << 20))["main"]
            assert ([json.loads(body)["id"] for body in page.bodies], page.settled) == (["y"], 0)

    async def test_is_answered_if_it_settles_a_conflict_which_has_no_version(self, tmp_path: Path) -> None:
        async with open_engine(tmp_path / "syncd.db", app=TOO_OLD) as engine:
            a = engine.replica("a")
            settlement = {**walk(a, "settle", "x", title="Dunes"), "conflict": "c-1"}
            assert told(await a.push(settlement)) == [("rejected", "unknown_resource")]

    async def test_means_nothing_to_a_server_without_an_app(self, tmp_path: Path) -> None:
        async with open_engine(tmp_path / "syncd.db", app=open_app()) as engine:
            a = engine.replica("a")
            assert told(await a.push(walk(a, "create", "x", _schema=7))) == [("applied", None)]


async def test_a_server_does_not_start_with_upgrades_that_lead_nowhere(tmp_path: Path) -> None:
    club = App("club", version=3)
    club.upgrade(from_version=1)(lambda change: change)
    with pytest.raises(AppError, match="none from version 2"):
        async with served(tmp_path / "syncd.db", club):
            pass
