"""Credentials: the token that requests carry, and where another one comes from when it has ended.

Knows no HTTP. A token is asked for when there is none, or when the server has refused the last one; never twice for
one refusal, however many requests were under way with it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from client_sdk.errors import Unreachable

__all__ = ["Credentials", "TokenSource"]

TokenSource = str | None | Callable[[], str | Awaitable[str | None] | None]
"""A token, or what gives one: a function, which must not block, or one that is awaited."""


class Credentials:
    """`renewals`: another number whenever there is another token than before. `timeout_s`: for whoever gives tokens."""

    def __init__(self, source: TokenSource, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._source: TokenSource = None
        self._token: str | None = None
        self._known = False
        self.renewals = 0
        self.use(source)

    def use(self, source: TokenSource) -> None:
        """Take another token, or another source of tokens, from now on."""
        self._source = source
        self._token = source if isinstance(source, str) else None
        self._known = not callable(source)
        self.renewals += 1

    async def current(self) -> str | None:
        """The token, asked for if need be. Raises `Unreachable` if whoever gives them fails: it is tried again."""
        async with self._lock:
            while not self._known:
                renewals = self.renewals
                token = await self._ask()
                if renewals == self.renewals:
                    self._token, self._known = token, True
            return self._token

    def refused(self, token: str | None) -> bool:
        """The server does not take this token; returns whether `current` may give another one."""
        if self._known and token == self._token and callable(self._source):
            self._token, self._known = None, False
            self.renewals += 1
        return not self._known or token != self._token

    async def _ask(self) -> str | None:
        source = self._source
        assert callable(source)
        try:
            async with asyncio.timeout(self._timeout_s):
                given = source()
                return await given if inspect.isawaitable(given) else given
        except Exception as failure:
            # Without its text, which may hold a secret; the cause stays with the exception.
            raise Unreachable(f"no token could be had: {type(failure).__name__} where one was asked for") from failure
