"""Presence: who else is here in a scope, and what this replica says of itself. In memory only.

What is said is sent whenever there is a live connection that watches the scope, and renewed while there is one. As long
is known what the others say: when the connection is lost, nobody is known to be here, until they are told again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NotRequired, TypedDict

from client_sdk.errors import NotHere, TransportError, Unfit
from client_sdk.messages import Limits
from client_sdk.pulse import Pulse
from client_sdk.transport import LiveSocket
from conflict_rules.values import JsonValue, canonical_json, clean_value

__all__ = ["DocumentCursor", "DocumentPlace", "Editing", "Presence", "Presences", "Present", "read_editing"]

log = logging.getLogger(__name__)

_RENEWALS: Final = 3
"""In the time after which the server would drop what is not renewed: one or two may come late."""

Said = Mapping[str, JsonValue]


class DocumentPlace(TypedDict):
    """A document: one field of one resource."""

    type: str
    id: str
    field: str


class DocumentCursor(TypedDict):
    """Where somebody is in a document, in code points; `to`: the other end of a selection, before or after `at`.

    Both count in the document as it was at `since` and `seq`; later updates move them along.
    """

    at: int
    to: NotRequired[int]
    since: int
    seq: int


class Editing(TypedDict):
    """What a replica says of itself while somebody edits a document; other keys are the app's own."""

    name: NotRequired[str]
    document: DocumentPlace
    cursor: DocumentCursor


def read_editing(said: Said) -> Editing | None:
    """The part of what another one says that has this form; None if it has another, whoever wrote it."""
    match said:
        case {
            "document": {"type": str(type_), "id": str(id_), "field": str(field_)},
            "cursor": {"at": int(at), "since": int(since), "seq": int(seq), **more},
        }:
            found = Editing(
                document=DocumentPlace(type=type_, id=id_, field=field_),
                cursor=DocumentCursor(at=at, since=since, seq=seq),
            )
        case _:
            return None
    match more.get("to"):
        case None:
            pass
        case int(to):
            found["cursor"]["to"] = to
        case _:
            return None
    if any(type(n) is not int or n < 0 for n in found["cursor"].values()):
        return None
    if isinstance(name := said.get("name"), str):
        found["name"] = name
    return found


@dataclass(frozen=True, slots=True)
class Present:
    """Who else is here. `others`: what each replica says of itself, by its id. `more`: how many besides."""

    others: Mapping[str, Said] = field(default_factory=dict)
    more: int = 0


PresentCallback = Callable[[Present], object]

_NOBODY: Final = Present()


class Presence:
    """One scope's presence: `async for present in presence` gives who is here, now and after each change."""

    def __init__(self, scope: str, followed: Callable[[], Container[str]], said_more: Callable[[], None]) -> None:
        self.scope = scope
        self._followed = followed
        self._said_more = said_more
        self._most_bytes = Limits().max_presence_bytes
        self._said: Said | None = None
        self._present = _NOBODY
        self._callbacks: dict[object, PresentCallback] = {}
        self._pulse = Pulse()
        self._ended = False

    @property
    def said(self) -> Said | None:
        """What this replica says of itself here; None for nothing."""
        return self._said

    @property
    def present(self) -> Present:
        """Who else is here, as far as is known; nobody while there is no live connection."""
        return self._present if self.scope in self._followed() else _NOBODY

    def set(self, said: Mapping[str, object]) -> None:
        """Say this of oneself from now on, as long as the client runs; the newest is sent, not each that was set.

        Works offline too. Raises `InvalidValue` for what is not JSON, `Unfit` if it is too large for the server,
        `NotHere` if the scope is not followed any more.
        """
        if self.scope not in self._followed():
            raise NotHere(f"the scope {self.scope!r} is not followed here")
        cleaned = clean_value(said, "state")
        if not isinstance(cleaned, dict):
            raise Unfit("presence is said as a mapping, such as {'name': 'Asha'}")
        size = len(canonical_json(cleaned))
        if size > self._most_bytes:
            raise Unfit(f"{size} bytes are more than the {self._most_bytes} that presence may have")
        self._said = cleaned
        self._said_more()

    def update(self, /, **said: object) -> None:
        """Say these keys anew, and the others as before; raises as `set`."""
        self.set({**(self._said or {}), **said})

    def leave(self) -> None:
        """Say nothing of oneself any more; who else is here goes on being told."""
        self._said = None
        self._said_more()

    def on_change(self, callback: PresentCallback) -> Callable[[], None]:
        """Call it with who is here whenever that changes, from the event loop; returns what ends that."""
        key = object()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    async def __aiter__(self) -> AsyncIterator[Present]:
        while not self._ended:
            seen = self._present
            yield self.present

            def news(seen: Present = seen) -> bool:
                return self._ended or self._present is not seen

            await self._pulse.until(news)

    def take(self, message: Mapping[str, JsonValue]) -> None:
        """Hear a message of the server; one that cannot be read is ignored, since nothing depends on it."""
        known, more = self._present, message.get("more", 0)
        if type(more) is not int:
            return
        if message.get("type") == "present":
            entries = message.get("entries")
            if isinstance(entries, list):
                others = dict(entry for item in entries if (entry := _entry(item)) is not None)
                self._show(Present(others, more))
        elif "more" in message:
            self._show(Present(known.others, more))
        elif (entry := _entry(message)) is not None:
            self._show(Present({**known.others, entry[0]: entry[1]}, known.more))
        elif message.get("state", ...) is None:
            gone = message.get("replica")
            self._show(Present({name: said for name, said in known.others.items() if name != gone}, known.more))

    def forget(self) -> None:
        """It is not known any more who is here."""
        self._show(_NOBODY)

    def allow(self, limits: Limits) -> None:
        """What the server takes."""
        self._most_bytes = limits.max_presence_bytes

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._pulse.beat()

    def _show(self, present: Present) -> None:
        if present == self._present:
            return
        self._present = present
        self._pulse.beat()
        for callback in list(self._callbacks.values()):
            try:
                callback(self.present)
            except Exception:
                log.exception("a callback for who is present in %s failed", self.scope)


