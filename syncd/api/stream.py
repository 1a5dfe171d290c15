"""The event stream: what the live socket says, for browsers' EventSource (HTML standard, section 9.2).

One way only: the URL names the scopes, and the `id` of each event says how far the stream has told of all of them; a
browser that connects again sends the newest as `Last-Event-ID`. Written by hand, since the library for it (aiohttp-sse)
waits for a slow reader as long as it likes, splits what is one line, and pings beside the events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from conflict_rules.wire import PROTOCOL_VERSION
from syncd.api.access import Access
from syncd.api.codec import encode_json
from syncd.api.errors import report_unexpected
from syncd.api.http_connection import HttpConnection
from syncd.api.origins import origin_in
from syncd.api.positions import decode_positions, encode_positions
from syncd.api.rate_limits import RateLimits
from syncd.api.request_keys import PRINCIPAL
from syncd.api.sockets import Sockets
from syncd.engine.limits import Limits
from syncd.engine.principal import Principal
from syncd.engine.reader_class import ReaderClass, check_types
from syncd.engine.visit import Visit, Visits
from syncd.engine.watch import Connection, Standing, Watcher
from syncd.errors import Forbidden, InvalidMessage

__all__ = ["StreamRoute"]

_KEYS: Final = ("scope", "cursor", "type", "documents", "token")
_YES_NO: Final = {"true": True, "false": False}
_MAX_CURSOR: Final = 256
_CLOSE_S: Final = 0.5
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "Vary": "Origin",
    # Proxies (nginx) would keep events until they have a buffer full.
    "X-Accel-Buffering": "no",
}
_RETRY_MS: Final = 1000
_COMMENT: Final = b":\n\n"


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """`GET /sync/v1/stream`.

    `schema`: the version of the app. `comment_s`: how long a stream may be silent before a comment shows that it is
    alive. `patience_s`: how long a reader may take nothing before it is dropped.
    """

    watcher: Watcher
    visits: Visits
    access: Access
    limits: Limits
    rates: RateLimits
    sockets: Sockets
    schema: int
    now_ms: Callable[[], int]
    comment_s: float
    patience_s: float

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Serve one stream until the reader or the server goes."""
        origin = origin_in(request.headers)
        self.access.check_origin(origin, request.headers.get("Host"))
        principal = await self._principal(request)
        cursors = _cursors_asked_for(request)
        reader = ReaderClass(check_types(request.query.getall("type", None)), self.schema)
        documents = _documents_asked_for(request)
        connection = self.watcher.connect()
        # Nothing waits between the look at the credentials and here, so that whoever ends them finds the visit.
        # A reader whose time is over comes back, and is told why by the answer that he gets then.
        visit = Visit(
            self.watcher, connection, self.now_ms, lambda gone: None, lambda why: connection.close(), self.visits
        )
        try:
            await visit.admit(principal)
            await self.rates.take_as(request, principal)
            request[PRINCIPAL] = principal
            standings = await visit.subscribe(cursors, reader, documents=documents)
            response = web.StreamResponse(headers=_HEADERS)
            if origin is not None:
                response.headers["Access-Control-Allow-Origin"] = origin
            stream = _Stream(self, response, request, connection, standings)
            with self.rates.open_socket(request), self.sockets.holding(stream.close):
                await stream.run()
        finally:
            visit.close()
            self.watcher.disconnect(connection)
        return stream.response

    async def _principal(self, request: web.Request) -> Principal:
        # EventSource sets no headers. Only this URL takes a token, and nothing logs URLs with their query.
        header = request.headers.get("Authorization")
        if header is None and "token" in request.query:
            principal = await self.access.by_token(request.query["token"])
        else:
            principal = await self.access.by_header(header)
        if principal.suspended:
            raise Forbidden("this account is suspended", code="account_suspended")
        return principal


