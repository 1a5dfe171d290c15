"""`conflict_rules.quick_to_make`: frozen dataclasses, made quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from conflict_rules.quick_to_make import quick_to_make


@dataclass(frozen=True, slots=True)
class Slow:
    """As it is without."""

    name: str
    count: int = 3
    more: Mapping[str, int] = field(default_factory=dict)


@quick_to_make
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, made quickly."""

    name: str
    count: int = 3
    more: Mapping[str, int] = field(default_factory=dict)


def test_it_is_made_as_the_slow_one_is() -> None:
    for make in (Slow, Quick):
        made = make("a", more={"x": 1})
        assert (made.name, made.count, made.more) == ("a", 3, {"x": 1})
        assert make(count=1, name="b").more is not make("b").more
        with pytest.raises(TypeError, match="name"):
            make()  # type: ignore[call-arg]


def test_it_is_compared_hashed_shown_and_replaced_as_before() -> None:
    assert Quick("a") == Quick("a", 3, {}) != Quick("b")
    assert repr(Quick("a", more={})) == repr(Slow("a")).replace("Slow", "Quick")
    assert replace(Quick("a"), count=4) == Quick("a", 4)
    assert hash(Quick("a", 1, ())) == hash(Quick("a", 1, ()))  # type: ignore[arg-type]
    assert not hasattr(Quick("a"), "__dict__")


def test_only_the_type_checker_keeps_it_from_being_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Slow("a").count = 4  # type: ignore[misc]
    quick = Quick("a")
    quick.count = 4  # type: ignore[misc]
    assert quick.count == 4
