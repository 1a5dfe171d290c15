"""`syncd tail`: what changes in scopes, as it happens, through the server's own pull and live connection."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from rich.text import Text

from client_sdk.backoff import Backoff, Timing
from client_sdk.errors import Busy, Denied, Refused, TransportError
from client_sdk.messages import Delta, decode_delta, decode_gone, decode_standings
from client_sdk.transport import LiveSocket, Transport
from conflict_rules.values import valid_scope
from syncd.commands.figures import duration_text, printable, value_text
from syncd.commands.output import Output
from syncd.commands.remote import look_at, next_page, transport_failure
from syncd.commands.telling import ScopeTeller, Told
from syncd.errors import CommandError, SettingsError

__all__ = ["tail"]

_REPLICA: Final = "tail"
_LONG_AGO_MS: Final = 60_000
"""A change that was made longer ago than this is shown with its age."""
_STYLES: Final = {"create": "green", "update": "cyan", "delete": "red", "gone": "red"}


async def tail(scopes: Sequence[str], url: str, token: str | None, output: Output, *, from_start: bool) -> int:
    """Tell what changes in these scopes until SIGINT or SIGTERM; then 0.

    `from_start`: what is there already comes first. Raises `CommandError` if there is no server, or it will not have
    this; one that was there and goes away is waited for.
    """
    for scope in scopes:
        if not valid_scope(scope):
            raise SettingsError(
                f"{printable(scope[:80])!r} is not the name of a scope",
                hint="One looks like match:9f: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -",
            )
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    transport = Transport(url, token, Timing().timeout_s)
    try:
        with suppress(asyncio.CancelledError):
            await look_at(url, token)
            followed = [_Followed(scope, told=from_start) for scope in dict.fromkeys(scopes)]
            await _Tail(followed, url, transport, output).run()
    finally:
        await transport.close()
    return 0


class _Followed:
    """How far a scope has been followed. `told`: whether what comes is told, or only taken note of."""

    def __init__(self, name: str, *, told: bool) -> None:
        self.name = name
        self.cursor: str | None = None
        self.teller = ScopeTeller(name)
        self.told = told


class _Tail:
    """The connection, for as long as it takes."""

    def __init__(self, scopes: Sequence[_Followed], url: str, transport: Transport, output: Output) -> None:
        self._scopes = {scope.name: scope for scope in scopes}
        self._url = url
        self._transport = transport
        self._output = output
        self._backoff = Backoff(Timing(), random.Random())

    async def run(self) -> None:
        """Never returns; raises `CommandError` for what waiting will not mend."""
        while True:
            try:
                await self._once()
            except TransportError as failure:
                if isinstance(failure, (Denied, Refused)):
                    raise transport_failure(failure) from failure
                wait_s = self._backoff.next_s(failure.retry_after_s if isinstance(failure, Busy) else None)
                if self._backoff.failures == 1:
                    self._output.fact("disconnected", reason=failure.message)
                    self._output.note(Text(f"Waiting for the server: {failure.message}", "yellow"))
                await asyncio.sleep(wait_s)

    async def _once(self) -> None:
        """Connect, and tell until the connection ends; always raises."""
        async with self._transport.live(_REPLICA) as socket:
            cursors = {name: scope.cursor for name, scope in self._scopes.items()}
            # Subscribed first and pulled then: what falls between the two comes twice, and is told once.
            await socket.send({"type": "subscribe", "scopes": cursors})
            while True:
                await self._take(socket)

    async def _take(self, socket: LiveSocket) -> None:
        message = await socket.receive()
        match message.get("type"):
            case "subscribed":
                standings = decode_standings(message)
                for name, scope in self._scopes.items():
                    cursor = standings.get(name)
                    if cursor is None:
                        await self._catch_up(scope)
                    else:
                        scope.cursor = cursor
                self._backoff.reset()
                self._output.fact("watching", url=self._url, scopes=list(self._scopes))
                self._output.note(Text(f"Watching {', '.join(self._scopes)} at {self._url}; Ctrl-C ends it.", "dim"))
            case "delta":
                await self._take_delta(decode_delta(message))
            case "pull":
                named = message.get("scopes")
                for name, scope in self._scopes.items():
                    if not isinstance(named, list) or name in named:
                        await self._catch_up(scope)
            case "gone":
                raise Denied(f"{', '.join(decode_gone(message))} may not be seen any more")
            case "ping":
                await socket.send({"type": "pong"})
            case "error":
                raise CommandError(
                    f"The server refuses this: {message.get('message')}.", hint=str(message.get("hint") or "")
                )
            case _:
                # Pongs, and what later servers may say.
                pass

    async def _take_delta(self, delta: Delta) -> None:
        scope = self._scopes.get(delta.scope)
        if scope is None:
            return
        states = [state for state, _ in delta.states]
        if delta.after == scope.cursor:
            scope.cursor = delta.upto
            self._tell(scope.teller.take(states))
        elif not scope.teller.knows(states):
            await self._catch_up(scope)

    async def _catch_up(self, scope: _Followed) -> None:
        """Pull what is missing, page by page."""
        more = True
        while more:
            page = await next_page(self._transport, _REPLICA, scope.name, scope.cursor)
            if page.reset:
                scope.teller.start_over()
                self._output.fact("reset", scope=scope.name)
                self._output.note(Text(f"The server was restored or replaced: {scope.name} starts over.", "yellow"))
            told = scope.teller.take([state for state, _ in page.states])
            scope.cursor, more = page.cursor, page.more
            if not more:
                told += scope.teller.end_snapshot()
            if scope.told:
                self._tell(told)
        scope.told = True

    def _tell(self, told: Iterable[Told]) -> None:
        now_ms = time.time_ns() // 1_000_000
        for each in told:
            self._output.fact(
                "change",
                scope=each.scope,
                type=each.type,
                id=each.id,
                op=each.op,
                version=each.version,
                replica=each.replica,
                n=each.n,
                fields=dict(each.fields),
                made_at_ms=each.made_at_ms,
                received_at_ms=now_ms,
            )
            self._output.show(_line(each, now_ms, with_scope=len(self._scopes) > 1))


def _line(told: Told, now_ms: int, *, with_scope: bool) -> Text:
    """Such as `12:01:33  create  event 0193-a  kind="goal" minute=47  by phone-1`."""
    line = Text(datetime.fromtimestamp(now_ms / 1000).astimezone().strftime("%H:%M:%S"), "dim")
    if with_scope:
        line.append(f"  {told.scope}")
    line.append(f"  {told.op}", _STYLES[told.op]).append(f"  {told.type} ").append(told.id, "bold")
    if told.fields:
        fields = (f"{printable(name)}={value_text(value)}" for name, value in told.fields.items())
        line.append("  " + " ".join(fields))
    line.append(f"  by {told.replica}", "dim")
    if now_ms - told.made_at_ms > _LONG_AGO_MS:
        line.append(f", made {duration_text(now_ms - told.made_at_ms)} ago", "dim")
    return line
