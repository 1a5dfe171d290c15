"""The documents of a replica: what the network brings of them, and the one door to what is held, own and shown.

What is confirmed of each lies in rows of its own (`held_documents`), what was edited here in the outbox
(`own_updates`); both are shown, merged (`shown_documents`). A field of the confirmed state holds a marker that says how
far the server has the document. Where that is further than what is here, either own updates account for the whole
difference, and are taken over, or the document is wanted from the server. Until an own update is in what is confirmed,
it is kept: nothing is hidden in between.

Every coroutine runs inside a write or a read of the replica.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from client_sdk.document_rows import DocumentKey, EchoRow, HeadRow
from client_sdk.held_documents import HeldDocuments, marker_in
from client_sdk.outbox import Entry, ResourceKey
from client_sdk.own_updates import OwnUpdates, as_value
from client_sdk.shown_documents import ShownDocuments
from conflict_rules import Kind, Outcome
from conflict_rules.crdt import Marker

if TYPE_CHECKING:
    from client_sdk.replica import Replica

__all__ = ["Fetched", "LocalDocuments", "as_value"]

_SQUASH_AFTER: Final = 500
_BYTES_FOR_ONE: Final = 64
"""After so many updates of a document a snapshot takes their place; and after so many more as the last one left waiting
and has times these bytes, since each squash reads all of it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the server sent of a document. `asked`: how far it was here when it was asked, None: all was asked for."""

    key: DocumentKey
    asked: Marker | None
    since: int
    seq: int
    updates: Sequence[bytes]


class LocalDocuments:
    """Of one replica. `wanted`: what is to be brought, and up to where."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._rows = replica.store.documents
        self._held = HeldDocuments(replica)
        self._own = OwnUpdates(lambda: replica.outbox, self._held.rule, self._held.types)
        self._shown = ShownDocuments(replica, self._held, self._own)
        self._added: dict[DocumentKey, int] = defaultdict(int)
        self._kept: dict[DocumentKey, int] = defaultdict(int)
        self.wanted = self._held.wanted
        self.rule = self._held.rule
        self.head = self._held.head
        self.confirmed = self._held.content
        self.resources_in = self._held.resources_in
        self.documents_of = self._held.documents_of
        self.distrust = self._held.distrust
        self.unseen_in = self._held.unseen_in
        self.updates_in = self._own.in_entry
        self.only_edits = self._own.only_edits
        self.spliced = self._shown.spliced
        self.open = self._shown.open
        self.apart = self._shown.apart
        self.mine = self._shown.mine
        self.close = self._shown.close
        self.refresh = self._shown.refresh

    async def begin(self) -> None:
        """Take up where the file was left."""
        await self._held.begin()
        self.took(await self._rows.echoes())
        for name in self._held.types:
            rows = await self._replica.store.resources(name, None)
            await self._judge([(row.type, row.id) for row in rows if '"document"' in row.body])

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        """The file has these no more."""
        for key in keys:
            self._held.forget(key)
            self._shown.outdate(key)

    # Reading

    def own(self, key: DocumentKey) -> Mapping[int, bytes]:
        """Updates made here that are in nothing confirmed, by their place in the outbox."""
        return self._own.of(key).updates

    async def whole(self, key: DocumentKey) -> bytes | None:
        """All that is here of a document, as one update; None if there is nothing."""
        from client_sdk.document_loading import loaded

        rule = self.rule(key.type, key.field)
        _, updates = await self.confirmed(key)
        updates += self._own.of(key).updates.values()
        return (await loaded(rule.kind, key.field, updates)).diff({}) if updates and rule is not None else None

    async def state_vector(self, key: DocumentKey) -> bytes:
        """How far the confirmed part of a document is, by Yjs client. Raises `DocumentUnreadable`."""
        from client_sdk.document_loading import loaded
        from conflict_rules.documents.yjs_update import write_state_vector

        rule = self.rule(key.type, key.field)
        assert rule is not None
        _, updates = await self.confirmed(key)
        return write_state_vector((await loaded(rule.kind, key.field, updates)).state_vector())

    # What the network brings

    def echoes_of(self, settled: Iterable[tuple[Entry, Outcome | None]]) -> list[EchoRow]:
        """The updates of changes that the confirmed state holds from now on."""
        found: list[EchoRow] = []
        for entry, outcome in settled:
            for key, update in self.updates_in(entry):
                if outcome is None:
                    found.append(EchoRow(key, entry.seq, 0, update))
                elif _counted(outcome, key.field):
                    found.append(EchoRow(key, entry.seq, outcome.version, update))
                else:
                    self._shown.outdate(key)
        return found

    def took(self, echoes: Iterable[EchoRow]) -> None:
        """These are in the file."""
        echoes = list(echoes)
        self._own.took(echoes)
        for echo in echoes:
            self._held.meets(echo.key)

    def settled(self, entry: Entry, outcome: Outcome) -> None:
        """What the server did not take into its documents is to leave those that are open here."""
        for key, _ in self.updates_in(entry):
            if not _counted(outcome, key.field):
                self._own.dropped(key, entry.seq)
                self._shown.outdate(key)

    async def look_again(self, keys: Iterable[ResourceKey]) -> None:
        """These resources may have changed: find out what is wanted of them, and show it in what is open."""
        keys = {key for key in keys if key[0] in self._held.types}
        await self._judge(keys)
        await self._shown.show_again(keys)

    async def take(self, fetched: Fetched) -> bool:
        """Save what the server sent; False if it does not fit what is here any more, and is to be asked for again."""
        key = fetched.key
        confirmed = await self._replica.confirmed((key.type, key.id))
        marker, head = marker_in(confirmed, key.field), self.head(key)
        if confirmed is None or marker is None or marker.since != fetched.since:
            return False
        held = None if head is None or head.stale else Marker(head.since, head.seq)
        instead = fetched.asked is None or fetched.asked.since != fetched.since
        if not instead and held != fetched.asked:
            return False
        updates = [update for update in fetched.updates if update]
        # What is beyond the marker may be an own update, which must not be counted again when the marker has it.
        now = HeadRow(key, confirmed.scope, marker.since, min(fetched.seq, marker.seq))
        # Of what came while the answer was under way it cannot be told which of it the answer holds: so the echoes that
        # are left count for nothing until another answer ends them.
        left = {} if fetched.seq >= marker.seq else self._own.echoes(key)
        left = {place: replace(echo, version=0) for place, echo in left.items()}
        async with self._replica.store.transaction():
            await self._rows.save(now, updates, instead=instead)
            await self._rows.drop_echoes([key])
            await self._rows.add_echoes(left.values())
        self._held.stands(now, begins=instead)
        if instead and any(echo.version < now.since for echo in self._own.echoes(key).values()):
            # What is open may hold what was made in a life that has ended.
            self._shown.outdate(key)
        self._own.dropped(key)
        self._own.took(left.values())
        if not instead:
            await self._shown.take(key, updates)
        self._added[key] += len(updates)
        await self._squash(key)
        await self.look_again([(key.type, key.id)])
        return True

    async def _squash(self, key: DocumentKey) -> None:
        """Put a snapshot in the place of what has come since the last one, if that is much beside it."""
        from client_sdk.document_loading import beside, squashed

        rule, head = self.rule(key.type, key.field), self.head(key)
        if rule is None or head is None or self._added[key] < _SQUASH_AFTER + self._kept[key]:
            return
        self._added[key] = 0
        updates = await self._rows.updates(key)
        few = await beside(squashed, rule.kind, key.field, updates, size=sum(map(len, updates)))
        if few is not None:
            self._kept[key] = len(few[0]) // _BYTES_FOR_ONE + len(few) - 1
            async with self._replica.store.transaction():
                await self._rows.save(head, few, instead=True)

    async def _judge(self, keys: Iterable[ResourceKey]) -> None:
        """Which of these documents are wanted, and which are what own updates have made of them."""
        taken: list[tuple[HeadRow, list[EchoRow], bool]] = []
        done: list[DocumentKey] = []
        for resource in keys:
            confirmed = await self._replica.confirmed(resource)
            for key in self._held.documents_of(resource, confirmed):
                marker, head = marker_in(confirmed, key.field), self.head(key)
                self.wanted.pop(key, None)
                if confirmed is None:
                    self._held.forget(key)
                if marker is None or confirmed is None:
                    if self._own.echoes(key):
                        # They were of a life that has ended.
                        self._shown.outdate(key)
                    done.append(key)
                    continue
                held = None if head is None or head.stale or head.since != marker.since else head
                echoes = list(self._own.echoes(key).values())
                if held is not None and held.seq >= marker.seq:
                    done.append(key)
                elif not (head is not None and head.stale) and _account_for(echoes, held, marker):
                    now = HeadRow(key, confirmed.scope, marker.since, marker.seq)
                    taken.append((now, sorted(echoes, key=lambda echo: echo.change), held is None))
                    done.append(key)
                else:
                    self.wanted[key] = marker
        done = [key for key in done if self._own.echoes(key)]
        if not taken and not done:
            return
        async with self._replica.store.transaction():
            for now, echoes, instead in taken:
                await self._rows.save(now, (echo.update for echo in echoes), instead=instead)
            await self._rows.drop_echoes(done)
        for now, echoes, instead in taken:
            self._held.stands(now, begins=instead and self.head(now.key) is not None)
            self._added[now.key] += len(echoes)
        for key in done:
            self._own.dropped(key)
        for now, _, _ in taken:
            await self._squash(now.key)


def _counted(outcome: Outcome, field: str) -> bool:
    """Whether the server has the update of a field of a settled change in its document."""
    if outcome.kind is Kind.REJECTED or (outcome.code or "").startswith("group_"):
        return False
    return field not in outcome.lost


def _account_for(echoes: Sequence[EchoRow], held: HeadRow | None, marker: Marker) -> bool:
    """Whether own updates, and nothing else, lead from what is held to the marker: each was counted once."""
    if not echoes or any(echo.version < marker.since for echo in echoes):
        return False
    if held is None:
        return len(echoes) == marker.seq and min(echo.version for echo in echoes) == marker.since
    return held.seq + len(echoes) == marker.seq
