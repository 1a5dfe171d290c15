"""`syncd.app.rules`: what an author says of a function of his own is what its rule declares."""

from __future__ import annotations

from typing import Any

import pytest

from conflict_rules import Algebra, BrokenPromise, rule_by_name
from conflict_rules import rule as registry
from syncd.app import rules


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that the test may change."""
    monkeypatch.setattr(registry, "_rules", dict(registry._rules))


def test_of_a_function_nothing_is_promised_unless_its_author_says_so() -> None:
    @rules.own("mine")
    def mine(base: Any, mine: Any, theirs: Any) -> Any:
        return mine

    assert rule_by_name("mine") is mine
    assert mine.algebra == Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)


def test_what_an_author_declares_is_the_algebra_of_his_rule_and_can_be_checked() -> None:
    @rules.own("longest", commutative=True, associative=True, idempotent=True)
    def longest(base: Any, mine: Any, theirs: Any) -> Any:
        return max(mine, theirs, key=len)

    assert longest.algebra == Algebra(commutative=True, associative=True, idempotent=True)
    with pytest.raises(BrokenPromise, match='declared commutative, but "a", then "b", comes to "b"'):
        rules.check_algebra(longest, ["", "a", "b", "ab"])


def test_half_a_promise_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="commutative and associative are declared together or not at all"):

        @rules.own("mean", commutative=True)
        def mean(base: Any, mine: Any, theirs: Any) -> Any:
            return (mine + theirs) / 2

    assert "mean" not in registry.rule_names()
