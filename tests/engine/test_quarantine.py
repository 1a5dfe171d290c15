"""Quarantine: what was rejected waits, is settled anew after a fix, or dismissed; and nothing in it is lost for want of
room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import structlog

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.engine.history import History
from syncd.engine.principal import OPERATOR, Principal
from syncd.engine.quarantine import Bounds, Quarantine
from syncd.errors import Forbidden, StoreUnavailable
from syncd.store.quarantine_file import QuarantineFile, quarantine_file
from tests.support.engine import Engine, open_engine, user
from tests.support.roles_club import roles_club


@dataclass
class Door:
    """What a hook has against a change, until somebody mends it."""

    shut: bool = True
    seen: list[str] = field(default_factory=list)


def guarded(door: Door) -> App:
    app = App("guarded")

    @app.resource(scope="main", rule=rules.merge)
    class Note(Resource):
        title: str = ""
        likes: Annotated[int, rules.counter] = 0

    @app.on_change(Note)
    async def guard(tx: HookTransaction, change: Change) -> None:
        door.seen.append(change.id)
        if door.shut and change.fields.get("title") != "open":
            raise Veto("the door is shut", field="title")

    return app


@dataclass
class House:
    engine: Engine
    door: Door
    quarantine: Quarantine
    app: App
    file: Path

    async def waiting(self, **which: Any) -> list[tuple[str, int]]:
        return [(entry.replica, entry.n) for entry in (await self.quarantine.waiting(**which)).entries]

    async def history(self, id: str) -> list[dict[str, Any]]:
        page: Any = await History(self.engine.store, self.app).page("note", id)
        return list(page["changes"])

    def exported(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines() if line]


@asynccontextmanager
async def house(tmp_path: Path, **bounds: int) -> AsyncIterator[House]:
    door = Door()
    app = guarded(door)
    database = tmp_path / "syncd.db"
    async with open_engine(database, app=app) as engine:
        quarantine = Quarantine(
            engine.store, engine.pusher.push, QuarantineFile(database), Bounds(**bounds), engine.clock
        )
        yield House(engine, door, quarantine, app, quarantine_file(database))
        await quarantine.close()


async def replay(house: House, *items: tuple[str, int]) -> list[str]:
    return [str(result["result"]) for result in await house.quarantine.replay(items)]


async def outcomes(house: House, items: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """What a replay tells of each."""
    results: Any = await house.quarantine.replay(items)
    return list(results)


async def test_what_was_rejected_waits_with_its_payload_and_its_reason(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.engine.replica("phone").create("x", title="typed by hand")
        (entry,) = (await h.quarantine.waiting()).entries
        assert (entry.replica, entry.n, entry.fields) == ("phone", 1, {"title": "typed by hand"})
        assert (entry.outcome.code, entry.outcome.message) == ("vetoed", "the door is shut")
        assert await h.waiting(replica="phone", scope="main", type="note") == [("phone", 1)]
        assert await h.waiting(scope="other") == []
        (total,) = (await h.quarantine.waiting()).totals
        assert (total.replica, total.changes) == ("phone", 1)


async def test_it_is_read_page_by_page(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.push(*(phone.change("create", f"x{n}", 0, title="no") for n in range(5)))
        first = await h.quarantine.waiting(limit=3)
        assert [entry.n for entry in first.entries] == [1, 2, 3]
        assert first.next is not None
        second = await h.quarantine.waiting(limit=3, after=first.next)
        assert ([entry.n for entry in second.entries], second.next) == ([4, 5], None)


async def test_after_the_fix_it_is_settled_anew_through_validation_rules_and_hooks(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.engine.replica("phone").create("x", title="typed by hand")
        h.door.shut = False
        (result,) = await outcomes(h, [("phone", 1)])
        assert (result["result"], result["outcome"]["outcome"]) == ("replayed", "applied")
        assert h.door.seen == ["x", "x"]
        assert await h.engine.fields() == {"x": {"title": "typed by hand"}}
        assert await h.waiting() == []
        before, after = await h.history("x")
    assert (before["outcome"], before["quarantine"]) == ("rejected", "replayed")
    assert (after["outcome"], after["author"]) == ("applied", {"replica": "phone", "n": 1})
    assert after["made_at_ms"] == before["made_at_ms"]


async def test_what_is_refused_again_goes_on_waiting_and_says_why(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.engine.replica("phone").create("x", title="typed by hand")
        (result,) = await outcomes(h, [("phone", 1)])
        assert result["result"] == "rejected"
        assert result["outcome"]["message"] == "the door is shut"
        assert await h.waiting() == [("phone", 1)]
        h.door.shut = False
        assert await replay(h, ("phone", 1)) == ["replayed"]
        assert await h.waiting() == []


async def test_a_replay_takes_effect_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.create("x", title="open", likes=1)
        await phone.update("x", 1, likes={"increment": 5})
        h.door.shut = False
        first, second = await asyncio.gather(replay(h, ("phone", 2)), replay(h, ("phone", 2), ("phone", 2)))
        assert (first, second) == (["replayed"], ["already_replayed", "already_replayed"])
        assert (await h.engine.fields())["x"]["likes"] == 6


async def test_a_replay_that_was_settled_before_the_server_stopped_is_not_made_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.create("x", title="open", likes=1)
        await phone.update("x", 1, likes={"increment": 5})
        h.door.shut = False

        async def push_and_stop(
            replica: str, schema: int, changes: Sequence[object], *, principal: Principal = OPERATOR
        ) -> Any:
            await h.engine.pusher.push(replica, schema, changes, principal=principal)
            raise StoreUnavailable("stopped")

        stopped = Quarantine(
            h.engine.store, push_and_stop, QuarantineFile(tmp_path / "syncd.db"), Bounds(), h.engine.clock
        )
        with pytest.raises(StoreUnavailable):
            await stopped.replay([("phone", 2)])
        assert await h.waiting() == [("phone", 2)]
        assert await replay(h, ("phone", 2)) == ["replayed"]
        assert (await h.engine.fields())["x"]["likes"] == 6
        assert await h.waiting() == []


async def test_what_the_author_did_later_is_not_undone_by_the_replay(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.create("x", title="open")
        await phone.update("x", 1, title="refused first")
        h.door.shut = False
        await phone.update("x", 1, title="typed later")
        (result,) = await outcomes(h, [("phone", 2)])
        assert result["outcome"]["outcome"] == "overruled"
        assert (await h.engine.fields())["x"]["title"] == "typed later"


async def test_several_are_replayed_in_their_authors_order(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.create("x", title="one")
        await phone.update("x", 0, title="two")
        h.door.shut = False
        assert await replay(h, ("phone", 2), ("phone", 1)) == ["replayed", "replayed"]
        assert (await h.engine.fields())["x"]["title"] == "two"


async def test_a_group_is_replayed_as_a_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.push(
            phone.change("create", "x", 0, title="open", _group="g"),
            phone.change("create", "y", 0, title="shut out", _group="g"),
            phone.change("create", "z", 0, title="shut out too"),
        )
        assert await h.waiting() == [("phone", 1), ("phone", 2), ("phone", 3)]
        assert await replay(h, ("phone", 1)) == ["rejected"]
        h.door.shut = False
        assert await replay(h, ("phone", 2), ("phone", 1)) == ["replayed", "replayed"]
        assert set(await h.engine.fields()) == {"x", "y"}
        assert await h.waiting() == [("phone", 3)]


async def test_a_group_of_which_a_part_is_gone_is_not_replayed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.push(
            phone.change("create", "x", 0, title="open", _group="g"),
            phone.change("create", "y", 0, title="shut out", _group="g"),
        )
        await h.quarantine.dismiss([("phone", 1)])
        h.door.shut = False
        assert await replay(h, ("phone", 2)) == ["group_incomplete"]
        assert await h.engine.fields() == {}


async def test_what_is_dismissed_leaves_and_stays_in_the_history_as_it_was_sent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.engine.replica("phone").create("x", title="typed by hand")
        (result,) = await h.quarantine.dismiss([("phone", 1)])
        assert result == {"replica": "phone", "n": 1, "result": "dismissed"}
        assert await h.waiting() == []
        (line,) = await h.history("x")
        assert (line["quarantine"], line["fields"]) == ("dismissed", {"title": "typed by hand"})
        assert await replay(h, ("phone", 1)) == ["already_dismissed"]


async def test_what_does_not_wait_is_left_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.engine.replica("phone").create("x", title="open")
        for deal in (h.quarantine.replay, h.quarantine.dismiss):
            results = await deal([("phone", 1), ("phone", 9), ("nobody", 1)])
            assert [result["result"] for result in results] == ["not_rejected", "unknown", "unknown"]


async def test_what_could_not_be_read_at_all_can_be_dismissed_and_is_refused_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        phone = h.engine.replica("phone")
        await phone.push({**phone.change("create", "x", 0), "op": "fly", "stamp": "noon"})
        assert await replay(h, ("phone", 1)) == ["rejected"]
        (entry,) = (await h.quarantine.waiting(scope="")).entries
        assert entry.sent["op"] == "fly"
        await h.quarantine.dismiss([("phone", 1)])
        assert await h.waiting() == []


async def test_a_replica_of_a_long_name_is_replayed_too(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        name = "p" * 64
        await h.engine.replica(name).create("x", title="typed by hand")
        h.door.shut = False
        assert await replay(h, (name, 1)) == ["replayed"]
        assert set(await h.engine.fields()) == {"x"}


@asynccontextmanager
async def olgas(tmp_path: Path) -> AsyncIterator[Quarantine]:
    """In it wait one change of Olga's in each of two matches."""
    database = tmp_path / "club.db"
    async with open_engine(database, app=roles_club()) as engine:
        quarantine = Quarantine(engine.store, engine.pusher.push, QuarantineFile(database), Bounds(), engine.clock)
        phone = engine.replica("phone", principal=user("olga"))
        outcomes = await phone.push(
            *(phone.change("create", f"bad-{m}", 0, _type="event", _scope=f"match:{m}", kind=3) for m in ("m1", "m2"))
        )
        assert [outcome["outcome"] for outcome in outcomes] == ["rejected"] * 2
        yield quarantine
        await quarantine.close()


