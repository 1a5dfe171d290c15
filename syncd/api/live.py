"""The live socket: deltas go out as they are committed; a device says which scopes it watches.

Text frames are JSON and binary ones MessagePack. A device may send either; what it gets, its hello chooses.

Live is an accelerator: whatever goes wrong here, a pull puts it right. Frames come encoded from the engine's queue,
which is bounded; each socket has an outlet of its own, so that a slow one holds up nobody else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from conflict_rules.wire import PROTOCOL_VERSION
from syncd.api.access import Access
from syncd.api.errors import CloseCode, report_unexpected
from syncd.api.formats import JSON, MSGPACK
from syncd.api.messages import Frame, Hello, Ping, Pong, PresenceState, Subscribe, Unsubscribe, read_frame
from syncd.api.outlet import Framing, Outlet
from syncd.api.sockets import Sockets, close_socket
from syncd.engine.limits import Limits
from syncd.engine.presence import Presence
from syncd.engine.reader_class import ReaderClass, check_types
from syncd.engine.watch import Connection, Watcher
from syncd.errors import InvalidMessage, RequestError, SyncdError, TooLarge, Unauthenticated

__all__ = ["MAX_BAD_FRAMES", "MAX_FRAME_BYTES", "LiveRoute"]

_FORMATS: Final = {"json": JSON, "msgpack": MSGPACK}

MAX_BAD_FRAMES: Final = 20
MAX_FRAME_BYTES: Final = 256 * 1024
"""Of a frame from a client; `max_scopes` subscriptions fit."""


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """`GET /sync/v1/live`.

    `schema`: the version of the app. `hello_timeout_s`: how long a socket may go without a hello. `heartbeat_s`:
    between pings; a peer that does not answer one in half that time is taken for dead.
    """

    watcher: Watcher
    presence: Presence
    access: Access
    limits: Limits
    sockets: Sockets
    schema: int
    now_ms: Callable[[], int]
    hello_timeout_s: float
    heartbeat_s: float
    framing: Framing = field(default_factory=Framing)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until either side closes it."""
        self.access.check_origin(request.headers.get("Origin"), request.headers.get("Host"))
        # Not compressed: one encoding of a delta serves every socket.
        socket = web.WebSocketResponse(
            compress=False,
            decode_text=False,
            heartbeat=self.heartbeat_s,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=1.0,
            # The outlet waits by itself, and not for ever.
            writer_limit=sys.maxsize,
        )
        if not socket.can_prepare(request):
            raise InvalidMessage(
                "this URL is a WebSocket, and the request does not ask for one",
                code="websocket_required",
                hint="Connect with a WebSocket library (RFC 6455).",
            )
        goodbye = partial(close_socket, socket, request, CloseCode.GOING_AWAY, "the server is closing")
        with self.sockets.holding(goodbye):
            await socket.prepare(request)
            await _Session(self, socket, request).run()
        return socket


