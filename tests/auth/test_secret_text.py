"""Secrets as text: random, recognisable, and a slip of the pen is noticed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.auth.secret_text import derived, digest, new_secret, read, same, write

PARTS = st.lists(st.text("0123456789abcXYZ", min_size=1, max_size=43), min_size=1, max_size=3)


def test_no_two_are_alike_and_all_are_of_one_form() -> None:
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9A-Za-z]{43}", secret) for secret in made)


@given(PARTS)
def test_what_was_written_is_read(parts: list[str]) -> None:
    assert read("syncd_x_", write("syncd_x_", *parts), len(parts)) == tuple(parts)


@given(PARTS, st.data())
def test_any_other_character_anywhere_is_noticed(parts: list[str], data: st.DataObject) -> None:
    text = write("syncd_x_", *parts)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[place]))
    assert read("syncd_x_", text[:place] + other + text[place + 1 :], len(parts)) is None


@given(st.text())
def test_what_was_never_written_is_none(text: str) -> None:
    assert read("syncd_x_", text, 1) is None
    assert read("syncd_x_", f"syncd_x_{text}", 1) is None


def test_it_is_of_one_kind_and_has_so_many_parts() -> None:
    text = write("syncd_x_", "a", "b")
    assert read("syncd_y_", text, 2) is None
    assert read("syncd_x_", text, 1) is None
    assert read("syncd_x_", write("syncd_x_", "a" * 300), 1) is None


def test_a_derived_secret_is_the_same_for_the_same_two_only() -> None:
    secret = new_secret()
    assert derived(secret, b"salt") == derived(secret, b"salt")
    assert len({derived(secret, b"salt"), derived(secret, b"tlas"), derived(new_secret(), b"salt"), secret}) == 4
    assert re.fullmatch("[0-9A-Za-z]{43}", derived(secret, b"salt"))


@pytest.mark.parametrize("text", ["", "x", "ß"])
def test_a_digest_is_sha256(text: str) -> None:
    assert len(digest(text)) == 32
    assert same(digest(text), digest(text))
    assert not same(digest(text), digest(text + "."))
