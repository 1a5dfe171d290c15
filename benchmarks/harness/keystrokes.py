"""Edits on their way from a writer to a reader, never more of them at a time than may be."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from pycrdt import Doc, Text

from benchmarks.harness.documents import Typing, text_of
from benchmarks.peers.yjs_protocol import ROOT, Dialect, deleted_units, state_of

__all__ = ["IN_FLIGHT", "Flow", "MergedReader", "PlainReader"]

IN_FLIGHT: Final = 256
_AT_MOST_S: Final = 60.0


class Flow:
    """`send` is called with the number of each edit, from 0, as soon as it may be on its way."""

    def __init__(self, edits: int, send: Callable[[int], None] | None = None) -> None:
        self._edits = edits
        self._send = send
        self._arrived_all = asyncio.Event()
        self._moved = asyncio.Event()
        self.sent = 0
        self.seen = 0

    def begin(self) -> None:
        """Send the first ones."""
        self._fill()

    def arrived(self, seen: int) -> None:
        """The reader has the first `seen` edits."""
        self.seen = seen
        self._moved.set()
        if seen >= self._edits:
            self._arrived_all.set()
        self._fill()

    async def room_for(self, count: int) -> None:
        """Returns when so many more may be sent."""
        while IN_FLIGHT - (self.sent - self.seen) < count:
            self._moved.clear()
            await self._moved.wait()

    async def finished(self) -> None:
        """Returns when all have arrived. Raises `RuntimeError` if that takes more than a minute."""
        async with self.bounded():
            await self._arrived_all.wait()

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Within a minute, what is in it is to be done. Raises `RuntimeError` if not."""
        try:
            async with asyncio.timeout(_AT_MOST_S):
                yield
        except TimeoutError:
            raise RuntimeError(f"only {self.seen} of {self._edits} edits arrived in {_AT_MOST_S:.0f} s") from None

    def _fill(self) -> None:
        if self._send is not None:
            while self.sent < self._edits and self.sent - self.seen < IN_FLIGHT:
                self._send(self.sent)
                self.sent += 1


class PlainReader:
    """Of a server that passes on each update by itself: they are counted, and applied when the clock has stopped."""

    def __init__(self, flow: Flow, updated: Callable[[bytes], bytes | None]) -> None:
        self._flow = flow
        self._updated = updated
        self._updates: list[bytes] = []

    def received(self, frame: bytes) -> None:
        """A message of the server's."""
        update = self._updated(frame)
        if update is not None:
            self._updates.append(update)
            self._flow.arrived(len(self._updates))

    def text(self) -> str:
        """What it says."""
        return text_of(self._updates)


class MergedReader:
    """Of a server that merges updates (Hocuspocus): each is applied as it comes, since what it inserts and deletes is
    what tells how many edits it holds."""

    def __init__(self, flow: Flow, typing: Typing, dialect: Dialect) -> None:
        self._flow = flow
        self._typing = typing
        self._dialect = dialect
        self._deleted = 0
        self._document: Doc[Text] = Doc()
        self._document[ROOT] = self._text = Text()
        self._subscription = self._document.observe(self._applied)

    def received(self, frame: bytes) -> None:
        """A message of the server's."""
        update = self._dialect.updated(frame)
        if update is not None:
            self._document.apply_update(update)

    def text(self) -> str:
        """What it says."""
        return str(self._text)

    def _applied(self, event: Any) -> None:  # a `TransactionEvent`, whose stub does not have what is read here
        self._deleted += deleted_units(event.delete_set)
        inserted = bisect_right(self._typing.inserted, state_of(event.after_state))
        self._flow.arrived(min(inserted, bisect_right(self._typing.deleted, self._deleted)))
