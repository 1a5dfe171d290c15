"""Push: what each change of a batch is answered, and what a reader finds afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

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


class TestGroups:
    """Changes of one push that share a group are settled all or none."""

    async def test_a_group_is_applied_as_a_whole(self, engine: Engine) -> None:
        a = engine.replica("a")
        outcomes = await a.push(
            a.change("create", "off", 0, _group="g", v=1), a.change("create", "on", 0, _group="g", v=1)
        )
        assert [outcome["outcome"] for outcome in outcomes] == ["applied", "applied"]

    async def test_one_bad_member_refuses_its_group_and_nobody_else(self, engine: Engine) -> None:
        a = engine.replica("a")
        outcomes = await a.push(
            a.change("create", "before", 0, v=1),
            a.change("create", "off", 0, _group="g", v=1),
            a.change("create", "bad id!", 0, _group="g", v=1),
            a.change("create", "after", 0, v=1),
        )
        assert [(o["outcome"], o.get("code")) for o in outcomes] == [
            ("applied", None),
            ("rejected", "group_rejected"),
            ("rejected", "invalid_id"),
            ("applied", None),
        ]
        assert "change 3" in outcomes[1]["message"]
        assert set(await engine.fields()) == {"before", "after"}
        states = await engine.states()
        assert [states["before"]["version"], states["after"]["version"]] == [1, 2], "a refused group leaves no gap"

    async def test_an_overruled_member_takes_its_group_with_it(self, engine: Engine) -> None:
        a, b = engine.replica("a"), engine.replica("b")
        await a.create("x", v="old")
        group = [b.change("create", "note", 0, _group="g", v=1), b.change("update", "x", 1, _group="g", v="early")]
        engine.clock.advance(5)
        await a.update("x", 1, v="late")
        outcomes = await b.push(*group)
        assert [(o["outcome"], o["code"]) for o in outcomes] == [
            ("overruled", "group_overruled"),
            ("overruled", "later_change_stands"),
        ]
        assert await engine.fields() == {"x": {"v": "late"}}

    async def test_a_group_with_a_member_missing_waits_as_a_whole(self, engine: Engine) -> None:
        a = engine.replica("a")
        first, second, third = (a.change("create", f"r{i}", 0, _group="g", v=1) for i in range(3))
        outcomes = await a.push(first, third)
        assert {outcome["outcome"] for outcome in outcomes} == {"retry_later"}
        assert await engine.fields() == {}
        outcomes = await a.push(first, second, third)
        assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * 3

    async def test_a_member_without_a_readable_number_refuses_its_group(self, engine: Engine) -> None:
        a = engine.replica("a")
        first = a.change("create", "x", 0, _group="g", v=1)
        outcomes = await a.push(first, {**first, "n": "two", "id": "y"})
        assert [(o["outcome"], o["code"]) for o in outcomes] == [
            ("rejected", "group_rejected"),
            ("rejected", "invalid_number"),
        ]

    async def test_a_group_sent_again_is_answered_as_before(self, engine: Engine) -> None:
        a = engine.replica("a")
        group = [a.change("create", f"r{i}", 0, _group="g", v=1) for i in range(2)]
        first = await a.push(*group)
        again = await a.push(*group)
        assert again == [{**outcome, "repeat": True} for outcome in first]
