"""The same hostile inputs against an app that declares its types: every field of every kind, in one running server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from tests.support.attack import PUSH, Target, check_outcome, under_attack
from tests.support.bad_input import json_texts, naughty_strings

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"match_id": "m1", "kind": "save", "team": "home", "minute": 1}
MATCH = {"home_team": "Reds", "away_team": "Blues", "date": "2026-05-01"}
PLACES = [
    *(("event", field) for field in ("match_id", "kind", "team", "player_id", "player", "minute", "added", "notes")),
    *(
        ("match", field)
        for field in ("home_team", "home_team_id", "date", "kick_off", "venue", "first_half_started_at")
    ),
]
"""A field of each kind that the app has: text, number, choice, date, time, moment."""


def good_event(n: int, id: str) -> dict[str, object]:
    return {"n": n, "type": "event", "id": id, "op": "create", "fields": EVENT}


def bad_change(n: int, id: str, place: tuple[str, str], value: object) -> dict[str, object]:
    type_name, field = place
    fields = {**(EVENT if type_name == "event" else MATCH), field: value}
    # An event's scope follows from its match, whose id is one of the things attacked; a match is its own scope.
    return {"n": n, "type": type_name, "id": id, "op": "create", "fields": fields}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    path = tmp_path_factory.mktemp("bad-input-typed") / "club.db"
    # The longest text is 250 kB, and stands in every field of one push.
    room = {"SYNCD_MAX_BODY_BYTES": str(1 << 23)}
    async with under_attack(path, "syncd.apps.grassroots:app", good_event, environment=room) as target:
        yield target


def fate(outcome: Mapping[str, str], field: str) -> str:
    """What became of a change; one that is refused names the field that was attacked, or one that follows from it."""
    check_outcome(outcome)
    if outcome["outcome"] == "rejected":
        assert outcome["field"].split(".")[0].split("[")[0] in (field, "scope"), outcome
    return outcome["outcome"]


async def test_json_texts_in_every_field_are_applied_or_refused_with_the_field(target: Target) -> None:
    fates: Counter[str] = Counter()
    for index, text in enumerate(json_texts()):
        replica = target.new_replica()
        changes = [
            json.dumps(bad_change(n, f"t{index}.{n}", place, "HERE")).encode().replace(b'"HERE"', text.raw)
            for n, place in enumerate(PLACES, 1)
        ]
        good = json.dumps(good_event(len(PLACES) + 1, f"t{index}.good")).encode()
        body = b'{"replica": "%b", "changes": [%b]}' % (replica.encode(), b",".join([*changes, good]))
        status, answer = await target.send(PUSH, body)
        if status != 200:
            assert text.expect != "accept", (text.name, answer)
            continue
        *bad, last = answer["outcomes"]
        fates.update(fate(outcome, field) for outcome, (_, field) in zip(bad, PLACES, strict=True))
        assert last["outcome"] == "applied", (text.name, last)
    assert set(fates) == {"applied", "rejected"}


@pytest.mark.parametrize("place", PLACES, ids=".".join)
async def test_naughty_strings_in_a_field_are_kept_exactly_or_refused_with_the_field(
    target: Target, place: tuple[str, str]
) -> None:
    strings = naughty_strings()
    type_name, field = place
    changes = [bad_change(n, f"{field}.{n}", place, text) for n, text in enumerate(strings, 1)]
    outcomes = await target.push(target.new_replica(), [*changes, good_event(516, f"{field}.good")])
    assert outcomes.pop()["outcome"] == "applied"
    kept: dict[str, dict[str, dict[str, object]]] = {}
    for change, text, outcome in zip(changes, strings, outcomes, strict=True):
        if fate(outcome, field) == "applied":
            scope = f"match:{change['id'] if type_name == 'match' else text if field == 'match_id' else 'm1'}"
            if scope not in kept:
                kept[scope] = await target.fields_of(scope)
            assert kept[scope][str(change["id"])][field] == text
