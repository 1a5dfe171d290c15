"""Two phones, one goal: what the app asks when both have logged a goal, and what counts until somebody has answered.

Two scorers without a signal log the same goal, and neither knows of the other. The server cannot know either whether
there were two goals in two minutes, so it keeps both and asks: "one", or "two"? Every view reads the events through
`counted_events`, on the server as on a phone without a signal:

- While the question is open the goal counts once, for a score that is one short is soon put right, and a goal that was
  none is cheered twice. Of the two, the one with the lower id counts: on every screen the same one.
- Answered with "one", it stays so, and what the other one says is not shown. Answered with "two", both count. An answer
  can be taken back: the question is opened again.
- A question is about one goal, and asks whether it is the same as one of the `others`; so three phones with one goal
  are asked two questions, not three.
- Where one of them is deleted, or is corrected so that it is no goal of that side any more, the other one counts. Who
  deletes one answers the question that was open about it: it is withdrawn.

An own goal and a goal for the side that gets it can be one: two scorers may see it differently. Whoever had been shown
the other goal when logging theirs (law 1) means another one, and is not asked; nor is one phone about its own goals.

The question names minutes and nobody: it is a text of the server's, out of which no name would go with its owner. Who
may not answer it is not shown it either (law 8), and counts the goal as often as it was logged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from syncd.app import Change, Conflict, HookTransaction, Resources
from syncd.apps.grassroots.goals import credited_side, is_goal
from syncd.apps.grassroots.model import Event, Match, app
from syncd.apps.grassroots.names import team_name
from syncd.apps.grassroots.timeline import Lengths, match_order, minute_played, period_of

__all__ = ["ONE", "SAME_GOAL", "TWO", "counted_events", "same_goal_twice"]

SAME_GOAL: Final = "same_goal"
ONE: Final = "one"
TWO: Final = "two"

_TELLING: Final = frozenset({"kind", "team", "minute", "added", "period"})
"""The fields that make two goals alike; a correction of any other one raises no question."""
_FOR_LIFE: Final = "match_id"
"""A field that is set once: whoever has been shown it has been shown the event, though maybe not each correction."""


def counted_events(resources: Resources) -> list[Event]:
    """The events of a match as they count, sorted by id: those that stand for the same goal once."""
    events = {event.id: event for event in resources.all(Event)}
    repeated = _repeated(resources.all(Conflict), events)
    return [event for event in events.values() if event.id not in repeated]


def _repeated(questions: Iterable[Conflict], events: Mapping[str, Event]) -> Collection[str]:
    """The ids of the goals for which another one counts."""
    counts_as: dict[str, str] = {}

    def counting(event_id: str) -> str:
        while event_id in counts_as:
            event_id = counts_as[event_id]
        return event_id

    for question in sorted(questions, key=lambda question: question.id):
        if question.question != SAME_GOAL or not (question.open or question.answer == ONE):
            continue
        about, *others = _goals_of(question)
        goal = events.get(about)
        alike = [events[other] for other in others if other in events and _for_one_side(goal, events[other])]
        if goal is None or not alike:
            continue
        # It can be the same as one of the others, and not as two of them that are two: the nearest, as they stand now.
        same = min(alike, key=lambda other: (_distance(goal, other), other.id))
        first, second = sorted((counting(about), counting(same.id)))
        if first != second:
            counts_as[second] = first
    return counts_as.keys()


@app.on_change(Event)
async def same_goal_twice(tx: HookTransaction, change: Change) -> None:
    """Ask whether a goal is the same as one that another phone has logged, if neither had seen the other's."""
    event = await tx.get(Event, change.id)
    if event is None:
        await _withdraw(tx, change)
    elif is_goal(event) and await _still_logs(tx, change, event):
        await _ask(tx, change, event)


async def _still_logs(tx: HookTransaction, change: Change, event: Event) -> bool:
    """Whether the goal is being logged: a correction belongs to that as long as it waits in the same queue.

    Once the phone has it back from the server, its base tells of this one goal only, and not which others it shows.
    """
    if change.op != "update":
        return True
    shared = await tx.has_seen(replace(change, replica=""), event, _FOR_LIFE)
    return not shared and not _TELLING.isdisjoint(change.fields)


async def _ask(tx: HookTransaction, change: Change, event: Event) -> None:
    match = await tx.get(Match, event.match_id)
    lengths, window = Lengths.of(match), _window(match)
    alike = [
        other
        for other in await tx.all(Event, change.scope)
        if other.id != event.id
        and _for_one_side(event, other)
        and period_of(event, lengths) == period_of(other, lengths)
        and abs(minute_played(event) - minute_played(other)) <= window
        and not await tx.has_seen(change, other, _FOR_LIFE)
    ]
    asked = {frozenset((about, other)) for about, *others in await _questions(tx, change) for other in others}
    # The nearest first, for whoever is asked.
    others = sorted(
        (other for other in alike if frozenset((event.id, other.id)) not in asked),
        key=lambda other: (_distance(event, other), other.id),
    )
    if others:
        await tx.ask(
            SAME_GOAL,
            about=event,
            others=others,
            options=(ONE, TWO),
            message=_sentence(event, others, match),
            id=_question_id(event, others),
        )


async def _questions(tx: HookTransaction, change: Change) -> list[list[str]]:
    """The goals of each question about the same goal: the one that it is about, and the others."""
    questions = await tx.all(Conflict, change.scope)
    return [_goals_of(question) for question in questions if question.question == SAME_GOAL]


async def _withdraw(tx: HookTransaction, change: Change) -> None:
    """A goal was deleted: nobody need say any more whether it was the same as the one that is left."""
    for question in await tx.all(Conflict, change.scope):
        if question.question != SAME_GOAL or not question.open:
            continue
        about, *others = _goals_of(question)
        left = [other for other in others if await tx.get(Event, other) is not None]
        if change.id in (about, *others) and (change.id == about or not left):
            await tx.delete(Conflict, question.id)


def _for_one_side(goal: Event | None, other: Event) -> bool:
    """Whether both are goals, and for the same side."""
    return goal is not None and is_goal(goal) and is_goal(other) and credited_side(goal) == credited_side(other)


def _distance(event: Event, other: Event) -> tuple[int, bool, bool]:
    apart = abs(minute_played(event) - minute_played(other))
    return (apart, event.player != other.player, event.kind != other.kind)


def _goals_of(question: Conflict) -> list[str]:
    """What it is about first, then the others."""
    return [str(named.get("id")) for named in (question.about, *question.others)]


def _question_id(event: Event, others: Iterable[Event]) -> str:
    """Made of what it asks, so that every run of the hook asks the same; an event may be asked about again."""
    named = "\0".join((event.id, *sorted(other.id for other in others)))
    return f"goal-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _sentence(event: Event, others: Iterable[Event], match: Match | None) -> str:
    told = [_told(goal) for goal in sorted((event, *others), key=match_order)]
    team = team_name(match, credited_side(event))
    return f"Goals for {team} from more than one phone: {', '.join(told)}. Is it the same goal?"


def _told(goal: Event) -> str:
    return f"{goal.minute}+{goal.added}'" if goal.added else f"{goal.minute}'"


def _window(match: Match | None) -> int:
    usual: int = Match.model_fields["same_goal_minutes"].default
    return usual if match is None or not isinstance(match.same_goal_minutes, int) else match.same_goal_minutes
