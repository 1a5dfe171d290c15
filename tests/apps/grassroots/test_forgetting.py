"""A player, or a scorer, is erased on a real server: the match counts on, and nothing of the person is left in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import State
from conflict_rules.wire import decode_state
from syncd.apps.grassroots import NO_NAME, Player, app
from tests.apps.grassroots.make import MATCH, SCOPE, a_match, change, event, listed, view_of_states
from tests.jobs.forgetful_club import Club, Person, bytes_of_files, club

TEAM = "team:u10"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path, app) as built:
        yield built


async def logged(person: Person, scope: str, *resources: Any) -> None:
    changes = [
        person.change("phone-" + person.id, scope, "create", app.type_of(type(each)).name, each.id, **each.to_fields())
        for each in resources
    ]
    outcomes = await person.push("phone-" + person.id, *changes)
    assert {outcome["outcome"] for outcome in outcomes} <= {"applied", "conflict"}, outcomes


async def played(house: Club) -> tuple[Person, Person]:
    """Annabel has an account and plays; Olga coaches, and scores the match."""
    ann = await house.join("ann@club.example", "Annabel Arden", "phone")
    olga = await house.join("olga@club.example", "Olga", "tablet")
    await logged(olga, TEAM, Player(id=ann.id, team_id="u10", name="Annabel A.", shirt_number=7))
    await logged(olga, TEAM, Player(id="p-bo", team_id="u10", name="Bo", shirt_number=9))
    await logged(
        olga,
        SCOPE,
        a_match(),
        listed("Annabel A.", id="l1", player_id=ann.id, shirt_number=7, position="Annabel's corner"),
        listed("Bo", id="l2", player_id="p-bo", shirt_number=9, position="up front"),
        event("e1", player="Annabel A.", player_id=ann.id, minute=23, notes="Annabel limps"),
        event("e2", player="Bo", player_id="p-bo", minute=70, notes="a header"),
        change("s1", "Annabel A.", "Cy", minute=60, player_off_id=ann.id, player_on_id="p-cy"),
        change("s2", "Cy", "Annabel A.", minute=80, player_off_id="p-cy", player_on_id=ann.id),
    )
    return ann, olga


async def erase(house: Club, person: Person) -> None:
    status, job = await house.operate("POST", f"/admin/v1/users/{person.id}/erase", {"confirm": person.id})
    assert (status, (await house.finished(job))["state"]) == (200, "done")


async def states(house: Club, scope: str = SCOPE) -> dict[str, State]:
    status, reply = await house.operate("POST", "/sync/v1/pull", {"scopes": {scope: None}})
    assert status == 200, reply
    pulled = [decode_state(state, scope) for state in reply["scopes"][scope]["resources"]]
    return {state.id: state for state in pulled if state.deleted is None}


async def test_of_a_player_who_is_erased_no_file_has_name_note_or_position(house: Club) -> None:
    ann, _ = await played(house)
    await erase(house, ann)
    await house.server.stop()
    left = bytes_of_files(house.server.database)
    assert b"Annabel" not in left
    assert b"a header" in left, "what is about others stays"


async def test_the_match_counts_on_and_the_others_keep_their_names(house: Club) -> None:
    ann, _ = await played(house)
    before = await states(house)
    await erase(house, ann)
    after = await states(house)
    fields = {name: state.fields for name, state in after.items()}
    assert fields["e1"] == {**before["e1"].fields, "player": None, "notes": ""}
    assert fields["l1"] == {**before["l1"].fields, "player": NO_NAME, "position": None}
    assert fields["s1"] == {**before["s1"].fields, "player_off": NO_NAME}
    assert fields["s2"] == {**before["s2"].fields, "player_on": NO_NAME}
    for untouched in (MATCH, "e2", "l2"):
        assert after[untouched] == before[untouched]
    score = view_of_states("score", after.values())
    assert [(goal["minute"], goal["player"]) for goal in score["goals"]] == [(23, None), (70, "Bo")]
    field = view_of_states("on_field", after.values())
    assert [(person["shirt_number"], person["player"]) for person in field["home"]] == [(7, NO_NAME), (9, "Bo")]
    assert field["unclear"] == [], "who went off and came on again is told by the id"


async def test_an_erased_player_is_taken_off_the_list_of_the_team(house: Club) -> None:
    ann, _ = await played(house)
    await erase(house, ann)
    assert (await states(house, TEAM)).keys() == {"p-bo"}


async def test_a_name_that_an_event_had_before_it_was_corrected_goes_too(house: Club) -> None:
    ann, olga = await played(house)
    phone = "phone-" + olga.id
    corrected = {"player": "Bo", "player_id": "p-bo"}
    [outcome] = await olga.push(phone, olga.change(phone, SCOPE, "update", "event", "e1", _base=99, **corrected))
    assert outcome["outcome"] in ("applied", "merged")
    await erase(house, ann)
    assert (await states(house))["e1"].fields["player"] == "Bo"
    _, history = await olga.ask("GET", "/sync/v1/history?type=event&id=e1")
    assert [line["fields"].get("player") for line in history["changes"] if "fields" in line][:1] == [None]


async def test_of_a_scorer_who_is_erased_the_notes_go_and_the_names_of_the_players_stay(house: Club) -> None:
    _, olga = await played(house)
    await erase(house, olga)
    fields = {name: state.fields for name, state in (await states(house)).items()}
    assert (fields["e2"]["player"], fields["e2"]["notes"]) == ("Bo", "")
    assert fields["l2"]["player"] == "Bo"
    await house.server.stop()
    assert b"a header" not in bytes_of_files(house.server.database)


async def test_a_question_about_a_goal_of_an_erased_player_does_not_name_him(house: Club) -> None:
    ann, _ = await played(house)
    sam = await house.join("sam@club.example", "Sam", "watch")
    status, _ = await house.operate("PUT", "/sync/v1/members", {"scope": SCOPE, "user": sam.id, "role": "scorer"})
    assert status == 200
    await logged(sam, SCOPE, event("e3", player="Annabel A.", player_id=ann.id, minute=24))
    assert any(state.type == "conflict" for state in (await states(house)).values())
    await erase(house, ann)
    await house.server.stop()
    assert b"Annabel" not in bytes_of_files(house.server.database)
