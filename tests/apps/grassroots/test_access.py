"""Who sees and changes what of a match and of a team, on a real engine: members by role, guests by a share link."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import State
from conflict_rules.wire import decode_state
from syncd.app import Resource
from syncd.apps.grassroots import Player, Team, app
from syncd.engine.principal import OPERATOR, Principal
from syncd.errors import Forbidden
from tests.apps.grassroots.make import KICK_OFF, MATCH, SCOPE, a_match, after, change, event, listed, view_of_states
from tests.support.engine import Engine, Replica, open_engine, user

OWNER, SCORER, COACH, VIEWER, STRANGER = map(user, ("olga", "sam", "cora", "vera", "stan"))
TEAM = "team:u10"
WHISTLE = after(46).isoformat()

GOAL = event("e1", player="Ada Lovelace", player_id="p-ada", minute=23, notes="Ada limps, and cried")
KEEPER = listed("Bo Diddley", shirt_number=1, player_id="p-bo", position="where Bo likes it", id="l1")
SCORED = listed("Ada Lovelace", shirt_number=7, player_id="p-ada", position="left of Bo", id="l2")
SWAP = change("s1", "Ada Lovelace", "Cy Young", player_off_id="p-ada", player_on_id="p-cy")
NOBODYS = ("Ada", "Bo", "Cy", "p-ada", "p-bo", "p-cy", "limps")
"""What no stranger may find."""


def created(replica: Replica, resource: Resource, scope: str = SCOPE) -> dict[str, Any]:
    name = app.type_of(type(resource)).name
    return replica.change("create", resource.id, 0, _type=name, _scope=scope, **resource.to_fields())


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A match and a team that Olga has begun, with somebody in each role."""
    async with open_engine(tmp_path / "club.db", app=app) as engine:
        phone = engine.replica("olga-phone", principal=OWNER)
        begun = [a_match(first_half_started_at=KICK_OFF.isoformat()), GOAL, KEEPER, SCORED, SWAP]
        outcomes = await phone.push(
            *[created(phone, resource) for resource in begun],
            created(phone, Team(id="u10", name="Reds"), TEAM),
            created(phone, Player(id="p-ada", team_id="u10", name="Ada Lovelace", shirt_number=7), TEAM),
        )
        assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
        for scope, name, role in ((SCOPE, "sam", "scorer"), (SCOPE, "vera", "viewer"), (TEAM, "cora", "coach")):
            await engine.memberships.grant(OWNER, scope, name, role)
        yield engine


async def bodies(engine: Engine, who: Principal, scope: str = SCOPE) -> list[bytes]:
    """What a fresh replica pulls; nothing where the scope is not there for it."""
    page = (await engine.puller.pull(None, {scope: None}, 1 << 20, principal=who))[scope]
    return [] if page.gone else list(page.bodies)


async def told(engine: Engine, who: Principal) -> str:
    """All that it says, as it is sent."""
    return b"".join(await bodies(engine, who)).decode()


async def states(engine: Engine, who: Principal, scope: str = SCOPE) -> dict[str, State]:
    pulled = [decode_state(json.loads(body), scope) for body in await bodies(engine, who, scope)]
    return {state.id: state for state in pulled}


async def guest(engine: Engine, scope: str = SCOPE) -> Principal:
    return await engine.links.open((await engine.links.make(OWNER, scope)).text)


async def test_a_share_link_shows_the_match_and_of_its_players_the_shirt_numbers_only(engine: Engine) -> None:
    seen = {name: state.fields for name, state in (await states(engine, await guest(engine))).items()}
    assert seen.keys() == {MATCH, "e1", "l1", "l2", "s1"}
    assert (seen[MATCH]["home_team"], seen[MATCH]["away_team"]) == ("Reds", "Blues")
    when = {"added": 0, "second": None, "period": None, "team": "home", "match_id": MATCH}
    assert seen["e1"] == {**when, "kind": "goal", "minute": 23}
    assert seen["l1"] == {"match_id": MATCH, "team": "home", "starter": True, "shirt_number": 1}
    assert seen["l2"] == {"match_id": MATCH, "team": "home", "starter": True, "shirt_number": 7}
    assert seen["s1"] == {**when, "minute": 60}


async def test_no_name_id_or_note_is_anywhere_in_what_a_share_link_brings(engine: Engine) -> None:
    assert {text: text in await told(engine, VIEWER) for text in NOBODYS} == dict.fromkeys(NOBODYS, True)
    link = await guest(engine)
    assert {text: text in await told(engine, link) for text in NOBODYS} == dict.fromkeys(NOBODYS, False)
    phone = engine.replica("olga-tablet", principal=OWNER)
    await phone.push(*[phone.change("delete", id_, 99, _type="lineup", _scope=SCOPE) for id_ in ("l1", "l2")])
    assert {text: text in await told(engine, link) for text in NOBODYS} == dict.fromkeys(NOBODYS, False)


