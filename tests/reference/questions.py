"""Conflicts of the reference model: opened and widened by disagreement, settled by a choice or an edit that saw it.

A question is a dict, kept among the resources as type `conflict`. Its record is made new at each step, never changed.
"""

from __future__ import annotations

import hashlib
from typing import Any

from tests.reference.field_rules import Offer

__all__ = ["asked_anew", "entry_of", "opened", "question_id", "reopened", "settled", "widened", "with_runner_up"]

Question = dict[str, Any]
MOST_SETTLEMENTS = 20


def question_id(type_name: str, id: str, field: str) -> str:
    return "c-" + hashlib.sha256(f"{type_name}\0{id}\0{field}".encode()).hexdigest()[:32]


def entry_of(change: Offer, value: object, key: str | None) -> dict[str, Any]:
    """A settlement: what was chosen, by whom and when."""
    return {"value": value, "key": key, "replica": change["replica"], "n": change["n"], "stamp": change["stamp"]}


def candidate(change: Offer, value: object, group: list[int] | None) -> dict[str, Any]:
    made = {
        "key": f"{change['replica']}.{change['n']}",
        "value": value,
        "replica": change["replica"],
        "n": change["n"],
        "stamp": change["stamp"],
    }
    return made | ({"group": group} if group else {})


def opened(held: dict[str, Any], field: str, change: Offer, value: object, group: list[int] | None) -> Question:
    """A question about two values of one field: the one that stands, and the one that came."""
    accepted = held["fields"][field]
    replica, n = accepted["by"]
    first = {"key": f"{replica}.{n}", "value": accepted["value"], "replica": replica, "stamp": accepted["stamp"]}
    return {
        "about": {"type": held["type"], "id": held["id"]},
        "field": field,
        "question": "values",
        "message": None,
        "others": [],
        "accepted": accepted["value"],
        "base": change["was"],
        "candidates": [first, candidate(change, value, group)],
        "status": "open",
        "settlement": None,
        "settlements": [],
    }


def widened(question: Question, change: Offer, value: object, group: list[int] | None) -> Question:
    """One more candidate; law 1: what a replica says later takes the place of what it said before."""
    first, *others = question["candidates"]
    others = [each for each in others if each["replica"] != change["replica"]]
    return {**question, "candidates": [first, *others, candidate(change, value, group)]}


def asked_anew(old: Question, new: Question) -> Question:
    """It was settled, and values disagree again: fresh candidates, and what was chosen then is kept."""
    return {**new, "settlements": past(old)}


def settled(question: Question, entry: dict[str, Any], *, accepted: object) -> Question:
    """Chosen; a settlement before it is kept."""
    return {
        **question,
        "accepted": accepted,
        "status": "settled",
        "settlement": entry,
        "settlements": past(question),
    }


def with_runner_up(question: Question, entry: dict[str, Any]) -> Question:
    """Somebody else had settled it, later by the stamp: this settlement is kept beside."""
    return {**question, "settlements": [*question["settlements"], entry][-MOST_SETTLEMENTS:]}


def reopened(question: Question) -> Question:
    return {**question, "status": "open", "settlement": None, "settlements": past(question)}


def past(question: Question) -> list[dict[str, Any]]:
    last = [] if question["settlement"] is None else [question["settlement"]]
    return [*question["settlements"], *last][-MOST_SETTLEMENTS:]
