"""The role tables of two seeds, declared and played: who may write what in which scope, and who lets others in.

Pickleball (seed 002, section 2.2) has roles in single clubs, leagues and tournaments, and a system admin; pickup sports
(seed 000) has USER, MODERATOR and ADMIN in the whole app. What is expected is written by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.app import App, Resource, roles
from syncd.engine.principal import OPERATOR, Principal
from syncd.errors import Forbidden
from tests.support.engine import Engine, open_engine, user

PLAYER, CLUB, LEAGUE, TOURNAMENT = "player", "club:456", "league:789", "tournament:012"
SYSTEM_ADMIN = user("root", "system_admin")


def pickleball() -> App:
    app = App("pickleball")
    above = {"system_admin": "admin"}
    app.scope("club", roles=("member", "admin"), public="member", founders=["system_admin"], everywhere=above)
    app.scope("league", roles=("member", "admin"), public="member", founders=["system_admin"], everywhere=above)
    app.scope(
        "tournament",
        roles=("player", "referee", "director"),
        public="player",
        founders=["system_admin"],
        everywhere={"system_admin": "director"},
    )

    @app.resource(scope="club:{club_id}", access=roles(write="admin"))
    class Court(Resource):
        club_id: str

    @app.resource(scope="league:{league_id}", access=roles(write="admin"))
    class Fixture(Resource):
        league_id: str

    @app.resource(scope="tournament:{tournament_id}", access=roles(write="director"))
    class Bracket(Resource):
        tournament_id: str

    @app.resource(scope="tournament:{tournament_id}", access=roles(write="referee"))
    class Score(Resource):
        tournament_id: str

    @app.resource(scope="user:{owner}")
    class Preference(Resource):
        owner: str

    return app


# who                club  league  bracket  score  his own
PICKLEBALL = [
    ("user", "no", "no", "no", "no", "yes"),
    ("club_admin", "yes", "no", "no", "no", "yes"),
    ("league_admin", "no", "yes", "no", "no", "yes"),
    ("referee", "no", "no", "no", "yes", "yes"),
    ("director", "no", "no", "yes", "yes", "yes"),
    ("system_admin", "yes", "yes", "yes", "yes", "yes"),
]
GRANTS = {
    "club_admin": (CLUB, "admin"),
    "league_admin": (LEAGUE, "admin"),
    "referee": (TOURNAMENT, "referee"),
    "director": (TOURNAMENT, "director"),
}


async def written(engine: Engine, who: Principal, scope: str, type_: str, **fields: str) -> str:
    """Whether somebody may create a resource there: yes or no."""
    replica = engine.replica(f"{who.user}-{type_}", principal=who)
    change = replica.change("create", f"{type_}-{who.user}", 0, _type=type_, _scope=scope, **fields)
    [outcome] = await replica.push(change)
    if outcome["outcome"] == "rejected":
        assert outcome["code"] == "forbidden"
        return "no"
    return "yes"


@pytest.mark.parametrize("row", PICKLEBALL, ids=lambda row: row[0])
async def test_pickleballs_roles_hold_in_the_scopes_they_are_of(tmp_path: Path, row: tuple[str, ...]) -> None:
    async with open_engine(tmp_path / "pickleball.db", app=pickleball()) as engine:
        who = SYSTEM_ADMIN if row[0] == "system_admin" else user("pia")
        if row[0] in GRANTS:
            await engine.memberships.grant(OPERATOR, GRANTS[row[0]][0], who.user, GRANTS[row[0]][1])
        assert row[1:] == (
            await written(engine, who, CLUB, "court", club_id="456"),
            await written(engine, who, LEAGUE, "fixture", league_id="789"),
            await written(engine, who, TOURNAMENT, "bracket", tournament_id="012"),
            await written(engine, who, TOURNAMENT, "score", tournament_id="012"),
            await written(engine, who, f"user:{who.user}", "preference", owner=who.user),
        )


async def test_who_administers_one_club_lets_others_into_that_one_only(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "pickleball.db", app=pickleball()) as engine:
        pia = user("pia")
        await engine.memberships.grant(OPERATOR, CLUB, "pia", "admin")
        await engine.memberships.grant(pia, CLUB, "paul", "admin")
        assert await written(engine, user("paul"), CLUB, "court", club_id="456") == "yes"
        for other in ("club:457", LEAGUE, TOURNAMENT):
            with pytest.raises(Forbidden):
                await engine.memberships.grant(pia, other, "paul", "member")


def pickup_sports() -> App:
    app = App("pickup")
    app.scope(
        "city",
        roles=("user", "moderator", "admin"),
        public="user",
        founders=["admin"],
        everywhere={"moderator": "moderator", "admin": "admin"},
    )

    @app.resource(scope="city:{city}", access=roles(write="user"))
    class Game(Resource):
        city: str

    @app.resource(scope="city:{city}", access=roles(read="moderator", write="moderator"))
    class Report(Resource):
        city: str

    @app.resource(scope="city:{city}", access=roles(write="admin"))
    class Venue(Resource):
        city: str

    return app


# role           game   report  venue
PICKUP = [("", "yes", "no", "no"), ("moderator", "yes", "yes", "no"), ("admin", "yes", "yes", "yes")]


@pytest.mark.parametrize("row", PICKUP, ids=lambda row: row[0] or "user")
async def test_pickup_sports_has_three_roles_in_the_whole_app(tmp_path: Path, row: tuple[str, ...]) -> None:
    async with open_engine(tmp_path / "pickup.db", app=pickup_sports()) as engine:
        # A city that is there already: whoever begins a scope would be its highest role.
        assert await written(engine, user("ann", "admin"), "city:ktm", "venue", city="ktm") == "yes"
        who = user("ravi", *filter(None, row[:1]))
        told = [await written(engine, who, "city:ktm", type_, city="ktm") for type_ in ("game", "report", "venue")]
        assert tuple(told) == row[1:]
