"""Who is on the field: worked out from the line-up and the substitutions whenever it is asked for.

A substitution that is corrected or deleted corrects it. What is not known here: cards, since an event has no kind for
them, and players who went off without being replaced; both stay on the field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from syncd.app import Resources
from syncd.apps.grassroots.model import Lineup, Match, Substitution, app
from syncd.apps.grassroots.names import match_of
from syncd.apps.grassroots.timeline import match_minute, match_order

__all__ = ["on_field"]


@app.view(scope="match")
def on_field(resources: Resources) -> dict[str, Any]:
    """`{"home": [{player_id, player, shirt_number, position}, …], "away": […], "unclear": [substitution_id, …]}`.

    Starters come by shirt number, and who comes on takes the place of who goes off. The line-up may be incomplete: who
    is taken off without being in it was on the field, as long as there is room (`players_per_side`). A substitution is
    left out, and listed as `unclear`, where the one who goes off was not on the field or the one who comes on was:
    mostly one that was logged by two phones, or has the wrong minute. Whoever is shown no names has the starters by
    shirt number, and every substitution unclear.
    """
    room = _players_per_side(match_of(resources))
    unclear: list[str] = []
    sides: dict[str, list[dict[str, Any]]] = {}
    for side in ("home", "away"):
        field = _Field((entry for entry in resources.all(Lineup) if entry.team == side), room)
        unclear += field.play(entry for entry in resources.all(Substitution) if entry.team == side)
        sides[side] = [asdict(person) for person in field.on]
    return {**sides, "unclear": sorted(unclear)}


@dataclass(frozen=True, slots=True)
class _Person:
    player_id: str | None
    player: str | None
    shirt_number: int | None = None
    position: str | None = None

    @property
    def is_somebody(self) -> bool:
        """False for what another version of the app wrote without saying who."""
        return self.player_id is not None or self.player is not None

    def is_same(self, other: _Person) -> bool:
        """By id where both have one, else by name; namesakes without ids are told apart by their shirts."""
        if self.player_id is not None and other.player_id is not None:
            return self.player_id == other.player_id
        shirts = {self.shirt_number, other.shirt_number} - {None}
        return self.player is not None and self.player == other.player and len(shirts) < 2


class _Field:
    """One side of the field, from the kick-off on.

    `on`: who is on it; `known`: who is in the line-up or has been on.
    """

    def __init__(self, lineup: Iterable[Lineup], room: int) -> None:
        self.on: list[_Person] = []
        self.known: list[_Person] = []
        self._room = room
        # Starters first: of two entries for one player, the one that has him start counts.
        for entry in sorted(lineup, key=_team_sheet_order):
            person = _Person(entry.player_id, entry.player, entry.shirt_number, entry.position)
            if _find(person, self.known) is None:
                self.known.append(person)
                if entry.starter:
                    self.on.append(person)

    def play(self, substitutions: Iterable[Substitution]) -> list[str]:
        """All of them, in match order; the ids of those that cannot have been."""
        unclear: list[str] = []
        for _, of_a_minute in groupby(sorted(substitutions, key=match_order), match_minute):
            unclear += self._play_minute(list(of_a_minute))
        return unclear

    def _play_minute(self, waiting: list[Substitution]) -> list[str]:
        """Nobody logs the order within a minute, so whichever can go first goes first."""
        while waiting:
            possible = next((entry for entry in waiting if self._substitute(entry)), None) or next(
                (entry for entry in waiting if self._substitute(entry, started_unlisted=True)), None
            )
            if possible is None:
                break
            waiting.remove(possible)
        return [entry.id for entry in waiting]

    def _substitute(self, entry: Substitution, *, started_unlisted: bool = False) -> bool:
        goes = _Person(entry.player_off_id, entry.player_off)
        comes = _Person(entry.player_on_id, entry.player_on)
        if not (goes.is_somebody and comes.is_somebody) or _find(comes, self.on) is not None:
            return False
        place = _find(goes, self.on)
        if place is None:
            unlisted = _find(goes, self.known) is None
            if not (started_unlisted and unlisted and len(self.on) < self._room and not goes.is_same(comes)):
                return False
            place = len(self.on)
            self.on.append(goes)
            self.known.append(goes)
        listed = _find(comes, self.known)
        if listed is None:
            self.known.append(comes)
        self.on[place] = comes if listed is None else self.known[listed]
        return True


def _find(person: _Person, among: list[_Person]) -> int | None:
    return next((place for place, other in enumerate(among) if other.is_same(person)), None)


def _team_sheet_order(entry: Lineup) -> tuple[bool, int, str]:
    number = entry.shirt_number if isinstance(entry.shirt_number, int) else 100
    return (entry.starter is not True, number, entry.id)


def _players_per_side(match: Match | None) -> int:
    if match is not None and isinstance(match.players_per_side, int):
        return match.players_per_side
    return 11