class _Goodbye(Exception):
    """The server ends the conversation."""

    def __init__(self, code: CloseCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class _Session:
    """One socket's conversation: it reads here, and answers through its outlet."""

    __slots__ = (
        "_bad_frames",
        "_connection",
        "_ending",
        "_format",
        "_outlet",
        "_request",
        "_route",
        "_socket",
        "_watched",
    )

    def __init__(self, route: LiveRoute, socket: web.WebSocketResponse[bool], request: web.Request) -> None:
        self._route = route
        self._socket = socket
        self._request = request
        self._connection: Connection | None = None
        self._outlet = Outlet(request, socket, route.framing, route.heartbeat_s, self._abort, self._fail)
        self._format = JSON
        self._ending: asyncio.Task[None] | None = None
        self._bad_frames = 0
        self._watched: set[str] = set()

    async def run(self) -> None:
        try:
            await self._converse()
        except _Goodbye as goodbye:
            await close_socket(self._socket, self._request, goodbye.code, goodbye.why)
        except ConnectionError:
            # The peer has gone; it will pull what it missed.
            pass
        finally:
            await self._end()

    async def _converse(self) -> None:
        try:
            async with asyncio.timeout(self._route.hello_timeout_s):
                while self._connection is None:
                    if not await self._receive():
                        return
        except TimeoutError:
            raise _Goodbye(CloseCode.HELLO_TIMEOUT, "hello_timeout") from None
        while await self._receive():
            pass

    async def _receive(self) -> bool:
        """Take one frame and answer it; False when the socket is closed."""
        message = await self._socket.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False
        try:
            await self._answer(_read(message.type, message.data))
        except SyncdError as error:
            await self._complain(error)
        except (ConnectionError, _Goodbye):
            raise
        except Exception:
            incident = report_unexpected("live")
            await self._send(
                {
                    "type": "error",
                    "code": SyncdError.code,
                    "message": "the server failed on this frame",
                    "hint": f"Whoever runs the server finds the cause in its log under the incident {incident}.",
                    "incident": incident,
                }
            )
            raise _Goodbye(CloseCode.INTERNAL_ERROR, f"incident {incident}") from None
        return True

    async def _answer(self, frame: Frame) -> None:
        if isinstance(frame, Hello):
            await self._welcome(frame)
        elif isinstance(frame, Ping):
            await self._send({"type": "pong"})
        elif isinstance(frame, Pong):
            pass
        elif self._connection is None:
            raise InvalidMessage("the first frame of a socket is a hello", code="hello_first", field="type")
        elif isinstance(frame, Subscribe):
            reader = ReaderClass(check_types(frame.types), self._route.schema)
            await self._subscribe(self._connection, frame, reader)
        elif isinstance(frame, Unsubscribe):
            self._route.presence.unwatch(self._connection, frame.scopes)
            self._route.watcher.unsubscribe(self._connection, frame.scopes)
            self._watched.difference_update(frame.scopes)
            await self._send({"type": "unsubscribed", "scopes": frame.scopes})
        elif isinstance(frame, PresenceState):
            self._route.presence.say(self._connection, frame.scope, frame.state)

    async def _welcome(self, hello: Hello) -> None:
        route = self._route
        if self._connection is None:
            self._format = _FORMATS[hello.format or "json"]
            self._outlet.kind = WSMsgType.TEXT if self._format is JSON else WSMsgType.BINARY
        elif hello.format is not None and _FORMATS[hello.format] is not self._format:
            raise InvalidMessage("the first hello of a socket chooses its format, for good", field="format")
        # A browser cannot set headers on a socket, so the token may come either way.
        header = self._request.headers.get("Authorization")
        if hello.token is None and header is not None:
            route.access.check_header(header)
        else:
            route.access.check_token(hello.token)
        await self._send(
            {
                "type": "welcome",
                "server_time_ms": route.now_ms(),
                "limits": route.limits.as_dict(),
                "protocol": PROTOCOL_VERSION,
            }
        )
        if self._connection is None:
            self._connection = route.watcher.connect(packed=self._format is MSGPACK)
            route.presence.join(self._connection, hello.replica)
            self._outlet.open(self._connection)

    async def _subscribe(self, connection: Connection, frame: Subscribe, reader: ReaderClass) -> None:
        scopes = frame.scopes
        watched = self._watched | scopes.keys()
        if len(watched) > self._route.limits.max_scopes:
            raise TooLarge(
                f"{len(watched)} scopes on one socket, more than the {self._route.limits.max_scopes} allowed",
                field="scopes",
            )
        # No delta may overtake the answer, which says what the first one follows.
        with self._outlet.holding():
            standings = await self._route.watcher.subscribe(connection, scopes, reader, documents=frame.documents)
            self._watched = watched
            self._route.presence.watch(connection, scopes)
            answer = {
                scope: {"pull": True} if standing.cursor is None else {"cursor": standing.cursor}
                for scope, standing in standings.items()
            }
            await self._send({"type": "subscribed", "scopes": answer})

    async def _complain(self, error: SyncdError) -> None:
        frame: dict[str, object] = {
            "type": "error",
            "code": error.problem_code,
            "message": error.message,
            "hint": error.hint,
        }
        if error.field is not None:
            frame["field"] = error.field
        await self._send(frame)
        if isinstance(error, Unauthenticated):
            raise _Goodbye(CloseCode.UNAUTHENTICATED, error.problem_code)
        if error.problem_code == "invalid_utf8":
            # RFC 6455, section 8.1, asks for it.
            raise _Goodbye(CloseCode.INVALID_TEXT, error.problem_code)
        if isinstance(error, RequestError):
            self._bad_frames += 1
            if self._bad_frames >= MAX_BAD_FRAMES:
                raise _Goodbye(CloseCode.TOO_MANY_BAD_FRAMES, "too_many_bad_frames")

    async def _send(self, frame: Mapping[str, object]) -> None:
        await self._outlet.send(self._format.encode(frame))

    def _fail(self) -> None:
        """A frame could not be made, or sent, for another reason than its peer."""
        if self._ending is not None:
            return
        incident = report_unexpected("live")
        goodbye = close_socket(self._socket, self._request, CloseCode.INTERNAL_ERROR, f"incident {incident}")
        self._ending = asyncio.create_task(goodbye, name="live-goodbye")

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _end(self) -> None:
        if self._connection is not None:
            self._route.presence.leave(self._connection)
            self._route.watcher.disconnect(self._connection)
        await self._outlet.close()
        if self._ending is not None:
            await self._ending
        if self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            # A dead peer takes nothing more: do not wait for what is still to be written.
            self._abort()


def _read(kind: WSMsgType, data: bytes) -> Frame:
    return read_frame((JSON if kind is WSMsgType.TEXT else MSGPACK).decode(data))
