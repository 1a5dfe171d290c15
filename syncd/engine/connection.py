"""One watcher's end of the line: frames wait here until its socket takes them, and never too many (invariant 9)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from syncd.engine.delta import Delta, pack_frame

__all__ = ["MAX_FRAMES", "MAX_QUEUED_BYTES", "Connection", "LiveFrame"]

MAX_FRAMES = 256
MAX_QUEUED_BYTES = 1024 * 1024
_MANY: Final = 8
"""So many more deltas with updates wait in a scope: they travel as one, which is encoded for this reader alone."""


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """One encoded frame. `scope` and `upto`: of a delta, whose it is and where whoever takes it stands then.

    `kind`: "delta"; or "pull" or "gone", where the reader is told something about scopes. `delta`: what is in it, if it
    brings updates of documents, and `remake`: encodes another in its place. The bytes of the states and updates are
    shared by all who wait for them.
    """

    body: bytes
    scope: str | None = None
    upto: str | None = None
    kind: str = "delta"
    delta: Delta | None = None
    remake: Callable[[Delta], LiveFrame] | None = None


class Connection:
    """A bounded queue of encoded frames, until it is closed; `take` waits for the next one, `next` does not.

    When it is full, what waits is dropped, and the reader is told to pull those scopes: catching up is never pushed
    through the queue. `packed`: whether the frames are MessagePack; JSON otherwise.

    `relaying`: the scopes whose deltas are to bring updates of documents. When many such wait, they are taken as one,
    with one entry for each document, and at most `max_relay_bytes` of updates.

    What is put aside is taken when nothing else waits, so that it never costs anybody a delta.

    `at_once`: offered a frame for which nothing waits; returns whether it has gone out. `on_ready`: called when
    something has come to wait, for whoever takes it by `next` rather than waiting: at once for a frame, a moment later
    for what may say more by then. Of most sockets nothing waits, most of the time: what is kept for one is small, and
    there is no task for it.
    """

    __slots__ = (
        "_aside",
        "_bytes",
        "_closed",
        "_frames",
        "_gone",
        "_lagging",
        "_max_bytes",
        "_max_frames",
        "_max_relay_bytes",
        "_told",
        "_waiting",
        "at_once",
        "on_ready",
        "packed",
        "relaying",
    )

    def __init__(
        self,
        *,
        packed: bool = False,
        max_frames: int = MAX_FRAMES,
        max_bytes: int = MAX_QUEUED_BYTES,
        max_relay_bytes: int = 0,
    ) -> None:
        self.packed = packed
        self.relaying: set[str] = set()
        self._max_relay_bytes = max_relay_bytes
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self.at_once: Callable[[LiveFrame], bool] | None = None
        self.on_ready: Callable[[], None] | None = None
        self._frames: list[tuple[str, LiveFrame]] = []
        self._bytes = 0
        self._aside: dict[tuple[str, str], Callable[[], bytes | None]] = {}
        self._lagging: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self._waiting: asyncio.Event | None = None
        self._told = False
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no frame will come any more."""
        return self._closed

    def put(self, scope: str, frame: LiveFrame) -> None:
        """Queue a frame of `scope`; never waits."""
        if self._closed:
            return
        if (
            self.at_once is not None
            and not (self._frames or self._lagging or self._gone)
            and len(frame.body) <= self._max_bytes
            and self.at_once(frame)
        ):
            return
        if len(self._frames) >= self._max_frames or self._bytes + len(frame.body) > self._max_bytes:
            self.tell_to_pull([scope, *(waiting for waiting, _ in self._frames)])
            self._frames.clear()
            self._bytes = 0
        elif scope not in self._lagging:
            # A scope that lags gets a hint to pull first; a delta before it would only be one more gap.
            self._frames.append((scope, frame))
            self._bytes += len(frame.body)
            self._ready()

    def tell_to_pull(self, scopes: Iterable[str]) -> None:
        """Queue a hint that deltas of these scopes are missing."""
        self._lagging.update(dict.fromkeys(scopes))
        self._ready_soon()

    def tell_gone(self, scopes: Iterable[str]) -> None:
        """Queue the news that these scopes may be seen no more, before whatever else waits."""
        self._gone.update(dict.fromkeys(scopes))
        self._ready_soon()

    def put_aside(self, key: tuple[str, str], make: Callable[[], bytes | None]) -> None:
        """Have a frame made once nothing else waits, whatever it will say by then; None: nothing.

        `key`: a scope, and what of it. Under one key one waits, in the place of the first.
        """
        if not self._closed:
            self._aside[key] = make
            self._ready_soon()

    def has_aside(self, key: tuple[str, str]) -> bool:
        """Whether something waits under this key."""
        return key in self._aside

    @property
    def aside_count(self) -> int:
        """How many keys wait; whoever puts aside sees to it that they are bounded."""
        return len(self._aside)

    def forget_aside(self, scopes: Iterable[str]) -> None:
        """Make no frame any more of what was put aside for these scopes."""
        gone = set(scopes)
        for key in [key for key in self._aside if key[0] in gone]:
            del self._aside[key]

    def forget(self, scopes: Iterable[str]) -> None:
        """Drop what waits for scopes that are no longer watched."""
        gone = set(scopes)
        for scope in gone:
            self._lagging.pop(scope, None)
        self._frames = [entry for entry in self._frames if entry[0] not in gone]
        self._bytes = sum(len(frame.body) for _, frame in self._frames)

    def close(self) -> None:
        """No frame comes any more; may be called twice."""
        self._closed = True
        self.at_once = self.on_ready = None
        if self._waiting is not None:
            self._waiting.set()

    async def take(self) -> LiveFrame | None:
        """The next frame, None once the connection is closed; if this is cancelled, no frame is lost."""
        if self._waiting is None:
            self._waiting = asyncio.Event()
        while not self._closed:
            if (frame := self.next()) is not None:
                return frame
            self._waiting.clear()
            await self._waiting.wait()
        return None

    def next(self) -> LiveFrame | None:
        """The next frame, if one waits now; None, too, once the connection is closed."""
        if self._closed:
            return None
        if self._gone or self._lagging or self._frames:
            return self._first()
        while self._aside:
            make = self._aside.pop(next(iter(self._aside)))
            if (body := make()) is not None:
                return LiveFrame(body)
        return None

    def _ready(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
        if self.on_ready is not None:
            self.on_ready()

    def _ready_soon(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
        if self.on_ready is not None and not self._told:
            self._told = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._told = False
        if self.on_ready is not None:
            self.on_ready()

    def _first(self) -> LiveFrame:
        for kind, scopes in (("gone", self._gone), ("pull", self._lagging)):
            if scopes:
                told = json.dumps({"type": kind, "scopes": sorted(scopes)}, separators=(",", ":")).encode()
                scopes.clear()
                return LiveFrame(pack_frame(told) if self.packed else told, kind=kind)
        scope, frame = self._frames.pop(0)
        self._bytes -= len(frame.body)
        if frame.delta is None or frame.remake is None or len(self._frames) < _MANY:
            return frame
        if sum(waiting == scope for waiting, _ in self._frames) < _MANY:
            return frame
        delta = self._with_those_that_follow(frame.delta)
        return frame if delta is frame.delta else frame.remake(delta)

    def _with_those_that_follow(self, delta: Delta) -> Delta:
        """A delta, and what waits behind it in its scope, as far as that may travel as one."""
        left: list[tuple[str, LiveFrame]] = []
        size, ended = delta.relayed_bytes, False
        for scope, frame in self._frames:
            later = None if ended or scope != delta.scope else frame.delta
            # What does not follow: the reader was told to pull in between.
            if later is not None and later.after == delta.upto and size + later.relayed_bytes <= self._max_relay_bytes:
                delta = delta.then(later)
                size += later.relayed_bytes
                self._bytes -= len(frame.body)
            else:
                ended = ended or scope == delta.scope
                left.append((scope, frame))
        self._frames = left
        return delta
