"""Erase: a person goes, and the facts stay. The account, his own scope, what fields say about him, what he has sent.

Every step may be done twice, and finds out for itself what is left to do: after a stop it is begun again from the first
one. So none takes away what a later one goes by: what others have said about him is found by what he has sent himself,
and goes before that. Whose the replicas were is needed to the end, so they are given to a pseudonym at the start, which
only the job knows.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from conflict_rules import CONFLICT_TYPE, Kind, State
from conflict_rules.scrubbed import is_bare
from conflict_rules.values import JsonValue
from syncd.app import App, ResourceType
from syncd.app.builtin import SHARE_LINK_TYPE
from syncd.engine.authorise import own_scope
from syncd.engine.entry import Entry, read_entry, replay_replica
from syncd.engine.scrub import Scrubber
from syncd.jobs.asked_app import AskedApp
from syncd.jobs.removal import Receipt, Removal, questions_about
from syncd.jobs.runner import Progress
from syncd.jobs.wipe import ALL_FIELDS, schema_of
from syncd.store.jobs import JobRow
from syncd.store.protocol import LedgerRow, ResourceKey, Store
from syncd.store.traces import Traces

__all__ = ["Erase", "Receipt", "WipesLines"]

_IDS: Final = 5000
"""Found by one look through all that was sent about a type."""
_PAGE_BYTES: Final = 1 << 20

Fields = Mapping[str, JsonValue]
"""Names, each with what is to stand there."""


class WipesLines(Protocol):
    """The file with what the quarantine had no room for."""

    async def wipe(self, replicas: Collection[str]) -> None:
        """Leave nothing of what these replicas sent."""
        ...


class Erase:
    """The work of jobs of the kind "erase".

    `close`: empties an account and ends what opens it. `drop_results`: deletes what was made for it. `end_links`: ends
    the connections of whoever came in by these share links.
    """

    def __init__(
        self,
        *,
        app: App,
        store: Store,
        traces: Traces,
        scrubber: Scrubber,
        file: WipesLines,
        close: Callable[[str], Awaitable[None]],
        drop_results: Callable[[str], Awaitable[None]],
        end_links: Callable[[Collection[str]], None],
    ) -> None:
        self._app = app
        self._store = store
        self._traces = traces
        self._scrubber = scrubber
        self._file = file
        self._close = close
        self._drop_results = drop_results
        self._end_links = end_links
        self._asked_app = AskedApp(app, store, traces)

    async def __call__(self, job: JobRow, progress: Progress, result: Path, /) -> Mapping[str, Any]:
        """See `Work`. The receipt says how much there was; nothing is written to a file."""
        user, pseudonym = job.account, str(json.loads(job.detail)["pseudonym"])
        removal = Removal(self._app, self._store, self._traces, self._scrubber)
        await self._close(user)
        await self._drop_results(user)
        while True:
            await self._traces.disown(user, pseudonym)
            await self._erase_all(user, pseudonym, removal, progress)
            # A push that was under way when the account was closed may have brought another one.
            if not await self._traces.replicas_of(user):
                return asdict(removal.done)

    async def _erase_all(self, user: str, pseudonym: str, removal: Removal, progress: Progress) -> None:
        replicas = [row.id for row in await self._traces.replicas_of(pseudonym)]
        total = await self._traces.change_count(pseudonym) + len(self._app.types) + 3
        removal.done.replicas = len(replicas)
        await self._erase_own_scope(user, removal)
        await progress(1, total)
        count = 1
        for declared in self._app.types.values():
            await self._erase_about(user, declared, removal)
            await self._asked_app.erase(user, declared, removal)
            count += 1
            await progress(count, total)
        for replica in replicas:
            async for rows in removal.ledger.of_replica(replica):
                await self._erase_sent(user, rows, removal)
                await self._erase_replays(user, rows, removal)
                count += len(rows)
                await progress(count, total)
        async for rows in removal.ledger.in_scope(own_scope(user)):
            await removal.wipe(rows, lambda row: ALL_FIELDS)
        await progress(count + 1, total)
        await self._file.wipe(replicas)

    async def _erase_own_scope(self, user: str, removal: Removal) -> None:
        """Memberships, share links and all else: deleted, with what tombstones keep."""
        scope, after, links = own_scope(user), 0, set[str]()
        async with self._store.snapshot() as snapshot:
            head = (await snapshot.heads([scope]))[scope]
        while after < head:
            async with self._store.snapshot() as snapshot:
                page = await snapshot.page(scope, after, _PAGE_BYTES)
            keys: list[ResourceKey] = []
            for body, type_name in zip(page.bodies, page.types, strict=True):
                state = json.loads(body)
                # What a tombstone keeps no more, nobody else has ever had: there is no one to tell.
                if not state.get("deleted") or "kept" in state:
                    keys.append((type_name, state["id"]))
                if type_name == SHARE_LINK_TYPE:
                    links.add(state["id"])
            removal.done.own_resources += await self._scrubber.scrub(keys, lambda _: None)
            after = page.upto
        self._end_links(links)

    async def _erase_about(self, user: str, declared: ResourceType, removal: Removal) -> None:
        """What others, too, have said about him in fields that name him as the one whom they are about."""
        by_owner: dict[str, dict[str, JsonValue]] = {}
        for name, each in declared.personal.items():
            if each.of is not None:
                by_owner.setdefault(each.of, {})[name] = declared.blank(name)
        after = ""
        while by_owner and (ids := await self._traces.naming(declared.name, user, after=after, limit=_IDS)):
            names: dict[ResourceKey, set[str]] = {}
            for id_ in ids:
                key = (declared.name, id_)
                if found := await self._ever_in(user, key, by_owner, removal):
                    names[key] = {name for owner in found for name in by_owner[owner]}
            await self._blank(names, partial(_left_about, user, by_owner), removal)
            after = ids[-1]

    async def _ever_in(self, user: str, key: ResourceKey, owners: Collection[str], removal: Removal) -> set[str]:
        """Which of these fields of a resource name him, or did at some time."""
        async with self._store.snapshot() as snapshot:
            there = (await snapshot.states([key])).get(key)
        state = {} if there is None else json.loads(there.body)
        fields = (state.get("kept") or state).get("fields", {})
        found = {owner for owner in owners if fields.get(owner) == user}
        async for rows in removal.ledger.about(key):
            if len(found) == len(owners):
                break
            for row in rows:
                for said in self._said(read_entry(row)):
                    found |= {owner for owner in owners if said.get(owner) == user}
        return found

    def _said(self, entry: Entry) -> list[Fields]:
        """The fields of a change, as they were sent and in the words of this version of the app."""
        said = [entry.fields]
        if entry.change is not None and entry.change.schema != self._app.version:
            # What cannot be lifted any more is taken as it was sent.
            with suppress(Exception):
                said.append(self._app.upgrades.lift(entry.change).fields)
        return said

    async def _erase_sent(self, user: str, rows: Sequence[LedgerRow], removal: Removal) -> None:
        """What began with them loses what is about its maker, and each line what is personal."""
        for type_name in sorted({row.settled.type for row in rows}):
            declared = self._app.types.get(type_name)
            blanks = {} if declared is None else _of_maker(declared)
            if blanks:
                made = [key for key in _touched(rows, type_name) if await self._began(key, rows, removal)]
                await self._blank(dict.fromkeys(made, blanks), partial(_left_of, blanks), removal)
        own = own_scope(user)
        await removal.wipe(rows, lambda row: ALL_FIELDS if row.settled.scope == own else self._marked(row, removal))

    async def _began(self, key: ResourceKey, rows: Sequence[LedgerRow], removal: Removal) -> bool:
        """Whether the replica that sent `rows` made a resource: the first change that took effect on it was its own,
        whichever that was. The same told once more, or by another phone, makes nothing.
        """
        async for page in removal.ledger.about(key):
            for row in page:
                outcome = read_entry(row).outcome
                if outcome.kind.took_effect and outcome.version:
                    return row.settled.replica == rows[0].settled.replica
        return False

    async def _erase_replays(self, user: str, rows: Sequence[LedgerRow], removal: Removal) -> None:
        """What was rejected, and somebody else has replayed: it is under another name, and still what he sent."""
        for row in rows:
            if row.settled.kind == Kind.REJECTED:
                async for again in removal.ledger.of_replica(replay_replica(row.settled.replica, row.settled.n)):
                    await self._erase_sent(user, again, removal)

    def _marked(self, row: LedgerRow, removal: Removal) -> Container[str]:
        """The personal fields of what a change was about; all, where they cannot be told."""
        declared = self._app.types.get(row.settled.type)
        if self._app.open or row.settled.type == CONFLICT_TYPE:
            return ()
        if declared is None:
            return ALL_FIELDS
        if declared.personal and schema_of(row) != self._app.version:
            return removal.of_other_version(declared.name)
        return declared.personal.keys()

    async def _blank(
        self,
        names: Mapping[ResourceKey, Collection[str]],
        left: Callable[[State], Fields | None],
        removal: Removal,
    ) -> None:
        """Blank fields of resources, in what they say now, in questions about them, and in their history."""
        await removal.change(names, left)
        # The history last: until then others may still send what is going.
        questions = [question for key, each in names.items() for question in questions_about(key, each)]
        await removal.forget(names, questions)


def _of_maker(declared: ResourceType) -> dict[str, JsonValue]:
    """The fields that are about whoever made a resource, with what stands there when he is gone."""
    return {name: declared.blank(name) for name, each in declared.personal.items() if each.of is None}


def _touched(rows: Sequence[LedgerRow], type_name: str) -> list[ResourceKey]:
    """The resources of a type on which any of these changes took effect."""
    took = (row for row in rows if row.settled.type == type_name and Kind(row.settled.kind).took_effect)
    return list(dict.fromkeys((type_name, row.settled.id) for row in took))


def _left_of(blanks: Fields, state: State) -> Fields | None:
    """What is left of what he made; of a tombstone that keeps nothing, that all are told."""
    return None if is_bare(state) else {name: blank for name, blank in blanks.items() if name in state.fields}


def _left_about(user: str, by_owner: Mapping[str, Fields], state: State) -> Fields | None:
    """What is left of what names him; of a tombstone that keeps nothing, that all are told."""
    if is_bare(state):
        return None
    about = [blanks for owner, blanks in by_owner.items() if state.fields.get(owner) == user]
    return {name: blank for blanks in about for name, blank in blanks.items() if name in state.fields}
