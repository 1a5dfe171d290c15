"""Resources as the states that a store would hold, and a match as it is logged in the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from conflict_rules import Mark, Origin, Stamp, State
from syncd.app import Resource
from syncd.apps.grassroots import ONE, SAME_GOAL, app
from syncd.demo.script import Script, write_script

__all__ = ["as_logged", "question", "questions_of", "state_of"]


def state_of(resource: Resource, version: int = 1) -> State:
    """The resource at that version, written by a replica "r"."""
    declared = app.type_of(type(resource))
    fields = resource.to_fields()
    scope = declared.scope_of(resource.id, fields)
    assert scope is not None
    mark = Mark(version, Stamp(1, 0, "r"))
    return State(scope, declared.name, resource.id, version, fields, dict.fromkeys(fields, mark), Origin("r", version))


def as_logged(source: Mapping[str, Any]) -> Script:
    """The script of a match, its events under the ids that the phones give to them."""
    numbers = count()
    script = write_script(source, lambda: f"id-{next(numbers):03}")
    firsts = {place: event_id for event_id, place in reversed(list(script.goals.items()))}
    events = [event.model_copy(update={"id": firsts[place]}) for place, event in enumerate(script.events)]
    return replace(script, events=events)


def questions_of(script: Script) -> list[State]:
    """One about each goal that was logged twice, answered."""
    firsts = {place: event_id for event_id, place in reversed(list(script.goals.items()))}
    return [question(script.scope, double.id, firsts[script.goals[double.id]], answer=ONE) for double in script.doubles]


def question(scope: str, about: str, *others: str, answer: str | None) -> State:
    """Whether these goals are one; open if nobody has answered."""
    fields: dict[str, Any] = {
        "about": {"type": "event", "id": about},
        "field": None,
        "question": SAME_GOAL,
        "message": "Is it the same goal?",
        "others": [{"type": "event", "id": other} for other in others],
        "status": "open" if answer is None else "settled",
        "settlement": None if answer is None else {"value": answer, "key": answer},
    }
    mark = Mark(1, Stamp(1, 0, "r"))
    return State(scope, "conflict", f"goal-{about}", 1, fields, dict.fromkeys(fields, mark), Origin("r", 1))
