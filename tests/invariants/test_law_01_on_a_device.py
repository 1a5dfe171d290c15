"""Law 1 from a device to the server: its base is what its person was shown, whatever it has been told meanwhile.

The SDK on a file and the engine on another, with every message between them in the test's hand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conflict_rules import MANUAL, MERGE, Change, Kind, Rule, conflict_id
from tests.client_sdk.interleavings import TYPE, Phone, app_with
from tests.conflict_rules.make import each
from tests.support.engine import Engine, open_engine

SHOWN = 5
"""The version at which R has the record."""


@asynccontextmanager
async def r_holds_it_at_version_5(
    path: Path, rule: Rule, *, s_ahead_s: float = 30, refuses: Callable[[Change], bool] = lambda change: False
) -> AsyncIterator[tuple[Engine, Phone, Callable[..., Any]]]:
    """The engine, R's phone, and S, who sets fields of it too, shown version 5 as well."""
    app = app_with(rule, refuses)
    async with open_engine(path / "server.db", app=app) as engine:
        owner, s = engine.replica("owner"), engine.replica("s", ahead_s=s_ahead_s)
        for i in range(SHOWN - 1):
            await owner.create(f"other-{i}", _type=TYPE, v=i)
        await owner.create("record", _type=TYPE, x="old", y="old")
        engine.clock.advance(60)

        async def s_sets(**fields: Any) -> None:
            assert (await s.update("record", SHOWN, _type=TYPE, **fields))["outcome"] == "applied"
            engine.clock.advance(1)

        phone = Phone(engine, app, path / "phone.db", "main")
        await phone.start()
        try:
            await phone.catch_up()
            assert (await phone.shown())["record"].version == SHOWN
            yield engine, phone, s_sets
        finally:
            await phone.stop()


async def r_sets(phone: Phone, **fields: Any) -> int:
    """R edits the record in the app; the base that the change got."""
    await phone.edits.update(TYPE, "record", fields, None)
    phone.engine.clock.advance(1)
    return list(phone.replica.outbox)[-1].change.base


async def exchange(phone: Phone, what: str) -> None:
    await phone.begin(what)
    await phone.wire.take(what)
    await phone.end(what)


async def x_on_the_server(engine: Engine) -> Any:
    return (await engine.fields())["record"]["x"]


async def candidates(engine: Engine) -> list[Any]:
    """The values that a person is asked to choose from; none if nobody was asked."""
    asked = (await engine.fields()).get(conflict_id(TYPE, "record", "x"))
    return [] if asked is None else [candidate["value"] for candidate in asked["candidates"]]


@each([MERGE, MANUAL])
async def test_an_acknowledgement_does_not_make_seen_what_was_never_pulled(tmp_path: Path, rule: Rule) -> None:
    """Counterexample 1: S wrote x, R's y is acknowledged above it, and R, who has not pulled, edits x."""
    async with r_holds_it_at_version_5(tmp_path, rule) as (engine, phone, s_sets):
        await s_sets(x="from S")
        assert await r_sets(phone, y="from R") == SHOWN
        await exchange(phone, "push")
        assert phone.outcomes[1].version > SHOWN + 1
        assert (await phone.shown())["record"].fields == {"x": "old", "y": "from R"}
        assert await r_sets(phone, x="from R") == SHOWN
        await phone.catch_up()
        assert phone.outcomes[2].kind is (Kind.CONFLICT if rule is MANUAL else Kind.OVERRULED)
        assert await x_on_the_server(engine) == "from S"
        assert await candidates(engine) == (["from S", "from R"] if rule is MANUAL else [])


async def test_what_a_pending_edit_hides_on_the_screen_was_not_seen(tmp_path: Path) -> None:
    """Counterexample 1, its end: S's newer x has been pulled, but on R's screen it is hidden by R's own pending x.

    That one is refused; had the next edit of x claimed to have seen S's, it would take its place without a word.
    """
    opened = r_holds_it_at_version_5(
        tmp_path, MERGE, s_ahead_s=-30, refuses=lambda change: change.fields.get("x") == "first of R"
    )
    async with opened as (_, phone, s_sets):
        assert await r_sets(phone, x="first of R") == SHOWN
        await s_sets(x="from S")
        await exchange(phone, "pull")
        confirmed, _, shown = await phone.replica.look((TYPE, "record"), None)
        assert (confirmed and confirmed.fields["x"], shown and shown.fields["x"]) == ("from S", "first of R")
        assert await r_sets(phone, x="second of R") == SHOWN
        await phone.catch_up()
        assert (phone.outcomes[1].kind, phone.outcomes[2].kind) == (Kind.REJECTED, Kind.MERGED)


async def test_what_a_pull_has_brought_into_sight_is_seen(tmp_path: Path) -> None:
    """Lest the base never rose at all, and nobody could ever correct anybody."""
    async with r_holds_it_at_version_5(tmp_path, MANUAL) as (engine, phone, s_sets):
        await s_sets(x="from S")
        await exchange(phone, "pull")
        assert await r_sets(phone, x="corrected by R") == SHOWN + 1
        await phone.catch_up()
        assert (await x_on_the_server(engine), await candidates(engine)) == ("corrected by R", [])


async def test_a_queue_of_edits_made_offline_is_not_in_conflict_with_itself(tmp_path: Path) -> None:
    """Counterexample 2: 1-0, then 2-0, both on base 5; the first becomes version 6, and the second is the next word."""
    async with r_holds_it_at_version_5(tmp_path, MANUAL) as (engine, phone, _):
        assert [await r_sets(phone, x=score) for score in ("1-0", "2-0", "3-0")] == [SHOWN] * 3
        await phone.catch_up()
        assert [phone.outcomes[n].kind for n in (1, 2, 3)] == [Kind.APPLIED] * 3
        assert (await x_on_the_server(engine), await candidates(engine)) == ("3-0", [])
