"""`conflict_rules.documents.yjs_update`: what an update covers and needs, and which bytes pycrdt is never given."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules.documents.yjs_update import (
    MAX_CLIENT,
    MAX_CLOCK,
    MAX_NESTING,
    MAX_STRUCTS,
    MalformedUpdate,
    read_state_vector,
    read_update,
    with_deletes,
    write_deletes,
    write_state_vector,
)
from tests.support import crdt
from tests.support.crdt import (
    any_values,
    characters,
    deleted,
    embed,
    fmt,
    gc,
    nested,
    skip,
    update,
    var,
    words,
)

NULL = b"\x7e"
LETTER = update((1, 0, [characters("a", "text")]))


# What it covers


def test_an_update_of_nothing_covers_and_needs_nothing() -> None:
    extent = read_update(b"\0\0")
    assert (extent.structs, extent.ranges, extent.deletes, extent.needs, extent.roots) == ([], {}, {}, {}, frozenset())


def test_text_takes_as_many_clocks_as_it_has_utf_16_units() -> None:
    assert read_update(update((7, 3, [characters("a😀नेb", "text")]))).ranges == {7: [(3, 3 + 6)]}


def test_each_value_takes_a_clock_and_so_does_each_shared_type() -> None:
    extent = read_update(
        update((7, 0, [any_values(NULL, NULL, NULL, at="list"), nested(1, "list"), deleted(4, "list")]))
    )
    assert extent.ranges == {7: [(0, 8)]}
    assert [(one.clock, one.end) for one in extent.structs] == [(0, 3), (3, 4), (4, 8)]


def test_the_roots_that_are_written_to_are_told() -> None:
    written = update((1, 0, [characters("a", "notes"), any_values(NULL, at="plan", key="x")]))
    assert read_update(written).roots == {"notes", "plan"}


def test_a_skip_leaves_a_gap_in_the_clocks() -> None:
    extent = read_update(update((1, 2, [gc(1), skip(4), gc(2)])))
    assert extent.ranges == {1: [(2, 3), (7, 9)]}
    assert extent.ends == {1: 9}


def test_deletes_are_told_by_client() -> None:
    assert read_update(update(deletes={4: [(2, 3), (9, 1)]})).deletes == {4: [(2, 5), (9, 10)]}


# What it needs


def test_an_update_needs_what_its_client_did_before() -> None:
    assert read_update(update((1, 5, [gc(1)]))).needs == {1: 5}
    assert read_update(update((1, 0, [gc(1), skip(4), gc(1)]))).needs == {1: 5}


def test_the_first_update_of_a_client_needs_nothing() -> None:
    assert read_update(LETTER).needs == {}


@pytest.mark.parametrize(
    "item",
    [
        characters("b", origin=(2, 8)),
        characters("b", right=(2, 8)),
        any_values(NULL, at=(2, 8)),
    ],
    ids=["origin", "right origin", "parent"],
)
def test_it_needs_what_it_hangs_on(item: bytes) -> None:
    assert read_update(update((1, 0, [item]))).needs == {2: 9}


def test_it_needs_what_it_deletes() -> None:
    assert read_update(update(deletes={4: [(2, 3), (0, 1)]})).needs == {4: 5}
    assert read_update(update(deletes={4: [(2, 0)]})).needs == {}


def test_what_it_brings_itself_it_does_not_need() -> None:
    extent = read_update(
        update(
            (2, 0, [characters("ab", "text")]),
            (1, 0, [characters("c", origin=(2, 1)), characters("d", origin=(1, 0), right=(2, 0))]),
            deletes={1: [(0, 2)], 2: [(1, 1)]},
        )
    )
    assert extent.needs == {}


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=12), st.integers(0, 40))
def test_a_clock_in_a_gap_is_needed_and_one_in_a_range_is_not(parts: list[tuple[int, bool]], clock: int) -> None:
    within = {at for at in range(_clocks(parts)) if _held(parts, at)}
    extent = read_update(
        update(
            (5, 0, [(gc if held else skip)(length) for length, held in parts]),
            (1, 0, [characters("x", origin=(5, clock))]),
        )
    )
    starts = [start for start, _ in extent.ranges[5]]
    assert {at for start, end in extent.ranges[5] for at in range(start, end)} == within
    assert extent.needs.get(5, 0) == max([*starts, 0 if clock in within else clock + 1])


def _clocks(parts: Sequence[tuple[int, bool]]) -> int:
    return sum(length for length, _ in parts)


def _held(parts: Sequence[tuple[int, bool]], clock: int) -> bool:
    for length, held in parts:
        if clock < length:
            return held
        clock -= length
    return False


# What it refuses


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (b"", "ends early"),
        (LETTER[:-1], "ends early"),
        (LETTER + b"\0", "1 bytes are left over"),
        (b"\xff" * 12, "more than 63 bits"),
        (b"\x80\0\0", "byte 2 of the update ends a number that needs no such byte"),
        (update((1 << 53, 0, [gc(1)])), "client id 9007199254740992 is beyond 53 bits"),
        (update((1, 1 << 31, [gc(1)])), "clock 2147483648 is beyond 31 bits"),
        (update((1, (1 << 31) - 1, [gc(2)])), "reaches the clock 2147483649"),
        (update(deletes={1: [((1 << 31) - 1, 2)]}), "deletes up to the clock 2147483649"),
        (update((1, 0, [gc(1)]), (1, 1, [gc(1)])), "client 1 twice"),
        (b"\0" + b"\2" + b"\1\0" * 2, "client 1 twice"),
        (update((1, 0, [])), "brings nothing of it"),
        (update((1, 0, [gc(0)])), "empty struct"),
        (update((1, 0, [skip(0), gc(1)])), "empty struct"),
        (update((1, 0, [characters("", "text")])), "empty struct"),
        (update((1, 0, [any_values(at="text")])), "empty struct"),
        (update((1, 0, [deleted(0, "text")])), "empty struct"),
        (update((1, 0, [b"\x80\1\0" + b"\1"])), "flags 128"),
        (update((1, 0, [b"\4\2"])), "parent of the kind 2"),
        (update((1, 0, [b"\4\1\4text\2\xc3\x28"])), "not UTF-8"),
        (update((1, 0, [b"\4\1\2\xff\xff\1a"])), "not UTF-8"),
        (update((1, 0, [b"\2\1\4text\1" + words("1")])), "Yjs before 13"),
        (update((1, 0, [b"\x09\1\4text" + words("guid") + b"\x76\0"])), "a document inside"),
        (update((1, 0, [b"\x0b\1\4text\0"])), "move"),
        (update((1, 0, [b"\x1f\1\4text\0"])), "unknown kind 31"),
        (update((1, 0, [nested(3, "text")])), "XML element"),
        (update((1, 0, [nested(4, "text")])), "XML fragment"),
        (update((1, 0, [nested(5, "text")])), "XML hook"),
        (update((1, 0, [nested(6, "text")])), "XML text"),
        (update((1, 0, [nested(9, "text")])), "a type 9"),
        (update((1, 0, [characters("a", origin=(2, 0), right=(2, 0))])), "between a unit and itself"),
        (update((1, 0, [any_values(b"\x10", at="list")])), "unknown kind 16"),
        (update((1, 0, [any_values(b"\x7b" + struct.pack(">d", float("nan")), at="list")])), "NaN or infinity"),
        (update((1, 0, [any_values(b"\x7c" + struct.pack(">f", float("inf")), at="list")])), "NaN or infinity"),
        (update((1, 0, [any_values(b"\x7d" + b"\xbf" + b"\xff" * 6 + b"\x7f", at="list")])), "beyond 53 bits"),
        (update((1, 0, [any_values(b"\x7d" + b"\xff" * 30, at="list")])), "beyond 53 bits"),
        (update((1, 0, [embed("{", "text")])), "not JSON"),
        (update((1, 0, [embed("NaN", "text")])), "not JSON"),
        (update((1, 0, [embed("1e999", "text")])), "not JSON"),
        (update((1, 0, [embed('"\\ud800"', "text")])), "not JSON"),
        (update((1, 0, [fmt("bold", "yes", "text")])), "not JSON"),
        (update((1, 0, [embed("[" * 5_000 + "]" * 5_000, "text")])), "JSON|deep"),
        (update((1, 0, [embed("[" * (MAX_NESTING + 2) + "]" * (MAX_NESTING + 2), "text")])), "64 deep"),
    ],
)
def test_it_is_refused_with_a_sentence(refused: bytes, sentence: str) -> None:
    with pytest.raises(MalformedUpdate, match=sentence):
        read_update(refused)


def test_a_value_may_nest_64_deep_and_no_deeper() -> None:
    def nest(depth: int) -> bytes:
        return update((1, 0, [any_values(b"\x75\1" * depth + NULL, at="map", key="k")]))

    read_update(nest(MAX_NESTING))
    for depth in (MAX_NESTING + 1, 27_000):
        with pytest.raises(MalformedUpdate, match="more than 64 deep"):
            read_update(nest(depth))


def test_an_update_brings_at_most_so_many_structs() -> None:
    read_update(update((1, 0, [gc(1)] * MAX_STRUCTS)))
    with pytest.raises(MalformedUpdate, match="more than 100,000 structs"):
        read_update(update((1, 0, [gc(1)] * 60_000), (2, 0, [gc(1)] * 40_001)))


def test_a_snapshot_may_bring_more() -> None:
    whole = update((1, 0, [gc(1)] * (MAX_STRUCTS + 1)))
    assert len(read_update(whole, max_structs=None).structs) == MAX_STRUCTS + 1


def test_letters_typed_in_a_row_come_joined_or_not_too_many_of_them() -> None:
    """One by one, 40,000 of them take pycrdt 914 MB."""

    def typed(count: int) -> bytes:
        later = [characters("a", origin=(1, clock)) for clock in range(count - 1)]
        return update((1, 0, [characters("a", "text"), *later]))

    read_update(typed(20_000))
    with pytest.raises(MalformedUpdate, match="would copy 281 MiB, more than 256"):
        read_update(typed(24_300))
    read_update(update((1, 0, [characters("a" * 40_000, "text")])))


def test_values_put_in_a_row_cost_more_than_letters_do() -> None:
    """One by one, 10,000 of them take pycrdt 2.3 GB."""

    def put(count: int) -> bytes:
        later = [any_values(NULL, origin=(1, clock)) for clock in range(count - 1)]
        return update((1, 0, [any_values(NULL, at="list"), *later]))

    read_update(put(3_000))
    with pytest.raises(MalformedUpdate, match="MiB, more than 256"):
        read_update(put(4_000))


def test_long_texts_in_a_row_cost_by_their_length() -> None:
    later = [characters("a" * 1_000, origin=(1, 1_000 * place - 1)) for place in range(1, 1_000)]
    with pytest.raises(MalformedUpdate, match="MiB, more than 256"):
        read_update(update((1, 0, [characters("a" * 1_000, "text"), *later])))


def test_two_clients_in_turns_are_no_run() -> None:
    one = [characters("a", "text"), *(characters("a", origin=(2, clock)) for clock in range(30_000 - 1))]
    other = [characters("b", origin=(1, clock)) for clock in range(30_000)]
    read_update(update((1, 0, one), (2, 0, other)))


# Whatever it is given


@given(st.binary(max_size=200))
def test_any_bytes_are_an_update_or_malformed(data: bytes) -> None:
    _read(data)


@given(st.data())
def test_an_update_cut_short_is_malformed(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(_REAL))
    with pytest.raises(MalformedUpdate):
        read_update(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.data())
def test_a_real_update_with_other_bytes_in_it_is_an_update_or_malformed(data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from(_REAL)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed)))
        changed[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    _read(bytes(changed))


@pytest.mark.parametrize("crasher", crdt.crashers(), ids=lambda crasher: crasher.name)
def test_what_pycrdt_cannot_bear_is_read_without_harm(crasher: crdt.Crasher) -> None:
    for one in crasher.updates:
        _read(one)


@pytest.mark.parametrize(
    "claim",
    [
        var(MAX_CLOCK),
        update((1, 0, [])).replace(b"\0\1", var(1 << 40) + b"\1", 1),
        b"\1\1\1\0\4\1" + var(1 << 40),
        b"\1\1\1\0\x08\1\1a" + var(1 << 31),
        b"\1\1\1\0\x08\1\1a\1\x75" + var(1 << 50),
        b"\1\1\1\0\x08\1\1a\1\x74" + var(1 << 50),
        b"\0\1\1" + var(1 << 50),
    ],
)
def test_no_memory_is_taken_by_a_claimed_length(claim: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedUpdate, match="ends early"):
            read_update(claim)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


_REAL = [one for document in list(crdt.random_documents())[::100] for one in document.updates[:40]] + list(crdt.STUCK)


def _read(data: bytes) -> None:
    """Read it; every number of an extent lies within the bounds."""
    try:
        extent = read_update(data)
    except MalformedUpdate:
        return
    for ranges in (*extent.ranges.values(), *extent.deletes.values()):
        assert all(0 <= start <= end <= MAX_CLOCK for start, end in ranges)
    assert all(client < MAX_CLIENT and 0 < clock <= MAX_CLOCK for client, clock in extent.needs.items())


# State vectors


@given(st.dictionaries(st.integers(0, MAX_CLIENT - 1), st.integers(0, MAX_CLOCK - 1), max_size=20))
def test_a_state_vector_is_read_back_sorted_from_its_bytes(clocks: dict[int, int]) -> None:
    again = read_state_vector(write_state_vector(clocks))
    assert again == clocks
    assert list(again) == sorted(again)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_state_vector_or_malformed(data: bytes) -> None:
    try:
        clocks = read_state_vector(data)
    except MalformedUpdate:
        return
    assert all(client < MAX_CLIENT and clock < MAX_CLOCK for client, clock in clocks.items())


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (b"", "the state vector ends early"),
        (b"\1\1", "the state vector ends early"),
        (b"\2\1\1\1\2", "client 1 twice"),
        (b"\0\0", "left over behind the state vector"),
        (b"\1" + var(1 << 53) + b"\1", "beyond 53 bits"),
    ],
)
def test_a_state_vector_is_refused_with_a_sentence(refused: bytes, sentence: str) -> None:
    with pytest.raises(MalformedUpdate, match=sentence):
        read_state_vector(refused)


# Other deletes in the place of its own


def test_deletes_are_written_as_they_are_read() -> None:
    deletes = {1: [(0, 3), (5, 6)], 300: [(1 << 20, (1 << 20) + 1)]}
    assert read_update(b"\0" + write_deletes(deletes)).deletes == deletes


def test_an_update_with_other_deletes_brings_the_same_and_deletes_those_together() -> None:
    structs = (1, 0, [characters("abc", "text"), gc(2), skip(1), any_values(NULL, at="list")])
    whole = update(structs, deletes={7: [(0, 100)]})
    made = read_update(with_deletes(whole, [{1: [(0, 1), (4, 5)]}, {}, {2: [(9, 11)], 1: [(1, 2)]}]))
    assert (made.structs, made.ranges) == (read_update(whole).structs, read_update(whole).ranges)
    assert made.deletes == {1: [(0, 2), (4, 5)], 2: [(9, 11)]}


def test_without_any_deletes_it_deletes_nothing() -> None:
    assert with_deletes(update((1, 0, [characters("a", "text")]), deletes={1: [(0, 1)]}), []) == LETTER


@given(st.binary(max_size=40))
def test_bytes_that_are_no_update_have_no_deletes_to_be_replaced(noise: bytes) -> None:
    try:
        made = with_deletes(noise, [{1: [(0, 1)]}])
    except MalformedUpdate:
        return
    assert made.endswith(write_deletes({1: [(0, 1)]}))
