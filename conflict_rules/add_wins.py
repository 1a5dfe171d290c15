"""Rule `set`: elements come and go; of an addition and a removal that have not seen each other the addition stands.

A change offers `{"add": [...], "remove": [...]}`. Each addition leaves a dot on its element, and a removal takes away
only the dots that it has seen: an element is there while it has one.

Source: the observed-remove set of Shapiro, Preguiça, Baquero and Zawirski, "A comprehensive study of Convergent and
Commutative Replicated Data Types", 2011, section 3.3.5; versions of the scope stand in for its unique tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Fate, Held, Offer, Settled
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.several import shared_mark
from conflict_rules.stamp import Stamp
from conflict_rules.state import Mark
from conflict_rules.values import InvalidValue, JsonValue, canonical_json

__all__ = ["SET", "AddWins"]

_MAX_ELEMENTS: Final = 1000

Element = str | int | float | bool
Dots = dict[bytes, tuple[Element, list[Mark]]]
"""By the element's canonical JSON, which tells True from 1."""


@dataclass(frozen=True, slots=True)
class _Edit:
    add: list[Element]
    remove: list[Element]


class AddWins:
    """Texts, numbers or booleans; shown sorted, each once."""

    name = "set"
    asks = False
    algebra = Algebra(commutative=True, associative=True, idempotent=True)

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        edit = _edit(offer)
        before = {} if held is None else _dots(held.data)
        dots = dict(before)
        for element in edit.remove:
            _take_away(dots, element, offer)
        for element in edit.add:
            # A repeat finds its own dot, and leaves it.
            own = Mark(offer.version, offer.stamp)
            left = _unseen(dots, element, offer)
            kept = [dot for dot in _marks(before, element) if dot.stamp == offer.stamp]
            dots[_key(element)] = (element, [*left, *(kept or [own])])
        if held is not None and dots == before:
            return Settled(Fate.SAME, held)
        mark = Mark(offer.version, offer.stamp) if held is None else shared_mark(held.mark, offer)
        elements: list[JsonValue] = [dots[key][0] for key in sorted(dots)]
        if len(elements) > _MAX_ELEMENTS:
            raise InvalidValue("set_too_large", offer.name, f"{offer.name}: a set has at most {_MAX_ELEMENTS} elements")
        return Settled(Fate.TAKEN, Held(elements, mark, _data(dots)))

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        if isinstance(value, dict) and value.keys() <= {"add", "remove"}:
            return value.get("add", [])
        return value


def _edit(offer: Offer) -> _Edit:
    value = offer.value
    if isinstance(value, list) and offer.makes_new:
        value = {"add": value}
    if not isinstance(value, dict) or not value or not value.keys() <= {"add", "remove"}:
        raise _invalid(offer.name)
    return _Edit(_elements(value.get("add", []), offer.name), _elements(value.get("remove", []), offer.name))


def _elements(value: JsonValue, name: str) -> list[Element]:
    if not isinstance(value, list) or len(value) > _MAX_ELEMENTS:
        raise _invalid(name)
    elements = [element for element in value if isinstance(element, (str, int, float))]
    if len(elements) != len(value):
        raise _invalid(name)
    return elements


def _invalid(name: str) -> InvalidValue:
    return InvalidValue(
        "invalid_set_edit",
        name,
        f'{name}: it is a set; say what is added and removed, such as {{"add": ["a"], "remove": ["b"]}}, each a list '
        f"of at most {_MAX_ELEMENTS} texts, numbers or booleans",
    )


def _take_away(dots: Dots, element: Element, offer: Offer) -> None:
    left = _unseen(dots, element, offer)
    if left:
        dots[_key(element)] = (element, left)
    else:
        dots.pop(_key(element), None)


def _unseen(dots: Dots, element: Element, offer: Offer) -> list[Mark]:
    return [dot for dot in _marks(dots, element) if not offer.has_seen(dot)]


def _marks(dots: Dots, element: Element) -> list[Mark]:
    return dots.get(_key(element), (element, []))[1]


def _key(element: Element) -> bytes:
    return canonical_json(element)


def _dots(data: Any) -> Dots:
    """What `_data` wrote."""
    return {
        _key(element): (element, [Mark(int(version), Stamp.parse(stamp)) for version, stamp in marks])
        for element, marks in data or []
    }


def _data(dots: Dots) -> JsonValue:
    return [[dots[key][0], [[dot.version, str(dot.stamp)] for dot in dots[key][1]]] for key in sorted(dots)]


SET = register_rule(RecordRule("set", AddWins()))
