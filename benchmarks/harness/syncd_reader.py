"""A reader of one document of syncd's: takes the updates that come with deltas, and fetches those that do not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from benchmarks.harness.documents import text_of
from benchmarks.harness.http_driver import Connection, request_bytes
from benchmarks.harness.keystrokes import Flow
from benchmarks.peers.yjs_protocol import ROOT

__all__ = ["Reader", "documents_request"]


def documents_request(port: int, note: str, since: int = 0, seq: int = 0) -> bytes:
    """Asks for what is missing of a note's text."""
    wanted = {"type": "note", "id": note, "field": ROOT, "since": since, "seq": seq}
    return request_bytes("POST", port, "/sync/v1/documents", json.dumps({"documents": [wanted]}).encode())


class Reader:
    """Holds the updates of the text of `note`. `reach`: how many edits the first so many of them hold, which the writer
    adds to. `fetched`: how often it had to ask for some."""

    def __init__(self, flow: Flow, port: int, connection: Connection, note: str, reach: Sequence[int]) -> None:
        self._flow = flow
        self._port = port
        self._connection = connection
        self._note = note
        self._reach = reach
        self._since = 0
        self._seq = 0
        self._updates: list[bytes] = []
        self._missing = asyncio.Event()
        self.fetched = 0

    def received(self, frame: bytes) -> None:
        """A message of the live socket's."""
        message = json.loads(frame)
        if message["type"] == "pull":
            self._missing.set()
        for document in message.get("documents", ()):
            if document["after"] == self._seq and self._since in (0, document["since"]):
                self._take(document)
        if any(_seq_of(state) > self._seq for state in message.get("entries", ())):
            self._missing.set()

    @asynccontextmanager
    async def fetching(self) -> AsyncIterator[None]:
        """Within, what is missing is asked for."""
        task = asyncio.ensure_future(self._fetch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def text(self) -> str:
        """What it says."""
        return text_of(self._updates)

    def _take(self, document: dict[str, Any]) -> None:
        self._since, self._seq = document["since"], document["seq"]
        self._updates += _decoded(document["updates"])
        self._flow.arrived(self._reach[self._seq])

    async def _fetch(self) -> None:
        while True:
            await self._missing.wait()
            self._missing.clear()
            asked = self._seq
            answer = await self._connection.ask(documents_request(self._port, self._note, self._since, asked))
            if answer.status != 200:
                raise RuntimeError(f"the document was not answered: {answer.status} {answer.body[:300]!r}")
            self.fetched += 1
            document = json.loads(answer.body)["documents"][0]
            # Whatever came meanwhile with a delta is in the answer once more; it does no harm.
            if document["seq"] > self._seq:
                self._take(document)


def _seq_of(state: dict[str, Any]) -> int:
    """How far the state says that the text has come; 0 if it has none."""
    marker = state.get("fields", {}).get(ROOT)
    return int(marker["document"]["seq"]) if isinstance(marker, dict) else 0


def _decoded(updates: Iterable[str]) -> list[bytes]:
    return [base64.b64decode(update) for update in updates]
