"""Presence: who is here now, told to everybody else who watches a scope. In memory only, never stored.

Nothing here is owed to anybody: a state is renewed or it expires, and of several that wait for a slow reader the newest
is told. What waits is not a frame but the news that something changed (`Connection.put_aside`); the frame is made when
the socket takes it, so that whoever reads on ends with the picture as it is. Presence is this process's own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from conflict_rules.values import InvalidValue, canonical_json, clean_value, valid_replica
from syncd.engine.connection import Connection
from syncd.engine.delta import pack_frame
from syncd.engine.limits import Limits
from syncd.engine.presence_roll import Roll, RollChange
from syncd.errors import InvalidMessage, TooLarge

__all__ = ["Cancels", "Clock", "Presence"]

_ALL: Final = "*"
_COUNT: Final = "+"
"""What may wait for a reader besides single replicas, whose ids have neither character."""

_MOST_NEWS: Final = 1024
"""That wait for one reader, or in one scope; beyond, it is told anew who is here in the scopes that go on changing."""

_TELLINGS_PER_S: Final = 20_000
"""Of one piece of news to one watcher, over all scopes: about half a core. Beyond, news waits; the newest is told."""
_BURST_S: Final = 0.05

_A_SECOND: Final = 1.0


class Cancels(Protocol):
    """Something that will be called, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Seconds that never go back, and being called later; an event loop is one."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Cancels: ...


@dataclass(slots=True)
class _Guest:
    """One connection. `told`: when its last changes were let through; `held`: the newest of each scope that
    came too fast.
    """

    replica: str | None
    told: deque[float] | None = None
    watched: set[str] = field(default_factory=set)
    held: dict[str, bytes | None] = field(default_factory=dict)
    timer: Cancels | None = None


@dataclass(slots=True)
class _Room:
    """One scope that somebody watches. `news`: replicas of whose change the watchers are to hear; or `_COUNT`, `_ALL`.
    `frames`: encoded for all who are told of a replica, by it and the format.
    """

    roll: Roll
    news: dict[str, None] = field(default_factory=dict)
    watchers: set[Connection] = field(default_factory=set)
    frames: dict[tuple[str, bool], bytes] = field(default_factory=dict)


