"""`conflict_rules.documents.yjs_parts`: what is too large to be sent at once goes in parts, and none of them waits."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from conflict_rules.documents.document import Document, _told
from conflict_rules.documents.yjs_parts import parts_of
from conflict_rules.documents.yjs_shape import Kind
from conflict_rules.documents.yjs_update import MAX_CLIENT, MalformedUpdate
from tests.sizes import SIZES
from tests.support import crdt
from tests.support.crdt import characters, skip, update

ROOTS: dict[str, Kind] = {"text": "text", "map": "map", "array": "array"}


def of(doc: Doc[Any], roots: dict[str, Kind]) -> bytes:
    """The whole document as one update."""
    for name, kind in roots.items():
        doc[name] = {"text": Text, "map": Map, "array": Array}[kind]()
    return doc.get_update()


def merged(parts: list[bytes], roots: dict[str, Kind]) -> Document:
    """A document of these parts, as a server takes them: strangers may send so much, and nothing waits."""
    field, *beside = roots
    document = Document(roots[field], field, beside={name: roots[name] for name in beside})
    for part in parts:
        assert not document.offer(part).waits
    return document


def same(one: Document, other: Document) -> bool:
    return one.state_vector() == other.state_vector() and all(
        _told(one.doc[name]) == _told(other.doc[name]) for name in one._roots
    )


def check(whole: bytes, most_bytes: int, roots: dict[str, Kind]) -> list[bytes]:
    parts = parts_of(whole, most_bytes)
    assert same(merged(parts, roots), merged([whole], roots))
    return parts


@pytest.mark.parametrize("name", crdt.TRACES)
def test_a_text_that_was_long_written_at_is_the_same_in_parts(name: str) -> None:
    document = Document.load("text", "text", b"", crdt.trace(name).updates[:6000])
    whole = document.round_trip()
    parts = check(whole, 1000, {"text": "text"})
    assert len(parts) >= len(whole) // 1000
    assert max(map(len, parts)) < 1200


def test_random_documents_are_the_same_in_parts() -> None:
    for case in islice(crdt.random_documents(), SIZES.random_documents):
        doc: Doc[Any] = Doc()
        for one in case.updates:
            doc.apply_update(one)
        whole = of(doc, ROOTS)
        check(whole, len(whole) // 5 + 20, ROOTS)


def test_one_long_run_of_characters_is_divided_between_characters() -> None:
    written = "a\N{GRINNING FACE}é" * 5000
    whole = update((MAX_CLIENT - 1, 0, [characters(written, "text")]))
    parts = check(whole, 1000, {"text": "text"})
    assert max(map(len, parts)) < 1200
    assert merged(parts, {"text": "text"}).view() == written


def test_a_run_between_neighbours_is_divided_where_it_is() -> None:
    before = update((1, 0, [characters("()", "text")]))
    between = update((2, 0, [characters("x" * 3000, origin=(1, 0), right=(1, 1))]))
    parts = [before, *parts_of(between, 1000)]
    assert len(parts) > 3
    assert merged(parts, {"text": "text"}).view() == f"({'x' * 3000})"


def test_one_long_run_of_values_is_divided_between_values() -> None:
    doc: Doc[Any] = Doc()
    doc["array"] = array = Array()
    array.extend([{"n": number, "of": ["x", None, 1.5]} for number in range(500)])
    whole = doc.get_update()
    parts = check(whole, 1000, {"array": "array"})
    assert len(parts) > 10


def test_deletes_come_last_and_in_parts_too() -> None:
    doc: Doc[Any] = Doc()
    doc["text"] = text = Text("ab" * 2000)
    for place in range(2000):
        del text[place : place + 1]
    parts = check(doc.get_update(), 1000, {"text": "text"})
    assert len(parts) > 3


def test_what_is_small_enough_or_has_gaps_is_left_as_it_is() -> None:
    small = update((1, 0, [characters("a", "text")]))
    assert parts_of(small, len(small)) == [small]
    gaps = update((1, 0, [characters("a", "text"), skip(3), characters("b" * 100, origin=(1, 3))]))
    assert parts_of(gaps, 20) == [gaps]


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    with pytest.raises(MalformedUpdate, match="ends early"):
        parts_of(update((1, 0, [characters("a" * 100, "text")]))[:-3], 10)
    circle = update((1, 0, [characters("a", origin=(2, 0))]), (2, 0, [characters("b", origin=(1, 0))]))
    with pytest.raises(MalformedUpdate, match="circle"):
        parts_of(circle, 5)
