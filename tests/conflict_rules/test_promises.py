"""`conflict_rules.promises`: an author's function is held to what is declared of it, and the least case is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conflict_rules import ASK, MAX, Algebra, BrokenPromise, InvalidValue, RecordRule, check_algebra
from conflict_rules.own import ARBITRATED, Own

ORDERLESS = Algebra(commutative=True, associative=True, idempotent=False)
JOIN = Algebra(commutative=True, associative=True, idempotent=True)
REPEATABLE = Algebra(commutative=False, associative=False, idempotent=True, arbitrated=True)

VALUES = [3, 2, 1, 0]


def rule(function: Callable[[Any, Any, Any], Any], algebra: Algebra) -> RecordRule:
    return RecordRule("mine", Own("mine", function, algebra))


def greater(base: Any, mine: Any, theirs: Any) -> Any:
    return max(mine, theirs)


def difference(base: Any, mine: Any, theirs: Any) -> Any:
    return theirs + mine - (base or 0)


def mean(base: Any, mine: Any, theirs: Any) -> Any:
    return (mine + theirs) / 2


@pytest.mark.parametrize(
    ("function", "algebra"),
    [
        (greater, JOIN),
        (difference, ORDERLESS),
        (lambda base, mine, theirs: theirs, REPEATABLE),
        (lambda base, mine, theirs: ASK, REPEATABLE),
    ],
    ids=["greater", "difference", "first", "asks"],
)
def test_a_true_declaration_passes(function: Callable[[Any, Any, Any], Any], algebra: Algebra) -> None:
    check_algebra(rule(function, algebra), VALUES)


@pytest.mark.parametrize(
    ("function", "algebra", "promise", "values", "text"),
    [
        (
            lambda base, mine, theirs: mine,
            JOIN,
            "commutative",
            (0, 1),
            "the rule 'mine' is declared commutative, but 0, then 1, comes to 1, and 1, then 0, to 0",
        ),
        (
            mean,
            ORDERLESS,
            "associative",
            (0, 0, 1),
            "over 0, 0, then 1, comes to 0.5, and 1, then 0, to 0.25",
        ),
        (
            # Of two that nobody was shown it takes the greater; an edit is a difference.
            lambda base, mine, theirs: max(mine, theirs) if base is None else theirs + mine - base,
            ORDERLESS,
            "associative",
            (0, 0, 0, 1),
            "over 0, 0, then 0 in place of 1, comes to -1, and 0 in place of 1, then 0, to 0",
        ),
        (difference, JOIN, "idempotent", (0, 1), "over 0, 1 comes to 1, and told again to 2"),
        (difference, REPEATABLE, "idempotent", (1, 2), "over 1, 2 comes to 3, and told again to 5"),
        (lambda base, mine, theirs: ASK, JOIN, "commutative", (0, 1), "comes to a question"),
    ],
    ids=["last", "mean", "by base", "counts twice", "counts twice by arrival", "asks"],
)
def test_a_false_one_is_met_with_the_least_case(
    function: Callable[[Any, Any, Any], Any], algebra: Algebra, promise: str, values: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(BrokenPromise) as broken:
        check_algebra(rule(function, algebra), VALUES)
    assert (broken.value.promise, broken.value.values) == (promise, values)
    assert text in str(broken.value)


def test_values_that_only_python_takes_for_equal_are_different() -> None:
    with pytest.raises(BrokenPromise, match="1, then true, comes to 1, and true, then 1, to true"):
        check_algebra(rule(lambda base, mine, theirs: max(theirs, mine), JOIN), [1, True])


def test_what_the_function_raises_and_what_cannot_be_kept_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        check_algebra(rule(lambda base, mine, theirs: mine // theirs, JOIN), VALUES)
    with pytest.raises(InvalidValue, match="a value of type set is not JSON"):
        check_algebra(rule(lambda base, mine, theirs: {mine, theirs}, JOIN), VALUES)


def test_a_check_that_could_not_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="'mine' declares nothing, so there is nothing to check"):
        check_algebra(rule(greater, ARBITRATED), VALUES)
    with pytest.raises(ValueError, match="at least two different values"):
        check_algebra(rule(greater, JOIN), [1, 1.0])
    with pytest.raises(TypeError, match="'max' is not an author's own rule"):
        check_algebra(MAX, VALUES)
