"""How much the tests do: the one place for counts. `quick` is for every commit, `full` for `make full`.

A test never writes such a number itself, so that nobody has to search for what to turn up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

__all__ = ["FULL", "QUICK", "SIZES", "Sizes"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """One profile.

    `property_examples`: histories or values that hypothesis tries per property. `interleavings`: how many ways of
    editing, sending and hearing a device goes through for each rule (40 ms each). `engine_histories`: how many are
    played against a whole engine on a file. `crash_kills`: how often the server is killed
    with -9. `crash_clients`: how many clients push while that happens. `fault_kills`: how often a server with a seeded
    fault is killed; not every kill meets the moment at which it loses something. `demo_matches`: how many of the 128
    recorded matches the demo plays. `offline_changes`: how long the queue is that drains through interruptions.
    `bootstrap_resources`: how many a replica brings whose bootstrap is cut off three times. `replica_histories`: how
    many two to eight replicas play beside the reference model. `mutants`: how many broken rules the tests must notice,
    None for all; `mutant_histories`: how many of those histories each has to get through. `trace_shuffles`: in how many
    orders of either kind the updates of each recorded text arrive (a second each). `random_documents`: how many of the
    984 random documents pycrdt makes of their updates. `hostile_updates`: how many are given to the workers that read
    documents. `document_histories`: how many two to eight replicas play with documents (0.4 s each).
    `looped_documents`: how many three devices play whose sync loops run by themselves, with and without refusals.
    `served_transactions`: how much of each recorded text devices type over a real server (a second per 2,500), None for
    all; `served_updates`: how much of it they send as single updates (0.8 ms of processor time each, server and workers
    included, also where thousands wait for others), `served_shuffles`: in how many orders of either kind;
    `served_kills`: how often the server is killed meanwhile.
    `yjs_documents`: how many of each kind yjs under Node and devices write, in each of the ways they meet (1 s each).
    """

    name: str
    property_examples: int
    interleavings: int = 100
    engine_histories: int = 20
    crash_kills: int = 50
    crash_clients: int = 16
    fault_kills: int = 24
    demo_matches: int = 10
    offline_changes: int = 400
    bootstrap_resources: int = 2_000
    replica_histories: int = 100
    mutants: int | None = 8
    mutant_histories: int = 100
    trace_shuffles: int = 1
    random_documents: int = 100
    hostile_updates: int = 20_000
    document_histories: int = 30
    looped_documents: int = 2
    served_transactions: int | None = 2_500
    served_updates: int | None = 150
    served_shuffles: int = 1
    served_kills: int = 1
    yjs_documents: int = 1


QUICK: Final = Sizes("quick", property_examples=200)
FULL: Final = Sizes(
    "full",
    property_examples=10_000,
    interleavings=2_000,
    engine_histories=1000,
    demo_matches=128,
    offline_changes=10_000,
    bootstrap_resources=100_000,
    replica_histories=10_000,
    mutants=None,
    trace_shuffles=20,
    random_documents=984,
    hostile_updates=1_000_000,
    document_histories=2_000,
    looped_documents=200,
    served_transactions=None,
    served_updates=None,
    served_shuffles=20,
    served_kills=5,
    yjs_documents=100,
)

_PROFILES = {sizes.name: sizes for sizes in (QUICK, FULL)}


def chosen(name: str) -> Sizes:
    """The profile of that name; a misspelt one is an error, not a silent `quick`."""
    if name not in _PROFILES:
        raise ValueError(f"SYNCD_TEST_SIZES is {name!r}; it is one of: {', '.join(_PROFILES)}")
    return _PROFILES[name]


SIZES: Final = chosen(os.environ.get("SYNCD_TEST_SIZES", "quick"))
"""The profile of this run."""
