"""Guesses at passwords, second factors and addresses, counted by who is guessed at and by where the guesses come from.

A guess is counted before it is looked at, and given back if it was right, or not looked at after all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from syncd.api.rate_limits import RateLimits
from syncd.api.request_keys import principal_of
from syncd.errors import Forbidden, Unauthenticated
from syncd.limiting.logins import LoginThrottle
from syncd.limiting.names import account_name

__all__ = ["Guesses"]

_RIGHT_SO_FAR: Final = frozenset({"second_factor_required", "email_not_verified", "account_suspended"})
"""Refusals that only who had the password right is told."""


@dataclass(frozen=True, slots=True)
class Guesses:
    """One for a server; whom it does not limit, `rates` says."""

    throttle: LoginThrottle
    rates: RateLimits

    @asynccontextmanager
    async def counted(self, request: web.Request, account: str, *, known_device: str = "") -> AsyncIterator[None]:
        """A block in which something about `account`, as it was typed, is found to be right or wrong.

        `known_device`: as in `LoginThrottle.admit`. Raises `RateLimited` before the block if there were too many.
        """
        if not self.rates.applies_to(principal_of(request)):
            yield
            return
        address = self.rates.addresses.key(request)
        await self.throttle.admit(account, address, known_device=known_device)
        try:
            yield
        except (Unauthenticated, Forbidden) as refusal:
            if refusal.problem_code in _RIGHT_SO_FAR:
                await self.throttle.succeeded(account, address, known_device=known_device)
            raise
        except Exception:
            # Nothing was told of what was guessed. (Whoever hangs up before the answer has guessed.)
            await self.throttle.succeeded(account, address, known_device=known_device)
            raise
        await self.throttle.succeeded(account, address, known_device=known_device)

    async def count_mail(self, request: web.Request, email: str) -> None:
        """Somebody has mail sent to an address: counted by itself, since who has guessed in vain may do so next.

        Raises `RateLimited` if there was too much.
        """
        if self.rates.applies_to(principal_of(request)):
            await self.throttle.admit(f"mail to {account_name(email)}", self.rates.addresses.key(request))
