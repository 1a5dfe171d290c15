"""Log-in throttling, by address and by account: who guesses is slowed down, and who owns the account is not locked out.

Three buckets, from the table of rates:

- `login`, of one account from one address: a person who has forgotten the password, or one who guesses it.
- `login.address`, of one address whatever the account: few passwords tried on many accounts. Wide enough for a club
  that logs in at one venue.
- `login.account`, of one account whatever the address: many addresses that share the guessing. One address alone never
  empties it, since its own bucket is narrower. A device that has been logged in to this account before has one of that
  size to itself in its place: so a crowd of addresses cannot keep the owner out, and a stolen device guesses no faster
  than a crowd.

Accounts that do not exist are counted alike, or the difference would tell which do.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.errors import RateLimited
from syncd.limiting.counters import Counters, Take, narrowest
from syncd.limiting.names import account_name, hidden
from syncd.limiting.table import RateTable

__all__ = ["LoginThrottle"]


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """Asked before a password is looked at, so that tries at the same time do not get past it."""

    table: RateTable
    counters: Counters

    async def admit(self, account: str, address: str, *, known_device: str = "") -> None:
        """Count one try; raises `RateLimited` if there is no room for it, and then nothing is counted.

        `account`: as it was typed. `address`: as `ClientAddress.key` gives it. `known_device`: a name for the device
        that the caller has shown to have been logged in to this account before; "" if he has not.
        """
        standing = narrowest(await self.counters.take(self._takes(account, address, known_device)))
        if standing.wait_ms:
            raise RateLimited(
                "there were too many tries with this address",
                standing.exceeded,
                hint="Wait as long as Retry-After says. Whoever has forgotten the password can have it reset.",
            )

    async def succeeded(self, account: str, address: str, *, known_device: str = "") -> None:
        """The password was right: the try does not count, with the same arguments as for `admit`."""
        await self.counters.give_back(self._takes(account, address, known_device))

    def _takes(self, account: str, address: str, known_device: str) -> list[Take]:
        name = account_name(account)
        widest = f"login.known:{hidden(known_device)}" if known_device else f"login.account:{hidden(name)}"
        return [
            Take(f"login:{hidden(f'{address} {name}')}", self.table["login"]),
            Take(f"login.address:{hidden(address)}", self.table["login.address"]),
            Take(widest, self.table["login.account"]),
        ]
