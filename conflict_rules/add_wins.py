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
from conflict_rules.guide import Guide
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
    replaced_in_sight = False
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    guide = Guide(
        good_for="Tags, reactions, who is coming: elements that several people add and remove.",
        offers='An edit, `{"add": […], "remove": […]}`, either of which may be missing, each of at most 1000 texts, '
        "numbers or booleans; the removal comes first. A create or a restore may bring the plain list.",
        example={"add": ["a"]},
        in_sight="Elements come and go as it says.",
        concurrently="All edits count. A removal takes away only the additions that its author had seen: where one "
        "person removes what another adds again, it stays.",
        codes=("invalid_set_edit",),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        edit = _edit(offer)
        before = _dots(held)
        dots = dict(before)
        for element in edit.remove:
            _put(dots, element, _unseen(dots, element, offer))
        for element in edit.add:
            # A repeat finds the dot that it left, and leaves it.
            own = [dot for dot in _marks(before, element) if dot.stamp == offer.stamp]
            _put(dots, element, [*_unseen(dots, element, offer), *(own or [offer.mark])])
        if held is not None and dots == before and not self._came_too_late(edit, held, offer):
            return Settled(Fate.SAME, held)
        mark = offer.mark if held is None else shared_mark(held.mark, offer)
        elements: list[JsonValue] = [dots[key][0] for key in sorted(dots)]
        return Settled(Fate.TAKEN, Held(elements, mark, _data(dots)))

    def _came_too_late(self, edit: _Edit, held: Held, offer: Offer) -> bool:
        """Whether it only takes away, and found nothing to take, as happens to the second of two who remove the same.

        That there was such an edit shows in the mark all the same: else it would depend on the order of the two whether
        a delete has seen all there was to see. Additions find nothing to do only when they are told again. A removal
        that is told again is known by its stamp if that is at once, and later by its number, before it comes here
        (law 3).
        """
        return bool(edit.remove) and not edit.add and held.mark.stamp != offer.stamp

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


def _put(dots: Dots, element: Element, marks: list[Mark]) -> None:
    """In one order, so that equal sets are equal data."""
    if marks:
        dots[_key(element)] = (element, sorted(marks, key=lambda dot: (dot.version, dot.stamp)))
    else:
        dots.pop(_key(element), None)


def _unseen(dots: Dots, element: Element, offer: Offer) -> list[Mark]:
    return [dot for dot in _marks(dots, element) if not offer.has_seen(dot)]


def _marks(dots: Dots, element: Element) -> list[Mark]:
    return dots.get(_key(element), (element, []))[1]


def _key(element: Element) -> bytes:
    return canonical_json(element)


def _dots(held: Held | None) -> Dots:
    """What `_data` wrote. A list that was set under another rule has the field's own mark for its dots."""
    if held is None:
        return {}
    data: Any = held.data
    if data is None:
        listed = held.value if isinstance(held.value, list) else []
        return {_key(each): (each, [held.mark]) for each in listed if isinstance(each, (str, int, float))}
    return {
        _key(element): (element, [Mark(int(version), Stamp.parse(stamp)) for version, stamp in marks])
        for element, marks in data
    }


def _data(dots: Dots) -> JsonValue:
    return [[dots[key][0], [[dot.version, str(dot.stamp)] for dot in dots[key][1]]] for key in sorted(dots)]


SET = register_rule(RecordRule("set", AddWins()))
