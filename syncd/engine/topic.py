"""A scope that is watched: by whom, as which class, and what waits to be sent. Pure, but for the task that reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from syncd.engine.connection import Connection
from syncd.engine.delta import Delta
from syncd.engine.principal import Principal
from syncd.engine.reader_class import ReaderClass

__all__ = ["Guest", "Standing", "Topic"]

_SHORT_S: Final = 0.0005
_REST: Final = 2
"""How many times as long as a frame took the next one is to wait."""
_LONGEST_REST_S: Final = 0.05
_MANY_DELTAS: Final = 32
_LARGE_BYTES: Final = 32 * 1024
"""No more is joined: a frame that is too large for a queue, or brings too many updates of documents, has all pull."""
_MOST_MARKS: Final = 64


@dataclass(frozen=True, slots=True)
class Standing:
    """How a new subscriber stands: `cursor` is the equivalent of its own in this incarnation; None means pull.

    `gone`: it may not see the scope, or not any more, and does not watch it.
    """

    cursor: str | None
    gone: bool = False

    def as_dict(self) -> dict[str, object]:
        """As it goes over the wire."""
        if self.gone:
            return {"gone": True}
        return {"pull": True} if self.cursor is None else {"cursor": self.cursor}


@dataclass(slots=True)
class Guest:
    """Somebody who may not see everything. `asked`: as what it would watch each scope, if it may."""

    principal: Principal
    asked: dict[str, ReaderClass] = field(default_factory=dict)


@dataclass(slots=True)
class Topic:
    """One scope that somebody watches. `sent`: deltas up to here have gone out, None until that is known.

    `readers`: who watches it, by reader class; none of them is empty. `listeners`: called when memberships that live
    here change. `rests_until`: of the clock that does not go back; until then, what is committed goes out as one, when
    `waking` is called. `marks`: versions at which somebody stands who has pulled or come meanwhile: a frame begins
    there.
    """

    readers: dict[ReaderClass, set[Connection]] = field(default_factory=dict)
    sent: int | None = None
    latest: int = 0
    deltas: list[Delta] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None
    listeners: dict[Connection, Callable[[], None]] = field(default_factory=dict)
    rests_until: float = 0.0
    waking: asyncio.TimerHandle | None = None
    marks: set[int] = field(default_factory=set)

    @property
    def connections(self) -> Iterator[Connection]:
        """Everyone who watches it."""
        return (connection for connections in self.readers.values() for connection in connections)

    @property
    def is_left(self) -> bool:
        """Whether nobody watches it, nor listens."""
        return not self.readers and not self.listeners

    def went_out(self, began: float) -> None:
        """A frame has been written to all who watch, from `began` until now. If that took long, the next one is to
        wait, if more is being committed: a scope with many watchers and many writers would else have the server do
        nothing but send, commit by commit. Where rights stand nothing waits.
        """
        now = time.monotonic()
        if now - began > _SHORT_S:
            self.rests_until = now + min(_REST * (now - began), _LONGEST_REST_S)

    def rest_s(self) -> float:
        """How long the next frame is to wait yet, if more is being committed; not for ever more of it."""
        if self.listeners or len(self.deltas) >= _MANY_DELTAS:
            return 0.0
        if sum(delta.size for delta in self.deltas) > _LARGE_BYTES:
            return 0.0
        return self.rests_until - time.monotonic()

    def mark(self, version: int) -> None:
        """Somebody stands at this version, for whom a frame that began before it would be none that follows."""
        if self.sent is not None and version > self.sent and len(self.marks) < _MOST_MARKS:
            self.marks.add(version)

    def frames(self, sent: int) -> Iterator[Delta]:
        """What waits and follows `sent`, as one delta, or as several where somebody stands in between."""
        waiting, self.deltas = self.deltas, []
        delta: Delta | None = None
        for offered in waiting:
            if offered.after != sent:
                continue
            delta = offered if delta is None else delta.then(offered)
            sent = delta.upto
            if sent in self.marks:
                yield delta
                delta = None
        if delta is not None:
            yield delta
        self.marks = {version for version in self.marks if version > sent}

    def class_of(self, connection: Connection) -> ReaderClass | None:
        """As what a connection watches it; None if it does not."""
        return next((reader for reader, connections in self.readers.items() if connection in connections), None)

    def join(self, connection: Connection, reader: ReaderClass) -> None:
        """From now on this connection watches, as `reader` and as nothing else."""
        self.leave(connection)
        self.readers.setdefault(reader, set()).add(connection)

    def tell_listeners(self) -> None:
        """Memberships may have changed."""
        for tell in tuple(self.listeners.values()):
            tell()

    def leave(self, connection: Connection) -> None:
        """This connection watches no more."""
        reader = self.class_of(connection)
        if reader is not None:
            self.readers[reader].discard(connection)
            if not self.readers[reader]:
                del self.readers[reader]
