"""Fetch: brings documents of which the server has more than is here, whenever a page or a delta has said so.

Asks by how far each is here, and after a long absence by state vector too, so that the server sends what is missing
and nothing else. Each answer is one local commit; what does not fit any more by then is asked for again.
"""

from __future__ import annotations

import base64
import logging
from typing import Final

from client_sdk.document_rows import DocumentKey
from client_sdk.errors import Busy, DocumentUnreadable, Refused
from client_sdk.local_documents import Fetched
from client_sdk.messages import DocumentAnswer
from client_sdk.replica import Replica
from client_sdk.transport import Transport
from conflict_rules.crdt import Marker
from conflict_rules.values import JsonValue

__all__ = ["Fetch"]

log = logging.getLogger(__name__)

_MOST: Final = 32
"""Documents in one message."""
_UNAVAILABLE: Final = "documents_unavailable"
_LONG: Final = 64
"""So many updates behind, and the server may no longer have them one by one: it is told the state vector."""


class Fetch:
    """Of one replica."""

    def __init__(self, replica: Replica, transport: Transport) -> None:
        self._replica = replica
        self._transport = transport
        self._most = _MOST
        self._in_vain: dict[DocumentKey, Marker] = {}

    def due(self) -> bool:
        """Whether anything is to be brought."""
        return bool(self._due())

    def try_again(self) -> None:
        """What the server could not give is asked for once more."""
        self._in_vain.clear()

    async def once(self) -> None:
        """Bring some of what is wanted; raises `TransportError`."""
        keys = self._due()[: self._most]
        wanted = {key: self._replica.documents.wanted[key] for key in keys}
        asked: dict[DocumentKey, Marker | None] = {}
        requests: list[dict[str, JsonValue]] = []
        async with self._replica.reading():
            for key in keys:
                asked[key] = self._held(key)
                requests.append(await self._request(key, asked[key], wanted[key]))
        try:
            answers = await self._transport.documents(requests)
        except Refused as refusal:
            # Too many at once, or one that the server does not like, which then holds up none of the others.
            if len(keys) == 1:
                self._fails(keys[0], wanted[keys[0]], refusal.message)
            self._most = max(1, len(keys) // 2)
            raise
        self._most = min(_MOST, self._most * 2)
        later: str | None = None
        for key, answer in zip(keys, answers, strict=False):
            if DocumentKey(answer.type, answer.id, answer.field) != key:
                self._fails(key, wanted[key], "the server answered about another document")
            elif answer.refusal == _UNAVAILABLE:
                later = answer.message
            elif answer.refusal is not None:
                self._fails(key, wanted[key], f"{answer.message} ({answer.refusal})")
            else:
                await self._take(key, asked[key], wanted[key], answer)

        if later is not None:
            raise Busy(later)

    async def _take(self, key: DocumentKey, asked: Marker | None, wanted: Marker, answer: DocumentAnswer) -> None:
        documents = self._replica.documents
        taken = False

        async def commit() -> None:
            nonlocal taken
            taken = await documents.take(Fetched(key, asked, answer.since, answer.seq, answer.updates))

        await self._replica.write(commit)
        if documents.wanted.get(key) == wanted and (not taken or self._held(key) == asked):
            # Its marker has not moved, and the answer did not lead there: asking again at once would only spin.
            self._fails(key, wanted, "what the server sent does not lead to where it says the document is")

    async def _request(self, key: DocumentKey, held: Marker | None, wanted: Marker) -> dict[str, JsonValue]:
        request: dict[str, JsonValue] = {
            "type": key.type,
            "id": key.id,
            "field": key.field,
            "since": None if held is None else held.since,
            "seq": 0 if held is None else held.seq,
        }
        if held is not None and held.since == wanted.since and wanted.seq - held.seq > _LONG:
            try:
                request["state"] = base64.b64encode(await self._replica.documents.state_vector(key)).decode()
            except DocumentUnreadable as failure:
                log.warning("%s %s: %s", key.type, key.id, failure.message)
                request |= {"since": None, "seq": 0}
        return request

    def _held(self, key: DocumentKey) -> Marker | None:
        head = self._replica.documents.head(key)
        return None if head is None or head.stale else Marker(head.since, head.seq)

    def _due(self) -> list[DocumentKey]:
        return [key for key, marker in self._replica.documents.wanted.items() if self._in_vain.get(key) != marker]

    def _fails(self, key: DocumentKey, wanted: Marker, why: str) -> None:
        """Not asked for again before its marker moves, or `try_again`."""
        self._in_vain[key] = wanted
        log.warning("%s of %s %s cannot be brought: %s", key.field, key.type, key.id, why)
