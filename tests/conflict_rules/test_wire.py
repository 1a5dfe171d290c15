"""`conflict_rules.wire`: changes, states and outcomes as plain dicts."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import Change, Kind, Mark, Op, Origin, Outcome, Stamp, State
from conflict_rules.values import MAX_INTEGER, JsonValue, RepeatedKeys, canonical_json, clean_fields, valid_replica
from conflict_rules.wire import (
    MalformedChange,
    change_digest,
    decode_change,
    decode_outcome,
    decode_own,
    decode_state,
    encode_change,
    encode_outcome,
    encode_state,
    outcome_text,
    spelling_of,
)
from tests.conflict_rules.test_values import ANY_TEXT, ANY_VALUES, GOOD_TEXT, GOOD_VALUES

NAMES = st.text("abcxyz019_", min_size=1, max_size=8).map(lambda text: "f" + text)
COUNTS = st.integers(0, MAX_INTEGER)
REPLICAS = st.text("abc019_-", min_size=1, max_size=12).filter(valid_replica)
STAMPS = st.builds(Stamp, st.integers(0, 1 << 44), st.integers(0, 9), REPLICAS)
FIELDS = st.dictionaries(NAMES, GOOD_VALUES, max_size=4).map(lambda fields: clean_fields(fields))


@st.composite
def changes(draw: st.DrawFn) -> Change:
    stamp, op = draw(STAMPS), draw(st.sampled_from(Op))
    return Change(
        stamp.replica,
        draw(st.integers(1, MAX_INTEGER)),
        draw(st.sampled_from(["", "main", "match:9f"])),
        "event",
        draw(NAMES),
        op,
        stamp,
        draw(COUNTS),
        {} if op is Op.DELETE else draw(FIELDS),
        draw(st.none() | NAMES),
        draw(COUNTS),
        draw(FIELDS),
        draw(NAMES) if op is Op.SETTLE else None,
    )


@st.composite
def states(draw: st.DrawFn) -> State:
    origin = Origin(draw(REPLICAS), draw(COUNTS))
    version, key = draw(COUNTS), draw(NAMES)
    marks = st.builds(Mark, st.integers(1, 3), STAMPS)
    # A tombstone has no fields, unless its type keeps them.
    deleted = draw(st.none() | marks)
    fields = draw(FIELDS)
    # Few marks for many fields, as a create leaves them.
    given = draw(st.lists(marks, min_size=1, max_size=3))
    return State(
        "main",
        "event",
        key,
        version,
        fields,
        {name: draw(st.sampled_from(given)) for name in fields},
        origin,
        deleted,
        rule_data=draw(FIELDS),
        floor=draw(st.none() | marks),
    )


def through_json(value: JsonValue) -> object:
    """What a peer reads of it."""
    return json.loads(canonical_json(value))


@given(changes())
def test_a_change_is_read_back_as_it_was_made(change: Change) -> None:
    raw = through_json(encode_change(change))
    decoded = decode_change(raw, change.replica)
    assert decoded == change
    assert isinstance(decoded, Change)
    assert repr(decoded.fields) == repr(json.loads(json.dumps(change.fields, sort_keys=True)))


@given(changes())
def test_ones_own_change_is_read_back_without_being_checked_again(change: Change) -> None:
    raw = through_json(encode_change(change))
    assert isinstance(raw, dict)
    own = decode_own(raw, change.replica)
    assert own == decode_change(raw, change.replica) == change
    assert type(own.fields) is dict, "upgrades of an app may change it"


@given(changes(), st.sampled_from(["n", "scope", "type", "id", "op", "stamp", "base", "schema"]))
def test_what_was_never_ones_own_is_not_taken_for_it(change: Change, missing: str) -> None:
    raw = through_json(encode_change(change))
    assert isinstance(raw, dict)
    del raw[missing]
    with pytest.raises((KeyError, TypeError, ValueError)):
        decode_own(raw, change.replica)


@given(states())
def test_a_state_is_read_back_as_it_was(state: State) -> None:
    raw = through_json(encode_state(state))
    assert isinstance(raw, dict)
    assert decode_state(raw, "main") == state


@given(
    COUNTS,
    st.builds(
        Outcome,
        st.sampled_from(Kind),
        COUNTS,
        st.none() | NAMES,
        st.none() | GOOD_TEXT,
        st.none() | NAMES,
        st.lists(NAMES, max_size=3).map(tuple),
        st.lists(NAMES, max_size=3).map(tuple),
        st.lists(NAMES, max_size=3).map(tuple),
    ),
)
def test_an_outcome_is_read_back_as_it_was(n: int, outcome: Outcome) -> None:
    raw = through_json(encode_outcome(n, outcome))
    assert isinstance(raw, dict)
    assert raw["n"] == n
    assert decode_outcome(raw) == outcome


@given(COUNTS, st.sampled_from(Kind), COUNTS, st.booleans())
def test_an_outcome_is_kept_in_one_spelling_whatever_it_says(n: int, kind: Kind, version: int, more: bool) -> None:
    outcome = Outcome(kind, version)
    some = [replace(outcome, code="c"), replace(outcome, message="m"), replace(outcome, field="f")]
    some += [replace(outcome, lost=("a",)), replace(outcome, conflicts=("x",)), replace(outcome, told=("a",))]
    for each in some if more else [outcome]:
        assert outcome_text(n, each) == canonical_json(encode_outcome(n, each))


def test_a_tombstone_hides_what_it_keeps_and_a_living_state_shows_its_fields_plainly() -> None:
    mark, gone = Mark(7, Stamp(1, 0, "r")), Mark(8, Stamp(2, 0, "s"))
    kept = State("main", "event", "x", 8, {"a": 1}, {"a": mark}, Origin("s", 1), gone)
    raw = encode_state(kept)
    assert "fields" not in raw
    assert raw["marks"] == [[8, "000000000002.0000.s"]]
    assert raw["kept"] == {"fields": {"a": 1}, "marks": [[7, "000000000001.0000.r"]]}
    assert "kept" not in encode_state(State("main", "event", "x", 8, {}, {}, Origin("s", 1), gone))


def test_a_change_of_a_state_with_one_author_names_no_field_in_its_marks() -> None:
    mark = Mark(7, Stamp(1, 0, "r"))
    state = State("main", "event", "x", 7, {"a": 1, "b": 2}, {"a": mark, "b": mark}, Origin("r", 1))
    assert encode_state(state)["marks"] == [[7, "000000000001.0000.r"]]


def good() -> dict[str, object]:
    """A change as a device sends it."""
    return {
        "n": 1,
        "scope": "main",
        "type": "event",
        "id": "x",
        "op": "update",
        "fields": {"minute": 3},
        "base": 0,
        "stamp": "000000000001.0000.r",
    }


def test_what_a_change_leaves_out_is_filled_in() -> None:
    raw = {"n": 1, "type": "event", "id": "x", "op": "create"}
    stamp = Stamp(5, 0, "r")
    assert decode_change(raw, "r", schema=3, stamp=stamp) == Change(
        "r", 1, "", "event", "x", Op.CREATE, stamp, base=0, fields={}, group=None, schema=3
    )


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("type", "Event", "invalid_type"),
        ("type", None, "invalid_type"),
        ("type", ["event"], "invalid_type"),
        ("id", "", "invalid_id"),
        ("id", "a b", "invalid_id"),
        ("id", 7, "invalid_id"),
        ("scope", "a b", "invalid_scope"),
        ("scope", None, "invalid_scope"),
        ("scope", 0, "invalid_scope"),
        ("op", "resurrect", "invalid_op"),
        ("op", "settle", "invalid_conflict"),
        ("conflict", "c-1", "invalid_conflict"),
        ("was", [1], "invalid_was"),
        ("was", None, "invalid_was"),
        ("was", {"": 1}, "invalid_field_name"),
        ("was", {"a": math.nan}, "not_a_number"),
        ("was", RepeatedKeys("k"), "repeated_key"),
        ("op", None, "invalid_op"),
        ("op", ["create"], "invalid_op"),
        ("op", "delete", "invalid_fields"),
        ("group", "", "invalid_group"),
        ("group", 1, "invalid_group"),
        ("fields", [1], "invalid_fields"),
        ("fields", None, "invalid_fields"),
        ("fields", {"": 1}, "invalid_field_name"),
        ("fields", {"a": math.nan}, "not_a_number"),
        ("fields", {"a": 2**53}, "integer_too_large"),
        ("fields", {"a": "\x00"}, "nul_character"),
        ("fields", {"a": "\ud800"}, "invalid_unicode"),
        ("fields", {"a": RepeatedKeys("k")}, "repeated_key"),
        ("fields", RepeatedKeys("k"), "repeated_key"),
        ("base", -1, "invalid_base"),
        ("base", True, "invalid_base"),
        ("base", "0", "invalid_base"),
        ("base", 1.0, "invalid_base"),
        ("base", 2**53, "invalid_base"),
        ("base", None, "invalid_base"),
        ("schema", -1, "invalid_schema"),
        ("schema", "1", "invalid_schema"),
        ("stamp", "yesterday", "invalid_stamp"),
        ("stamp", None, "invalid_stamp"),
        ("stamp", 17, "invalid_stamp"),
        ("stamp", "000000000001.0000.other", "foreign_stamp"),
        ("colour", "red", "unknown_key"),
    ],
)
def test_a_change_with_one_thing_wrong_keeps_its_number_and_says_what(key: str, value: object, code: str) -> None:
    decoded = decode_change(good() | {key: value}, "r")
    assert isinstance(decoded, MalformedChange)
    assert (decoded.n, decoded.code) == (1, code)
    assert decoded.message


def test_a_change_without_a_stamp_is_refused_where_nothing_stands_in() -> None:
    raw = {key: value for key, value in good().items() if key != "stamp"}
    decoded = decode_change(raw, "r")
    assert isinstance(decoded, MalformedChange)
    assert (decoded.n, decoded.code) == (1, "invalid_stamp")


@pytest.mark.parametrize("conflict", ["", "a b", 7, ["c-1"]])
def test_a_settlement_names_its_conflict_by_an_id(conflict: object) -> None:
    decoded = decode_change(good() | {"op": "settle", "conflict": conflict}, "r")
    assert isinstance(decoded, MalformedChange)
    assert (decoded.n, decoded.code, decoded.field) == (1, "invalid_conflict", "conflict")


def test_what_a_change_does_not_say_of_what_was_shown_and_of_conflicts_is_left_out() -> None:
    decoded = decode_change(good(), "r")
    assert isinstance(decoded, Change)
    assert encode_change(decoded).keys().isdisjoint({"was", "conflict"})


@pytest.mark.parametrize("op", ["update", "delete", "restore", "settle"])
def test_what_changes_an_existing_resource_says_what_was_shown(op: str) -> None:
    raw = {key: value for key, value in good().items() if key not in ("base", "fields")} | {"op": op}
    if op == "settle":
        raw["conflict"] = "c-1"
    decoded = decode_change(raw, "r")
    assert isinstance(decoded, MalformedChange)
    assert decoded.code == "missing_base"


@pytest.mark.parametrize("n", [0, -1, True, 1.0, "1", None, 2**53, [1]])
def test_a_change_without_a_usable_number_has_nothing_to_settle(n: object) -> None:
    decoded = decode_change(good() | {"n": n}, "r")
    assert isinstance(decoded, MalformedChange)
    assert (decoded.n, decoded.code) == (None, "invalid_number")


@pytest.mark.parametrize("raw", [None, 1, "x", [], [1], True])
def test_a_change_that_is_no_object_is_refused(raw: object) -> None:
    decoded = decode_change(raw, "r")
    assert isinstance(decoded, MalformedChange)
    assert (decoded.n, decoded.code) == (None, "invalid_change")


def test_a_change_whose_keys_repeat_is_refused_since_nobody_knows_which_counts() -> None:
    raw = RepeatedKeys("op")
    raw.update(good())
    decoded = decode_change(raw, "r")
    assert isinstance(decoded, MalformedChange)
    assert decoded.code == "repeated_key"


DAMAGED = st.fixed_dictionaries(
    {},
    optional={
        key: ANY_VALUES if value is None else st.just(value) | ANY_VALUES
        for key, value in (good() | {"group": None, "schema": None, "was": {"a": 1}, "conflict": "c-1"}).items()
    },
)


@given(DAMAGED | ANY_VALUES | st.builds(lambda key, value: good() | {key: value}, ANY_TEXT, ANY_VALUES))
def test_whatever_is_sent_gets_a_digest_and_a_change_or_a_reason_that_can_be_sent_back(raw: object) -> None:
    decoded = decode_change(raw, "r")
    assert len(change_digest(raw)) == 16
    assert change_digest(raw, spelling_of(raw)) == change_digest(raw)
    if isinstance(decoded, MalformedChange):
        outcome = Outcome(Kind.REJECTED, code=decoded.code, message=decoded.message, field=decoded.field)
        canonical_json(encode_outcome(decoded.n, outcome))
    else:
        canonical_json(encode_change(decoded))


def test_a_reason_stays_short_however_long_the_name_of_what_is_wrong() -> None:
    long = "k" * 100_000
    for raw in (good() | {long: 1}, good() | {"fields": {"a": {long: math.nan}}}, good() | {"fields": {long: 1}}):
        decoded = decode_change(raw, "r")
        assert isinstance(decoded, MalformedChange)
        assert len(decoded.message) + len(decoded.field or "") < 1_000


# Digests (law 3).


@given(GOOD_VALUES)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: object) -> None:
    one = good() | {"fields": {"a": value, "b": 1}}
    other = dict(reversed(list((good() | {"fields": {"b": 1, "a": value}}).items())))
    assert change_digest(one) == change_digest(other)


@given(GOOD_VALUES, GOOD_VALUES)
def test_changes_with_different_values_have_different_digests(one: object, other: object) -> None:
    one_digest, other_digest = (change_digest(good() | {"fields": {"a": value}}) for value in (one, other))
    assert (one_digest == other_digest) == (canonical_json(one) == canonical_json(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1.5, "1.5"),
        (True, 1),
        (True, "True"),
        (None, "None"),
        (None, 0),
        ("", None),
        ([], {}),
        (1, [1]),
        ("\ud800", "\ud801"),
    ],
)
def test_values_that_look_alike_have_different_digests(one: object, other: object) -> None:
    assert change_digest({"fields": {"a": one}}) != change_digest({"fields": {"a": other}})


def test_even_what_is_far_too_deep_has_a_digest() -> None:
    raw: object = 1
    for _ in range(50_000):
        raw = [raw]
    assert len(change_digest(raw)) == 16


@pytest.mark.parametrize(
    "damage",
    [
        {"origin": "r"},
        {"marks": None},
        {"marks": [[1, "no stamp"]]},
        {"marks": [["x", "000000000001.0000.r"]]},
        {"fields": [1]},
        {"version": "7"},
        {"marks": [[]]},
        {"rule_data": [1]},
        {"rule_data": None},
        {"floor": []},
        {"floor": [7]},
        {"floor": [7, "no stamp"]},
        {"deleted": True, "marks": [["x", "000000000001.0000.r"]]},
        {"deleted": True, "marks": []},
        {"deleted": True, "kept": [1]},
        {"deleted": True, "kept": {"fields": {"a": 1}}},
        {"deleted": True, "kept": {"fields": {"a": 1}, "marks": [[7]]}},
    ],
)
def test_a_damaged_state_is_an_error_never_an_empty_state(damage: dict[str, JsonValue]) -> None:
    mark = Mark(7, Stamp(1, 0, "r"))
    raw = encode_state(State("main", "event", "x", 7, {"a": 1}, {"a": mark}, Origin("r", 1)))
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_state(raw | damage, "main")


@pytest.mark.parametrize("missing", ["type", "id", "version", "origin", "fields", "marks"])
def test_a_state_with_something_missing_is_an_error(missing: str) -> None:
    mark = Mark(7, Stamp(1, 0, "r"))
    raw = encode_state(State("main", "event", "x", 7, {"a": 1}, {"a": mark}, Origin("r", 1)))
    with pytest.raises(KeyError):
        decode_state({key: value for key, value in raw.items() if key != missing}, "main")


@pytest.mark.parametrize(
    "raw",
    [
        {"outcome": "perhaps"},
        {},
        {"outcome": "applied", "lost": "x"},
        {"outcome": "conflict", "conflicts": "c"},
        {"outcome": "applied", "told": "x"},
        {"outcome": "applied", "version": "1"},
    ],
)
def test_a_damaged_outcome_is_an_error(raw: dict[str, JsonValue]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_outcome(raw)
