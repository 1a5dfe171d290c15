"""Which changes need other numbers when the server remembers otherwise than this replica (law 3). Pure.

Two histories lead here. The device was restored from a backup: it counts again where it once was, and the server
answers `id_reuse`. Or the server was: it has forgotten numbers that it settled, and answers with the one it expects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from client_sdk.messages import Answer
from client_sdk.outbox import Entry
from conflict_rules import Kind

__all__ = ["SendAgain", "after_forgetting", "after_reuse"]

_FOR_WANT_OF_ANOTHER = ("group_rejected", "unknown_resource")


def after_reuse(answered: Sequence[tuple[Entry, Answer]], settled: int, waiting: Iterable[Entry]) -> list[Entry]:
    """What is made anew under a fresh replica id, in the order made; empty if no answer was `id_reuse`.

    Changes answered `id_reuse`, and nothing that took effect (counterexample 7). With them goes what was rejected for
    want of them: a later change of the same resource or group. And what the server cannot have yet, so that what is
    made anew keeps its place before it: numbers of this replica above `settled`, and what waits unsent under another.
    """
    anew: list[Entry] = []
    keys: set[tuple[str, str]] = set()
    groups: set[str] = set()
    for entry, answer in answered:
        rejected = answer.outcome.kind is Kind.REJECTED
        reused = rejected and answer.outcome.code == "id_reuse"
        # A repeat may have been refused for want of it when the reply was lost; any other reason it had stands.
        wanting = rejected and (not answer.repeat or answer.outcome.code in _FOR_WANT_OF_ANOTHER)
        if reused or (wanting and (entry.key in keys or entry.change.group in groups)):
            anew.append(entry)
            keys.add(entry.key)
            if entry.change.group is not None:
                groups.add(entry.change.group)
    if not anew:
        return []
    replica = answered[0][0].change.replica
    done = {entry.seq for entry, _ in answered}
    behind = [
        entry
        for entry in waiting
        if entry.seq not in done and (entry.change.n > settled if entry.change.replica == replica else not entry.sent)
    ]
    return sorted([*anew, *behind], key=lambda entry: entry.seq)


@dataclass(frozen=True, slots=True)
class SendAgain:
    """`again`: to be sent once more, under their numbers. `anew`: to be numbered from 1 under a fresh replica id."""

    again: Sequence[Entry] = ()
    anew: Sequence[Entry] = ()


def after_forgetting(expected: int, kept: Sequence[Entry], waiting: Iterable[Entry]) -> SendAgain:
    """What to do when the server expects a number below the one that was sent.

    `kept`: every change of that replica id from `expected` on that the file still has, settled or not, by number. If
    none is missing, those that had an outcome are sent again; the server has lost it with everything else. If one is,
    all that waits is made anew. `waiting`: everything without an outcome, of whatever replica id.
    """
    numbers = [entry.change.n for entry in kept]
    if numbers and numbers == list(range(expected, expected + len(numbers))):
        return SendAgain(again=[entry for entry in kept if not entry.waiting])
    replica = {entry.change.replica for entry in kept}
    return SendAgain(
        anew=[entry for entry in waiting if entry.change.replica in replica or not entry.sent or not replica]
    )
