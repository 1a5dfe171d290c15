"""Watch: merged deltas to everyone who watches a scope, encoded once for each format and reader class (law 6).

Live is an accelerator: a frame says which cursor it follows, and whoever is elsewhere pulls. The committing node has
its deltas in memory (`offer`); the bus says that a scope has moved on; the rest is read from the store, once. Only what
was in memory brings updates of documents, and only to those who have asked for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from syncd.app.builtin import COMMANDED
from syncd.bus.protocol import Bus
from syncd.engine.authorise import Authoriser
from syncd.engine.connection import Connection, LiveFrame
from syncd.engine.cursor import Cursor
from syncd.engine.delta import Delta, encode_delta, pack_frame
from syncd.engine.doubts import Doubts
from syncd.engine.limits import Limits
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.pull import Puller, check_scopes
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from syncd.engine.topic import Guest, Standing, Topic
from syncd.errors import SyncdError
from syncd.store.protocol import Store

__all__ = ["Connection", "Standing", "Watcher"]

log = structlog.get_logger(__name__)

_TICK_S: Final = 0.001
"""Event loops count in milliseconds."""

_MAX_DELTAS: Final = 64
"""Of one scope that wait in memory; each is a commit, and as a rule a tick later it is sent."""


class Watcher:
    """The watch use case: one for each server process."""

    def __init__(self, store: Store, bus: Bus, limits: Limits, authoriser: Authoriser | None = None) -> None:
        """`authoriser`: says who may see what; without one, everybody sees everything."""
        self._store = store
        self._limits = limits
        self._puller = Puller(store, limits, authoriser)
        self._guests: dict[Connection, Guest] = {}
        self._topics: dict[str, Topic] = {}
        self._connections: set[Connection] = set()
        self._doubts = Doubts()
        self._dirty: dict[str, None] = {}
        self.more_to_come: Callable[[], bool] = lambda: False
        """Whether something is being committed; whoever commits sets this."""
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
        principal: Principal = OPERATOR,
    ) -> dict[str, Standing]:
        """Watch `scopes` from now on, as `reader`; the answer says for each whether `cursor` is up to date or a pull
        is due. A scope that is watched already is watched as this class from now on, and no more as another.

        `documents`: whether deltas are to bring the updates of documents that were committed with them, which whoever
        comes by a share link asks for instead. `principal`: who asks; of what `reader` asks for he gets what he may
        see. If his rights may change, he listens, too.
        """
        check_scopes(scopes, self._limits)
        readers = await self._readers(connection, scopes, reader, principal)
        before = {scope: self._topics.setdefault(scope, Topic()).class_of(connection) for scope in readers}
        joined = [scope for scope, known in before.items() if known is None]
        changed = {scope: known for scope, known in before.items() if known is not None and known != readers[scope]}
        # What waits was encoded for another class.
        connection.forget(changed)
        for scope in (*joined, *changed):
            # First: a commit between reading the head and joining would be missed.
            self._topics[scope].join(connection, readers[scope])
        try:
            heads, standings = await self._stand(scopes, readers)
        except BaseException:
            # Else news of a scope that nobody watches would be kept for ever.
            self.unsubscribe(connection, joined)
            for scope, known in changed.items():
                if scope in self._topics:
                    self._topics[scope].join(connection, known)
                    connection.tell_to_pull([scope])
            raise
        connection.relaying.difference_update(scopes)
        self.unsubscribe(connection, [scope for scope in scopes if scope not in readers])
        for scope in readers:
            topic = self._topics.get(scope)
            if topic is None:
                continue
            # A share link shows no past: an update may hold what a later one has deleted.
            relays = documents and principal.caller is not Caller.LINK
            if relays and topic.class_of(connection) is not None:
                connection.relaying.add(scope)
            if topic.sent is None:
                self._begin(scope, topic, heads[scope])
                continue
            topic.mark(heads[scope])
            if topic.sent > heads[scope]:
                # Frames may have begun above what was looked at here, and what lies between is not sent any more.
                standings[scope] = Standing(None)
        return standings

    def _begin(self, scope: str, topic: Topic, head: int) -> None:
        """Deltas flow from here."""
        topic.sent = head
        if topic.latest > topic.sent:
            self._flush_soon(scope)

    async def _readers(
        self, connection: Connection, scopes: Collection[str], asked: ReaderClass, principal: Principal
    ) -> dict[str, ReaderClass]:
        """As which class it may watch each scope; one that it may not watch is absent."""
        if principal.caller is Caller.OPERATOR:
            return dict.fromkeys(scopes, asked)
        guest = self._guests.setdefault(connection, Guest(principal))
        guest.principal = principal
        guest.asked |= dict.fromkeys(scopes, asked)
        async with self._store.snapshot() as snapshot:
            return await self._puller.readers(snapshot, principal, scopes, asked)

    async def _stand(
        self, scopes: Mapping[str, str | None], readers: Mapping[str, ReaderClass]
    ) -> tuple[Mapping[str, int], dict[str, Standing]]:
        """The head of each scope, and how whoever is at these cursors stands to it."""
        standings: dict[str, Standing] = {}
        async with self._store.snapshot() as snapshot:
            heads = await snapshot.heads(readers)
            positions = await self._puller.positions(snapshot, scopes, readers)
            for scope in scopes:
                if scope not in readers:
                    standings[scope] = Standing(None, gone=True)
                    continue
                position = positions.get(scope)
                current = position if position is not None and position >= heads[scope] else None
                standings[scope] = Standing(None if current is None else str(self._cursor(current, readers[scope])))
        return heads, standings

    async def listen(self, connection: Connection, scope: str, on_memberships: Callable[[], None]) -> None:
        """Have `on_memberships` called whenever memberships or share links that live in `scope` may have changed,
        whoever committed that, until the connection is closed: then it is time for `look_again`.
        """
        topic = self._topics.setdefault(scope, Topic())
        topic.listeners[connection] = on_memberships
        async with self._store.snapshot() as snapshot:
            head = (await snapshot.heads([scope]))[scope]
        if topic.sent is None and self._topics.get(scope) is topic:
            self._begin(scope, topic, head)

    def pulled(self, scope: str, version: int) -> None:
        """Somebody who may watch `scope` has all of it up to `version`, its head when he asked."""
        topic = self._topics.get(scope)
        if topic is not None:
            topic.mark(version)

    def doubt(self, connection: Connection) -> None:
        """Its rights may have changed: until `look_again` has returned, it is shown no more than the scope in which
        they stand.
        """
        if not connection.closed:
            self._doubts.begin(connection)

    async def look_again(self, connection: Connection, principal: Principal) -> list[str]:
        """What it watches, by the rights of now: scopes that it may see no more, and does not watch any longer; where
        it sees more or less than before, or was shown nothing meanwhile, it is told to pull.
        """
        doubt = self._doubts.open.get(connection)
        gone = await self._look_again(connection, principal)
        missed = self._doubts.end(connection, doubt)
        if watched := [scope for scope in missed if self._class_of(connection, scope) is not None]:
            connection.tell_to_pull(watched)
        return gone

    async def _look_again(self, connection: Connection, principal: Principal) -> list[str]:
        guest = self._guests.get(connection)
        if guest is None or principal.caller is Caller.OPERATOR:
            return []
        guest.principal = principal
        watched = {scope: was for scope in guest.asked if (was := self._class_of(connection, scope)) is not None}
        gone: list[str] = []
        async with self._store.snapshot() as snapshot:
            for asked in {guest.asked[scope] for scope in watched}:
                scopes = [scope for scope in watched if guest.asked[scope] == asked]
                now = await self._puller.readers(snapshot, principal, scopes, asked)
                gone += [scope for scope in scopes if scope not in now]
                for scope in scopes:
                    if scope in now and now[scope] != watched[scope]:
                        connection.forget([scope])
                        self._topics[scope].join(connection, now[scope])
                        connection.tell_to_pull([scope])
        self.unsubscribe(connection, gone)
        if gone:
            connection.tell_gone(gone)
        return gone

    def _class_of(self, connection: Connection, scope: str) -> ReaderClass | None:
        topic = self._topics.get(scope)
        return None if topic is None else topic.class_of(connection)

    def unsubscribe(self, connection: Connection, scopes: Sequence[str]) -> None:
        """Watch `scopes` no more; unknown ones are ignored."""
        for scope in scopes:
            topic = self._topics.get(scope)
            if topic is not None:
                topic.leave(connection)
                if topic.is_left:
                    self._drop(scope, topic)
        if connection in self._guests:
            for scope in scopes:
                self._guests[connection].asked.pop(scope, None)
        connection.relaying.difference_update(scopes)
        connection.forget(scopes)

    def disconnect(self, connection: Connection) -> None:
        """Close a connection and forget it; may be called twice."""
        connection.close()
        self._connections.discard(connection)
        topics = [*self._topics.items()]
        for _, topic in topics:
            topic.listeners.pop(connection, None)
        self.unsubscribe(connection, [name for name, topic in topics if topic.class_of(connection) or topic.is_left])
        self._guests.pop(connection, None)
        self._doubts.forget(connection)

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
        self._dirty[scope] = None

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        found = [(scope, self._topics[scope]) for scope in dirty if scope in self._topics]
        # Where rights stand comes first: what was committed together with the end of one is not shown by it any more.
        for scope, topic in sorted(found, key=lambda each: not each[1].listeners):
            # Until the head is known (`sent`), or while the store is read, whoever does that will come back here.
            if topic.sent is None or topic.reading is not None or self._topics.get(scope) is not topic:
                continue
            if not self._rests(scope, topic):
                self._send(scope, topic, topic.sent)

    def _send(self, scope: str, topic: Topic, sent: int) -> None:
        for delta in topic.frames(sent):
            states = [(type_, body) for (type_, _), body in delta.entries.items()]
            self._broadcast(scope, topic, delta.after, delta.upto, states, delta)
            sent = delta.upto
        if topic.latest > sent:
            # It may be about rights, and other scopes may be read sooner.
            topic.tell_listeners()
            topic.reading = asyncio.create_task(self._read(scope, topic, sent), name=f"read-delta-{scope}")

    async def _read(self, scope: str, topic: Topic, sent: int) -> None:
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
            topic.tell_listeners()
            return
        finally:
            topic.reading = None
        if page.more:
            topic.sent = head
            for connection in topic.connections:
                connection.tell_to_pull([scope])
            topic.tell_listeners()
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
        topic: Topic,
        after: int,
        upto: int,
        states: Sequence[tuple[str, bytes]],
        delta: Delta | None = None,
    ) -> None:
        """Send encoded states, each with its type, as one frame: to each class what it sees, be it nothing.

        `delta`: the same, where it was in memory, with updates of documents for those who asked for them.
        """
        topic.sent = upto
        began = time.monotonic()
        if topic.listeners and any(type_ in COMMANDED for type_, _ in states):
            topic.tell_listeners()
        doubts = self._doubts.open
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
                if doubts and connection in doubts and connection not in topic.listeners:
                    doubts[connection].add(scope)
                    continue
                chosen = relayed if relayed and scope in connection.relaying else frames
                connection.put(scope, chosen[connection.packed])
        topic.went_out(began)

    def _rests(self, scope: str, topic: Topic) -> bool:
        """Whether it is to wait for what is being committed; then it is flushed in a while."""
        left = topic.rest_s()
        if left <= 0 or not self.more_to_come():
            return False
        if topic.waking is None:

            def wake() -> None:
                topic.waking = None
                self._flush_soon(scope)

            topic.waking = asyncio.get_running_loop().call_later(max(left, _TICK_S), wake)
        return True

    def _relay(self, reader: ReaderClass, packed: bool, delta: Delta) -> LiveFrame:
        """A frame with updates of documents, of what `reader` sees."""
        after, upto = self._cursor(delta.after, reader), self._cursor(delta.upto, reader)
        body = encode_delta(delta.scope, after, upto, delta.entries.values(), delta.documents)
        remake = partial(self._relay, reader, packed)
        return LiveFrame(pack_frame(body) if packed else body, delta.scope, str(upto), delta=delta, remake=remake)

    def _drop(self, scope: str, topic: Topic) -> None:
        if topic.reading is not None:
            topic.reading.cancel()
        del self._topics[scope]

    def _cursor(self, version: int, reader: ReaderClass) -> Cursor:
        return Cursor(self._store.incarnation, version, reader.tag)