class Presence:
    """The presence use case: one for each server process. `clock`: the running event loop if it is left out."""

    def __init__(self, limits: Limits, clock: Clock | None = None) -> None:
        self._limits = limits
        self._clock = clock or asyncio.get_running_loop()
        self._guests: dict[Connection, _Guest] = {}
        self._rooms: dict[str, _Room] = {}
        # Each lives equally long, so that the first to expire is the first here.
        self._renewed: OrderedDict[tuple[str, Connection], float] = OrderedDict()
        self._expiry: Cancels | None = None
        # Scopes with news, in turn; paid for up to `_paid_s`.
        self._turns: OrderedDict[str, _Room] = OrderedDict()
        self._paid_s = self._clock.time()
        self._turn: Cancels | None = None

    def join(self, connection: Connection, replica: str | None) -> None:
        """A connection, watching nothing yet; without the valid id of a replica it can only look on."""
        known = replica if valid_replica(replica) else None
        self._guests[connection] = _Guest(known)

    def leave(self, connection: Connection) -> None:
        """The connection is gone, and with it what it said; may be called twice."""
        guest = self._guests.get(connection)
        if guest is not None:
            self.unwatch(connection, tuple(guest.watched))
            if guest.timer is not None:
                guest.timer.cancel()
            del self._guests[connection]

    def watch(self, connection: Connection, scopes: Iterable[str]) -> None:
        """Tell who is here in each of these, if anybody is, and from then on what changes; once is enough."""
        guest = self._guests[connection]
        for scope in scopes:
            if scope not in guest.watched:
                guest.watched.add(scope)
                room = self._rooms.setdefault(scope, _Room(Roll(self._limits.max_present_replicas)))
                room.watchers.add(connection)
                connection.put_aside(
                    (scope, _ALL), partial(self._everybody, room, scope, connection.packed, guest, False)
                )

    def unwatch(self, connection: Connection, scopes: Iterable[str]) -> None:
        """Tell no more of these; what the connection said in them is gone at once. Unknown ones are ignored."""
        guest = self._guests[connection]
        gone = guest.watched.intersection(scopes)
        guest.watched -= gone
        connection.forget_aside(gone)
        for scope in gone:
            guest.held.pop(scope, None)
            room = self._rooms[scope]
            room.watchers.discard(connection)
            self._apply(scope, connection, guest, None)
            if not room.watchers:
                del self._rooms[scope]
                self._turns.pop(scope, None)

    def say(self, connection: Connection, scope: str, state: object) -> None:
        """What the connection's replica says of itself in a scope, None for nothing any more; renews it as well.

        More than `max_presence_per_s` changes are held until their time, the newest of each scope. Raises like `check`.
        """
        guest, body = self._guests[connection], self.check(connection, scope, state)
        assert guest.replica is not None, "checked"
        if body == self._rooms[scope].roll.said(guest.replica, connection):
            # Nobody is told, so that a renewal is as good as free.
            guest.held.pop(scope, None)
            if body is not None:
                self._renew(scope, connection)
            return
        guest.held[scope] = body
        if guest.timer is None:
            self._let_through(connection, guest)

    def check(self, connection: Connection, scope: str, state: object) -> bytes | None:
        """What would be shown, encoded; raises `InvalidMessage` or `TooLarge` for what cannot be said, and nothing is
        changed.
        """
        guest = self._guests[connection]
        if guest.replica is None:
            raise InvalidMessage(
                "presence is shown under the id of a replica, and the hello of this socket names none",
                code="invalid_replica",
                field="replica",
                hint='Say it in the first hello: "replica", 1 to 64 characters of A-Z a-z 0-9 _ -.',
            )
        if scope not in guest.watched:
            raise InvalidMessage(
                f"scope: {scope[:80]!r} is not watched on this socket",
                code="not_subscribed",
                field="scope",
                hint="Subscribe to the scope first: who wants to be seen there sees the others too.",
            )
        return self._encode(state)

    def close(self) -> None:
        """Forget everybody; may be called twice."""
        for connection in tuple(self._guests):
            self.leave(connection)
        for timer in (self._expiry, self._turn):
            if timer is not None:
                timer.cancel()

    def _encode(self, state: object) -> bytes | None:
        if state is None:
            return None
        if not isinstance(state, dict):
            raise InvalidMessage("state: an object, or null to be here no more", field="state")
        try:
            body = canonical_json(clean_value(state, "state"))
        except InvalidValue as invalid:
            raise InvalidMessage(str(invalid), field=invalid.field) from None
        most = self._limits.max_presence_bytes
        if len(body) > most:
            raise TooLarge(
                f"state: {len(body)} bytes of JSON, more than the {most} allowed",
                field="state",
                hint="Say where the person is; what is worth keeping belongs in a resource.",
            )
        return body

    def _let_through(self, connection: Connection, guest: _Guest) -> None:
        """Apply what is held, as far as the rate allows; come back for the rest."""
        guest.timer = None
        if guest.told is None:
            # Of those who only look on there are thousands.
            guest.told = deque(maxlen=self._limits.max_presence_per_s)
        told = guest.told
        while guest.held:
            now_s = self._clock.time()
            if len(told) == told.maxlen and now_s - told[0] < _A_SECOND:
                wait_s = told[0] + _A_SECOND - now_s
                guest.timer = self._clock.call_later(wait_s, partial(self._let_through, connection, guest))
                return
            told.append(now_s)
            scope = next(iter(guest.held))
            self._apply(scope, connection, guest, guest.held.pop(scope))

    def _apply(self, scope: str, connection: Connection, guest: _Guest, body: bytes | None) -> None:
        room = self._rooms[scope]
        if guest.replica is None:
            return
        if body is None:
            self._renewed.pop((scope, connection), None)
            change = room.roll.drop(guest.replica, connection)
        else:
            self._renew(scope, connection)
            change = room.roll.put(guest.replica, connection, body)
        self._tell(scope, room, change)

    def _renew(self, scope: str, connection: Connection) -> None:
        self._renewed[scope, connection] = self._clock.time()
        self._renewed.move_to_end((scope, connection))
        if self._expiry is None:
            self._expiry = self._clock.call_later(self._limits.presence_ms / 1000, self._expire)

    def _expire(self) -> None:
        """Drop what nobody renewed, and come back when the next one may be due."""
        self._expiry = None
        while self._renewed:
            (scope, connection), renewed_s = next(iter(self._renewed.items()))
            left_s = renewed_s + self._limits.presence_ms / 1000 - self._clock.time()
            if left_s > 0:
                self._expiry = self._clock.call_later(left_s, self._expire)
                return
            self._apply(scope, connection, self._guests[connection], None)

    def _tell(self, scope: str, room: _Room, change: RollChange) -> None:
        for replica in change.replicas:
            for packed in (False, True):
                room.frames.pop((replica, packed), None)
        if _ALL not in room.news:
            room.news |= dict.fromkeys((*change.replicas, _COUNT) if change.count else change.replicas)
            if len(room.news) > _MOST_NEWS:
                # Invariant 9: the names of those who came and went would otherwise wait without end.
                room.news = {_ALL: None}
        if room.news:
            self._turns[scope] = room
            if self._turn is None:
                self._take_turns()

    def _take_turns(self) -> None:
        """Tell one piece of news of each scope in turn, so that a crowded one does not hold up the others."""
        self._turn = None
        while self._turns:
            now_s = self._clock.time()
            if self._paid_s - now_s > _BURST_S:
                self._turn = self._clock.call_later(self._paid_s - now_s, self._take_turns)
                return
            scope, room = self._turns.popitem(last=False)
            news = next(iter(room.news))
            del room.news[news]
            if room.news:
                self._turns[scope] = room
            self._paid_s = max(self._paid_s, now_s) + len(room.watchers) / _TELLINGS_PER_S
            self._tell_watchers(scope, room, news)

    def _tell_watchers(self, scope: str, room: _Room, news: str) -> None:
        """Let everybody know that there is news, but for the replica whose news it is."""
        for watcher in room.watchers:
            reader, packed = self._guests[watcher], watcher.packed
            if news == reader.replica or watcher.has_aside((scope, _ALL)):
                continue
            if news == _ALL or watcher.aside_count >= _MOST_NEWS:
                watcher.forget_aside([scope])
                watcher.put_aside((scope, _ALL), partial(self._everybody, room, scope, packed, reader, True))
            elif news == _COUNT:
                watcher.put_aside((scope, _COUNT), partial(self._count, room, scope, packed, reader))
            else:
                watcher.put_aside((scope, news), partial(self._one, room, scope, packed, news))

    def _one(self, room: _Room, scope: str, packed: bool, replica: str) -> bytes:
        """What is shown of one replica now; encoded once for each format."""
        frame = room.frames.get((replica, packed))
        if frame is None:
            state = room.roll.state(replica)
            text = "null" if state is None else state.decode()
            frame = _frame(f'{{"type":"presence","scope":"{scope}","replica":"{replica}","state":{text}}}', packed)
            if state is not None:
                room.frames[replica, packed] = frame
        return frame

    def _count(self, room: _Room, scope: str, packed: bool, reader: _Guest) -> bytes:
        return _frame(f'{{"type":"presence","scope":"{scope}","more":{room.roll.more(reader.replica)}}}', packed)

    def _everybody(self, room: _Room, scope: str, packed: bool, reader: _Guest, always: bool) -> bytes | None:
        """All that is shown to one reader; None if there is nobody else unless `always`."""
        entries = [
            f'{{"replica":"{replica}","state":{state.decode()}}}'
            for replica in room.roll
            if replica != reader.replica and (state := room.roll.state(replica)) is not None
        ]
        more = room.roll.more(reader.replica)
        if not entries and not more and not always:
            return None
        count = f',"more":{more}' if more else ""
        return _frame(f'{{"type":"present","scope":"{scope}","entries":[{",".join(entries)}]{count}}}', packed)


def _frame(text: str, packed: bool) -> bytes:
    body = text.encode()
    return pack_frame(body) if packed else body
