"""Push and pull over HTTP: bytes to messages, messages to the engine, its answers to bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping

from aiohttp import web

from syncd.api.body import BodyReader
from syncd.api.codec import encode_json
from syncd.api.compression import LARGE_BYTES
from syncd.api.envelope import read_message
from syncd.api.formats import JSON, Format
from syncd.api.messages import PullRequest, PushRequest
from syncd.api.request_keys import principal_of
from syncd.engine.limits import Limits
from syncd.engine.principal import Caller, Principal
from syncd.engine.pull import Puller, ScopePage
from syncd.engine.push import Pusher, check_own_name
from syncd.engine.reader_class import ReaderClass, check_types
from syncd.errors import Forbidden

__all__ = ["SyncRoutes"]


class SyncRoutes:
    """The two requests of the protocol. `schema`: the version of the app."""

    def __init__(
        self,
        *,
        pusher: Pusher,
        puller: Puller,
        bodies: BodyReader,
        limits: Limits,
        schema: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._pusher = pusher
        self._puller = puller
        self._bodies = bodies
        self._limits = limits.as_dict()
        self._encoded_limits = encode_json(self._limits)
        self._schema = schema
        self._now_ms = now_ms

    async def push(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/push`: an outcome for each change, durable when this answers."""
        value, answer_in = await self._bodies.read(request)
        message = read_message(PushRequest, value)
        principal = principal_of(request)
        check_own_name(message.replica, principal)
        _check_maker(message.user, principal)
        reply = await self._pusher.push(message.replica, message.schema_, message.changes, principal=principal)
        body = answer_in.encode(
            {
                "replica": reply.replica,
                "settled": reply.settled,
                "server_time_ms": self._now_ms(),
                "limits": self._limits,
                "outcomes": reply.outcomes,
            }
        )
        return _answer(body, answer_in)

    async def pull(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/pull`: a page of each scope, and the replica's settled number in it (law 4)."""
        value, answer_in = await self._bodies.read(request)
        message = read_message(PullRequest, value)
        reader = ReaderClass(check_types(message.types), self._schema)
        pages = await self._puller.pull(
            message.replica,
            message.scopes,
            message.limit_bytes,
            reader=reader,
            digest=message.digest,
            principal=principal_of(request),
        )
        body = encode_pages(pages, self._now_ms(), self._encoded_limits)
        return _answer(body if answer_in is JSON else await _in(answer_in, body), answer_in)


def encode_pages(pages: Mapping[str, ScopePage], server_time_ms: int, limits: bytes) -> bytes:
    """A pull's answer as JSON; states go in as the bytes they are stored as, undecoded."""
    parts = [b'{"server_time_ms":%d,"limits":%b,"scopes":{' % (server_time_ms, limits)]
    before = b""
    for scope, page in pages.items():
        parts += (before, encode_json(scope), b":", *_parts_of(page))
        before = b","
    # Joined once: a page may have a megabyte.
    return b"".join((*parts, b"}}"))


def _parts_of(page: ScopePage) -> Iterator[bytes]:
    if page.gone:
        yield b'{"gone":true}'
        return
    about: dict[str, object] = {"cursor": page.cursor, "settled": page.settled, "more": page.more}
    if page.reset:
        about["reset"] = True
    if page.digest is not None:
        about["digest"] = page.digest
    yield b'{"resources":['
    yield b",".join(page.bodies)
    yield b"],"
    yield encode_json(about)[1:]


async def _in(answer_in: Format, body: bytes) -> bytes:
    """`body`, JSON, in another format: states are stored as JSON, so that here each page is decoded and encoded."""

    def convert() -> bytes:
        return answer_in.encode(json.loads(body))

    return convert() if len(body) < LARGE_BYTES else await asyncio.to_thread(convert)


def _check_maker(user: str | None, principal: Principal) -> None:
    """Raise `Forbidden` for what another account has made: a queue that was never sent belongs to no replica yet."""
    if user is not None and principal.caller is Caller.USER and principal.user != user:
        raise Forbidden("these changes were made by another account", code="foreign_replica", field="user")


def _answer(body: bytes, answer_in: Format) -> web.Response:
    return web.Response(
        body=body, content_type=answer_in.content_type, headers={"Cache-Control": "no-store", "Vary": "Accept"}
    )
