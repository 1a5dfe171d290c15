"""Law 3: a replica numbers its changes; the server settles them in order, and each only once."""

from __future__ import annotations

from pathlib import Path

from tests.support.engine import Engine, open_engine


async def test_a_repeat_gets_its_stored_outcome_and_has_no_effect(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    create = a.change("create", "x", 0, v=1)
    first = await a.push(create)
    engine.clock.advance(1)
    await b.update("x", 1, v=2)
    assert await a.push(create) == [{**first[0], "repeat": True}]
    assert await engine.fields() == {"x": {"v": 2}}


async def test_a_repeat_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        create = engine.replica("a").change("create", "x", 0, v=1)
        first = await engine.replica("a").push(create)
    async with open_engine(tmp_path / "db") as engine:
        assert await engine.replica("a").push(create) == [{**first[0], "repeat": True}]


async def test_a_repeat_inside_one_batch_is_one_too(engine: Engine) -> None:
    a = engine.replica("a")
    create = a.change("create", "x", 0, v=1)
    outcomes = await a.push(create, create)
    assert [outcome.get("repeat", False) for outcome in outcomes] == [False, True]


async def test_refused_changes_are_settled_and_repeat_their_refusal(engine: Engine) -> None:
    a = engine.replica("a")
    bad = a.change("update", "nobody", 1, v=1)
    first = await a.push(bad)
    assert first[0]["outcome"] == "rejected"
    assert await a.push(bad) == [{**first[0], "repeat": True}]
    assert (await a.create("x", v=1))["outcome"] == "applied", "the queue behind it goes on"


async def test_a_gap_is_answered_with_the_number_expected_and_settles_nothing(engine: Engine) -> None:
    a = engine.replica("a")
    first, second, third = (a.change("create", f"r{i}", 0, v=1) for i in range(3))
    outcomes = await a.push(first, third)
    assert [(o["n"], o["outcome"], o.get("expected")) for o in outcomes] == [
        (1, "applied", None),
        (3, "retry_later", 2),
    ]
    assert [o["outcome"] for o in await a.push(second, third)] == ["applied", "applied"]


async def test_a_restored_phone_counts_again_and_its_new_changes_are_told_apart(engine: Engine) -> None:
    """Counterexample 7: taken for repeats, the new goals would vanish."""
    phone = engine.replica("phone")
    await phone.push(*(phone.change("create", f"goal-{n}", 0, v=n) for n in range(1, 11)))
    restored = engine.replica("phone")
    restored.n = 7
    outcomes = await restored.push(*(restored.change("create", f"new-goal-{n}", 0, v=n) for n in range(8, 12)))
    assert [(o["outcome"], o.get("code")) for o in outcomes] == [
        ("rejected", "id_reuse"),
        ("rejected", "id_reuse"),
        ("rejected", "id_reuse"),
        ("applied", None),
    ]
    anew = engine.replica("phone-anew")
    outcomes = await anew.push(*(anew.change("create", f"new-goal-{n}", 0, v=n) for n in range(8, 11)))
    assert [o["outcome"] for o in outcomes] == ["applied"] * 3
    assert len(await engine.fields()) == 14


async def test_the_same_content_under_another_key_order_is_the_same_change(engine: Engine) -> None:
    a = engine.replica("a")
    create = a.change("create", "x", 0, one=1, two=2)
    await a.push(create)
    reordered = {**dict(reversed(create.items())), "fields": {"two": 2, "one": 1}}
    assert (await a.push(reordered))[0]["repeat"] is True
