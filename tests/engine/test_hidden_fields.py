"""What a role does not see comes by no other way: not by undo, in reasons of refusals, or in what a state says of
disputes; and what outsiders send is not told to those who are in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, field_validator

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state
from syncd.app import App, Resource, private, roles, rules
from syncd.engine.authorise import Authoriser
from syncd.engine.history import History
from syncd.engine.principal import OPERATOR, Principal
from syncd.engine.sight import Sight
from syncd.errors import InvalidMessage
from tests.support.engine import Engine, Replica, open_engine, user

MATCH = "match:m1"
OWNER, SCORER, VIEWER, STRANGER = map(user, ("olga", "sam", "vera", "stan"))


def club() -> App:
    """Nobody but owners sees the rating of a goal, which its validator quotes, and the secret of a player."""
    app = App("club")
    app.scope("match", roles=("viewer", "scorer", "owner"))
    access = roles(read="viewer", write="scorer")

    @app.resource(scope="match:{match_id}", access=access)
    class Goal(Resource):
        match_id: str
        kind: str = "goal"
        rating: int | None = private(read="owner")
        score: Annotated[int | None, rules.manual] = None
        tags: Annotated[list[str], rules.set] = Field(default_factory=list)

        @field_validator("rating")
        @classmethod
        def is_a_rating(cls, value: int | None) -> int | None:
            if value is not None and value > 10:
                raise ValueError(f"{value} is out of range")
            return value

    @app.resource(scope="match:{match_id}", rule=rules.lww, access=access)
    class Player(Resource):
        match_id: str
        name: str = ""
        secret: str | None = private(read="owner")
        caps: Annotated[int, rules.counter] = 0

    return app


APP = club()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "club.db", app=APP) as engine:
        yield engine


def edit(replica: Replica, op: str, id: str, base: int, /, *, _type: str = "goal", **fields: Any) -> dict[str, Any]:
    return replica.change(op, id, base, _type=_type, _scope=MATCH, **fields)


async def begun(engine: Engine) -> Replica:
    """Olga's match, at version 1 with a goal; Sam is a scorer there, and Vera a viewer."""
    olga = engine.replica("olga-phone", principal=OWNER)
    [outcome] = await olga.push(edit(olga, "create", "g1", 0, match_id="m1", rating=7))
    assert outcome["outcome"] == "applied", outcome
    for name, role in (("sam", "scorer"), ("vera", "viewer")):
        await engine.memberships.grant(OWNER, MATCH, name, role)
    return olga


def history(engine: Engine) -> History:
    return History(engine.store, APP)


def sight(who: Principal) -> Sight:
    return Sight(Authoriser(APP), who)


async def lines(engine: Engine, who: Principal, id: str = "g1") -> list[dict[str, Any]]:
    told: Any = await history(engine).page("goal", id, limit=500, sight=sight(who))
    return list(told["changes"])


async def explained(engine: Engine, who: Principal, field: str) -> dict[str, Any]:
    """What is told of one field of the goal."""
    told: Any = await history(engine).explain("goal", "g1", field=field, sight=sight(who))
    [only] = told["fields"]
    return dict(only)


