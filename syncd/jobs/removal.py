"""Removal: what is about a person goes out of what others share: out of resources, questions about them, their history.

Doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conflict_rules import CONFLICT_TYPE, conflict_id
from conflict_rules.scrubbed import by_scrubber
from syncd.app import App, ResourceType
from syncd.engine.scrub import Left, Scrubber
from syncd.jobs.ledger_pages import LedgerPages
from syncd.jobs.wipe import ALL_FIELDS, AllBut, schema_of, wiped
from syncd.store.protocol import LedgerRow, ResourceKey, Store
from syncd.store.traces import Rewritten, Traces

__all__ = ["Receipt", "Removal", "owners_of", "questions_about"]

_LINES: Final = 100
"""Rewritten in one go, or as many as one resource has."""


@dataclass(slots=True)
class Receipt:
    """How many replicas he had; resources of his own scope that went, and others that were changed or went; lines of
    the history that lost something. After a stop it counts what was left to do.
    """

    replicas: int = 0
    own_resources: int = 0
    resources: int = 0
    history_lines: int = 0


class Removal:
    """For one erasure. `done`: how much went. `ledger`: where it is looked for."""

    def __init__(self, app: App, store: Store, traces: Traces, scrubber: Scrubber) -> None:
        self.done = Receipt()
        self.ledger = LedgerPages(store, traces)
        self._app = app
        self._store = store
        self._traces = traces
        self._scrubber = scrubber

    async def change(self, keys: Iterable[ResourceKey], left: Left) -> None:
        """Leave of resources what `left` says."""
        self.done.resources += await self._scrubber.scrub(list(keys), left)

    async def forget(
        self, names: Mapping[ResourceKey, Container[str]], questions: Collection[ResourceKey] = ()
    ) -> None:
        """Wipe fields of each resource, those that are named beside it, out of its history; questions go whole.

        A history goes in one piece, and after the questions: of half of it nobody could tell any more whom it was
        about, if the server stopped there.
        """
        async with self._store.snapshot() as snapshot:
            asked = list(await snapshot.states(questions))
        await self._scrubber.scrub(asked, lambda _: None)
        going: dict[ResourceKey, Container[str]] = {**dict.fromkeys(asked, ALL_FIELDS), **names}
        gathered: list[Rewritten] = []
        for key, gone in going.items():
            async for rows in self.ledger.about(key):
                gathered += _wiped((row, self._names_in(row, gone)) for row in rows)
            if len(gathered) >= _LINES:
                await self._rewrite(gathered)
                gathered = []
        await self._rewrite(gathered)

    async def wipe(self, rows: Iterable[LedgerRow], names: Callable[[LedgerRow], Container[str]]) -> None:
        """Wipe fields out of lines of the history, whatever each is about."""
        await self._rewrite(_wiped((row, names(row)) for row in rows))

    def of_other_version(self, type_name: str) -> AllBut:
        """What goes of a change that was made under another version of the app, in which the same may have had another
        name. Whom it is about stays: that leads to what others have said of him.
        """
        declared = self._app.types.get(type_name)
        return ALL_FIELDS if declared is None else AllBut(owners_of(declared))

    def _names_in(self, row: LedgerRow, names: Container[str]) -> Container[str]:
        if isinstance(names, AllBut) or schema_of(row) == self._app.version:
            return names
        return self.of_other_version(row.settled.type)

    async def _rewrite(self, rows: Sequence[Rewritten]) -> None:
        await self._traces.rewrite(rows)
        self.done.history_lines += len(rows)


def owners_of(declared: ResourceType) -> frozenset[str]:
    """The fields of a type that say whom others are about. They stay, since they lead to those."""
    return frozenset(each.of for each in declared.personal.values() if each.of is not None)


def questions_about(key: ResourceKey, names: Iterable[str]) -> list[ResourceKey]:
    """The conflicts over fields of a resource, whether or not there is one: values in dispute are in them, too."""
    return [(CONFLICT_TYPE, conflict_id(*key, name)) for name in names]


def _wiped(lines: Iterable[tuple[LedgerRow, Container[str]]]) -> list[Rewritten]:
    # What a scrubber has written itself says what stands instead.
    sent = ((row, names) for row, names in lines if not by_scrubber(row.settled.replica))
    return [new for row, names in sent if (new := wiped(row, names)) is not None]
