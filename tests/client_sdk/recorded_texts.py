"""Recorded writing as devices type it, or send it update by update."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from pycrdt import Doc, Text

from conflict_rules.documents.yjs_update import Extent, read_update
from tests.support import crdt

__all__ = ["Patch", "Typist", "arriving", "shortened", "typists"]

WINDOW: Final = 200

Patch = tuple[int, int, str]
"""Where, how many code points go, and what comes."""


def shortened(name: str, transactions: int | None) -> crdt.Trace:
    """The beginning of a trace, or all of it, and the text that it leads to."""
    whole = crdt.trace(name)
    if transactions is None or transactions >= len(whole.updates):
        return whole
    doc: Doc[Text] = Doc()
    doc["text"] = text = Text()
    for update in whole.updates[:transactions]:
        doc.apply_update(update)
    return crdt.Trace(whole.updates[:transactions], str(text))


def arriving(updates: Sequence[bytes], order: str, seed: int) -> list[bytes]:
    """In some order, `shuffled` or each up to so many places from its own (`window`), and a tenth of them twice."""
    source = random.Random(f"{order} {seed}")
    if order == "shuffled":
        coming = source.sample(updates, len(updates))
    else:
        places = [(place + source.uniform(0, WINDOW), update) for place, update in enumerate(updates)]
        coming = [update for _, update in sorted(places)]
    for _ in range(len(coming) // 10):
        coming.insert(source.randrange(len(coming)), source.choice(updates))
    return coming


@dataclass(frozen=True, slots=True)
class _Transaction:
    """`patches`: as recorded, where nobody else wrote."""

    update: bytes
    extent: Extent
    patches: Sequence[Patch] | None


def typists(name: str, transactions: int | None) -> list[Typist]:
    """Those who wrote a trace, or the beginning of it."""
    published = crdt.recorded(name)
    alone = "numAgents" not in published
    lines: list[list[_Transaction]] = [[] for _ in range(published.get("numAgents", 1))]
    for transaction, update in islice(zip(published["txns"], crdt.trace(name).updates, strict=True), transactions):
        patches = [(at, gone, come) for at, gone, come in transaction["patches"]] if alone else None
        lines[transaction.get("agent", 0)].append(_Transaction(update, read_update(update), patches))
    return [Typist(line) for line in lines]


class Typist:
    """One of those who wrote: what is left to type, and what the screen shows. `fresh`: typed since the last `hear`.

    A device hears of more at once than the writer had when it was recorded, or of less. So where to type is read off a
    copy of what the device shows, when the recorded update is merged into that (which is ASCII then).
    """

    def __init__(self, line: Iterable[_Transaction]) -> None:
        self.left = deque(line)
        self.fresh: list[_Transaction] = []
        self._doc: Doc[Text] = Doc()
        self._doc["text"] = self._text = Text()
        self._reached: dict[int, int] = {}
        self._patches: list[Patch] = []
        self._subscription = self._text.observe(self._read_off)

    @property
    def screen(self) -> str:
        """What the device must show."""
        return str(self._text)

    def types(self, most: int) -> list[Patch]:
        """The next patches, of up to so many transactions, up to the first that builds on what was not heard yet."""
        typed: list[Patch] = []
        for _ in range(most):
            if not self.left or not self._heard_what(self.left[0]):
                break
            transaction = self.left.popleft()
            self._merge(transaction)
            self.fresh.append(transaction)
            typed += self._patches if transaction.patches is None else transaction.patches
        return typed

    def hear(self, transactions: Iterable[_Transaction]) -> None:
        """What another has typed."""
        for transaction in transactions:
            self._merge(transaction)

    def _heard_what(self, transaction: _Transaction) -> bool:
        """Whether all that it builds on is here."""
        return all(self._reached.get(client, 0) >= end for client, end in transaction.extent.needs.items())

    def _merge(self, transaction: _Transaction) -> None:
        self._patches = []
        self._doc.apply_update(transaction.update)
        for client, ranges in transaction.extent.ranges.items():
            self._reached[client] = max(self._reached.get(client, 0), ranges[-1][1])

    def _read_off(self, event: Any) -> None:
        at = 0
        for step in event.delta:
            if "retain" in step:
                at += step["retain"]
            elif "delete" in step:
                self._patches.append((at, step["delete"], ""))
            else:
                self._patches.append((at, 0, step["insert"]))
                at += len(step["insert"])