class TestUndo:
    async def test_the_whole_record_is_what_its_reader_sees_of_it_and_the_rest_stays(self, engine: Engine) -> None:
        """Under `lww` a change carries what its replica knows: what it does not carry is left as it is."""
        olga = await begun(engine)
        await olga.push(
            edit(olga, "create", "p1", 0, _type="player", match_id="m1", name="Ann", secret="word", caps=2),
            edit(olga, "update", "p1", 2, _type="player", match_id="m1", name="Anna", secret="words"),
        )
        told: Any = await history(engine).undo("player", "p1", version=2, sight=sight(SCORER))
        assert told["change"]["fields"] == {"match_id": "m1", "name": "Ann"}
        sam = engine.replica("sam-phone", principal=SCORER)
        change = told["change"]
        [outcome] = await sam.push(edit(sam, change["op"], "p1", change["base"], _type="player", **change["fields"]))
        assert outcome["outcome"] == "applied", outcome
        whole = {"match_id": "m1", "name": "Ann", "secret": "words", "caps": 2}
        assert (await engine.fields(MATCH))["p1"] == whole

    async def test_whoever_sees_the_field_carries_it(self, engine: Engine) -> None:
        olga = await begun(engine)
        await olga.push(
            edit(olga, "create", "p1", 0, _type="player", match_id="m1", name="Ann", secret="word"),
            edit(olga, "update", "p1", 2, _type="player", match_id="m1", name="Anna", secret="word"),
        )
        told: Any = await history(engine).undo("player", "p1", version=2, sight=sight(OWNER))
        assert told["change"]["fields"] == {"match_id": "m1", "name": "Ann", "secret": "word"}

    async def test_of_a_question_about_a_value_there_is_nothing_to_take_back_for_whoever_sees_less(
        self, engine: Engine
    ) -> None:
        """The change that asked it touched no value: not all that anybody has changed since goes back for it."""
        olga = await begun(engine)
        tablet = engine.replica("olga-tablet", principal=OWNER)
        await olga.push(edit(olga, "update", "g1", 1, score=1, kind="save"))
        [asked] = await tablet.push(edit(tablet, "update", "g1", 1, score=2))
        assert asked["outcome"] == "conflict"
        await olga.push(edit(olga, "update", "g1", 2, kind="shot"))
        for who in (OWNER, SCORER):
            with pytest.raises(InvalidMessage) as refused:
                await history(engine).undo("goal", "g1", change=("olga-tablet", 1), sight=sight(who))
            assert refused.value.problem_code == "nothing_to_undo"


class TestReasons:
    async def refused(self, engine: Engine) -> None:
        """Two changes of the goal, for a rating that is none: its own, and that of another in the same group."""
        olga = await begun(engine)
        outcomes = await olga.push(
            edit(olga, "update", "g1", 1, kind="shot", rating=11),
            edit(olga, "update", "g1", 1, kind="foul", _group="both"),
            edit(olga, "create", "g2", 0, match_id="m1", rating=12, _group="both"),
        )
        assert [outcome["code"] for outcome in outcomes] == ["invalid_field", "group_rejected", "invalid_field"]
        assert all("is out of range" in outcome["message"] for outcome in outcomes)

    @pytest.mark.parametrize("who", [SCORER, VIEWER], ids=lambda who: who.user)
    async def test_what_quotes_a_hidden_field_is_told_by_its_code(self, engine: Engine, who: Principal) -> None:
        await self.refused(engine)
        told = await lines(engine, who)
        assert [(line.get("code"), line.get("message")) for line in told] == [
            (None, None),
            ("invalid_field", None),
            ("group_rejected", None),
        ]
        kind = await explained(engine, who, "kind")
        assert [each["because"] for each in kind["candidates"]] == [
            "rejected: group_rejected",
            "rejected: invalid_field",
        ]
        assert "out of range" not in json.dumps([told, kind])

    async def test_whoever_sees_the_field_is_told_why_but_not_what_another_change_of_the_group_said(
        self, engine: Engine
    ) -> None:
        """It may be of another type, or of another scope."""
        await self.refused(engine)
        _, own, grouped = await lines(engine, OWNER)
        assert (own["message"], own["field"]) == ("rating: 11 is out of range", "rating")
        assert "message" not in grouped
        _, own, grouped = await lines(engine, OPERATOR)
        assert "12 is out of range" in grouped["message"]

    async def test_a_refusal_for_a_visible_field_is_told_in_words(self, engine: Engine) -> None:
        olga = await begun(engine)
        await olga.push(edit(olga, "update", "g1", 1, kind=3))
        *_, line = await lines(engine, VIEWER)
        assert (line["field"], line["message"]) == ("kind", "kind: should be a valid string")


