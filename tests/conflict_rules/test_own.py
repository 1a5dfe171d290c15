"""`conflict_rules.own`: an author's function, asked only where the values differ and neither has seen the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conflict_rules import ASK, Kind, RecordRule, own_rule
from conflict_rules import rule as registry
from tests.conflict_rules.make import change, only, play

CREATED = change("a", "create", 10, x=["old"])
ASKED: list[tuple[Any, Any, Any]] = []


def joined(base: Any, mine: Any, theirs: Any) -> Any:
    ASKED.append((base, mine, theirs))
    if mine == ["ask"]:
        return ASK
    if mine == ["bad"]:
        return {1, 2}
    if mine == ["yield"]:
        return theirs
    theirs.extend(mine)
    return theirs


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> RecordRule:
    monkeypatch.setattr(registry, "_rules", dict(registry._rules))
    ASKED.clear()
    return own_rule("joined", joined)


def test_it_is_not_asked_where_the_value_was_seen_or_is_the_same(rule: RecordRule) -> None:
    *_, last = play(rule, CREATED, change("b", "update", 5, base=1, x=["b"]), change("c", "update", 6, x=["b"]))
    assert only(last.state) == {"x": ["b"]}
    assert ASKED == []


def test_it_gets_what_was_shown_what_arrives_and_what_is_held_and_changes_none_of_them(rule: RecordRule) -> None:
    arriving = replace(change("c", "update", 6, base=0, x=["c"]), was={"x": ["shown"]})
    created, merged = play(rule, CREATED, arriving)
    assert ASKED[0][0] == ["shown"]
    assert only(merged.state) == {"x": ["old", "c"]}
    assert (only(created.state), arriving.fields["x"]) == ({"x": ["old"]}, ["c"])


def test_it_may_ask_and_it_may_choose_the_other_value(rule: RecordRule) -> None:
    _, asked = play(rule, CREATED, change("c", "update", 6, base=0, x=["ask"]))
    assert (asked.outcome.kind, only(asked.state)) == (Kind.CONFLICT, {"x": ["old"]})
    _, lost = play(rule, CREATED, change("c", "update", 6, base=0, x=["yield"]))
    assert (lost.outcome.kind, lost.outcome.code) == (Kind.OVERRULED, "rule_chose_the_other")


def test_what_cannot_be_kept_rejects_the_change(rule: RecordRule) -> None:
    _, refused = play(rule, CREATED, change("c", "update", 6, base=0, x=["bad"]))
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "check_failed")
