"""The lines of an export: what is written is read back, and a line that is not one is refused with a reason."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules.values import MAX_INTEGER, clean_fields
from syncd.commands.export_format import (
    BadLine,
    EndLine,
    ResourceLine,
    encode_end,
    encode_header,
    encode_resource,
    read_header,
    read_line,
)
from syncd.store.protocol import StateRow, StoredDocument

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_a_field_may_hold_is_written_in_one_line_and_read_back(given_fields: dict[str, object]) -> None:
    fields = clean_fields(given_fields)
    body = json.dumps({"fields": fields}, ensure_ascii=False).encode()
    line = encode_resource(StateRow("match:9f", "event", "e-1", 7, False, body))
    assert line.count(b"\n") == 1
    assert read_line(line) == ResourceLine("match:9f", "event", "e-1", fields)


DOCUMENTS = st.builds(
    StoredDocument,
    since=st.integers(1, 9),
    seq=st.integers(1, 9),
    snapshot=st.binary(min_size=1, max_size=9),
    snapshot_seq=st.integers(0, 9),
    updates=st.lists(st.tuples(st.integers(1, 9), st.binary(min_size=1, max_size=9)), min_size=1, max_size=3),
)


@given(st.dictionaries(NAMES, DOCUMENTS, max_size=3))
def test_documents_are_written_as_updates_and_are_none_of_the_fields(documents: dict[str, StoredDocument]) -> None:
    fields = {"a title": "Derby"} | {name: {"document": {"since": 1, "seq": 1}} for name in documents}
    row = StateRow("s", "note", "x", 7, False, json.dumps({"fields": fields}).encode())
    line = read_line(encode_resource(row, documents))
    assert isinstance(line, ResourceLine)
    assert line.fields == ({} if "a title" in documents else {"a title": "Derby"})
    assert line.documents.keys() == documents.keys()
    for name, document in documents.items():
        snapshot = [document.snapshot] if document.snapshot_seq else []
        part = line.documents[name]
        assert (part.since, part.seq) == (document.since, document.seq)
        assert [b64decode(text) for text in part.updates] == snapshot + [update for _, update in document.updates]


@pytest.mark.parametrize(
    "documents",
    [
        "[]",
        "7",
        '{"":{"since":1,"seq":1,"updates":["AA=="]}}',
        '{"text":7}',
        '{"text":{"since":1,"seq":1,"updates":["AA=="]},"text":{"since":1,"seq":1,"updates":["AA=="]}}',
        '{"title":{"since":1,"seq":1,"updates":["AA=="]}}',
        '{"text":{"since":1,"seq":1,"updates":[]}}',
        '{"text":{"since":1,"seq":1,"updates":[""]}}',
        '{"text":{"since":1,"seq":1,"updates":["A"]}}',
        '{"text":{"since":1,"seq":1,"updates":["é"]}}',
        '{"text":{"since":1,"seq":1,"updates":[7]}}',
        '{"text":{"since":1,"seq":true,"updates":["AA=="]}}',
        '{"text":{"since":0,"seq":1,"updates":["AA=="]}}',
        '{"text":{"since":1,"seq":1}}',
        '{"text":{"since":1,"seq":1,"seq":2,"updates":["AA=="]}}',
        '{"text":{"since":1,"seq":1,"updates":["AA=="],"more":1}}',
    ],
)
def test_documents_that_are_none_are_refused(documents: str) -> None:
    head = '{"scope":"s","type":"note","id":"x","fields":{"title":"Derby"},"documents":'
    assert isinstance(read_line(f'{head}{{"text":{{"since":1,"seq":1,"updates":["AA=="]}}}}}}'.encode()), ResourceLine)
    with pytest.raises(BadLine):
        read_line(f"{head}{documents}}}".encode())
    with pytest.raises(BadLine):
        read_line(b'{"scope":"s","type":"note","id":"x","deleted":true,"documents":{"text":{}}}')


def test_a_tombstone_has_no_fields() -> None:
    line = encode_resource(StateRow("s", "note", "x", 7, True, b"{}"))
    assert json.loads(line) == {"scope": "s", "type": "note", "id": "x", "version": 7, "deleted": True}
    assert read_line(line) == ResourceLine("s", "note", "x", None)


def test_the_end_says_how_many_lines_there_were() -> None:
    assert read_line(encode_end(scopes=1, resources=3, deleted=2)) == EndLine(5)


def test_the_header_is_known_and_that_of_a_later_version_is_refused() -> None:
    read_header(encode_header(syncd="0.1.0"))
    for header in (b'{"syncd_export":2}', b'{"syncd_export":true}', b'{"scope":"s"}', b"[]", b"\xff"):
        with pytest.raises(BadLine):
            read_header(header)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "invalid_json"),
        ('{"scope":NaN}', "invalid_json"),
        ("[1]", "invalid_message"),
        ('{"scope":"s","scope":"t","type":"note","id":"x","fields":{}}', "repeated_key"),
        ('{"scope":"a b","type":"note","id":"x","fields":{}}', "invalid_scope"),
        ('{"type":"note","id":"x","fields":{}}', "invalid_scope"),
        ('{"scope":"s","type":"Note","id":"x","fields":{}}', "invalid_type"),
        ('{"scope":"s","type":"note","id":7,"fields":{}}', "invalid_id"),
        ('{"scope":"s","type":"note","id":"x"}', "invalid_fields"),
        ('{"scope":"s","type":"note","id":"x","fields":[]}', "invalid_fields"),
        ('{"scope":"s","type":"note","id":"x","fields":{},"deleted":true}', "invalid_fields"),
        ('{"scope":"s","type":"note","id":"x","fields":{"a":1,"a":2}}', "repeated_key"),
        ('{"scope":"s","type":"note","id":"x","fields":{"a":12345678901234567890}}', "integer_too_large"),
        ('{"scope":"s","type":"note","id":"x","fields":{"a":"\\u0000"}}', "nul_character"),
        ('{"scope":"s","type":"note","id":"x","fields":{"a":' + "[" * 500 + "]" * 500 + "}}", "too_deep"),
        ('{"scope":"s","type":"note","id":"x","fields":{},"owner":"me"}', "unknown_key"),
        ('{"end":true,"resources":"3","deleted":0}', "invalid_message"),
    ],
)
def test_a_bad_line_is_refused_with_a_code_and_a_sentence(line: str, code: str) -> None:
    with pytest.raises(BadLine) as caught:
        read_line(line.encode())
    assert caught.value.code == code
    assert str(caught.value)
