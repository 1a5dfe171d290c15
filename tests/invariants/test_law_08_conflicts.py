"""Law 8, conflicts: a settlement names its conflict; a whole-row write never settles one by accident; and those settle
it who may write all that it is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules import MANUAL, Change, Kind, Rule, State, apply_change, conflict_id, dispute_of
from conflict_rules.manual import Asks
from syncd.app import App, HookTransaction, Resource, private, roles, rules
from tests.conflict_rules.make import change, only, play
from tests.properties import broken_rules as broken
from tests.support.engine import Engine, Replica, open_engine, user


def disputed(rule: Rule) -> State:
    """A has 1-0 at version 1; B, who has not seen it, says 0-1: the question is asked at version 2."""
    state = play(rule, change("a", "create", 10, score="1-0"), change("b", "update", 20, score="0-1"))[-1].state
    assert state is not None
    return state


def is_open(state: State | None) -> bool:
    assert state is not None
    dispute = dispute_of(state.rule_data.get("score"))
    return dispute is not None and dispute.open


def a_whole_row_write_leaves_the_question_open(rule: Rule) -> bool:
    row = change("c", "update", 30, base=2, score="1-0", note="typed")
    return is_open(apply_change(rule, disputed(rule), row, 3).state)


def an_edit_that_has_not_seen_the_question_leaves_it_open(rule: Rule) -> bool:
    """C saw the value at version 1, and nothing of the dispute."""
    return is_open(apply_change(rule, disputed(rule), change("c", "update", 30, base=1, score="2-0"), 3).state)


def of_two_settlements_the_later_stands(rule: Rule) -> bool:
    def settles(replica: str, at: int, score: str) -> Change:
        return replace(change(replica, "settle", at, base=2, score=score), conflict=conflict_id("thing", "x", "score"))

    one, other = settles("c", 40, "2-0"), settles("d", 30, "0-2")
    ends = [
        only(play(rule, *order, start=disputed(rule), version=3)[-1].state) for order in ((one, other), (other, one))
    ]
    return ends == [{"score": "2-0"}] * 2


HELD: list[Callable[[Rule], bool]] = [
    a_whole_row_write_leaves_the_question_open,
    an_edit_that_has_not_seen_the_question_leaves_it_open,
    of_two_settlements_the_later_stands,
]


@pytest.mark.parametrize("holds", HELD, ids=lambda holds: holds.__name__)
def test_it_holds(holds: Callable[[Rule], bool]) -> None:
    assert holds(MANUAL)


@pytest.mark.parametrize(
    ("mistake", "holds"),
    list(zip([broken.WholeRowsSettle(), broken.EverySecondEditSettles(), broken.ArrivalSettles()], HELD, strict=True)),
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_without_its_branch_it_does_not(mistake: Asks, holds: Callable[[Rule], bool]) -> None:
    assert not holds(broken.broken(mistake))


def test_a_later_edit_that_has_seen_the_question_answers_it() -> None:
    answered = apply_change(MANUAL, disputed(MANUAL), change("c", "update", 5, base=2, score="1-1"), 3)
    assert answered.outcome.kind is Kind.APPLIED
    assert only(answered.state) == {"score": "1-1"}
    assert not is_open(answered.state)


def test_a_settlement_of_another_conflict_settles_nothing() -> None:
    wrong = replace(change("c", "settle", 30, base=2, score="1-1"), conflict="c-other")
    refused = apply_change(MANUAL, disputed(MANUAL), wrong, 3)
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "no_such_conflict")
    assert is_open(refused.state)


MATCH = "match:m1"
OWNER, SCORER = user("olga"), user("sam")


def club() -> App:
    """Of a game scorers may set the score, see the fee, and do not see the bribe; the referee's word is for owners."""
    app = App("club")
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Game(Resource):
        match_id: str
        score: Annotated[int | None, rules.manual] = None
        fee: Annotated[int | None, rules.manual] = private(read="viewer", write="owner")
        bribe: Annotated[int | None, rules.manual] = private(read="owner")

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="owner"))
    class Word(Resource):
        match_id: str

    @app.on_change(Word)
    async def is_it_so(tx: HookTransaction, change: Change) -> None:
        game, word = await tx.get(Game, "g"), await tx.get(Word, change.id)
        if game is not None and word is not None:
            await tx.ask("who_is_right", about=game, others=[word], options=["one", "two"], id="asked")

    return app


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A match in which Olga and her tablet have disagreed over everything, and she has settled it; and a question."""
    async with open_engine(tmp_path / "club.db", app=club()) as engine:
        olga, tablet = (engine.replica(name, principal=OWNER) for name in ("olga-phone", "olga-tablet"))
        fields = ("score", "fee", "bribe")
        await olga.push(edit(olga, "create", match_id="m1", **dict.fromkeys(fields, 1)))
        [asked] = await tablet.push(edit(tablet, "update", **dict.fromkeys(fields, 2)))
        over = {field: conflict_id("game", "g", field) for field in fields}
        assert set(asked["conflicts"]) == {*over.values()}
        for field, conflict in over.items():
            [outcome] = await olga.push(edit(olga, "settle", **{field: 1}) | {"conflict": conflict})
            assert outcome["outcome"] in ("applied", "merged"), outcome
        [asked] = await olga.push(olga.change("create", "w", 0, _type="word", _scope=MATCH, match_id="m1"))
        assert asked["conflicts"] == ["asked"]
        await engine.memberships.grant(OWNER, MATCH, "sam", "scorer")
        yield engine


def edit(replica: Replica, op: str, **fields: Any) -> dict[str, Any]:
    return replica.change(op, "g", 0, _type="game", _scope=MATCH, **fields)


def answer(replica: Replica, conflict: str, scope: str = MATCH, **fields: str) -> dict[str, Any]:
    return replica.change("settle", conflict, 99, _type="conflict", _scope=scope, **fields) | {"conflict": conflict}


@pytest.mark.parametrize("scope", [MATCH, ""])
async def test_who_does_not_see_a_conflict_neither_reopens_it_nor_finds_out_that_it_is_there(
    engine: Engine, scope: str
) -> None:
    before = await engine.states(MATCH)
    sam = engine.replica("sam-phone", principal=SCORER)
    hidden, none = conflict_id("game", "g", "bribe"), conflict_id("game", "g", "nothing")
    outcomes = await sam.push(*(answer(sam, each, scope, status="open") for each in (hidden, none)))
    said = [str(outcome).replace(hidden, none) for outcome in ({**each, "n": 0} for each in outcomes)]
    assert said[0] == said[1]
    assert {outcome["outcome"] for outcome in outcomes} == {"rejected"}
    assert await engine.states(MATCH) == before


async def test_who_may_not_set_the_field_does_not_reopen_its_conflict_though_he_sees_it(engine: Engine) -> None:
    before = await engine.states(MATCH)
    sam = engine.replica("sam-phone", principal=SCORER)
    [outcome] = await sam.push(answer(sam, conflict_id("game", "g", "fee"), status="open"))
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "forbidden")
    assert await engine.states(MATCH) == before
    [outcome] = await sam.push(answer(sam, conflict_id("game", "g", "score"), status="open"))
    assert outcome["outcome"] in ("applied", "merged")


async def test_a_hooks_question_is_answered_by_those_who_may_write_all_that_it_is_about(engine: Engine) -> None:
    told = []
    for who in (SCORER, OWNER):
        phone = engine.replica(f"{who.user}-laptop", principal=who)
        [outcome] = await phone.push(answer(phone, "asked", choice="one"))
        told.append(outcome.get("code", "taken"))
    assert told == ["forbidden", "taken"]