@dataclass(slots=True)
class _Stream:
    """One reader's stream. `cursors`: how far it has been told of each scope, None where it was told to pull."""

    route: StreamRoute
    response: web.StreamResponse
    request: web.Request
    connection: Connection
    standings: Mapping[str, Standing]
    cursors: dict[str, str | None] = field(init=False)
    ended: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.cursors = {scope: standing.cursor for scope, standing in self.standings.items()}

    async def run(self) -> None:
        try:
            await self.response.prepare(self.request)
            protocol = self.request.protocol
            if isinstance(protocol, HttpConnection):
                protocol.on_lost = self.connection.close
            await self._begin()
            await self._tell()
            await self.response.write_eof()
        except ConnectionError:
            # The reader has gone; it will come back with the last id that it saw.
            pass
        except Exception:
            # The head is out, so that there is no other way to say it than to end; the reader comes back.
            report_unexpected("stream")
            self._abort()
        finally:
            self.ended.set()

    async def close(self) -> None:
        """End the stream, since the server goes away; a reader that does not take the end of it is cut off."""
        self.connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self.ended.wait()
                return
        self._abort()

    async def _begin(self) -> None:
        welcome = {
            "type": "welcome",
            "server_time_ms": self.route.now_ms(),
            "limits": self.route.limits.as_dict(),
            "protocol": PROTOCOL_VERSION,
            "scopes": {scope: standing.as_dict() for scope, standing in self.standings.items()},
        }
        await self._write(b"retry: %d\n" % _RETRY_MS + self._event(b"welcome", encode_json(welcome)))
        behind = sorted(
            scope for scope, standing in self.standings.items() if standing.cursor is None and not standing.gone
        )
        if behind:
            await self._write(self._event(b"pull", encode_json({"type": "pull", "scopes": behind})))

    async def _tell(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.route.comment_s):
                    frame = await self.connection.take()
            except TimeoutError:
                await self._write(_COMMENT)
                continue
            if frame is None:
                return
            if frame.kind == "gone":
                for scope in json.loads(frame.body)["scopes"]:
                    self.cursors[scope] = None
            elif frame.scope is not None:
                self.cursors[frame.scope] = frame.upto
            await self._write(self._event(frame.kind.encode(), frame.body))

    def _event(self, name: bytes, data: bytes) -> bytes:
        """An event; `data`, JSON of ours, is one line."""
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, encode_positions(self.cursors).encode(), data)

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self.route.patience_s):
                await self.response.write(data)
        except TimeoutError:
            # Meanwhile the engine's queue has filled up and said "pull"; a reader that takes nothing at all is dead.
            self._abort()
            raise ConnectionResetError("the reader does not read") from None

    def _abort(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()


def _documents_asked_for(request: web.Request) -> bool:
    """Whether deltas are to bring updates of documents."""
    asked = request.query.getall("documents", ["false"])
    if len(asked) > 1 or asked[0] not in _YES_NO:
        raise InvalidMessage("documents: true or false, once", field="documents")
    return _YES_NO[asked[0]]


def _cursors_asked_for(request: web.Request) -> Mapping[str, str | None]:
    """The scopes of the URL, each with the cursor that it is known up to."""
    query = request.query
    for key in query:
        if key not in _KEYS:
            raise InvalidMessage(
                f"{key[:80]}: there is no such key here; the keys are {', '.join(_KEYS)}", field=key[:80]
            )
    scopes: Sequence[str] = query.getall("scope", [])
    if not scopes:
        raise InvalidMessage("scope: name at least one, as in ?scope=match:9f", field="scope")
    if len(set(scopes)) < len(scopes):
        raise InvalidMessage("scope: each is named once", field="scope")
    cursors: Sequence[str] = query.getall("cursor", [])
    if cursors and len(cursors) != len(scopes):
        raise InvalidMessage(
            f"cursor: {len(cursors)} for {len(scopes)} scopes; give one for each, in the same order, or none",
            field="cursor",
        )
    if any(len(cursor) > _MAX_CURSOR for cursor in cursors):
        raise InvalidMessage(f"cursor: at most {_MAX_CURSOR} characters", field="cursor")
    last = decode_positions(request.headers.get("Last-Event-ID", ""), scopes)
    if last is not None:
        return last
    return {scope: cursor or None for scope, cursor in zip(scopes, cursors or [""] * len(scopes), strict=True)}