async def test_by_a_key_to_some_scopes_only_what_waits_there_is_seen_and_dealt_with(tmp_path: Path) -> None:
    async with olgas(tmp_path) as quarantine:
        olga = user("olga")
        key = replace(olga, scopes=frozenset({"match:m1"}), by_key=True)
        assert [total.changes for total in (await quarantine.waiting(principal=olga)).totals] == [2]
        seen = await quarantine.waiting(principal=key)
        assert [(entry.n, entry.scope) for entry in seen.entries] == [(1, "match:m1")]
        assert [(total.replica, total.changes) for total in seen.totals] == [("phone", 1)]
        assert (await quarantine.waiting(principal=key, scope="match:m2")).entries == []
        items = [("phone", 1), ("phone", 2), ("phone", 3)]
        for deal, first in ((quarantine.replay, "rejected"), (quarantine.dismiss, "dismissed")):
            assert [result["result"] for result in await deal(items, key)] == [first, "unknown", "unknown"]
        assert [entry.n for entry in (await quarantine.waiting(principal=olga)).entries] == [2]
        nowhere = replace(key, scopes=frozenset())
        assert (await quarantine.waiting(principal=nowhere)).totals == []
        assert [result["result"] for result in await quarantine.dismiss([("phone", 2)], nowhere)] == ["unknown"]


