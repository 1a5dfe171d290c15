"""An app for the tests whose types hold the work of several: scores that ask, likes that add up, tags, a read mark."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, rules

__all__ = ["Game", "Goal", "Page", "Stand", "cup"]

cup = App("cup")


@cup.resource(scope="cup", rule=rules.manual)
class Game(Resource):
    """Every field of it asks but two."""

    home: int = 0
    away: int = 0
    likes: Annotated[int, rules.counter] = 0
    tags: Annotated[set[str], rules.set] = Field(default_factory=set)


@cup.resource(scope="cup", rule=rules.lww)
class Stand(Resource):
    """Right only as a whole, but for what is counted and asked."""

    name: str = ""
    place: str = ""
    sold: Annotated[int, rules.counter] = 0
    price: Annotated[int, rules.manual] = 0


@cup.resource(scope="cup", deletes="update_wins")
class Page(Resource):
    """Comes back if somebody still works on it."""

    text: str = ""
    reads: Annotated[int, rules.counter] = 0
    last: Annotated[int, rules.max] = 0


@cup.resource(scope="cup", rule=rules.append)
class Goal(Resource):
    """A second one of the same side is asked about."""

    side: str


@cup.on_change(Goal)
async def same_goal_twice(tx: HookTransaction, change: Change) -> None:
    """Whether two of a side are one."""
    side = change.fields.get("side")
    others = [goal for goal in await tx.all(Goal, "cup") if goal.side == side and goal.id != change.id]
    if others:
        goal = await tx.get(Goal, change.id)
        assert goal is not None
        await tx.ask(
            "same_goal",
            about=goal,
            others=others,
            options=["one", "two"],
            message="One goal, or two?",
            id=f"same-{goal.id}",
        )
