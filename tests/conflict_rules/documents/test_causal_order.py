"""Updates are sent on behind what they depend on, in whatever order they came."""

from __future__ import annotations

import itertools
import random

from conflict_rules.documents.causal_order import in_causal_order
from conflict_rules.documents.yjs_update import read_update
from tests.support import crdt

IN_TURNS = [
    bytes.fromhex(text)
    for text in (
        "0101010004010474657874016100",
        "01010201840101016400",
        "01010102840201016500",
        "01010200840100016200",
        "01010101840200016300",
        "01010202840102016600",
    )
]
"""Two clients type six letters in turns: "abc", then "def"."""


def lacks(updates: list[bytes]) -> list[int]:
    """The places of those that come before something they need."""
    have: dict[int, int] = {}
    found = []
    for place, update in enumerate(updates):
        extent = read_update(update)
        if any(have.get(client, 0) < clock for client, clock in extent.needs.items()):
            found.append(place)
        for client, end in extent.ends.items():
            have[client] = max(have.get(client, 0), end)
    return found


def test_each_comes_behind_what_it_needs_in_every_order_of_arrival() -> None:
    for order in itertools.permutations(IN_TURNS):
        ordered = in_causal_order(order)
        assert sorted(ordered) == sorted(order)
        assert lacks(ordered) == []


def test_what_came_in_order_stays_in_it() -> None:
    updates = crdt.trace("friendsforever").updates[:500]
    assert lacks(list(updates)) == []
    assert in_causal_order(updates) == list(updates)


def test_a_shuffled_text_is_in_order_again() -> None:
    updates = list(crdt.trace("clownschool").updates[:2_000])
    random.Random(1).shuffle(updates)
    assert lacks(updates)
    assert lacks(in_causal_order(updates)) == []


def test_what_needs_something_that_is_missing_comes_last() -> None:
    first, *rest = crdt.trace("json-crdt-blog-post").updates[:10]
    del rest[4]
    assert in_causal_order([rest[-1], first, *rest[:-1]])[:5] == [first, *rest[:4]]


def test_what_goes_on_from_a_part_that_is_held_needs_nothing_of_it() -> None:
    updates = list(crdt.trace("json-crdt-blog-post").updates[100:110])
    assert in_causal_order(updates[::-1]) == updates


def test_what_is_no_update_is_left_where_it_stands() -> None:
    assert in_causal_order([b"\xff", IN_TURNS[0]]) == [b"\xff", IN_TURNS[0]]
