"""A line of the ledger without what is about a person."""

from __future__ import annotations

import json
from typing import Any

from syncd.jobs.wipe import ALL_FIELDS, AllBut, wiped
from syncd.store.protocol import LedgerRow, SettledRow


def line(sent: Any, outcome: dict[str, Any] | None = None) -> LedgerRow:
    told = {"n": 3, "outcome": "applied", "version": 7, **(outcome or {})}
    change = b"" if sent is None else json.dumps(sent).encode()
    return LedgerRow(
        9, SettledRow("phone", 3, bytes(16), "match:1", "event", "goal", 7, told["outcome"], 1, "", change,
                      json.dumps(told).encode()),
    )  # fmt: skip


SENT = {"n": 3, "scope": "match:1", "type": "event", "id": "goal", "op": "create", "base": 0}


def left_of(row: LedgerRow, names: Any) -> tuple[Any, Any]:
    new = wiped(row, names)
    assert new is not None
    assert new.no == row.no
    return json.loads(new.change), json.loads(new.outcome)


def test_the_named_fields_go_and_all_else_stays() -> None:
    change, outcome = left_of(line({**SENT, "fields": {"name": "Ann", "minute": 7}}), {"name"})
    assert change == {**SENT, "fields": {"minute": 7}}
    assert outcome == {"n": 3, "outcome": "applied", "version": 7}


def test_what_was_shown_to_its_author_goes_like_what_he_sent() -> None:
    sent = {**SENT, "op": "update", "fields": {"name": "Bea", "minute": 7}, "was": {"name": "Ann", "minute": 6}}
    change, _ = left_of(line(sent), {"name"})
    assert change == {**sent, "fields": {"minute": 7}, "was": {"minute": 6}}
    for shown in ({**SENT, "op": "update", "was": {"name": "Ann"}}, {**sent, "fields": {"minute": 7}}):
        assert "Ann" not in json.dumps(left_of(line(shown), {"name"})[0])
    change, _ = left_of(line(sent), ALL_FIELDS)
    assert change == {**sent, "fields": {}, "was": {}}


def test_all_fields_but_some() -> None:
    sent = {**SENT, "fields": {"of": "ann", "name": "Ann"}, "was": {"of": "bob", "name": "Bob"}}
    row = line(sent)
    change, _ = left_of(row, AllBut(frozenset({"of"})))
    assert change == {**sent, "fields": {"of": "ann"}, "was": {"of": "bob"}}
    again = LedgerRow(9, row.settled._replace(change=json.dumps(change).encode()))
    assert wiped(again, AllBut(frozenset({"of"}))) is None


def test_what_has_none_of_them_is_left_alone() -> None:
    assert wiped(line({**SENT, "fields": {"minute": 7}}), {"name"}) is None
    assert wiped(line(SENT), {"name"}) is None
    assert wiped(line(SENT), ALL_FIELDS) is None
    assert wiped(line(None), ALL_FIELDS) is None


def test_a_sentence_that_may_quote_goes_and_its_code_stays() -> None:
    told = {"outcome": "rejected", "code": "invalid_field", "field": "name[0]", "message": "name: 'Ann' is too short"}
    for sent in ({**SENT, "fields": {"name": "Ann"}}, {**SENT, "fields": {}}):
        _, outcome = left_of(line(sent, told), {"name"})
        assert (outcome["code"], "message" in outcome) == ("invalid_field", False)


def test_what_is_said_of_others_or_of_no_field_may_quote_it_too() -> None:
    group = {"outcome": "rejected", "code": "group_rejected", "field": "group", "message": "change 4 was rejected: Ann"}
    veto = {"outcome": "rejected", "code": "vetoed", "message": "there is an Ann already"}
    for told in (group, veto):
        row = line({**SENT, "fields": {"minute": 7}}, told)
        assert wiped(row, ()) is None
        change, outcome = left_of(row, {"name"})
        assert change["fields"] == {"minute": 7}
        assert outcome == {"n": 3, "version": 7, **{key: told[key] for key in told if key != "message"}}
    later = {"outcome": "overruled", "code": "later_change_stands", "message": "a later change stands"}
    assert wiped(line({**SENT, "fields": {"minute": 7}}, later), {"name"}) is None


def test_the_path_to_a_value_ends_at_its_field() -> None:
    told = {"outcome": "rejected", "code": "repeated_key", "field": "name.Ann", "message": "'Ann' is given twice"}
    _, outcome = left_of(line({**SENT, "fields": {"name": {"Ann": 1}}}, told), {"name"})
    assert outcome == {"n": 3, "version": 7, "outcome": "rejected", "code": "repeated_key", "field": "name"}


def test_what_cannot_be_read_goes_whole() -> None:
    for sent in ({"n": 3, "op": "Ann's phone"}, {**SENT, "fields": ["Ann"]}, {**SENT, "ann": 1}, ["Ann"]):
        change, outcome = left_of(line(sent, {"outcome": "rejected", "message": "Ann", "field": "ann"}), ())
        assert "Ann" not in json.dumps(change)
        assert "ann" not in change
        assert outcome == {"n": 3, "version": 7, "outcome": "rejected"}


def test_twice_is_once() -> None:
    row = line({**SENT, "fields": {"name": "Ann"}}, {"message": "Ann"})
    new = wiped(row, ALL_FIELDS)
    assert new is not None
    again = LedgerRow(9, row.settled._replace(change=new.change, outcome=new.outcome))
    assert wiped(again, ALL_FIELDS) is None
