"""`conflict_rules.values`: which values a field may hold."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import InvalidName, InvalidValue
from conflict_rules.values import (
    MAX_DEPTH,
    MAX_INTEGER,
    RepeatedKeys,
    canonical_json,
    clean_fields,
    clean_value,
    valid_id,
    valid_replica,
    valid_scope,
    valid_type,
)

GOOD_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
GOOD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | GOOD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(GOOD_TEXT, inner, max_size=4),
    max_leaves=12,
)
ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\ud800\udfff"))
ANY_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(ANY_TEXT | st.integers(), inner, max_size=3)
        | st.builds(RepeatedKeys, ANY_TEXT)
    ),
    max_leaves=8,
)


def nested(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@given(GOOD_VALUES)
def test_a_clean_value_survives_json_unchanged_in_value_and_type(value: object) -> None:
    cleaned = clean_value(value)
    assert repr(json.loads(canonical_json(cleaned))) == repr(json.loads(json.dumps(cleaned, sort_keys=True)))
    assert canonical_json(clean_value(json.loads(canonical_json(cleaned)))) == canonical_json(cleaned)


@given(GOOD_VALUES)
def test_cleaning_twice_is_cleaning_once(value: object) -> None:
    assert repr(clean_value(clean_value(value))) == repr(clean_value(value))


@given(ANY_VALUES)
def test_whatever_comes_is_cleaned_or_refused_by_name_and_never_half_let_through(value: object) -> None:
    try:
        cleaned = clean_value(value)
    except InvalidValue as invalid:
        canonical_json([invalid.code, invalid.field, str(invalid)])
    else:
        canonical_json(cleaned)


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (MAX_INTEGER + 1, "integer_too_large", "value"),
        (-MAX_INTEGER - 1, "integer_too_large", "value"),
        (2**70, "integer_too_large", "value"),
        (math.nan, "not_a_number", "value"),
        (math.inf, "not_a_number", "value"),
        (-math.inf, "not_a_number", "value"),
        ("a\x00b", "nul_character", "value"),
        ("\ud800", "invalid_unicode", "value"),
        ("tail \udfff", "invalid_unicode", "value"),
        ({"\x00": 1}, "nul_character", "value"),
        ({"\udc00": 1}, "invalid_unicode", "value"),
        ({1: 1}, "unsupported_value", "value"),
        (b"bytes", "unsupported_value", "value"),
        ({1, 2}, "unsupported_value", "value"),
        (object(), "unsupported_value", "value"),
        (RepeatedKeys("k"), "repeated_key", "value.k"),
        ({"tags": ["a", {"name": math.nan}]}, "not_a_number", "value.tags[1].name"),
        ([1, [2, RepeatedKeys("k")]], "repeated_key", "value[1][1].k"),
    ],
)
def test_a_refused_value_is_named_with_its_code_and_its_path(value: object, code: str, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        clean_value(value)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_values_nest_to_the_limit_and_no_deeper() -> None:
    assert clean_value(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(InvalidValue, match=f"nest at most {MAX_DEPTH} deep"):
        clean_value(nested(MAX_DEPTH + 1))


def test_a_float_without_a_fraction_becomes_the_integer_that_json_cannot_tell_it_from() -> None:
    assert [repr(clean_value(value)) for value in (1.0, -0.0, 1.5, 1e16)] == ["1", "0", "1.5", "1e+16"]


def test_true_stays_true_and_one_stays_one() -> None:
    assert clean_value([True, 1, False, 0]) == [True, 1, False, 0]
    assert repr(clean_value([True, 1, False, 0])) == "[True, 1, False, 0]"


def test_a_cleaned_value_shares_nothing_with_what_came() -> None:
    value = {"tags": ["a"]}
    cleaned = clean_value(value)
    value["tags"].append("b")
    assert cleaned == {"tags": ["a"]}


@given(GOOD_VALUES)
def test_canonical_json_is_spelt_as_by_the_standard_library_since_digests_outlive_versions(
    value: object,
) -> None:
    spelt = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    assert canonical_json(value) == spelt.encode()


def test_canonical_json_spells_equal_objects_alike() -> None:
    assert canonical_json({"b": 1, "a": [1, {"d": "é", "c": None}]}) == '{"a":[1,{"c":null,"d":"é"}],"b":1}'.encode()


def test_the_path_of_a_refused_field_begins_with_its_name() -> None:
    with pytest.raises(InvalidValue) as refused:
        clean_fields({"minute": 3, "tags": [math.nan]})
    assert refused.value.field == "tags[0]"


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\x7fb", "\ud800", 7, None])
def test_a_field_has_a_printable_name_of_up_to_128_characters(name: object) -> None:
    with pytest.raises(InvalidName, match="field name"):
        clean_fields({name: 1})


@pytest.mark.parametrize("name", ["x", "x" * 128, "Spielername", "名前", "a b", "__proto__", "é"])
def test_a_field_name_may_be_in_any_language(name: str) -> None:
    assert clean_fields({name: 1}) == {name: 1}


def test_fields_given_twice_are_refused_with_the_name() -> None:
    with pytest.raises(InvalidValue, match="'minute' is given twice") as refused:
        clean_fields(RepeatedKeys("minute"))
    assert (refused.value.code, refused.value.field) == ("repeated_key", "minute")


@pytest.mark.parametrize(
    ("valid", "good", "bad"),
    [
        (valid_type, ["event", "e", "e2_x", "e" * 64], ["", "Event", "2e", "_e", "e" * 65, "e-x", "é", "e\n", None, 1]),
        (
            valid_id,
            ["1", "A.b_c:d~e@f-g", "x" * 128],
            ["", "x" * 129, "a b", "a/b", "é", "a\n", "a\x00", None, 1],
        ),
        (valid_scope, ["main", "match:9f", "x" * 200], ["", "x" * 201, "a b", "a/b", "é", "a\n", None, 1]),
        (valid_replica, ["r1", "A-b_9", "x" * 64], ["", "x" * 65, "a:b", "a.b", "é", "a\n", None, 1]),
    ],
)
def test_names_keep_to_their_alphabet_and_length(valid: object, good: list[object], bad: list[object]) -> None:
    assert callable(valid)
    assert [text for text in good if not valid(text)] == []
    assert [text for text in bad if valid(text)] == []
