"""`conflict_rules.documents.yjs_shape`: what may hang where, judged before pycrdt sees it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conflict_rules.documents.waiting_room import Waiting, WaitingRoom
from conflict_rules.documents.yjs_shape import Kind, Shape
from conflict_rules.documents.yjs_update import MAX_NESTING, MalformedUpdate, read_update
from tests.support import crdt
from tests.support.crdt import any_values, characters, deleted, embed, fmt, gc, nested, update

ROOTS: dict[str, Kind] = {"text": "text", "map": "map", "array": "array"}
NULL = b"\x7e"
ARRAY, MAP, TEXT = 0, 1, 2


class Judged:
    """A shape, and the state vector that goes with it."""

    def __init__(self, roots: dict[str, Kind] | None = None) -> None:
        self.shape = Shape(roots or ROOTS)
        self.room = WaitingRoom()

    def take(self, *updates: bytes) -> Judged:
        """Judge updates in order, each of which has all that it needs."""
        for one in updates:
            extent = read_update(one)
            self.shape.refuse_outright(extent)
            assert self.room.arrive(Waiting(one, extent))
            self.shape.admit(extent, self.room.have)
            self.room.applied(extent)
        return self

    def refuses(self, refused: bytes, sentence: str) -> None:
        with pytest.raises(MalformedUpdate, match=sentence):
            self.take(refused)


def test_text_takes_characters_formats_embedded_values_and_shared_types() -> None:
    row = [characters("a", "text"), fmt("bold", "true", "text"), embed("{}", "text"), nested(MAP, "text")]
    Judged().take(update((1, 0, [*row, deleted(1, "text")])))


def test_arrays_and_maps_take_values_and_shared_types() -> None:
    Judged().take(update((1, 0, [any_values(NULL, at="array"), nested(TEXT, "array"), deleted(1, "array")])))
    Judged().take(update((1, 0, [any_values(NULL, at="map", key="a"), nested(TEXT, "map", key="b")])))


@pytest.mark.parametrize(("at", "key"), [("array", None), ("map", "k")])
def test_nothing_of_a_text_goes_into_an_array_or_a_map(at: str, key: str | None) -> None:
    """pycrdt would take it, and hang or fail for ever when it is read."""
    for item, called in (
        (characters("a", at, key=key), "characters"),
        (fmt("bold", "true", at, key=key), "a format"),
        (embed("1", at, key=key), "an embedded value"),
    ):
        Judged().refuses(update((1, 0, [item])), f"puts {called} into an? {at}")


def test_values_do_not_go_into_a_text() -> None:
    Judged().refuses(update((1, 0, [any_values(NULL, at="text")])), "puts values into a text")


def test_what_is_in_a_map_has_a_key_and_nothing_else_has() -> None:
    Judged().refuses(update((1, 0, [any_values(NULL, at="map")])), "into a map without a key")
    Judged().refuses(update((1, 0, [any_values(NULL, at="array", key="k")])), "under a key into an array")
    Judged().refuses(update((1, 0, [characters("a", "text", key="k")])), "under a key into a text")


def test_only_the_roots_of_the_document_are_written_to() -> None:
    Judged({"notes": "text"}).refuses(
        update((1, 0, [characters("a", "note")])), "root 'note'; this document has 'notes'"
    )


def test_a_foreign_root_is_refused_outright_whatever_the_update_needs() -> None:
    early = update((1, 9, [characters("a", "other")]))
    with pytest.raises(MalformedUpdate, match="root 'other'"):
        Shape(ROOTS).refuse_outright(read_update(early))


# Neighbours tell


def test_what_names_only_a_neighbour_hangs_where_the_neighbour_hangs() -> None:
    judged = Judged().take(update((1, 0, [any_values(NULL, NULL, at="array")])))
    judged.refuses(update((2, 0, [characters("a", origin=(1, 1))])), "characters into an array")
    judged.refuses(update((2, 0, [characters("a", right=(1, 0))])), "characters into an array")
    judged.take(update((2, 0, [any_values(NULL, origin=(1, 0), right=(1, 1))])))
    judged.refuses(update((3, 0, [characters("a", origin=(2, 0))])), "characters into an array")


def test_what_comes_after_a_value_of_a_map_is_under_its_key() -> None:
    judged = Judged().take(update((1, 0, [any_values(NULL, at="map", key="k")])))
    judged.take(update((2, 0, [any_values(NULL, origin=(1, 0))])))


def test_neighbours_hang_in_one_place() -> None:
    judged = Judged().take(update((1, 0, [any_values(NULL, at="array"), any_values(NULL, at="map", key="k")])))
    judged.refuses(update((2, 0, [any_values(NULL, origin=(1, 0), right=(1, 1))])), "neighbours of two parents")


def test_of_two_neighbours_one_may_have_been_collected() -> None:
    judged = Judged().take(update((1, 0, [gc(1), any_values(NULL, at="array")])))
    judged.refuses(update((2, 0, [characters("é", origin=(1, 0), right=(1, 1))])), "characters into an array")
    judged.refuses(update((2, 0, [characters("é", origin=(1, 1), right=(1, 0))])), "characters into an array")
    judged.take(update((2, 0, [any_values(NULL, origin=(1, 0), right=(1, 1))])))


def test_beside_what_was_collected_anything_goes_for_it_will_be_collected_too() -> None:
    Judged().take(update((1, 0, [gc(2)])), update((2, 0, [characters("a", origin=(1, 0), right=(1, 1))])))


# Shared types in one another


@pytest.mark.parametrize(("number", "kind"), [(ARRAY, "an array"), (MAP, "a map")])
def test_a_nested_type_takes_what_its_kind_takes(number: int, kind: str) -> None:
    judged = Judged().take(update((1, 0, [nested(number, "array")])))
    key = "k" if number == MAP else None
    judged.refuses(update((2, 0, [characters("a", (1, 0), key=key)])), f"characters into {kind}")
    judged.take(update((2, 0, [any_values(NULL, at=(1, 0), key=key)])))


def test_a_nested_text_takes_characters_in_the_update_that_brings_it() -> None:
    Judged().take(update((1, 0, [nested(TEXT, "map", key="k"), characters("a", (1, 0))])))
    Judged().refuses(update((1, 0, [nested(TEXT, "array"), any_values(NULL, at=(1, 0))])), "values into a text")


def test_nothing_hangs_on_characters_or_values() -> None:
    judged = Judged().take(
        update((1, 0, [characters("ab", "text"), any_values(NULL, at="array"), deleted(1, "array")]))
    )
    for clock in (0, 1, 2):
        judged.refuses(update((2, 0, [any_values(NULL, at=(1, clock))])), "into what is no text, map or array")
    judged.take(update((2, 0, [any_values(NULL, at=(1, 3))])))  # it may have been a type


def test_shared_types_nest_64_deep_and_no_deeper() -> None:
    def nest(depth: int) -> bytes:
        return update((1, 0, [nested(ARRAY, "array"), *(nested(ARRAY, (1, clock)) for clock in range(depth - 1))]))

    Judged().take(nest(MAX_NESTING))
    Judged().refuses(nest(MAX_NESTING + 1), "nests shared types more than 64 deep")
    judged = Judged().take(nest(MAX_NESTING))
    judged.refuses(update((2, 0, [nested(MAP, (1, MAX_NESTING - 1))])), "more than 64 deep")
    judged.take(update((2, 0, [any_values(NULL, at=(1, MAX_NESTING - 1))])))


def test_a_circle_is_refused() -> None:
    Judged().refuses(
        update((2, 0, [characters("a", origin=(1, 0))]), (1, 0, [characters("b", origin=(2, 0))])), "in a circle"
    )
    Judged().refuses(update((1, 0, [characters("a", origin=(1, 1)), characters("b", "text")])), "in a circle")
    Judged().refuses(update((1, 0, [nested(ARRAY, (1, 0))])), "in a circle")


def test_clients_may_hang_on_one_another_in_turns() -> None:
    turns = 5_000
    one = [characters("a", "text"), *(characters("a", origin=(2, clock)) for clock in range(turns - 1))]
    other = [characters("b", origin=(1, clock)) for clock in range(turns)]
    Judged().take(update((2, 0, other), (1, 0, one)))


# Characters of two units


PAIR = update((1, 0, [characters("a😀b", "text")]))  # a is unit 0, the character units 1 and 2


@pytest.mark.parametrize(
    "cut",
    [
        update((2, 0, [characters("x", origin=(1, 1))])),
        update((2, 0, [characters("x", right=(1, 2))])),
        update(deletes={1: [(0, 2)]}),
        update(deletes={1: [(2, 1)]}),
    ],
    ids=["origin", "right origin", "end of a delete", "start of a delete"],
)
def test_a_character_of_two_units_is_not_cut_in_two(cut: bytes) -> None:
    Judged().take(PAIR).refuses(cut, "cuts a character in two")


def test_what_is_here_already_does_not_end_in_a_character_of_an_item() -> None:
    judged = Judged().take(update((1, 0, [characters("ab", "text")])))
    judged.refuses(update((1, 1, [characters("😀", "text")])), "cuts a character in two")


def test_before_and_behind_a_character_of_two_units_there_is_a_place() -> None:
    judged = Judged().take(PAIR)
    judged.take(
        update((2, 0, [characters("x", origin=(1, 0), right=(1, 1)), characters("y", origin=(1, 2))])),
        update(deletes={1: [(1, 2)]}),
    )


def test_a_letter_and_its_combining_mark_are_two_characters() -> None:
    judged = Judged().take(update((1, 0, [characters("नेपाली", "text")])))
    judged.take(update((2, 0, [characters("x", origin=(1, 0), right=(1, 1))]), deletes={1: [(1, 1)]}))


def test_a_state_vector_that_cuts_a_character_is_moved_before_it() -> None:
    shape = Judged().take(PAIR).shape
    assert [shape.whole_before(1, clock) for clock in range(5)] == [0, 1, 1, 3, 4]
    assert shape.whole_before(2, 2) == 2


# What is here already


def test_an_item_that_begins_with_what_is_here_goes_on_in_the_same_place() -> None:
    judged = Judged().take(update((1, 0, [characters("abc", "text")])))
    judged.take(update((1, 0, [characters("abcde", "text")])))
    judged.take(update((1, 3, [characters("defg", origin=(1, 2))])))
    judged.refuses(update((1, 6, [any_values(NULL, NULL, at="array")])), "another place than where it began")


def test_what_goes_on_with_an_item_goes_where_that_is_whatever_it_says_of_its_neighbours() -> None:
    judged = Judged().take(update((1, 0, [gc(1), any_values(NULL, at="array")])))
    judged.refuses(update((1, 1, [characters("x😀", origin=(1, 0))])), "characters into an array")
    judged.take(update((1, 1, [any_values(NULL, NULL, origin=(1, 0))])))
    judged.refuses(update((2, 0, [characters("😀", origin=(1, 2))])), "characters into an array")


@pytest.mark.parametrize("beside", [{"origin": (1, 1)}, {"right": (1, 2)}, {"origin": (1, 0), "right": (1, 1)}])
def test_what_goes_on_with_an_item_is_not_put_beside_a_part_of_it(beside: dict[str, tuple[int, int]]) -> None:
    judged = Judged().take(update((1, 0, [characters("abc", "text")])))
    judged.refuses(update((1, 1, [characters("bcd", **beside)])), "beside a part of itself")


def test_what_is_refused_leaves_nothing_behind() -> None:
    judged = Judged()
    judged.refuses(update((1, 0, [nested(ARRAY, "array"), characters("a", "array")])), "characters into an array")
    judged.take(update((1, 0, [nested(MAP, "array"), any_values(NULL, at=(1, 0), key="k")])))


# Recorded ones


def test_none_of_31963_random_updates_is_refused() -> None:
    count = 0
    for document in crdt.random_documents():
        Judged().take(*document.updates)
        count += len(document.updates)
    assert count == 31_963


@pytest.mark.parametrize("document", crdt.yjs_documents(), ids=lambda document: document.name)
def test_what_yjs_wrote_is_not_refused(document: crdt.YjsDocument) -> None:
    Judged({document.root: document.root}).take(document.update)


@pytest.mark.parametrize("crasher", crdt.crashers(), ids=lambda crasher: crasher.name)
def test_of_what_pycrdt_cannot_bear_something_is_refused_or_waits(crasher: crdt.Crasher) -> None:
    assert not _all_let_through(crasher.updates)


def _all_let_through(updates: Sequence[bytes]) -> bool:
    shape, room = Shape(ROOTS), WaitingRoom()
    for one in updates:
        try:
            extent = read_update(one)
            shape.refuse_outright(extent)
            if not room.arrive(Waiting(one, extent)):
                return False
            shape.admit(extent, room.have)
        except MalformedUpdate:
            return False
        room.applied(extent)
    return True
