"""Groups: changes of one push that share one are settled all or none, whatever is wrong with a member."""

from __future__ import annotations

from typing import Any

from tests.support.engine import Engine


async def test_a_group_is_applied_as_a_whole(engine: Engine) -> None:
    a = engine.replica("a")
    outcomes = await a.push(a.change("create", "off", 0, _group="g", v=1), a.change("create", "on", 0, _group="g", v=1))
    assert [outcome["outcome"] for outcome in outcomes] == ["applied", "applied"]


async def test_one_bad_member_refuses_its_group_and_nobody_else(engine: Engine) -> None:
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


async def test_an_overruled_member_takes_its_group_with_it(engine: Engine) -> None:
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


async def test_a_group_with_a_member_missing_waits_as_a_whole(engine: Engine) -> None:
    a = engine.replica("a")
    first, second, third = (a.change("create", f"r{i}", 0, _group="g", v=1) for i in range(3))
    outcomes = await a.push(first, third)
    assert {outcome["outcome"] for outcome in outcomes} == {"retry_later"}
    assert await engine.fields() == {}
    outcomes = await a.push(first, second, third)
    assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * 3


async def test_a_member_without_a_readable_number_refuses_its_group(engine: Engine) -> None:
    a = engine.replica("a")
    first = a.change("create", "x", 0, _group="g", v=1)
    outcomes = await a.push(first, {**first, "n": "two", "id": "y"})
    assert [(o["outcome"], o["code"]) for o in outcomes] == [
        ("rejected", "group_rejected"),
        ("rejected", "invalid_number"),
    ]


async def test_a_group_sent_again_is_answered_as_before(engine: Engine) -> None:
    a = engine.replica("a")
    group = [a.change("create", f"r{i}", 0, _group="g", v=1) for i in range(2)]
    first = await a.push(*group)
    again = await a.push(*group)
    assert again == [{**outcome, "repeat": True} for outcome in first]


def told(outcomes: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(outcome["outcome"], outcome.get("code")) for outcome in outcomes]


async def test_a_member_sent_twice_in_one_push_is_a_repeat(engine: Engine) -> None:
    a = engine.replica("a")
    first, second = (a.change("create", f"r{i}", 0, _group="g", v=i) for i in range(2))
    outcomes = await a.push(first, second, first)
    assert [(o["n"], o["outcome"], o.get("repeat")) for o in outcomes] == [
        (1, "applied", None),
        (2, "applied", None),
        (1, "applied", True),
    ]


async def test_two_members_of_one_number_refuse_the_group_and_neither_is_called_applied(engine: Engine) -> None:
    """Invariant 1: nobody is told that something is saved of which nothing is left."""
    a = engine.replica("a")
    first = a.change("create", "x", 0, _group="g", v=1)
    assert told(await a.push(first, {**first, "id": "y"})) == [
        ("rejected", "group_rejected"),
        ("rejected", "id_reuse"),
    ]
    assert await engine.fields() == {}


async def test_a_restored_phones_group_is_not_torn_where_its_used_numbers_end(engine: Engine) -> None:
    """Law 3: what is answered `id_reuse` is made anew elsewhere, so the rest of its group must not be applied here."""
    phone = engine.replica("phone")
    await phone.create("before", v=1)
    restored = engine.replica("phone")
    swap = [restored.change("create", name, 0, _group="swap", v=1) for name in ("off", "on")]
    after = restored.change("create", "after", 0, v=1)
    outcomes = await restored.push(*swap, after)
    assert told(outcomes) == [("rejected", "id_reuse"), ("rejected", "group_rejected"), ("applied", None)]
    assert set(await engine.fields()) == {"before", "after"}
    anew = engine.replica("phone-anew")
    swap = [anew.change("create", name, 0, _group="swap", v=1) for name in ("off", "on")]
    assert told(await anew.push(*swap)) == [("applied", None), ("applied", None)]


async def test_a_group_whose_members_stand_apart_is_refused_and_what_stands_between_them_is_not(engine: Engine) -> None:
    a = engine.replica("a")
    off = a.change("create", "off", 0, _group="swap", v=1)
    between = a.change("create", "between", 0, v=1)
    on = a.change("create", "bad id!", 0, _group="swap", v=1)
    outcomes = await a.push(off, between, on)
    assert told(outcomes) == [("rejected", "invalid_group"), ("applied", None), ("rejected", "invalid_group")]
    assert set(await engine.fields()) == {"between"}


async def test_all_of_a_group_with_a_gap_are_told_the_same_number_to_go_on_with(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("settled", v=1)
    first, _, third = (a.change("create", f"r{i}", 0, _group="g", v=1) for i in range(3))
    outcomes = await a.push(first, third)
    assert [(o["outcome"], o["expected"]) for o in outcomes] == [("retry_later", 2)] * 2


async def test_a_group_that_is_not_applied_names_no_version_that_never_was(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.create("x", p="old", q="old")
    group = [b.change("update", "x", 1, _group="g", p="B"), b.change("update", "x", 1, _group="g", q="B")]
    engine.clock.advance(5)
    await a.update("x", 1, q="A")
    outcomes = await b.push(*group)
    assert told(outcomes) == [("overruled", "group_overruled"), ("overruled", "later_change_stands")]
    assert max(outcome["version"] for outcome in outcomes) == 2
    assert [outcome["resource"]["version"] for outcome in outcomes] == [2, 2]
