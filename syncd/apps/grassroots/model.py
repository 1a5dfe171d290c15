"""What the sideline scorer keeps: teams, players, matches, and the events of a match.

Decisions a reader may look for:

- A team and its players live in `team:{id}`, a match and its events in `match:{id}`: whoever watches one match is sent
  that match and nothing else. An event names its player by id, and by the name to be shown, since who watches a match
  need not have the team.
- The kinds of an event are the eleven that the app's database has always had. No card is among them: cards cannot be
  logged, and whoever is sent off stays on the field that `on_field.py` shows. So does who goes off and is not replaced.
- A substitution is one fact, not a player going off and another one coming on: nobody can ever see half of it, and a
  correction, or a deletion, is of both. Who is on the field is worked out from the line-up and these facts; no player
  holds times of going on and off, which two phones could set against each other, and which rolling substitutions, as
  in youth football, would need many of. Two or three substitutions in one stoppage, or one with the line-up entry of
  somebody who came late, are put in one group.
- A penalty that goes in is a `goal`; `penalty` says that the kick was given. Only `goal` and `own_goal` count.
- Kick-off, half-time and full-time are taps: times that a match holds. What the clock shows is worked out from them by
  whoever reads (`clock.py`), never stored.
- Every match has two halves; quarters, which some youth matches play, are not here.
- Players are children. Members, whom the owner has let in, see their names; for whoever comes by a share link a player
  is a shirt number. Names, ids of players, notes and positions are private: nobody knows what is typed there. The id of
  a `Player` is no field that could be, so players of a team are not shared at all.
- A player who has an account is entered under its id. When that is erased the events count on, without name and note
  (`forgetting.py` has what no mark can say); what somebody else logged loses the note when that one is erased.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from syncd.app import App, Resource, personal, private, roles, rules

__all__ = ["Event", "EventKind", "Lineup", "Match", "Player", "Side", "Substitution", "Team", "app"]

app = App("grassroots", version=1)

app.scope("team", roles=("viewer", "coach", "owner"))
app.scope("match", roles=("viewer", "scorer", "owner"))

TEAM_SHEET = roles(read="viewer", write="coach")
PLAYERS = roles(read="viewer", write="coach", shared=False)
SCORE_SHEET = roles(read="viewer", write="scorer")

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
ShirtNumber = Annotated[int, Field(ge=0, le=99)]
Minute = Annotated[int, Field(ge=0, le=130)]
Added = Annotated[int, Field(ge=0, le=60)]
Second = Annotated[int, Field(ge=0, le=59)]
PeriodNumber = Annotated[int, Field(ge=1, le=5)]
HiddenName = Annotated[Name, private(...)]
"""Of somebody, and not to be left out: hidden from whoever comes by a share link."""


@app.resource(scope="team:{id}", rule=rules.merge, access=TEAM_SHEET)
class Team(Resource):
    """A club's team, such as the under-tens. `short_name`: for a narrow screen."""

    name: Name
    short_name: str | None = Field(default=None, max_length=20)
    age_group: str | None = Field(default=None, max_length=20)


@app.resource(scope="team:{team_id}", rule=rules.merge, access=PLAYERS)
class Player(Resource):
    """A player of a team."""

    team_id: str
    name: HiddenName
    shirt_number: ShirtNumber | None = None


@app.resource(scope="match:{id}", rule=rules.merge, access=SCORE_SHEET)
class Match(Resource):
    """A match. `date` and `kick_off` are the plan, as on the clock at the ground; the rest is what was tapped.

    `half_minutes`, `extra_half_minutes`: how long the two halves, and those of extra time, are played, without stoppage
    time (45 and 15 by the Laws of the Game, law 7; shorter for the young). `players_per_side`: 11, fewer for the young.
    `same_goal_minutes`: two phones that log goals so close together are asked whether it is one; see `same_goal.py`.
    """

    home_team: Name
    away_team: Name
    home_team_id: str | None = None
    away_team_id: str | None = None
    date: datetime.date
    kick_off: datetime.time | None = None
    venue: str | None = Field(default=None, max_length=200)
    half_minutes: int = Field(default=45, ge=1, le=50)
    extra_half_minutes: int = Field(default=15, ge=1, le=15)
    players_per_side: int = Field(default=11, ge=1, le=11)
    same_goal_minutes: int = Field(default=2, ge=0, le=15)
    first_half_started_at: AwareDatetime | None = None
    first_half_ended_at: AwareDatetime | None = None
    second_half_started_at: AwareDatetime | None = None
    second_half_ended_at: AwareDatetime | None = None
    extra_first_half_started_at: AwareDatetime | None = None
    extra_first_half_ended_at: AwareDatetime | None = None
    extra_second_half_started_at: AwareDatetime | None = None
    extra_second_half_ended_at: AwareDatetime | None = None
    shoot_out_started_at: AwareDatetime | None = None
    shoot_out_ended_at: AwareDatetime | None = None


@app.resource(scope="match:{match_id}", rule=rules.append, access=SCORE_SHEET)
class Event(Resource):
    """Something that happened in a match.

    `team`: the side of the player who acted; for an own goal, the side that concedes. `minute`, `added`: 90+4 is minute
    90, added 4; counted through the match as the game does it, the first minute being 1. `second`: of that minute, if
    it is known. `period`: 1 and 2 the halves, 3 and 4 extra time, 5 the shoot-out, whose kicks are no goals.
    """

    match_id: str
    kind: EventKind
    team: Side
    player_id: str | None = private()
    player: Annotated[str | None, Field(max_length=200), private()] = personal(of="player_id")
    minute: Minute
    added: Added = 0
    second: Second | None = None
    period: PeriodNumber | None = None
    notes: Annotated[str, Field(max_length=2000), private()] = personal("")


@app.resource(scope="match:{match_id}", rule=rules.merge, access=SCORE_SHEET)
class Lineup(Resource):
    """One player of one side in one match: who starts, and who sits on the bench (`starter` false).

    `position`: as the team calls it, such as "left back". Two phones without a signal may each enter the same player;
    whoever reads takes the two for one.
    """

    match_id: str
    team: Side
    player_id: str | None = private()
    player: HiddenName
    shirt_number: ShirtNumber | None = None
    position: Annotated[str | None, Field(max_length=40), private()] = personal(of="player_id")
    starter: bool


@app.resource(scope="match:{match_id}", rule=rules.append, access=SCORE_SHEET)
class Substitution(Resource):
    """One player goes off and another comes on; `minute`, `added`, `second` and `period` as of an event.

    A substitution at half-time is in the first minute of the second half.
    """

    match_id: str
    team: Side
    player_off_id: str | None = private()
    player_off: HiddenName
    player_on_id: str | None = private()
    player_on: HiddenName
    minute: Minute
    added: Added = 0
    second: Second | None = None
    period: PeriodNumber | None = None
