"""What the sideline scorer keeps: teams, players, matches, and the events of a match.

Decisions a reader may look for:

- A team and its players live in `team:{id}`, a match and its events in `match:{id}`: whoever watches one match is sent
  that match and nothing else. An event names its player by id, and by the name to be shown, since who watches a match
  need not have the team.
- The kinds of an event are the eleven that the app's database has always had. No card is among them, so cards cannot
  be logged. Line-ups and substitutions are resources of their own, and not here yet.
- A penalty that goes in is a `goal`; `penalty` says that the kick was given. Only `goal` and `own_goal` count.
- Kick-off, half-time and full-time are taps: times that a match holds. What the clock shows is worked out from them by
  whoever reads, never stored.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from syncd.app import App, Resource, rules

__all__ = ["Event", "EventKind", "Match", "Player", "Side", "Team", "app"]

app = App("grassroots", version=1)

Side = Literal["home", "away"]

EventKind = Literal[
    "goal",
    "assist",
    "key_pass",
    "save",
    "interception",
    "tackle",
    "foul",
    "penalty",
    "free_kick",
    "ball_out",
    "own_goal",
]

Name = Annotated[str, Field(min_length=1, max_length=200)]


@app.resource(scope="team:{id}", rule=rules.merge)
class Team(Resource):
    """A club's team, such as the under-tens. `short_name`: for a narrow screen."""

    name: Name
    short_name: str | None = Field(default=None, max_length=20)
    age_group: str | None = Field(default=None, max_length=20)


@app.resource(scope="team:{team_id}", rule=rules.merge)
class Player(Resource):
    """A player of a team."""

    team_id: str
    name: Name
    shirt_number: int | None = Field(default=None, ge=0, le=99)


@app.resource(scope="match:{id}", rule=rules.merge)
class Match(Resource):
    """A match. `date` and `kick_off` are the plan, as on the clock at the ground; the rest is what was tapped."""

    home_team: Name
    away_team: Name
    home_team_id: str | None = None
    away_team_id: str | None = None
    date: datetime.date
    kick_off: datetime.time | None = None
    venue: str | None = Field(default=None, max_length=200)
    first_half_started_at: AwareDatetime | None = None
    first_half_ended_at: AwareDatetime | None = None
    second_half_started_at: AwareDatetime | None = None
    second_half_ended_at: AwareDatetime | None = None


@app.resource(scope="match:{match_id}", rule=rules.append)
class Event(Resource):
    """Something that happened in a match.

    `team`: the side of the player who acted; for an own goal, the side that concedes. `minute`, `added`: 90+4 is minute
    90, added 4. `period`: 1 and 2 the halves, 3 and 4 extra time, 5 the shoot-out, whose kicks are no goals.
    """

    match_id: str
    kind: EventKind
    team: Side
    player_id: str | None = None
    player: str | None = Field(default=None, max_length=200)
    minute: int = Field(ge=0, le=130)
    added: int = Field(default=0, ge=0, le=60)
    period: int | None = Field(default=None, ge=1, le=5)
    notes: str = Field(default="", max_length=2000)
