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

from conflict_rules import (
    APPEND,
    ASK,
    COUNTER,
    CRDT,
    LWW,
    MANUAL,
    MAX,
    MERGE,
    MIN,
    SERVER_WINS,
    SET,
    Algebra,
    MergeFunction,
    RecordRule,
    check_algebra,
    own_rule,
)

__all__ = [
    "ASK",
    "append",
    "check_algebra",
    "counter",
    "crdt",
    "lww",
    "manual",
    "max",
    "merge",
    "min",
    "own",
    "server_wins",
    "set",
]

append: Final = APPEND
counter: Final = COUNTER
crdt: Final = CRDT
lww: Final = LWW
manual: Final = MANUAL
max: Final = MAX  # noqa: A001  # read as rules.max
merge: Final = MERGE
min: Final = MIN  # noqa: A001
server_wins: Final = SERVER_WINS
set: Final = SET  # noqa: A001


def own(
    name: str, *, commutative: bool = False, associative: bool = False, idempotent: bool = False
) -> Callable[[MergeFunction], RecordRule]:
    """Make a pure function `(base, mine, theirs)` a rule of that name; the function's name is the rule from then on.

    It returns the value to hold, or `rules.ASK` for a conflict, and is asked only where neither change has seen the
    other: then arrival decides. `commutative` and `associative`, declared together, say that the order of arrival does
    not matter; then it is asked about every value after the first, in sight too, and never returns `rules.ASK`.
    `idempotent` says that a value told again changes nothing. `check_algebra` holds the function to what is declared.
    Raises ValueError if the name is taken, or only one of the two is declared.
    """
    algebra = Algebra(commutative, associative, idempotent, arbitrated=not commutative)

    def register(function: MergeFunction) -> RecordRule:
        return own_rule(name, function, algebra)

    return register