class Presences:
    """All scopes' presence, between the apps and the live connection."""

    def __init__(self, followed: Callable[[], Collection[str]]) -> None:
        self._followed = followed
        self._scopes: dict[str, Presence] = {}
        self._pulse = Pulse()
        # What the connection that stands was told, and when.
        self._sent: dict[str, tuple[Said | None, float]] = {}
        self._limits = Limits()
        self._closed = False

    def of(self, scope: str) -> Presence:
        """Always the same for a scope."""
        found = self._scopes.get(scope)
        if found is None:
            found = self._scopes[scope] = Presence(scope, self._followed, self._pulse.beat)
            found.allow(self._limits)
            if self._closed:
                found.end()
        return found

    def take(self, message: Mapping[str, JsonValue]) -> None:
        """Hear a message of the server."""
        scope = message.get("scope")
        if isinstance(scope, str):
            self.of(scope).take(message)

    def begin(self, scopes: Iterable[str]) -> None:
        """The connection watches these from now on: who is here is told, and nothing was said yet."""
        self.forget(scopes)
        self._pulse.beat()

    def forget(self, scopes: Iterable[str]) -> None:
        """The connection watches these no more."""
        for scope in scopes:
            self._sent.pop(scope, None)
            if scope in self._scopes:
                self._scopes[scope].forget()

    def lost(self) -> None:
        """There is no connection any more."""
        self._sent.clear()
        for presence in tuple(self._scopes.values()):
            presence.forget()

    def unfollowed(self, scope: str) -> None:
        """Whoever leaves a scope says nothing of himself in it any more."""
        if scope in self._scopes:
            self._scopes[scope].leave()

    def close(self) -> None:
        """End all iterations."""
        self._closed = True
        for presence in self._scopes.values():
            presence.end()

    async def keep_saying(self, socket: LiveSocket, limits: Limits, watched: Container[str]) -> None:
        """Send what is said in the scopes that are watched, and renew it, until the connection ends.

        Never more than the server lets through, so that what waits waits here and only the newest is sent.
        """
        self._limits = limits
        for presence in self._scopes.values():
            presence.allow(limits)
        if not limits.presence_ms:
            # A server that knows no presence would take each frame for a bad one.
            return
        clock = asyncio.get_running_loop()
        renewal_s = limits.presence_ms / 1000 / _RENEWALS
        # If the connection breaks here, the reader learns of it as well.
        with suppress(TransportError):
            while True:
                scope = self._next(watched, clock.time() - renewal_s)
                if scope is None:
                    await self._pulse.until_or(lambda: self._next(watched, 0.0) is not None, self._rest_s(renewal_s))
                    continue
                said = self._scopes[scope].said
                self._sent[scope] = (said, clock.time())
                await socket.send({"type": "presence", "scope": scope, "state": said})
                await asyncio.sleep(1 / limits.max_presence_per_s)

    def _next(self, watched: Container[str], renewed_since: float) -> str | None:
        """The scope in which something new is to be said, or the same again; of several the one that waited longest."""
        due = []
        for scope, presence in self._scopes.items():
            if scope in watched:
                sent, at = self._sent.get(scope, (None, float("-inf")))
                if presence.said is not sent or (sent is not None and at <= renewed_since):
                    due.append((at, scope))
        return min(due)[1] if due else None

    def _rest_s(self, renewal_s: float) -> float:
        """Until the next renewal is due."""
        now_s = asyncio.get_running_loop().time()
        times = [at for said, at in self._sent.values() if said is not None]
        return max(0.0, min(times, default=now_s) + renewal_s - now_s)


def _entry(item: object) -> tuple[str, Said] | None:
    """A replica and what it says."""
    if isinstance(item, Mapping):
        replica, said = item.get("replica"), item.get("state")
        if isinstance(replica, str) and isinstance(said, Mapping):
            return replica, said
    return None
