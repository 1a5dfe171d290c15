"""HTTP and WebSocket to the server: messages out, messages in. The only file that knows status codes and headers.

Every failure leaves here as one of `TransportError`; the loop decides by its class what to do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import aiohttp

from client_sdk.credentials import Credentials, TokenSource
from client_sdk.encoding import CONTENT_TYPES, Encoding, decode, encoded
from client_sdk.errors import (
    AccountSuspended,
    Busy,
    Denied,
    ForeignReplica,
    OtherAccount,
    ReadOnly,
    Refused,
    TimedOut,
    TransportError,
    Unfit,
    Unreachable,
)
from client_sdk.messages import (
    DocumentAnswer,
    Limits,
    PullReply,
    PushReply,
    decode_documents_reply,
    decode_limits,
    decode_pull_reply,
    decode_push_reply,
    encode_push,
    parse,
)
from conflict_rules.values import JsonValue

__all__ = ["LiveSocket", "Transport"]

T = TypeVar("T")

_REFUSED: Final = frozenset({400, 413, 422})
"""Statuses that speak of this very message. Others, such as 404, speak of the server: no change is to blame."""
_HEARTBEAT_S: Final = 20.0
_CLOSING: Final = aiohttp.ClientWSTimeout(ws_close=1.0)
"""A server that is gone does not hold up the end."""


class _TokenRefused(Denied):
    """The server does not take the token that it was shown; it may take another one."""


class Transport:
    """One server. `credentials` may change at any time; they count from the next request on. `limits`: as last told.

    `types`: of the resources that pulls and subscriptions ask for, None for all. The server makes another class of
    reader of whoever asks for others (law 6), and starts it over. `user`: the account that made what is pushed; the
    server takes it with no other one's token.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        timeout_s: float,
        encoding: Encoding = "json",
        types: Collection[str] | None = None,
        user: str | None = None,
    ) -> None:
        self._user = user
        self._base = url.rstrip("/") + "/sync/v1"
        self.credentials = Credentials(token, timeout_s)
        self._types: dict[str, JsonValue] = {} if types is None else {"types": list[JsonValue](sorted(types))}
        self.limits = Limits()
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        if encoding not in CONTENT_TYPES:
            raise Unfit(f"the encoding {encoding!r} is not one of: {', '.join(CONTENT_TYPES)}")
        self._encoding = encoding
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def push(self, replica: str, schema: int, bodies: Sequence[str]) -> tuple[PushReply, int]:
        """Send changes of one replica id; the reply, and the round trip in ms."""
        raw, round_trip_ms = await self._post("push", encode_push(replica, schema, list(bodies), self._user))
        reply = decode_push_reply(raw, replica)
        self.limits = reply.limits
        return reply, round_trip_ms

    async def pull(
        self, replica: str, cursors: Mapping[str, str | None], limit_bytes: int | None, *, digest: bool = False
    ) -> tuple[PullReply, int]:
        """Ask for what came after these cursors, and for digests; the reply, and the round trip in ms."""
        request: dict[str, JsonValue] = {"replica": replica, "scopes": dict(cursors), **self._types}
        if limit_bytes is not None:
            request["limit_bytes"] = limit_bytes
        if digest:
            request["digest"] = True
        raw, round_trip_ms = await self._post("pull", json.dumps(request).encode())
        reply = decode_pull_reply(raw)
        self.limits = reply.limits
        return reply, round_trip_ms

    async def documents(self, requests: Sequence[Mapping[str, JsonValue]]) -> list[DocumentAnswer]:
        """Ask for what documents have gained; answers in order, of the first ones only if they are large."""
        raw, _ = await self._post("documents", json.dumps({"documents": list(requests)}).encode())
        return decode_documents_reply(raw, len(requests))

    @asynccontextmanager
    async def live(self, replica: str) -> AsyncIterator[LiveSocket]:
        """A live connection that has been welcomed; left, it is closed."""
        async with self._connected(replica) as socket:
            try:
                await self._greet(socket)
                yield socket
            except _TokenRefused:
                self.credentials.refused(socket.token)
                raise

    @asynccontextmanager
    async def _connected(self, replica: str) -> AsyncIterator[LiveSocket]:
        renewals, token = self.credentials.renewals, await self.credentials.current()
        try:
            async with asyncio.timeout(self._timeout_s):
                websocket = await self._open().ws_connect(
                    f"{self._base}/live",
                    heartbeat=_HEARTBEAT_S,
                    headers=_headers(token),
                    max_msg_size=0,
                    timeout=_CLOSING,
                )
        except aiohttp.WSServerHandshakeError as failure:
            if failure.status in (401, 403):
                self.credentials.refused(token)
                raise Denied(_DENIED) from failure
            raise Unreachable(f"the live connection was answered with HTTP {failure.status}") from failure
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            raise _unreachable(self._base, failure) from failure
        socket = LiveSocket(websocket, replica, self._types, self._encoding)
        socket.token, socket.renewals = token, renewals
        try:
            yield socket
        finally:
            await websocket.close()

    async def _greet(self, socket: LiveSocket) -> None:
        await socket.hello()
        try:
            async with asyncio.timeout(self._timeout_s):
                socket.welcome = await socket.receive()
        except TimeoutError as failure:
            raise Unreachable("the live connection was opened, but not welcomed in time") from failure
        if socket.welcome.get("type") != "welcome":
            raise Unreachable(f"the live connection began with {socket.welcome.get('type')!r}, not a welcome")
        self.limits = decode_limits(socket.welcome)

    async def ask(self, path: str, query: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """A question that changes nothing, and its answer."""

        async def send(headers: Mapping[str, str]) -> Mapping[str, JsonValue]:
            try:
                async with self._open().get(f"{self._base}/{path}", params=query, headers=headers) as response:
                    text = await response.read()
            except (aiohttp.ClientError, OSError, TimeoutError) as failure:
                raise _unreachable(self._base, failure) from failure
            if response.status != 200:
                raise _problem(response, text)
            return parse(text)

        return await self._with_token(send)

    async def _post(self, path: str, body: bytes) -> tuple[Mapping[str, JsonValue], int]:
        data, content_type = encoded(body, self._encoding), CONTENT_TYPES[self._encoding]

        async def send(headers: Mapping[str, str]) -> tuple[Mapping[str, JsonValue], int]:
            started = time.monotonic()
            try:
                async with self._open().post(
                    f"{self._base}/{path}", data=data, headers={"Content-Type": content_type, **headers}
                ) as response:
                    text = await response.read()
            except (aiohttp.ClientError, OSError, TimeoutError) as failure:
                raise _unreachable(self._base, failure) from failure
            if response.status != 200:
                raise _problem(response, text)
            answered_in: Encoding = "msgpack" if response.content_type == CONTENT_TYPES["msgpack"] else "json"
            return decode(text, answered_in), int((time.monotonic() - started) * 1000)

        return await self._with_token(send)

    async def _with_token(self, send: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        """Send with the token, and once more with another one if it is refused and there is another one."""
        token = await self.credentials.current()
        try:
            return await send(_headers(token))
        except _TokenRefused:
            if not self.credentials.refused(token):
                raise
        return await send(_headers(await self.credentials.current()))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self._session


class LiveSocket:
    """The live connection, as messages. `welcome`: the server's first. `token`: what it was opened or renewed with;
    `renewals`: the number that the credentials had then.
    """

    def __init__(
        self,
        websocket: aiohttp.ClientWebSocketResponse,
        replica: str,
        types: Mapping[str, JsonValue],
        encoding: Encoding,
    ) -> None:
        self._websocket = websocket
        self._replica = replica
        self._types = types
        self._encoding = encoding
        self.welcome: Mapping[str, JsonValue] = {}
        self.token: str | None = None
        self.renewals = 0

    async def hello(self) -> None:
        """Say who this is; raises `Unreachable` if the connection is gone."""
        hello: dict[str, JsonValue] = {"type": "hello", "replica": self._replica}
        if self._encoding != "json":
            hello["format"] = self._encoding
        if self.token is not None:
            hello["token"] = self.token
        await self.send(hello)

    async def renew(self, credentials: Credentials) -> None:
        """Go on with the token of now, before the one that the connection was opened with ends.

        Raises `Unreachable` if the connection is gone, or no token could be had.
        """
        renewals, token = credentials.renewals, await credentials.current()
        self.renewals = renewals
        if token is not None and token != self.token:
            self.token = token
            await self.hello()

    async def subscribe(self, cursors: Mapping[str, str | None]) -> None:
        """Ask for the deltas of these scopes; raises `Unreachable` if the connection is gone."""
        relays: dict[str, JsonValue] = {"documents": True} if decode_limits(self.welcome).max_relay_bytes else {}
        await self.send({"type": "subscribe", "scopes": dict(cursors), **self._types, **relays})

    async def send(self, message: Mapping[str, JsonValue]) -> None:
        """Raises `Unreachable` if the connection is gone."""
        try:
            await self._websocket.send_str(json.dumps(message))
        except (aiohttp.ClientError, OSError) as failure:
            raise Unreachable("the live connection broke") from failure

    async def receive(self) -> Mapping[str, JsonValue]:
        """The next message; raises `Unreachable` or `Denied` when there will be none."""
        frame = await self._websocket.receive()
        if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            message = decode(frame.data, "msgpack") if frame.type is aiohttp.WSMsgType.BINARY else parse(frame.data)
            if message.get("type") == "error":
                _check_denial(message)
            return message
        if self._websocket.close_code == 4401:
            raise _TokenRefused(_DENIED)
        raise Unreachable(f"the live connection ended (code {self._websocket.close_code})")


_DENIED: Final = "the server does not accept this replica's token; give the client another one"
_NO_TOKEN: Final = frozenset({"unauthenticated", "token_expired", "token_not_yet_valid", "token_invalid"})
_DENIALS: Final[Mapping[str, type[Denied]]] = {
    kind.code: kind for kind in (AccountSuspended, ForeignReplica, OtherAccount, ReadOnly)
}


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _check_denial(error: Mapping[str, JsonValue]) -> None:
    """Raise what an error frame of the server's means, if it is about who asks."""
    reason, sentence = str(error.get("code")), str(error.get("message") or _DENIED)
    if reason in _NO_TOKEN:
        raise _TokenRefused(sentence)
    if reason in _DENIALS:
        raise _DENIALS[reason](sentence)


def _problem(response: aiohttp.ClientResponse, text: bytes) -> TransportError:
    """What an answer other than 200 means; RFC 9457 if it is syncd's."""
    try:
        problem = parse(text)
    except Unreachable:
        problem = {}
    code = str(problem.get("code") or f"http_{response.status}")
    sentence = str(problem.get("detail") or f"the server answered HTTP {response.status}")
    if response.status == 401:
        return _TokenRefused(sentence if problem else _DENIED)
    if response.status == 403:
        return _DENIALS.get(code, Denied)(sentence if problem else _DENIED)
    if response.status in (429, 503):
        return Busy(sentence, _retry_after_s(response))
    if response.status == 408:
        return TimedOut(sentence)
    if response.status in _REFUSED:
        return Refused(sentence, code)
    return Unreachable(sentence)


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Seconds only: a date would have to be read against a clock that may be wrong."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _unreachable(base: str, failure: BaseException) -> Unreachable:
    if isinstance(failure, TimeoutError):
        return TimedOut(f"{base} did not answer in time")
    reason = str(failure) or type(failure).__name__
    return Unreachable(f"{base} cannot be reached: {reason}")
