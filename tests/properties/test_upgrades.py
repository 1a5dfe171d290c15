"""The law of order for upgrades: a change is lifted first and merged then, one by one or all at once, here or there."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_rules import Change, Op, Stamp, State, apply_change, rule_by_name
from conflict_rules.wire import decode_change, encode_change
from syncd.app.upgrades import Upgrades
from tests.sizes import SIZES
from tests.support.engine import open_engine
from tests.support.walking_club import v1, v2, v3

WORDS: dict[tuple[int, str], dict[str, Any]] = {
    (1, "walk"): {"title": ["Dunes", "Moor"], "miles": [1.0, 2.5, 10.0], "mood": ["", "sunny"]},
    (2, "walk"): {"name": ["Dunes", "Moor"], "miles": [1.0, 2.5, 10.0]},
    (3, "walk"): {"name": ["Dunes", "Moor"], "km": [1.61, 7.0], "open_to_guests": [True, False]},
    (1, "memo"): {"text": ["rain", "hail"]},
    (2, "memo"): {"text": ["rain", "hail"]},
    (3, "note"): {"text": ["rain", "hail"]},
    (1, "member"): {"full_name": ["Ann Mary Lee", "Bo"], "town": ["Hull", "York"]},
    (2, "member"): {"full_name": ["Ann Mary Lee", "Bo"], "town": ["Hull", "York"]},
    (3, "member"): {"first_name": ["Ann"], "last_name": ["Lee", "Roe"], "town": ["Hull", "York"]},
}
"""What can be said in each version, by type."""
NEWEST = {"memo": "note"}


@st.composite
def changes(draw: st.DrawFn, *, kinds: Sequence[str] = ("walk", "memo", "member")) -> list[Change]:
    """Changes of several phones that have not seen each other's, on one resource of each type."""
    made: list[Change] = []
    for number in range(draw(st.integers(1, 8))):
        schema = draw(st.integers(1, 3))
        kind = draw(st.sampled_from(kinds))
        kind = NEWEST.get(kind, kind) if schema == 3 else kind
        fields = {name: draw(st.sampled_from(values)) for name, values in WORDS[schema, kind].items()}
        op = draw(st.sampled_from([Op.CREATE, Op.UPDATE, Op.DELETE]))
        if op is Op.UPDATE:
            fields = {name: value for name, value in fields.items() if draw(st.booleans())}
        replica = f"r{number}"
        stamp = Stamp(1_000 + draw(st.integers(0, 20)), number, replica)
        made.append(
            Change(replica, 1, "main", kind, "x", op, stamp, 0, {} if op is Op.DELETE else fields, None, schema)
        )
    return made


def content(states: dict[str, State | None]) -> dict[str, Any]:
    return {
        name: None if state is None else (state.deleted is not None, dict(state.fields))
        for name, state in states.items()
    }


def merged(arriving: Sequence[Change], upgrades: Upgrades) -> dict[str, Any]:
    """What a server of that app holds after all of them."""
    states: dict[str, State | None] = {}
    for version, change in enumerate(arriving, 1):
        lifted = upgrades.lift(change)
        rule = rule_by_name({"walk": "merge", "note": "append", "member": "lww"}[lifted.type])
        states[lifted.type] = apply_change(rule, states.get(lifted.type), lifted, version).state
    return content(states)


@settings(max_examples=SIZES.property_examples)
@given(changes(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_whatever_versions_meet(made: list[Change], dice: random.Random) -> None:
    resource = [
        Change("r", 1, "main", kind, "x", Op.CREATE, Stamp(1, 0, "r"), 0, {}, None, 3) for kind in ("walk", "note")
    ]
    resource.append(Change("r", 1, "main", "member", "x", Op.CREATE, Stamp(1, 0, "r"), 0, {}, None, 3))
    other = made.copy()
    dice.shuffle(other)
    assert merged([*resource, *made], v3.club.upgrades) == merged([*resource, *other], v3.club.upgrades)


@settings(max_examples=SIZES.property_examples)
@given(changes())
def test_two_steps_on_the_way_are_the_same_as_one_way(made: list[Change]) -> None:
    """A phone that was updated to version 2, and carried its queue over, says the same in the end."""
    for change in made:
        if change.schema <= 2:
            assert v3.club.upgrades.lift(v2.club.upgrades.lift(change)) == v3.club.upgrades.lift(change)


@settings(max_examples=SIZES.property_examples)
@given(changes())
def test_what_is_lifted_is_said_in_the_words_of_the_newest_version_alone(made: list[Change]) -> None:
    for change in made:
        lifted = v3.club.upgrades.lift(change)
        assert lifted.schema == 3
        assert set(lifted.fields) <= set(WORDS[3, lifted.type])
        assert v3.club.upgrades.lift(lifted) is lifted
    assert v1.club.upgrades.oldest == 1


@settings(max_examples=SIZES.engine_histories, deadline=None)
@given(changes())
def test_the_server_makes_the_same_of_a_change_and_of_what_it_is_lifted_to(made: list[Change]) -> None:
    """Outcomes and states; a phone that shows a lifted change shows what the server will say."""
    as_sent = asyncio.run(_pushed(made))
    as_read = asyncio.run(_pushed([v3.club.upgrades.lift(change) for change in made]))
    assert as_sent == as_read


async def _pushed(made: Sequence[Change]) -> tuple[list[Any], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_engine(Path(folder) / "syncd.db", app=v3.club) as engine:
            outcomes = []
            for change in made:
                wire = encode_change(change)
                assert decode_change(wire, change.replica) == change
                reply = await engine.pusher.push(change.replica, 1, [wire])
                outcomes += [{**outcome, "resource": None} for outcome in reply.outcomes]
            states = (await engine.puller.pull(None, {"main": None}, 1 << 20))["main"]
            return outcomes, {str(n): body for n, body in enumerate(states.bodies)}