async def test_a_suspended_account_looks_at_its_own_and_does_nothing_about_it(tmp_path: Path) -> None:
    async with olgas(tmp_path) as quarantine:
        suspended = user("olga", suspended=True)
        assert [entry.n for entry in (await quarantine.waiting(principal=suspended)).entries] == [1, 2]
        for deal in (quarantine.replay, quarantine.dismiss):
            with pytest.raises(Forbidden) as refused:
                await deal([("phone", 1)], suspended)
            assert refused.value.problem_code == "account_suspended"
        assert [result["result"] for result in await quarantine.dismiss([("phone", 1)])] == ["dismissed"]


async def test_beyond_the_bound_the_oldest_go_to_a_file_before_they_leave_the_ledger(tmp_path: Path) -> None:
    async with house(tmp_path, changes=10) as h:
        phone = h.engine.replica("phone")
        sent = [phone.change("create", f"x{n}", 0, title=f"typed {n}") for n in range(12)]
        await phone.push(*sent)
        await h.engine.replica("tablet").create("y", title="another's")
        with structlog.testing.capture_logs() as logs:
            assert await h.quarantine.keep_bounds() == 3
        (logged,) = [entry for entry in logs if entry["event"] == "quarantine_exported"]
        assert (logged["replica"], logged["changes"], logged["file"]) == ("phone", 3, str(h.file))
        assert await h.waiting(replica="phone") == [("phone", n) for n in range(4, 13)]
        assert await h.waiting(replica="tablet") == [("tablet", 1)]
        assert [(line["replica"], line["n"]) for line in h.exported()] == [("phone", n) for n in (1, 2, 3)]
        assert [line["change"] for line in h.exported()] == sent[:3]
        assert h.exported()[0]["outcome"]["message"] == "the door is shut"
        (line,) = await h.history("x0")
        assert (line["quarantine"], line["code"], "fields" in line) == ("exported", "vetoed", False)
        assert await replay(h, ("phone", 1)) == ["already_exported"]
        # Law 3: a repeat is still known for one.
        assert (await phone.push(sent[0]))[0]["repeat"] is True


