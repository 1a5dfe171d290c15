"""`client_sdk.json_text`: what is read and written does not depend on which library does it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.json_text import read_json, write_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Halves of surrogate pairs among them: no server sends them, and none may break a replica.
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_values_come_back(value: object) -> None:
    assert json.loads(write_json(value)) == value
    assert read_json(write_json(value)) == value
    assert read_json(json.dumps(value)) == value


def test_what_is_no_json_is_told() -> None:
    for text in ("", "{", "[1,]", b"\xff", "nonsense"):
        with pytest.raises(ValueError, match=r"."):
            read_json(text)
    with pytest.raises(RecursionError):
        read_json("[" * 100_000)


def test_integers_of_any_size_are_written() -> None:
    assert write_json({"n": 1 << 80}) == f'{{"n":{1 << 80}}}'
