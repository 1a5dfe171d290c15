"""Four resources, four rules: what the table says of a profile, a game score, preferences and availability."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from syncd.app import App, Resource, rules
from tests.support.engine import Engine, open_engine


class Profile(Resource):
    name: str = ""
    bio: str = ""


class Game(Resource):
    score: str = "0-0"


class Preferences(Resource):
    theme: str = ""
    sound: str = ""


class Availability(Resource):
    slot: str = ""


def app() -> App:
    app = App("table")
    app.resource(scope="main", rule=rules.lww)(Profile)
    app.resource(scope="main", rule=rules.manual)(Game)
    app.resource(scope="main", rule=rules.merge)(Preferences)
    app.resource(scope="main", rule=rules.server_wins)(Availability)
    return app


async def both(engine: Engine, type_name: str, order: tuple[int, ...], *edits: dict[str, str]) -> list[str]:
    """Two phones edit what both were shown at version 1; the second clock is later. Outcomes as they arrive."""
    phones = [engine.replica("one", ahead_s=1), engine.replica("two", ahead_s=2)]
    outcomes = [await phones[place].update("x", 1, _type=type_name, **edits[place]) for place in order]
    return [outcome["outcome"] for outcome in outcomes]


async def played(
    path: Path, type_name: str, start: dict[str, str], *edits: dict[str, str]
) -> dict[tuple[int, ...], tuple[list[str], dict[str, str]]]:
    ends = {}
    for order in permutations(range(2)):
        async with open_engine(path / f"{order[0]}.db", app=app()) as engine:
            await engine.replica("start").create("x", _type=type_name, **start)
            outcomes = await both(engine, type_name, order, *edits)
            ends[order] = (outcomes, (await engine.fields())["x"])
    return ends


async def test_of_a_profile_the_later_record_stands_as_a_whole(tmp_path: Path) -> None:
    ends = await played(
        tmp_path, "profile", {"name": "A", "bio": ""}, {"name": "A1", "bio": "one"}, {"name": "A", "bio": "two"}
    )
    assert ends[0, 1] == (["applied", "merged"], {"name": "A", "bio": "two"})
    assert ends[1, 0] == (["applied", "overruled"], {"name": "A", "bio": "two"})


async def test_a_game_score_that_differs_is_a_question_and_the_first_is_accepted_meanwhile(tmp_path: Path) -> None:
    ends = await played(tmp_path, "game", {"score": "0-0"}, {"score": "1-0"}, {"score": "0-1"})
    assert ends[0, 1] == (["applied", "conflict"], {"score": "1-0"})
    assert ends[1, 0] == (["applied", "conflict"], {"score": "0-1"})


async def test_preferences_combine(tmp_path: Path) -> None:
    ends = await played(tmp_path, "preferences", {"theme": "", "sound": ""}, {"theme": "dark"}, {"sound": "off"})
    assert [end for _, end in ends.values()] == [{"theme": "dark", "sound": "off"}] * 2


async def test_availability_is_the_servers_whatever_the_clocks(tmp_path: Path) -> None:
    ends = await played(tmp_path, "availability", {"slot": ""}, {"slot": "home"}, {"slot": "away"})
    assert ends[0, 1] == (["applied", "overruled"], {"slot": "home"})
    assert ends[1, 0] == (["applied", "overruled"], {"slot": "away"})