async def test_every_view_can_be_read_by_whoever_came_by_a_link(engine: Engine) -> None:
    seen = list((await states(engine, await guest(engine))).values())
    score = view_of_states("score", seen)
    assert (score["home"], score["away"]) == (1, 0)
    assert [(goal["minute"], goal["player"]) for goal in score["goals"]] == [(23, None)]
    summary = view_of_states("match_summary", seen)
    assert summary["match"]["score"] == {"home": 1, "away": 0}
    assert [(told["kind"], told["timestamp"], told["player"]) for told in summary["recent_events"]] == [
        ("goal", "22:00", None)
    ]
    field = view_of_states("on_field", seen)
    assert [(person["shirt_number"], person["player"]) for person in field["home"]] == [(1, None), (7, None)]
    assert field["unclear"] == ["s1"]


async def test_a_question_about_a_goal_names_nobody_and_a_link_does_not_bring_it(engine: Engine) -> None:
    second = engine.replica("sam-phone", principal=SCORER)
    [outcome] = await second.push(created(second, event("e2", minute=24, player="Ada Lovelace")))
    assert outcome["code"] == "question_asked"
    [question] = [state for state in (await states(engine, SCORER)).values() if state.type == "conflict"]
    assert "Ada" not in str(question.fields)
    assert not any(state.type == "conflict" for state in (await states(engine, await guest(engine))).values())


async def test_a_viewer_reads_everything_and_writes_nothing(engine: Engine) -> None:
    assert (await states(engine, VIEWER))["e1"].fields == GOAL.to_fields()
    phone = engine.replica("vera-phone", principal=VIEWER)
    for resource in (event("e9", kind="foul"), listed("Di"), change("s9", "Bo Diddley", "Di")):
        [refused] = await phone.push(created(phone, resource))
        assert (refused["outcome"], refused["code"]) == ("rejected", "forbidden")
    [refused] = await phone.push(phone.change("update", MATCH, 99, _type="match", _scope=SCOPE, venue="elsewhere"))
    assert (refused["outcome"], refused["code"]) == ("rejected", "forbidden")


async def test_a_scorer_writes_events_line_ups_substitutions_and_taps(engine: Engine) -> None:
    phone = engine.replica("sam-phone", principal=SCORER)
    outcomes = await phone.push(
        created(phone, event("e9", kind="foul", player="Ada Lovelace", notes="from behind")),
        created(phone, listed("Di")),
        created(phone, change("s9", "Bo Diddley", "Di")),
        phone.change("update", MATCH, 99, _type="match", _scope=SCOPE, first_half_ended_at=WHISTLE),
    )
    assert {outcome["outcome"] for outcome in outcomes} <= {"applied", "merged"}
    seen = await states(engine, VIEWER)
    assert (seen["e9"].fields["notes"], seen[MATCH].fields["first_half_ended_at"]) == ("from behind", WHISTLE)
    assert {"l-home-Di", "s9"} < seen.keys()


async def test_a_stranger_sees_nothing_and_writes_nothing(engine: Engine) -> None:
    for scope in (SCOPE, TEAM):
        assert await bodies(engine, STRANGER, scope) == []
    phone = engine.replica("stan-phone", principal=STRANGER)
    [refused] = await phone.push(created(phone, event("e9")))
    assert (refused["outcome"], refused["code"]) == ("rejected", "forbidden")


@pytest.mark.parametrize("who", [SCORER, VIEWER, STRANGER], ids=lambda who: who.user)
async def test_only_the_owner_lets_others_in_and_makes_share_links(engine: Engine, who: Principal) -> None:
    with pytest.raises(Forbidden):
        await engine.links.make(who, SCOPE)
    with pytest.raises(Forbidden):
        await engine.memberships.grant(who, SCOPE, "stan", "viewer")


async def test_a_coach_keeps_the_list_of_the_team_and_whoever_scores_its_match_is_no_member_of_it(
    engine: Engine,
) -> None:
    phone = engine.replica("cora-phone", principal=COACH)
    [outcome] = await phone.push(created(phone, Player(id="p-cy", team_id="u10", name="Cy Young"), TEAM))
    assert outcome["outcome"] == "applied"
    assert {"p-ada", "p-cy"} < (await states(engine, COACH, TEAM)).keys()
    assert await bodies(engine, SCORER, TEAM) == []


async def test_a_share_link_to_a_team_shows_the_team_without_its_players(engine: Engine) -> None:
    """Not even which ids they have."""
    seen = await states(engine, await guest(engine, TEAM), TEAM)
    assert {name: state.type for name, state in seen.items()} == {"u10": "team"}


async def test_without_accounts_everybody_is_the_operator_and_sees_and_writes_all(engine: Engine) -> None:
    assert (await states(engine, OPERATOR))["e1"].fields == GOAL.to_fields()
    phone = engine.replica("laptop")
    [outcome] = await phone.push(created(phone, event("e9", kind="foul", notes="of anybody")))
    assert outcome["outcome"] == "applied"
