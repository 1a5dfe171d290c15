"""One live socket's conversation: what it asks for, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from conflict_rules.values import valid_replica
from conflict_rules.wire import PROTOCOL_VERSION
from syncd.api.access import Access
from syncd.api.errors import CloseCode, report_unexpected
from syncd.api.formats import JSON, MSGPACK, decode
from syncd.api.frames import Frame, Hello, Ping, Pong, PresenceState, Subscribe, Unsubscribe, read_frame
from syncd.api.outlet import Framing, Outlet
from syncd.api.rate_limits import RateLimits
from syncd.api.socket_limits import SocketLimits
from syncd.api.sockets import close_socket
from syncd.engine.limits import Limits
from syncd.engine.presence import Presence
from syncd.engine.principal import Caller, Principal
from syncd.engine.reader_class import ReaderClass, check_types
from syncd.engine.visit import Visit, Visits
from syncd.engine.watch import Connection, Watcher
from syncd.errors import (
    AccessError,
    Forbidden,
    InvalidMessage,
    RateLimited,
    RequestError,
    SyncdError,
    TooLarge,
    Unauthenticated,
)

__all__ = ["MAX_BAD_FRAMES", "Live", "LiveSession"]

_FORMATS: Final = {"json": JSON, "msgpack": MSGPACK}

MAX_BAD_FRAMES: Final = 20
_CONTROL: Final = (WSMsgType.PING, WSMsgType.PONG)


@dataclass(frozen=True, slots=True)
class Live:
    """What all conversations have in common.

    `schema`: the version of the app. `hello_timeout_s`: how long a socket may go without a hello. `heartbeat_s`:
    between pings; a peer that does not answer one in half that time is taken for dead. `claim_replica`: raises
    `AccessError` for a replica that is not the caller's, who is about to be seen under it.
    """

    watcher: Watcher
    presence: Presence
    visits: Visits
    access: Access
    limits: Limits
    rates: RateLimits
    claim_replica: Callable[[str, Principal], Awaitable[None]]
    schema: int
    now_ms: Callable[[], int]
    hello_timeout_s: float
    heartbeat_s: float
    framing: Framing = field(default_factory=Framing)


class _Goodbye(Exception):
    """The server ends the conversation."""

    def __init__(self, code: CloseCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class LiveSession:
    """One socket's conversation: it reads here, and answers through its outlet."""

    __slots__ = (
        "_bad_frames",
        "_claimed",
        "_connection",
        "_counted",
        "_ending",
        "_format",
        "_live",
        "_outlet",
        "_request",
        "_socket",
        "_visit",
        "_watched",
    )

    def __init__(
        self, live: Live, socket: web.WebSocketResponse[bool], request: web.Request, counted: SocketLimits
    ) -> None:
        self._live = live
        self._socket = socket
        self._request = request
        self._connection: Connection | None = None
        self._outlet = Outlet(request, socket, live.framing, live.heartbeat_s, self._abort, self._fail)
        self._format = JSON
        self._ending: asyncio.Task[None] | None = None
        self._bad_frames = 0
        # The replica of the hello, until it is known not to be somebody else's.
        self._claimed: str | None = None
        self._watched: set[str] = set()
        self._visit: Visit | None = None
        self._counted = counted

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
            async with asyncio.timeout(self._live.hello_timeout_s):
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
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY, *_CONTROL):
            return False
        try:
            await self._counted.count(len(message.data))
            if message.type in _CONTROL:
                if message.type is WSMsgType.PING:
                    await self._outlet.pong(message.data)
            else:
                await self._answer(await _read(message.type, message.data))
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
            reader = ReaderClass(check_types(frame.types), self._live.schema)
            assert self._visit is not None
            await self._subscribe(self._connection, self._visit, frame, reader)
        elif isinstance(frame, Unsubscribe):
            self._live.presence.unwatch(self._connection, frame.scopes)
            self._live.watcher.unsubscribe(self._connection, frame.scopes)
            self._watched.difference_update(frame.scopes)
            await self._send({"type": "unsubscribed", "scopes": frame.scopes})
        elif isinstance(frame, PresenceState):
            await self._claim(self._connection, frame)
            self._live.presence.say(self._connection, frame.scope, frame.state)

    async def _welcome(self, hello: Hello) -> None:
        live = self._live
        if self._connection is None:
            self._format = _FORMATS[hello.format or "json"]
            self._outlet.kind = WSMsgType.TEXT if self._format is JSON else WSMsgType.BINARY
        elif hello.format is not None and _FORMATS[hello.format] is not self._format:
            raise InvalidMessage("the first hello of a socket chooses its format, for good", field="format")
        try:
            principal = await self._principal(hello)
        except Unauthenticated:
            await live.rates.count_wrong_token(self._request)
            raise
        first = self._visit is None
        # Nothing waits between the look at the credentials and here: whoever ends them finds the visit, however long
        # its peer makes the welcome wait.
        visit = self._visit or self._arrive(hello.replica)
        try:
            await visit.admit(principal)
            await self._counted.admit(principal)
            await self._send(
                {
                    "type": "welcome",
                    "server_time_ms": live.now_ms(),
                    "limits": live.limits.as_dict(),
                    "protocol": PROTOCOL_VERSION,
                }
            )
        except BaseException:
            if first:
                self._depart()
            raise
        if first and self._connection is not None:
            # No delta before the welcome.
            self._outlet.open(self._connection)

    def _arrive(self, replica: str | None) -> Visit:
        """Somebody is there, and watches nothing yet."""
        live = self._live
        connection = self._connection = live.watcher.connect(packed=self._format is MSGPACK)
        live.presence.join(connection, replica)
        self._claimed = replica if valid_replica(replica) else None
        self._visit = Visit(live.watcher, connection, live.now_ms, self._leave, self._end_visit, live.visits)
        return self._visit

    def _depart(self) -> None:
        """He is there no more, or was not let in after all."""
        if self._visit is not None:
            self._visit.close()
        if self._connection is not None:
            self._live.presence.leave(self._connection)
            self._live.watcher.disconnect(self._connection)
        self._visit = self._connection = None

    async def _principal(self, hello: Hello) -> Principal:
        # A browser cannot set headers on a socket, so the token may come either way.
        access = self._live.access
        header = self._request.headers.get("Authorization")
        if hello.token is None and header is not None:
            principal = await access.by_header(header)
        else:
            principal = await access.by_token(hello.token)
        if principal.suspended:
            raise Forbidden("this account is suspended", code="account_suspended")
        return principal

    async def _claim(self, connection: Connection, frame: PresenceState) -> None:
        """Nobody is seen under the name of somebody else. Asked before the first word that others will hear: who only
        looks on says none.
        """
        if self._claimed is not None and self._visit is not None:
            self._live.presence.check(connection, frame.scope, frame.state)
            await self._live.claim_replica(self._claimed, self._visit.principal)
            self._claimed = None

    def _leave(self, scopes: Sequence[str]) -> None:
        assert self._connection is not None
        self._live.presence.unwatch(self._connection, scopes)
        self._watched.difference_update(scopes)

    def _end_visit(self, why: SyncdError) -> None:
        if self._ending is None:
            code = CloseCode.UNAUTHENTICATED if isinstance(why, AccessError) else CloseCode.INTERNAL_ERROR
            goodbye = close_socket(self._socket, self._request, code, why.problem_code)
            self._ending = asyncio.create_task(goodbye, name="live-goodbye")

    async def _subscribe(self, connection: Connection, visit: Visit, frame: Subscribe, reader: ReaderClass) -> None:
        scopes = frame.scopes
        watched = self._watched | scopes.keys()
        if len(watched) > self._live.limits.max_scopes:
            raise TooLarge(
                f"{len(watched)} scopes on one socket, more than the {self._live.limits.max_scopes} allowed",
                field="scopes",
            )
        # No delta may overtake the answer, which says what the first one follows.
        with self._outlet.holding():
            standings = await visit.subscribe(scopes, reader, documents=frame.documents)
            here = [scope for scope, standing in standings.items() if not standing.gone]
            self._watched |= set(here)
            if visit.principal.caller is not Caller.LINK:
                # Who is here are people, and nobody has said that strangers may know them.
                self._live.presence.watch(connection, here)
            answer = {scope: standing.as_dict() for scope, standing in standings.items()}
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
        if error.problem_code == "account_suspended":
            raise _Goodbye(CloseCode.FORBIDDEN, error.problem_code)
        if isinstance(error, RateLimited):
            raise _Goodbye(CloseCode.TOO_MANY, error.problem_code)
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
        self._depart()
        await self._outlet.close()
        if self._ending is not None:
            await self._ending
        if self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            # A dead peer takes nothing more: do not wait for what is still to be written.
            self._abort()


async def _read(kind: WSMsgType, data: bytes) -> Frame:
    return read_frame(await decode(JSON if kind is WSMsgType.TEXT else MSGPACK, data))
