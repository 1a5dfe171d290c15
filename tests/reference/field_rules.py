"""What each rule makes of one value that is offered to one field. Plain, slow, a branch for each sentence.

A field is a dict: `value`, `version` and `stamp` (its mark), `by` (replica and number of whoever set it), and for a set
`dots`. An answer is one of: ("takes", field), ("nothing",), ("lost", code), ("asks",), ("refused", code).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.reference.stamps import above, earlier, greater, owned, owner

__all__ = ["ASK", "MOST_UPDATE_BYTES", "Answer", "Offer", "key", "offer", "readable", "same", "seen"]

Answer = tuple[Any, ...]
Field = dict[str, Any]
Offer = dict[str, Any]
"""A change as the rules see it: `op`, `replica`, `n`, `base`, `stamp` (effective), `was`."""

MOST = 2**53 - 1
MOST_ELEMENTS = 1000
MOST_UPDATE_BYTES = 3_000
"""Of a document, as the server of these histories is set up."""
NOBODY = "_"
ASK = object()
"""What an author's own function returns to let a person choose."""


def same(one: object, other: object) -> bool:
    """Equal as JSON: 1 and true are not."""
    return key(one) == key(other)


def key(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def seen(version: int, stamp: str, change: Offer) -> bool:
    """Law 1: shown by the base, or made by the replica itself."""
    return bool(version <= change["base"] or owner(stamp) == change["replica"])


def has_seen(field: Field, change: Offer) -> bool:
    return seen(field["version"], field["stamp"], change)


def fresh(value: object, change: Offer, version: int, stamp: str | None = None) -> Field:
    return {
        "value": value,
        "version": version,
        "stamp": stamp or change["stamp"],
        "by": (change["replica"], change["n"]),
    }


def on_top(held: Field | None, value: object, change: Offer, version: int) -> Field:
    """Law 2, counterexample 4: whoever replaces a value is stamped above it, so that order does not decide."""
    return fresh(value, change, version, None if held is None else above(change["stamp"], held["stamp"]))


def together(held: Field | None, value: object, change: Offer, version: int) -> Field:
    """Several have made this value. Law 1: it is nobody's own, unless whoever came last had seen all of it."""
    if held is None:
        return fresh(value, change, version)
    whose = change["replica"] if has_seen(held, change) else NOBODY
    return fresh(value, change, version, owned(greater(change["stamp"], held["stamp"]), whose))


def lww(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    if held is None:
        return "takes", fresh(value, change, version)
    if has_seen(held, change):  # law 2: seen beats stamped
        return "takes", on_top(held, value, change, version)
    if earlier(held["stamp"], change["stamp"]):  # law 2: stamps decide between those that have not seen each other
        return "takes", on_top(held, value, change, version)
    if same(held["value"], value):
        return ("nothing",)
    return "lost", "later_change_stands"


def server_wins(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    if held is None or has_seen(held, change):  # law 2
        return "takes", on_top(held, value, change, version)
    if same(held["value"], value):
        return ("nothing",)
    return "lost", "stale_base"  # by arrival: whatever the stamps say


def manual(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    if held is None or has_seen(held, change):  # law 2; counterexample 2
        return "takes", on_top(held, value, change, version)
    if same(held["value"], value):
        return ("nothing",)
    return ("asks",)  # law 8: a person chooses; until then the held value stands


def counter(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    if isinstance(value, dict):
        step = value.get("increment") if set(value) == {"increment"} else None
    else:
        step = value if change["op"] in ("create", "restore") else None  # an increment from 0
    if isinstance(step, bool) or not isinstance(step, int) or abs(step) > MOST:
        return "refused", "invalid_increment"
    total = (0 if held is None else held["value"]) + step
    if abs(total) > MOST:
        return "refused", "counter_out_of_range"
    return "takes", together(held, total, change, version)  # neither base nor stamp matter; law 3 sees to repeats


def maximum(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    return register(held, value, change, version, lambda new, old: new > old, "a_greater_value_stands")


def minimum(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    return register(held, value, change, version, lambda new, old: new < old, "a_lesser_value_stands")


def register(
    held: Field | None, value: Any, change: Offer, version: int, beats: Callable[[Any, Any], bool], code: str
) -> Answer:
    if kind(value) is None:
        return "refused", "invalid_field"
    if held is None:
        return "takes", fresh(value, change, version)
    if kind(value) != kind(held["value"]):  # of one kind for ever
        return "refused", "invalid_field"
    if beats(value, held["value"]):  # seen or not
        return "takes", fresh(value, change, version)
    if value == held["value"]:
        return ("nothing",)
    return "lost", code


def kind(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else None


def set_of(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    if isinstance(value, list) and change["op"] in ("create", "restore"):
        value = {"add": value}
    if not isinstance(value, dict) or not value or not set(value) <= {"add", "remove"}:
        return "refused", "invalid_set_edit"
    for elements in value.values():
        if not isinstance(elements, list) or len(elements) > MOST_ELEMENTS:
            return "refused", "invalid_set_edit"
        if any(not isinstance(element, str | int | float | bool) for element in elements):
            return "refused", "invalid_set_edit"
    dots: dict[str, list[tuple[int, str]]] = {} if held is None else dict(held["dots"])
    before = dict(dots)
    for element in value.get("remove", []):  # first, where one change does both
        dots[key(element)] = [dot for dot in dots.get(key(element), []) if not seen(*dot, change)]
    for element in value.get("add", []):  # add-wins: a remove elsewhere has not seen this dot
        unseen = [dot for dot in dots.get(key(element), []) if not seen(*dot, change)]
        dots[key(element)] = [*unseen, (version, change["stamp"])]
    dots = {element: each for element, each in dots.items() if each}
    nothing_said = not any(value.values())
    told_again = held is not None and held["stamp"] == change["stamp"]
    if held is not None and dots == before and (nothing_said or told_again):
        return ("nothing",)
    # Law 9: an edit is one for a delete to see, whether it found something to do or not; else order would decide.
    field = together(held, [json.loads(element) for element in sorted(dots)], change, version)
    return "takes", {**field, "dots": dots}


def crdt(held: Field | None, value: object, change: Offer, version: int) -> Answer:
    """The field says how far its document is; what an update makes of the content is told elsewhere."""
    if not readable(value):
        return "refused", "invalid_document_update"
    if held is None:  # a life of it begins
        return "takes", fresh({"document": {"since": version, "seq": 1}}, change, version)
    at = held["value"]["document"]
    further = {"document": {"since": at["since"], "seq": at["seq"] + 1}}
    return "takes", together(held, further, change, version)  # neither base nor stamp matter


def readable(value: object) -> bool:
    """Law 12: whether it is an update at all is known before anything else of the change is looked at."""
    update = value.get("update") if isinstance(value, dict) and set(value) == {"update"} else None
    try:
        return len(base64.b64decode(update or "-", validate=True)) <= MOST_UPDATE_BYTES
    except (TypeError, ValueError):
        return False


def own(function: Callable[[Any, Any, Any], Any]) -> Callable[[Field | None, object, Offer, int], Answer]:
    def rule(held: Field | None, value: object, change: Offer, version: int) -> Answer:
        if held is None or has_seen(held, change):  # law 2
            return "takes", on_top(held, value, change, version)
        if same(held["value"], value):
            return ("nothing",)
        try:
            chosen = function(change["was"], value, held["value"])
        except Exception:
            return "refused", "check_failed"
        if chosen is ASK:
            return ("asks",)
        if same(chosen, held["value"]):
            return "lost", None
        return "takes", together(held, chosen, change, version)

    return rule


RULES: dict[str, Callable[[Field | None, object, Offer, int], Answer]] = {
    "lww": lww,
    "merge": lww,
    "append": lww,
    "server_wins": server_wins,
    "manual": manual,
    "counter": counter,
    "max": maximum,
    "min": minimum,
    "set": set_of,
    "crdt": crdt,
}


def offer(rule: str | Callable[..., Any], held: Field | None, value: object, change: Offer, version: int) -> Answer:
    """What `rule`, by its name or an author's function, makes of `value`."""
    if callable(rule):
        return own(rule)(held, value, change, version)
    return RULES[rule](held, value, change, version)
