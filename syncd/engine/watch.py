"""Watch: merged deltas to everyone who watches a scope, encoded once for each format and reader class (law 6).

Live is an accelerator: a frame says which cursor it follows, and whoever is elsewhere pulls. The committing node has
its deltas in memory (`offer`); the bus says that a scope has moved on; the rest is read from the store, once. Only what
was in memory brings updates of documents, and only to those who have asked for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from syncd.bus.protocol import Bus
from syncd.engine.connection import Connection, LiveFrame
from syncd.engine.cursor import Cursor
from syncd.engine.delta import Delta, encode_delta, pack_frame
from syncd.engine.limits import Limits
from syncd.engine.pull import Puller, check_scopes
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from syncd.errors import SyncdError
from syncd.store.protocol import Store

__all__ = ["Connection", "Standing", "Watcher"]

log = structlog.get_logger(__name__)

_MAX_DELTAS: Final = 64
"""Of one scope that wait in memory; each is a commit, and as a rule a tick later it is sent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a new subscriber stands: `cursor` is the equivalent of its own in this incarnation; None means pull."""

    cursor: str | None


@dataclass(slots=True)
class _Topic:
    """One scope that somebody watches. `sent`: deltas up to here have gone out, None until that is known.

    `readers`: who watches it, by reader class; none of them is empty.
    """

    readers: dict[ReaderClass, set[Connection]] = field(default_factory=dict)
    sent: int | None = None
    latest: int = 0
    deltas: list[Delta] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None

    @property
    def connections(self) -> Iterator[Connection]:
        """Everyone who watches it."""
        return (connection for connections in self.readers.values() for connection in connections)

    def class_of(self, connection: Connection) -> ReaderClass | None:
        """As what a connection watches it; None if it does not."""
        return next((reader for reader, connections in self.readers.items() if connection in connections), None)

    def join(self, connection: Connection, reader: ReaderClass) -> None:
        """From now on this connection watches, as `reader` and as nothing else."""
        self.leave(connection)
        self.readers.setdefault(reader, set()).add(connection)

    def leave(self, connection: Connection) -> None:
        """This connection watches no more."""
        reader = self.class_of(connection)
        if reader is not None:
            self.readers[reader].discard(connection)
            if not self.readers[reader]:
                del self.readers[reader]


class Watcher:
    """The watch use case: one for each server process."""

    def __init__(self, store: Store, bus: Bus, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._puller = Puller(store, limits)
        self._topics: dict[str, _Topic] = {}
        self._connections: set[Connection] = set()
        self._dirty: set[str] = set()
        self._unsubscribe = bus.subscribe(self._moved_on)

    def connect(self, *, packed: bool = False, **bounds: int) -> Connection:
        """A new connection, watching nothing yet. `packed`: takes MessagePack. `bounds`: as for `Connection`."""
        connection = Connection(packed=packed, **{"max_relay_bytes": self._limits.max_relay_bytes, **bounds})
        self._connections.add(connection)
        return connection

    async def subscribe(
        self,
        connection: Connection,
        scopes: Mapping[str, str | None],
        reader: ReaderClass = SEES_ALL,
        *,
        documents: bool = False,
    ) -> dict[str, Standing]:
        """Watch `scopes` from now on, as `reader`; the answer says for each whether `cursor` is up to date or a pull
        is due. A scope that is watched already is watched as this class from now on, and no more as another.

        `documents`: whether deltas are to bring the updates of documents that were committed with them.
        """
        check_scopes(scopes, self._limits)
        before = {scope: self._topics.setdefault(scope, _Topic()).class_of(connection) for scope in scopes}
        joined = [scope for scope, known in before.items() if known is None]
        changed = {scope: known for scope, known in before.items() if known is not None and known != reader}
        # What waits was encoded for another class.
        connection.forget(changed)
        for scope in (*joined, *changed):
            # First: a commit between reading the head and joining would be missed.
            self._topics[scope].join(connection, reader)
        try:
            heads, standings = await self._stand(scopes, reader)
        except BaseException:
            # Else news of a scope that nobody watches would be kept for ever.
            self.unsubscribe(connection, joined)
            for scope, known in changed.items():
                if scope in self._topics:
                    self._topics[scope].join(connection, known)
                    connection.tell_to_pull([scope])
            raise
        connection.relaying.difference_update(scopes)
        for scope in scopes:
            topic = self._topics.get(scope)
            if topic is None:
                continue
            if documents and topic.class_of(connection) is not None:
                connection.relaying.add(scope)
            if topic.sent is None:
                topic.sent = heads[scope]
                if topic.latest > topic.sent:
                    self._flush_soon(scope)
            elif topic.sent > heads[scope]:
                # Frames may have begun above what was looked at here, and what lies between is not sent any more.
                standings[scope] = Standing(None)
        return standings

    async def _stand(
        self, scopes: Mapping[str, str | None], reader: ReaderClass
    ) -> tuple[Mapping[str, int], dict[str, Standing]]:
        """The head of each scope, and how whoever is at these cursors stands to it."""
        standings: dict[str, Standing] = {}
        async with self._store.snapshot() as snapshot:
            heads = await snapshot.heads(scopes)
            positions = await self._puller.positions(snapshot, scopes, reader)
            for scope in scopes:
                position = positions.get(scope)
                current = position if position is not None and position >= heads[scope] else None
                standings[scope] = Standing(None if current is None else str(self._cursor(current, reader)))
        return heads, standings

    def unsubscribe(self, connection: Connection, scopes: Sequence[str]) -> None:
        """Watch `scopes` no more; unknown ones are ignored."""
        for scope in scopes:
            topic = self._topics.get(scope)
            if topic is not None:
                topic.leave(connection)
                if not topic.readers:
                    self._drop(scope, topic)
        connection.relaying.difference_update(scopes)
        connection.forget(scopes)

    def disconnect(self, connection: Connection) -> None:
        """Close a connection and forget it; may be called twice."""
        connection.close()
        self._connections.discard(connection)
        self.unsubscribe(connection, [name for name, topic in self._topics.items() if topic.class_of(connection)])

    def offer(self, delta: Delta) -> None:
        """Keep a delta that was just committed here until the bus says that its scope has moved on."""
        topic = self._topics.get(delta.scope)
        # Invariant 9: more is not kept while the store is slow to be read; what is missing is read from it as well.
        if topic is not None and len(topic.deltas) < _MAX_DELTAS:
            topic.deltas.append(delta.bounded(self._limits.max_relay_bytes))

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        self._unsubscribe()
        for connection in tuple(self._connections):
            self.disconnect(connection)

    def _moved_on(self, scope: str, version: int) -> None:
        topic = self._topics.get(scope)
        if topic is None:
            return
        topic.latest = max(topic.latest, version)
        self._flush_soon(scope)

    def _flush_soon(self, scope: str) -> None:
        """Everything of one tick travels as one frame."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.add(scope)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for scope in dirty:
            topic = self._topics.get(scope)
            # Until the head is known (`sent`), or while the store is read, whoever does that will come back here.
            if topic is not None and topic.sent is not None and topic.reading is None:
                self._send(scope, topic, topic.sent)

    def _send(self, scope: str, topic: _Topic, sent: int) -> None:
        delta: Delta | None = None
        waiting, topic.deltas = topic.deltas, []
        for offered in waiting:
            if offered.after == (sent if delta is None else delta.upto):
                delta = offered if delta is None else delta.then(offered)
        if delta is not None:
            states = [(type_, body) for (type_, _), body in delta.entries.items()]
            self._broadcast(scope, topic, delta.after, delta.upto, states, delta)
            sent = delta.upto
        if topic.latest > sent:
            topic.reading = asyncio.create_task(self._read(scope, topic, sent), name=f"read-delta-{scope}")

    async def _read(self, scope: str, topic: _Topic, sent: int) -> None:
        """Read from the store what was committed elsewhere."""
        expected = topic.latest
        try:
            async with self._store.snapshot() as snapshot:
                page = await snapshot.page(scope, sent, self._limits.max_page_bytes)
                head = (await snapshot.heads([scope]))[scope]
        except SyncdError as failure:
            log.warning("delta_not_read", scope=scope, reason=failure.message)
            # Whoever pulls gets what waits here too; the next news reads on from where the frames had come.
            topic.latest = sent
            topic.deltas.clear()
            for connection in topic.connections:
                connection.tell_to_pull([scope])
            return
        finally:
            topic.reading = None
        if page.more:
            topic.sent = head
            for connection in topic.connections:
                connection.tell_to_pull([scope])
        elif page.upto > sent:
            self._broadcast(scope, topic, sent, page.upto, list(zip(page.types, page.bodies, strict=True)))
        if topic.latest != expected or topic.deltas:
            self._flush_soon(scope)
        else:
            # A message is only a hint: what the store does not have is not waited for.
            topic.latest = topic.sent or 0

    def _broadcast(
        self,
        scope: str,
        topic: _Topic,
        after: int,
        upto: int,
        states: Sequence[tuple[str, bytes]],
        delta: Delta | None = None,
    ) -> None:
        """Send encoded states, each with its type, as one frame: to each class what it sees, be it nothing.

        `delta`: the same, where it was in memory, with updates of documents for those who asked for them.
        """
        topic.sent = upto
        for reader, connections in topic.readers.items():
            cursor = self._cursor(upto, reader)
            body = encode_delta(scope, self._cursor(after, reader), cursor, reader.shown(states))
            frames = {False: LiveFrame(body, scope, str(cursor))}
            if any(connection.packed for connection in connections):
                frames[True] = LiveFrame(pack_frame(body), scope, str(cursor))
            relayed: dict[bool, LiveFrame] = {}
            if delta is not None and delta.documents and any(scope in each.relaying for each in connections):
                seen = delta.seen_by(reader).bounded(self._limits.max_relay_bytes)
                if seen.documents:
                    packings = {connection.packed for connection in connections if scope in connection.relaying}
                    relayed = {packed: self._relay(reader, packed, seen) for packed in packings}
            for connection in connections:
                chosen = relayed if relayed and scope in connection.relaying else frames
                connection.put(scope, chosen[connection.packed])

    def _relay(self, reader: ReaderClass, packed: bool, delta: Delta) -> LiveFrame:
        """A frame with updates of documents, of what `reader` sees."""
        after, upto = self._cursor(delta.after, reader), self._cursor(delta.upto, reader)
        body = encode_delta(delta.scope, after, upto, delta.entries.values(), delta.documents)
        remake = partial(self._relay, reader, packed)
        return LiveFrame(pack_frame(body) if packed else body, delta.scope, str(upto), delta, remake)

    def _drop(self, scope: str, topic: _Topic) -> None:
        if topic.reading is not None:
            topic.reading.cancel()
        del self._topics[scope]

    def _cursor(self, version: int, reader: ReaderClass) -> Cursor:
        return Cursor(self._store.incarnation, version, reader.tag)