async def test_the_bound_on_bytes_counts_as_well(tmp_path: Path) -> None:
    async with house(tmp_path, bytes=10_000) as h:
        phone = h.engine.replica("phone")
        await phone.push(*(phone.change("create", f"x{n}", 0, title="t" * 3000) for n in range(5)))
        await h.quarantine.keep_bounds()
        (total,) = (await h.quarantine.waiting()).totals
        assert total.bytes <= 10_000
        assert total.changes + len(h.exported()) == 5


async def test_a_rejected_change_is_noticed_and_the_bound_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path, changes=2) as h:
        phone = h.engine.replica("phone")
        for n in range(5):
            await phone.create(f"x{n}", title="no")
            h.quarantine.noticed(["phone"])
        await h.quarantine.close()
        waiting = await h.waiting()
        assert len(waiting) <= 2
        assert len(waiting) + len(h.exported()) == 5


async def test_where_the_file_cannot_be_written_nothing_leaves_the_ledger(tmp_path: Path) -> None:
    async with house(tmp_path, changes=2) as h:
        h.file.mkdir()
        phone = h.engine.replica("phone")
        for n in range(5):
            await phone.create(f"x{n}", title="no")
        with structlog.testing.capture_logs() as logs:
            h.quarantine.noticed(["phone"])
            await h.quarantine.close()
        assert [entry["event"] for entry in logs] == ["quarantine_not_exported"]
        assert len(await h.waiting()) == 5
        h.file.rmdir()
        await h.quarantine.keep_bounds()
        assert len(h.exported()) == 4


async def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = QuarantineFile(tmp_path / "syncd.db")
    await file.append([b'{"n":1}\n'])
    with Path(file.name).open("ab") as torn:
        torn.write(b'{"n":')
    await file.append([b'{"n":2}\n', b'{"n":3}\n'])
    assert Path(file.name).read_text().splitlines() == ['{"n":1}', '{"n":', '{"n":2}', '{"n":3}']
