"""The codec: RFC 8259 to the letter, and what one change may suffer for does not spoil its neighbours."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import InvalidValue
from conflict_rules.values import RepeatedKeys, clean_value
from conflict_rules.wire import change_digest
from syncd.api.codec import MAX_TEXT_DEPTH, _decode_carefully, decode_json, encode_json
from syncd.errors import InvalidMessage

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_encoded_is_decoded_to_the_same_value(value: object) -> None:
    assert decode_json(encode_json(value)) == value


OBJECTS = ['{"a":1}', '{"a":1,"a":2}', '{"a" :1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a\\u0061":1,"aa":2}', '{"a":"\\":"}']
ODD_OBJECTS = ['{"":{"":[]}}', '{"a"\n:1}', '{":":1}', '{"a":1,"b":"\\":"}', "[[]]"]
NUMBERS = ["9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809", "1e300", "1.5"]
TEXTS = ['"\\":"', '"\\ud800"', '"a:b"', '"\\u0000"']
PIECES = st.sampled_from([*OBJECTS, *ODD_OBJECTS, *NUMBERS, *TEXTS])


@given(st.recursive(PIECES, lambda inner: st.lists(inner, max_size=4).map(lambda some: f"[{','.join(some)}]")))
def test_the_fast_reader_is_believed_only_where_the_careful_one_says_the_same(text: str) -> None:
    fast, careful = decode_json(text.encode()), _decode_carefully(text.encode())
    assert repr(fast) == repr(careful)


def test_what_keeps_the_fast_reader_from_being_believed() -> None:
    assert isinstance(decode_json(b'{"a" :1,"a":2}'), RepeatedKeys)
    assert isinstance(decode_json(b'{"a":1,"a":2,"b":"x\\":"}'), RepeatedKeys)
    assert decode_json(b"[18446744073709551616]") == [18446744073709551616]


def depth_of(value: object) -> int:
    """How deep `value` nests, found without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
    return depth


def refusal_of(body: bytes) -> str | None:
    """The code under which `body` is refused as a message, or as a value of a field."""
    try:
        clean_value(decode_json(body))
    except InvalidMessage as refused:
        return refused.problem_code
    except InvalidValue as refused:
        return refused.code
    return None


@given(st.binary(max_size=200) | st.text('[]{},:"\\0123456789.eE+-tfn \n', max_size=50).map(str.encode))
def test_any_bytes_are_read_as_the_standard_reader_reads_them_or_refused(body: bytes) -> None:
    """As text in UTF-8 (RFC 8259, section 8.1): of bytes the standard reader would guess the encoding."""
    refused = refusal_of(body)
    if refused is None:
        assert decode_json(body) == json.loads(body.decode())
    elif refused == "invalid_json":
        with pytest.raises((ValueError, RecursionError)):
            json.loads(body.decode(), parse_constant=float)


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a": -Infinity}', "", " ", "{", "[1,]", "'a'", "01", "1 2", "\ufeff1"]
)
def test_what_is_not_json_is_refused_with_its_place_or_its_name(text: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        decode_json(text.encode())
    assert refused.value.problem_code == "invalid_json"


def test_text_that_is_not_utf_8_is_refused_with_the_offending_byte() -> None:
    with pytest.raises(InvalidMessage, match="byte 2") as refused:
        decode_json(b'["\xff"]')
    assert refused.value.problem_code == "invalid_utf8"


def test_integers_are_exact_at_any_size() -> None:
    assert decode_json(b"[9007199254740993, -36893488147419103233]") == [9007199254740993, -36893488147419103233]


def test_a_giant_number_is_too_large_for_any_field_costs_nothing_and_is_told_from_another() -> None:
    started = time.process_time()
    giant = decode_json(b"[" + b"9" * 1_000_000 + b",-" + b"9" * 1_000_000 + b",1" + b"9" * 1_000_000 + b"]")
    assert time.process_time() - started < 1
    assert isinstance(giant, list)
    for number in giant:
        with pytest.raises(InvalidValue, match="integer"):
            clean_value(number)
    assert len({change_digest(number) for number in giant}) == 3


def test_a_key_given_twice_marks_its_object_and_keeps_what_was_named_once() -> None:
    value = decode_json(b'{"changes": [{"n": 1, "id": "a", "id": "b"}, {"n": 2}]}')
    assert isinstance(value, dict)
    first, second = value["changes"]
    assert isinstance(first, RepeatedKeys)
    assert (first.key, dict(first)) == ("id", {"n": 1})
    assert not isinstance(second, RepeatedKeys)


def test_changes_that_repeat_the_same_key_with_other_content_have_other_digests() -> None:
    one, other = decode_json(b'[{"n": 1, "a": 1, "a": 2}, {"n": 1, "a": 1, "a": 3}]')  # type: ignore[misc]
    assert change_digest(one) != change_digest(other)


@pytest.mark.parametrize("depth", [MAX_TEXT_DEPTH + 1, 500, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_pit_of_brackets_is_too_deep_for_a_field_and_spares_its_neighbours(
    depth: int, opening: str, closing: str
) -> None:
    value = decode_json(f'{{"bad": {opening * depth}1{closing * depth}, "]}}": "good"}}'.encode())
    assert isinstance(value, dict)
    assert value["]}"] == "good"
    with pytest.raises(InvalidValue, match="nest"):
        clean_value(value["bad"])
    # Whoever walks through it by recursion gets out again.
    assert depth_of(value) <= 2 * MAX_TEXT_DEPTH


def test_brackets_in_strings_do_not_count() -> None:
    deep = "[" * 40 + json.dumps('[[\\"' * 1000) + "]" * 40
    assert decode_json(deep.encode()) == json.loads(deep)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50_000, "[" * 2000 + '"' + '\\"' * 400_000, "[" * 2000 + "x" + "]" * 2000]
)
def test_a_pit_that_never_closes_or_is_no_json_around_it_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    assert refusal_of(text.encode()) in ("invalid_json", "too_deep")
    assert time.process_time() - started < 1


def test_half_a_surrogate_pair_can_be_answered() -> None:
    assert encode_json({"field": "\ud800"}) == b'{"field":"\\ud800"}'
