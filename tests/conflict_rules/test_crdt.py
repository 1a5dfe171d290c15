"""Rule `crdt`: the field says how far its document is; the content lies beside it."""

from __future__ import annotations

import base64

import pytest

from conflict_rules import CRDT, Change, InvalidValue, Kind, Merged, Op
from conflict_rules.crdt import Collaborative, Marker, marker_of, update_of
from tests.conflict_rules.make import change, only, play, stamp

UPDATE = {"update": "AAA="}


def edit(replica: str, *, op: str = "update", base: int = 0, n: int = 1) -> Change:
    return Change(replica, n, "s", "thing", "x", Op(op), stamp(replica, 10), base, {"notes": UPDATE})


def played(*changes: Change) -> list[Merged]:
    return play(CRDT, *changes, version=5)


def test_a_document_begins_at_the_version_of_its_first_update_and_counts_them() -> None:
    *_, merged = played(edit("a", op="create"), edit("b"), edit("c"))
    assert only(merged.state) == {"notes": {"document": {"since": 5, "seq": 3}}}


def test_edits_that_have_not_seen_each_other_are_all_merged() -> None:
    first, second, third = played(edit("a", op="create"), edit("b"), edit("c", base=6))
    assert [each.outcome.kind for each in (first, second, third)] == [Kind.APPLIED, Kind.MERGED, Kind.APPLIED]
    assert all(each.outcome.lost == () for each in (first, second, third))


def test_after_a_delete_another_life_of_the_document_begins() -> None:
    restored = Change("a", 3, "s", "thing", "x", Op.RESTORE, stamp("a", 30), 6, {"notes": UPDATE})
    *_, merged = played(edit("a", op="create"), change("a", "delete", 20, n=2, base=5), restored)
    assert only(merged.state) == {"notes": {"document": {"since": 7, "seq": 1}}}


@pytest.mark.parametrize(
    "value",
    ["plain text", None, 7, {}, {"update": ""}, {"update": "no base64!"}, {"update": 7}, {"update": "AAA=", "also": 1}],
)
def test_what_is_no_update_is_refused_with_its_field(value: object) -> None:
    (merged,) = played(Change("a", 1, "s", "thing", "x", Op.CREATE, stamp("a", 1), 0, {"notes": value}))  # type: ignore[dict-item]
    assert (merged.outcome.kind, merged.outcome.code, merged.outcome.field) == (
        Kind.REJECTED,
        "invalid_document_update",
        "notes",
    )


def test_an_update_is_base64_of_its_bytes() -> None:
    update = bytes(range(256))
    assert update_of("notes", {"update": base64.b64encode(update).decode()}) == update
    with pytest.raises(InvalidValue):
        update_of("notes", {"update": base64.urlsafe_b64encode(update).decode()})


@pytest.mark.parametrize(
    "value", [None, "text", {}, {"document": 1}, {"document": {"since": 1}}, {"document": {}, "x": 1}]
)
def test_what_is_no_marker_is_none(value: object) -> None:
    assert marker_of(value) is None  # type: ignore[arg-type]


def test_a_marker_is_read_back_as_it_was() -> None:
    assert marker_of(Marker(5, 7).value()) == Marker(5, 7)


def test_to_a_model_a_document_is_empty() -> None:
    previews = [Collaborative(kind).preview({"update": "AAA="}) for kind in ("text", "map", "array")]
    assert previews == ["", {}, []]
