"""What is left of a player when his account is erased, as far as `personal()` in `model.py` cannot say it. Pure.

A line-up entry and a substitution cannot be without a name, so a dash stands there instead. The id stays: who was on
the field is worked out by it, and it leads to an account of which nothing else is left. He is taken off the list of
his team.
"""

from __future__ import annotations

from typing import Any, Final

from syncd.apps.grassroots.model import Event, Lineup, Player, Substitution, app

__all__ = ["NO_NAME"]

NO_NAME: Final = "–"
"""Where the name of somebody stood who was erased."""


@app.on_erase(Player)
def player_without(player: Player, user: str) -> dict[str, Any] | None:
    """Nothing: the team is without him."""
    return None if player.id == user else {}


@app.on_erase(Event)
def event_without(event: Event, user: str) -> dict[str, Any] | None:
    """The name goes by its mark. So does a note with its author, but what it says is about the player, too."""
    return {"notes": ""} if event.player_id == user else {}


@app.on_erase(Lineup)
def lineup_without(entry: Lineup, user: str) -> dict[str, Any] | None:
    """A place on the team sheet, with its shirt number."""
    return {"player": NO_NAME} if entry.player_id == user else {}


@app.on_erase(Substitution)
def substitution_without(substitution: Substitution, user: str) -> dict[str, Any] | None:
    """Still one who went off and one who came on; of the two only he loses his name."""
    left: dict[str, Any] = {}
    if substitution.player_off_id == user:
        left["player_off"] = NO_NAME
    if substitution.player_on_id == user:
        left["player_on"] = NO_NAME
    return left
