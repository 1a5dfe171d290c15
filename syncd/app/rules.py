"""The rules an app author may name, for a resource or for one field: the same objects that the engine runs.

    @app.resource(scope="game:{id}", rule=rules.manual)
    class Game(Resource):
        home_score: int = 0
        likes: Annotated[int, rules.counter] = 0

What each is for stands in its own module of conflict_rules, and in docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conflict_rules import APPEND, ASK, COUNTER, LWW, MANUAL, MAX, MERGE, MIN, SERVER_WINS, SET, RecordRule, own_rule
from conflict_rules.own import MergeFunction

__all__ = ["ASK", "append", "counter", "lww", "manual", "max", "merge", "min", "own", "server_wins", "set"]

append: Final = APPEND
counter: Final = COUNTER
lww: Final = LWW
manual: Final = MANUAL
max: Final = MAX  # noqa: A001  # read as rules.max
merge: Final = MERGE
min: Final = MIN  # noqa: A001
server_wins: Final = SERVER_WINS
set: Final = SET  # noqa: A001


def own(name: str) -> Callable[[MergeFunction], RecordRule]:
    """Make a pure function `(base, mine, theirs)` a rule of that name; the function's name is the rule from then on.

    It returns the value to hold, or `rules.ASK` for a conflict, and is asked only where neither change has seen the
    other. Raises ValueError if the name is taken.
    """

    def register(function: MergeFunction) -> RecordRule:
        return own_rule(name, function)

    return register