class TestOutsiders:
    async def forged(self, engine: Engine) -> None:
        """Stan is in no match, and pushes about this one in every way that is refused."""
        olga = await begun(engine)
        stan = engine.replica("stan-phone", principal=STRANGER)
        many = [edit(stan, "update", "g1", 1, kind=f"Stan was here {i}") for i in range(120)]
        group = [edit(stan, "update", "g1", 1, kind="both", _group="a") for _ in range(2)]
        apart = [
            edit(stan, "update", "g1", 1, kind="apart", _group="b"),
            edit(stan, "delete", "g1", 1),
            edit(stan, "update", "g1", 1, kind="apart", _group="b"),
        ]
        outcomes = await stan.push(*many, *group, *apart)
        assert {outcome["code"] for outcome in outcomes} == {"forbidden"}
        # A used number takes its group with it.
        outcomes = await stan.push(
            {**edit(stan, "update", "g1", 1, kind="reused", _group="c"), "n": 1},
            edit(stan, "update", "g1", 1, kind="reused", _group="c") | {"n": len(many) + len(group) + len(apart) + 1},
        )
        assert [outcome["code"] for outcome in outcomes] == ["id_reuse", "forbidden"]
        await olga.push(edit(olga, "update", "g1", 1, kind="shot"))

    async def test_those_who_are_in_do_not_read_what_outsiders_have_sent(self, engine: Engine) -> None:
        await self.forged(engine)
        for who in (OWNER, SCORER, VIEWER):
            assert {line["replica"] for line in await lines(engine, who)} == {"olga-phone"}
        assert len([line for line in await lines(engine, OPERATOR) if line["replica"] == "stan-phone"]) == 126

    @pytest.mark.parametrize("who", [OPERATOR, OWNER, VIEWER], ids=lambda who: who.user or "operator")
    async def test_they_push_nothing_out_of_an_explanation(self, engine: Engine, who: Principal) -> None:
        olga = await begun(engine)
        await olga.push(edit(olga, "update", "g1", 1, kind="save"))
        stan = engine.replica("stan-phone", principal=STRANGER)
        await stan.push(*(edit(stan, "update", "g1", 1, kind=f"Stan was here {i}") for i in range(120)))
        await stan.push(*(edit(stan, "delete", "g1", 1) for _ in range(120)))
        kind = await explained(engine, who, "kind")
        assert (kind["value"], kind["set_by"]["replica"], kind["older"]) == ("save", "olga-phone", 0)
        assert kind["candidates"] == []
        told: Any = await history(engine).explain("goal", "g1", sight=sight(who))
        assert (told["changes"], [each["replica"] for each in told["life"]]) == (2, ["olga-phone"])


class TestDisputes:
    async def test_who_sees_no_conflicts_is_not_told_which_fields_are_in_one(self, engine: Engine) -> None:
        olga = await begun(engine)
        tablet = engine.replica("olga-tablet", principal=OWNER)
        guest = await engine.links.open((await engine.links.make(OWNER, MATCH)).text)
        watching = engine.watcher.connect()
        await engine.watcher.subscribe(watching, {MATCH: None}, principal=VIEWER)
        await olga.push(edit(olga, "update", "g1", 1, score=1, tags={"add": ["late"]}))
        [asked] = await tablet.push(edit(tablet, "update", "g1", 1, score=2))
        assert asked["outcome"] == "conflict"
        states: dict[str, dict[str, Any]] = {}
        for who, disputes in ((OPERATOR, True), (OWNER, True), (SCORER, True), (VIEWER, False), (guest, False)):
            page = (await engine.puller.pull(None, {MATCH: None}, 1 << 20, principal=who, digest=True))[MATCH]
            states = {state["id"]: state for state in map(json.loads, page.bodies)}
            assert ("score" in states["g1"]["rule_data"]) is disputes
            assert "tags" in states["g1"]["rule_data"], "what a set keeps is of no conflict"
            assert page.digest == digest_text(scope_digest(decode_state(state, MATCH) for state in states.values()))
        entries: list[dict[str, Any]] = []
        async with asyncio.timeout(5):
            while not entries or entries[-1]["version"] < states["g1"]["version"]:
                frame = await watching.take()
                assert frame is not None
                entries += json.loads(frame.body)["entries"]
        assert [entry["rule_data"].keys() for entry in entries] == [{"tags"}] * len(entries)
