"""Goals that both phones have logged: what was asked about them, and whether the answers are the record's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.apps.grassroots import ONE, SAME_GOAL, TWO
from syncd.demo.audit import Check
from syncd.demo.script import Script, same_goal
from syncd.demo.standing import Copy

__all__ = ["Questions", "check_questions"]


@dataclass(frozen=True, slots=True)
class Questions:
    """`counts`: `doubled`, goals that both phones have logged; `asked` and `answered`, questions that were raised."""

    check: Check
    counts: Mapping[str, int]


def check_questions(copy: Copy | None, script: Script) -> Questions:
    """Hold the questions that the `copy` has against the `script`: one for each goal that is there twice, answered."""
    asked = [
        fields
        for (kind, _), fields in (copy.resources if copy is not None else {}).items()
        if kind == "conflict" and fields["question"] == SAME_GOAL
    ]
    answered = [question for question in asked if question["status"] == "settled"]
    wrong = [text for question in asked if (text := _wrong(question, script)) is not None]
    wrong += [
        f"nobody asked whether {double.player} has scored twice about minute {double.minute}"
        for double in script.doubles
        if not any(_joins(question, double.id, script.goals) for question in asked)
    ]
    counts = {"doubled": len(script.doubles), "asked": len(asked), "answered": len(answered)}
    if copy is None:
        wrong = ["there is nothing to look at"]
    right = (
        f"goals that both phones have logged: {len(script.doubles)}, each there once; "
        f"asked about: {len(asked)}, each answered as the record has it"
    )
    return Questions(Check("questions", not wrong, "; ".join(wrong) or right), counts)


def _wrong(question: Mapping[str, Any], script: Script) -> str | None:
    if question["status"] != "settled":
        return f"nobody has answered: {question['message']}"
    about, *others = _goals_of(question)
    right = ONE if same_goal(script.goals, about, others) else TWO
    answer = question["settlement"]["value"]
    return None if answer == right else f"{question['message']} was answered with {answer}, and not {right}"


def _joins(question: Mapping[str, Any], double: str, goals: Mapping[str, int]) -> bool:
    """Whether it asks about this event and the other one that is the same goal."""
    about, *others = _goals_of(question)
    same = [other for other in others if goals.get(other) == goals.get(about)]
    return double in (about, *others) and goals.get(about) == goals[double] and bool(same)


def _goals_of(question: Mapping[str, Any]) -> Sequence[str]:
    return [str(question["about"]["id"]), *(str(other["id"]) for other in question["others"])]
