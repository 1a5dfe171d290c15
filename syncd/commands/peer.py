"""A server to import into, asked as an ordinary replica asks: one over the network, or one opened here on a file."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

from client_sdk.backoff import Backoff, Timing
from client_sdk.errors import Busy, Denied, Refused, TransportError
from client_sdk.transport import Transport
from conflict_rules import Outcome, State
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_outcome, decode_state
from syncd.app import App
from syncd.commands.database import user_text
from syncd.commands.output import Output
from syncd.commands.remote import look_at, next_page, transport_failure
from syncd.errors import CommandError
from syncd.settings import Settings
from syncd.store.sqlite_in_use import in_use
from syncd.wiring import Server, open_server

__all__ = ["Peer", "peer_at_url", "peer_on_file"]

_PATIENCE_S: Final = 60.0
"""How long a server that has answered once may be away."""
_PAGE_BYTES: Final = 1024 * 1024

T = TypeVar("T")


class Peer(Protocol):
    """`max_changes`, `max_bytes`: of one push."""

    max_changes: int
    max_bytes: int

    def whole_record(self, type_name: str) -> bool:
        """Whether the rule of this type wants updates to carry every field; False where the app is not known."""
        ...

    def states(self, scope: str) -> AsyncIterator[State]:
        """Everything that is in a scope, tombstones included."""
        ...

    async def push(self, replica: str, changes: Sequence[Mapping[str, JsonValue]]) -> Sequence[Outcome]:
        """Hand in changes, in the order of their numbers; an outcome for each."""
        ...


@asynccontextmanager
async def peer_at_url(url: str, token: str | None, app: App, output: Output) -> AsyncIterator[Peer]:
    """A running server; raises `CommandError` if it cannot be reached or does not take the token.

    `app`: what is known of the server's app.
    """
    about = await look_at(url, token)
    transport = Transport(url, token, Timing().timeout_s)
    try:
        yield _Remote(transport, app, about.app_version, about.limits, output)
    finally:
        await transport.close()


@asynccontextmanager
async def peer_on_file(settings: Settings, app: App) -> AsyncIterator[Peer]:
    """A server without a port on a file that no other one uses; the file is made if it is not there.

    Raises `CommandError` if a server is using it.
    """
    database = settings.database.resolve()
    user = in_use(database)
    if user is not None:
        raise CommandError(
            f"{user_text(database, user)}.",
            hint="Import through that server: syncd import FILE --url http://127.0.0.1:8000",
            code="database_in_use",
        )
    async with open_server(settings, app) as server:
        yield _Local(server)


class _Local:
    """Implements `Peer` by the use cases themselves."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.max_changes = server.limits.max_changes
        self.max_bytes = server.limits.max_body_bytes

    def whole_record(self, type_name: str) -> bool:
        """See `Peer.whole_record`."""
        return _whole_record(self._server.app, type_name)

    async def states(self, scope: str) -> AsyncIterator[State]:
        """See `Peer.states`."""
        cursor: str | None = None
        more = True
        while more:
            page = (await self._server.puller.pull(None, {scope: cursor}, _PAGE_BYTES))[scope]
            cursor, more = page.cursor, page.more
            for body in page.bodies:
                yield decode_state(json.loads(body), scope)

    async def push(self, replica: str, changes: Sequence[Mapping[str, JsonValue]]) -> Sequence[Outcome]:
        """See `Peer.push`."""
        reply = await self._server.pusher.push(replica, self._server.app.version, changes)
        return [decode_outcome(outcome) for outcome in reply.outcomes]


class _Remote:
    """Implements `Peer` over HTTP; a server that goes away is waited for, since sending again is always safe."""

    def __init__(
        self, transport: Transport, app: App, app_version: int, limits: Mapping[str, int], output: Output
    ) -> None:
        self._transport = transport
        self._app = app
        self._app_version = app_version
        self._output = output
        self.max_changes = limits["max_changes"]
        self.max_bytes = limits["max_body_bytes"]

    def whole_record(self, type_name: str) -> bool:
        """See `Peer.whole_record`."""
        return _whole_record(self._app, type_name)

    async def states(self, scope: str) -> AsyncIterator[State]:
        """See `Peer.states`."""
        cursor: str | None = None
        more = True
        while more:
            page = await self._patiently(partial(next_page, self._transport, "import", scope, cursor))
            cursor, more = page.cursor, page.more
            for state, _ in page.states:
                yield state

    async def push(self, replica: str, changes: Sequence[Mapping[str, JsonValue]]) -> Sequence[Outcome]:
        """See `Peer.push`."""
        bodies = [json.dumps(change, ensure_ascii=False, separators=(",", ":")) for change in changes]
        reply, _ = await self._patiently(lambda: self._transport.push(replica, self._app_version, bodies))
        return [answer.outcome for answer in reply.answers]

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff(Timing(longest_retry_s=5.0), random.Random())
        until = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                return await ask()
            except TransportError as failure:
                wait_s = backoff.next_s(failure.retry_after_s if isinstance(failure, Busy) else None)
                lasting = isinstance(failure, (Denied, Refused))
                if lasting or asyncio.get_running_loop().time() + wait_s > until:
                    raise transport_failure(failure) from failure
                if backoff.failures == 1:
                    self._output.note(f"Waiting for the server: {failure.message}.")
                await asyncio.sleep(wait_s)


def _whole_record(app: App, type_name: str) -> bool:
    declared = app.type(type_name)
    return declared is not None and declared.rule.whole_record
