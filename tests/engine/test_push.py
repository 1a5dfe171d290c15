"""Push: what each change of a batch is answered, and what a reader finds afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from conflict_rules import LWW, MERGE, Algebra, Change, Deletes, FieldRule, Merged, State
from syncd.app import App, Resource, rules
from syncd.engine.limits import Limits
from syncd.errors import InvalidMessage, TooLarge
from tests.support.engine import Engine, open_engine


async def test_a_create_is_applied_and_takes_the_next_version(engine: Engine) -> None:
    a = engine.replica("a")
    assert await a.create("x", title="one") == {"n": 1, "outcome": "applied", "version": 1}
    assert await a.create("y", title="two") == {"n": 2, "outcome": "applied", "version": 2}
    assert await engine.fields() == {"x": {"title": "one"}, "y": {"title": "two"}}


async def test_versions_count_each_scope_on_its_own(engine: Engine) -> None:
    a = engine.replica("a")
    assert (await a.create("x", _scope="north", v=1))["version"] == 1
    assert (await a.create("y", _scope="south", v=1))["version"] == 1


async def test_edits_of_different_fields_are_merged_and_the_reply_shows_the_result(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.create("x", name="old", bio="old")
    await a.update("x", 1, name="A")
    outcome = await b.update("x", 1, bio="B")
    assert (outcome["outcome"], outcome["version"]) == ("merged", 3)
    assert outcome["resource"]["fields"] == {"name": "A", "bio": "B"}


async def test_a_change_that_lost_everywhere_is_overruled_and_shows_what_stands(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.create("x", name="old")
    early = b.change("update", "x", 1, name="early")
    engine.clock.advance(5)
    await a.update("x", 1, name="late")
    outcome = (await b.push(early))[0]
    assert (outcome["outcome"], outcome["code"], outcome["lost"]) == ("overruled", "later_change_stands", ["name"])
    assert outcome["resource"]["fields"] == {"name": "late"}
    assert (await engine.states())["x"]["version"] == 2, "a change without an effect takes no version"


async def test_a_bad_change_is_refused_with_a_reason_and_its_neighbours_are_applied(engine: Engine) -> None:
    a = engine.replica("a")
    good, bad, also_good = (
        a.change("create", "x", 0, v=1),
        a.change("create", "bad id!", 0, v=1),
        a.change("create", "y", 0, v=1),
    )
    outcomes = await a.push(good, bad, also_good)
    assert [outcome["outcome"] for outcome in outcomes] == ["applied", "rejected", "applied"]
    assert outcomes[1]["code"] == "invalid_id"
    assert outcomes[1]["field"] == "id"
    assert outcomes[1]["message"]


async def test_a_change_whose_number_cannot_be_read_is_refused_and_settles_nothing(engine: Engine) -> None:
    a = engine.replica("a")
    good = a.change("create", "x", 0, v=1)
    outcomes = await a.push({"id": "what"}, 17, good)
    assert [(outcome["n"], outcome["outcome"]) for outcome in outcomes] == [
        (None, "rejected"),
        (None, "rejected"),
        (1, "applied"),
    ]


async def test_a_stamp_and_a_scope_may_be_left_out(engine: Engine) -> None:
    a = engine.replica("a")
    create = a.change("create", "x", 0, v=1)
    update = a.change("update", "x", 1, v=2)
    for change in (create, update):
        del change["stamp"], change["scope"]
    assert [outcome["outcome"] for outcome in await a.push(create, update)] == ["applied", "applied"]
    assert await engine.fields("main") == {"x": {"v": 2}}


async def test_an_update_without_a_scope_finds_the_resource_where_it_lives(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", _scope="north", v=1)
    update, unknown = a.change("update", "x", 1, v=2), a.change("update", "nobody", 1, v=2)
    del update["scope"], unknown["scope"]
    outcomes = await a.push(update, unknown)
    assert [(o["outcome"], o.get("code")) for o in outcomes] == [("applied", None), ("rejected", "unknown_resource")]
    assert await engine.fields("north") == {"x": {"v": 2}}


async def test_a_resource_lives_in_one_scope_for_life(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", _scope="north", v=1)
    outcome = await a.update("x", 1, _scope="south", v=2)
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "scope_is_for_life")
    assert "resource" not in outcome, "what lives in another scope is not shown"


async def test_a_resource_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db", limits=replace(Limits(), max_resource_bytes=1000)) as engine:
        outcome = await engine.replica("a").create("x", text="y" * 2000)
        assert (outcome["outcome"], outcome["code"]) == ("rejected", "resource_too_large")


async def test_the_envelope_is_refused_as_a_whole(engine: Engine) -> None:
    with pytest.raises(InvalidMessage, match="replica"):
        await engine.pusher.push("no spaces", 1, [])
    with pytest.raises(InvalidMessage, match="replica"):
        await engine.pusher.push("server-1", 1, [])
    with pytest.raises(TooLarge, match="1001"):
        await engine.pusher.push("a", 1, [{}] * 1001)


async def test_a_delete_leaves_a_tombstone(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", v=1)
    assert (await a.delete("x", 1))["outcome"] == "applied"
    state = (await engine.states())["x"]
    assert state["deleted"] is True
    assert "fields" not in state


async def test_an_update_without_a_scope_may_follow_its_create_before_that_is_answered(engine: Engine) -> None:
    """Where a resource lives is looked up when its change is settled, not when it arrives."""
    a = engine.replica("a")
    create, update = a.change("create", "x", 0, _scope="north", v=1), a.change("update", "x", 0, v=2)
    del update["scope"]
    answers = await asyncio.gather(a.push(create), a.push(update))
    assert [answer[0]["outcome"] for answer in answers] == ["applied", "applied"]
    assert await engine.fields("north") == {"x": {"v": 2}}


async def test_a_refusal_of_a_change_without_a_scope_says_what_is_missing(tmp_path: Path) -> None:
    app = App("club")
    app.resource(scope="place:{place}", rule=rules.merge)(Thing)
    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        changes = [
            a.change("create", "x", 0, _type="thing"),
            a.change("create", "y", 0, _type="thing", place="no spaces"),
            a.change("create", "z", 0, _type="unheard_of"),
            a.change("create", "w", 0, _type="thing", place="here"),
        ]
        for change in changes:
            del change["scope"]
        outcomes = await a.push(*changes)
        assert [(o["outcome"], o.get("code")) for o in outcomes] == [
            ("rejected", "missing_scope"),
            ("rejected", "invalid_scope"),
            ("rejected", "unknown_type"),
            ("applied", None),
        ]


class Thing(Resource):
    place: str


class BrokenRule:
    """An author's own rule, with a bug."""

    name = "broken"
    algebra = Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)
    whole_record = False
    deletes = Deletes.DELETE_WINS

    def field_rule(self, name: str) -> FieldRule:
        return MERGE.field_rule(name)

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        if change.fields.get("place") == "poison":
            raise ZeroDivisionError("a bug of the author's")
        return LWW.merge(state, change, version)


async def test_a_rule_that_fails_refuses_its_change_and_the_queue_goes_on(tmp_path: Path) -> None:
    """Invariant 6."""
    app = App("club")
    app.resource(scope="main", rule=BrokenRule())(Thing)
    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        outcomes = await a.push(
            *(a.change("create", place, 0, _type="thing", place=place) for place in ("one", "poison", "two"))
        )
        assert [(o["outcome"], o.get("code")) for o in outcomes] == [
            ("applied", None),
            ("rejected", "check_failed"),
            ("applied", None),
        ]
        assert "bug" not in outcomes[1]["message"]
