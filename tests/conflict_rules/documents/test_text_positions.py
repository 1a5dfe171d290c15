"""`conflict_rules.documents.text_positions`: offsets in code points, UTF-16 units and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from conflict_rules.documents.text_positions import (
    UNITS,
    BeyondTheText,
    InsideCharacter,
    Unit,
    code_points,
    offset,
    to_bytes,
)

FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
TEXTS = st.text(st.one_of(st.sampled_from("aé€😀ने👩\N{ZERO WIDTH JOINER}"), st.characters(exclude_categories=["Cs"])))


@pytest.mark.parametrize(
    ("text", "points", "utf16", "in_bytes"),
    [("", 0, 0, 0), ("abc", 3, 3, 3), ("a😀b", 3, 4, 6), ("नेपाली", 6, 6, 18), (FAMILY, 5, 8, 18), ("e\u0301", 2, 2, 3)],
)
def test_a_text_is_as_long_as_each_language_says(text: str, points: int, utf16: int, in_bytes: int) -> None:
    assert [offset(text, len(text), unit) for unit in UNITS] == [points, utf16, in_bytes]


@pytest.mark.parametrize(
    ("unit", "places"),
    [("code_points", [0, 1, 2, 3]), ("utf16", [0, 1, 3, 4]), ("bytes", [0, 1, 5, 6])],
)
def test_each_place_has_an_offset_in_each_unit(unit: Unit, places: list[int]) -> None:
    assert [offset("a😀b", at, unit) for at in range(4)] == places
    assert [code_points("a😀b", at, unit) for at in places] == [0, 1, 2, 3]
    assert [to_bytes("a😀b", at, unit) for at in places] == [0, 1, 5, 6]


def test_an_offset_inside_a_character_is_refused_with_a_sentence() -> None:
    with pytest.raises(InsideCharacter, match=r"^offset 2 lies inside of '😀', which takes the UTF-16 units 1 to 3$"):
        code_points("a😀b", 2, "utf16")
    with pytest.raises(InsideCharacter, match=r"^offset 4 lies inside of '😀', which takes the UTF-8 bytes 1 to 5$"):
        to_bytes("a😀b", 4, "bytes")
    with pytest.raises(InsideCharacter, match=r"^offset 4 lies inside of 'े', which takes the UTF-8 bytes 3 to 6$"):
        to_bytes("नेपाली", 4, "bytes")


def test_between_a_letter_and_its_combining_mark_there_is_a_place() -> None:
    assert to_bytes("नेपाली", 1, "code_points") == to_bytes("नेपाली", 1, "utf16") == to_bytes("नेपाली", 3, "bytes") == 3
    assert to_bytes(FAMILY, 2, "utf16") == 4


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("text", ["", "abc", "a😀b", "नेपाली"])
def test_an_offset_beyond_the_text_is_refused_with_a_sentence(text: str, unit: Unit) -> None:
    end = offset(text, len(text), unit)
    assert code_points(text, end, unit) == len(text)
    for beyond in (-1, end + 1, 1 << 40):
        with pytest.raises(BeyondTheText, match=rf"offset {beyond} is not in a text of {end} "):
            to_bytes(text, beyond, unit)


@given(TEXTS, st.sampled_from(UNITS))
def test_every_offset_is_a_place_or_inside_a_character(text: str, unit: Unit) -> None:
    places = [offset(text, at, unit) for at in range(len(text) + 1)]
    for at in range(places[-1] + 1):
        if at in places:
            assert code_points(text, at, unit) == places.index(at)
        else:
            with pytest.raises(InsideCharacter, match=rf"offset {at} lies inside of "):
                code_points(text, at, unit)


@given(TEXTS, TEXTS.filter(bool), st.data())
def test_an_insert_lands_where_the_offset_says_in_every_unit(text: str, inserted: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    unit = data.draw(st.sampled_from(UNITS))
    doc: Doc[Text] = Doc()
    doc["text"] = shared = Text(text)
    shared.insert(to_bytes(text, offset(text, at, unit), unit), inserted)
    assert str(shared) == text[:at] + inserted + text[at:]
    other: Doc[Text] = Doc()
    other["text"] = Text()
    other.apply_update(doc.get_update())
    assert str(other["text"]) == str(shared)


@given(TEXTS, st.data())
def test_a_delete_takes_what_lies_between_two_offsets(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    unit = data.draw(st.sampled_from(UNITS))
    doc: Doc[Text] = Doc()
    doc["text"] = shared = Text(text)
    if end > start:
        first, last = (to_bytes(text, offset(text, at, unit), unit) for at in (start, end))
        del shared[first:last]
    assert str(shared) == text[:start] + text[end:]
