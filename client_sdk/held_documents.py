"""What is confirmed of the documents of a replica: how far each is here, and the rows in the file with its content.

A field of the confirmed state holds a marker that says how far the server has the document. What the server has beyond
what is here is `wanted`.

Every coroutine runs inside a write or a read of the replica.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from client_sdk.document_rows import DocumentKey, HeadRow
from client_sdk.outbox import ResourceKey
from conflict_rules import State
from conflict_rules.crdt import Collaborative, Marker, marker_of

if TYPE_CHECKING:
    from client_sdk.replica import Replica

__all__ = ["HeldDocuments", "marker_in"]


class HeldDocuments:
    """Of one replica. `wanted`: what is to be brought, and up to where. `types`: those that declare documents."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._rows = replica.store.documents
        self._heads: dict[DocumentKey, HeadRow] = {}
        self._lives: dict[DocumentKey, int] = defaultdict(int)
        self._fields: dict[ResourceKey, set[str]] = defaultdict(set)
        self.types: set[str] = set()
        self.wanted: dict[DocumentKey, Marker] = {}

    async def begin(self) -> None:
        """Take up where the file was left."""
        for head in await self._rows.heads():
            self.stands(head)
        for name, known in self._replica.app.types.items():
            declared = () if known.model is None else known.model.model_fields
            if any(self.rule(name, field) is not None for field in declared):
                self.types.add(name)

    def rule(self, type_name: str, field: str) -> Collaborative | None:
        """The rule of a field, if it holds a document."""
        rule = self._replica.rule(type_name).field_rule(field)
        return rule if isinstance(rule, Collaborative) else None

    def head(self, key: DocumentKey) -> HeadRow | None:
        """How far the confirmed part is."""
        return self._heads.get(key)

    def stands(self, head: HeadRow, *, begins: bool = False) -> None:
        """A document is so far here from now on. `begins`: all of it is other than before."""
        self._heads[head.key] = head
        self.meets(head.key)
        if begins:
            self._lives[head.key] += 1

    def forget(self, key: DocumentKey) -> None:
        """The resource is not here any more."""
        self._heads.pop(key, None)

    def meets(self, key: DocumentKey) -> None:
        """There is such a document."""
        self._fields[key.type, key.id].add(key.field)

    def documents_of(self, resource: ResourceKey, confirmed: State | None) -> set[DocumentKey]:
        """The documents of a resource of which anything is known here."""
        if confirmed is not None and confirmed.deleted is None:
            for name, value in confirmed.fields.items():
                if marker_of(value) is not None and self.rule(resource[0], name) is not None:
                    self._fields[resource].add(name)
        return {DocumentKey(*resource, name) for name in self._fields.get(resource, ())}

    def resources_in(self, scope: str) -> set[ResourceKey]:
        """The resources of a scope of whose documents anything is here."""
        return {(key.type, key.id) for key, head in self._heads.items() if head.scope == scope}

    async def unseen_in(self, scope: str) -> list[DocumentKey]:
        """The documents of a scope that what is confirmed does not show: of what was deleted, or of a field that may
        not be seen any more."""
        heads = [key for key, head in self._heads.items() if head.scope == scope]
        return [key for key in heads if marker_in(await self._replica.confirmed((key.type, key.id)), key.field) is None]

    def distrust(self, scope: str) -> None:
        """The server may have another past: the file says so of every document of this scope."""
        for key, head in self._heads.items():
            if head.scope == scope:
                self._heads[key] = replace(head, stale=True)

    def life(self, key: DocumentKey, confirmed: State | None) -> object:
        """Which content what is confirmed continues; None if nothing of it is here."""
        head = self._heads.get(key)
        if head is None or confirmed is None:
            return None
        if confirmed.deleted is None:
            marker = marker_in(confirmed, key.field)
            if marker is None or marker.since != head.since:
                return None
        return (head.since, self._lives[key])

    async def content(self, key: DocumentKey) -> tuple[object, list[bytes]]:
        """The life of a document, and what is confirmed of it."""
        life = self.life(key, await self._replica.confirmed((key.type, key.id)))
        return life, await self.updates(key, life)

    async def updates(self, key: DocumentKey, life: object) -> list[bytes]:
        """What is confirmed of a document in that life: perhaps a snapshot, then updates, in the order to apply."""
        return [] if life is None else await self._rows.updates(key)

    async def bring_anew(self, key: DocumentKey) -> None:
        """What is here cannot be read: all of it is wanted."""
        head = self._heads.get(key)
        marker = marker_in(await self._replica.confirmed((key.type, key.id)), key.field)
        if head is not None and not head.stale:
            self._heads[key] = replace(head, stale=True)
        if marker is not None:
            self.wanted[key] = marker


def marker_in(confirmed: State | None, field: str) -> Marker | None:
    """What the confirmed state says of a document; None if there is none."""
    living = confirmed is not None and confirmed.deleted is None
    return marker_of(confirmed.fields.get(field)) if confirmed is not None and living else None
