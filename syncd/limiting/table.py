"""The table of rates: what is counted, how much of it there may be, and of whom.

A row is data, and any of them can be set anew (`SYNCD_RATE_LIMITS`). A row's name is a tier, a class of requests, or
`METHOD /path` of one endpoint. Requests of a class of their own count there and not in their caller's tier, so that the
one never uses up what the other needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from syncd.limiting.counters import Take
from syncd.limiting.names import hidden
from syncd.limiting.rate import Rate

__all__ = ["DEFAULT_RATES", "OTHER", "UNLIMITED", "RateTable", "Subject", "Tier"]


class Tier(StrEnum):
    """What a caller may do in general."""

    ANONYMOUS = "anonymous"
    AUTHENTICATED = "authenticated"
    PREMIUM = "premium"
    PARTNER = "partner"


DEFAULT_RATES: Final[Mapping[str, str]] = {
    # Every request without a class of its own.
    "anonymous": "60/minute",
    "authenticated": "300/minute",
    "premium": "600/minute",
    "partner": "3000/minute",
    # All requests of all callers behind one address: the Wi-Fi of a venue, with a few hundred phones.
    "address": "6000/minute",
    # Guessing. The first is of one account from one address; the others are wider, and why is told in logins.py.
    "login": "5/15 minutes",
    "login.address": "60/15 minutes",
    "login.account": "100/hour",
    "register": "3/hour",
    "password": "3/hour",
    # After a quiet night every phone of a venue asks for a token at once. What opens nothing counts as a wrong token.
    "refresh": "1200/minute",
    # Both are much work, and the one takes the account's password.
    "privacy": "10/hour",
    # A phone that was away for a weekend comes back with thousands of changes, and pushes and pulls as fast as it is
    # answered: turned away, it would keep what it has not handed in for longer, which is all that can still be lost.
    # What it costs is bounded by the bytes below.
    "push.device": "300/minute",
    "push.user": "900/minute",
    "pull.device": "600/minute",
    "pull.user": "1800/minute",
    "pull.address": "600/minute",
    # Sockets and streams opened. After a restart of the server all of them come at once, and from one venue too.
    "live.device": "60/minute",
    "live.user": "120/minute",
    "live.address": "1200/minute",
    # Frames from one socket: ten changes of presence a second and a subscription now and then are not a tenth of it.
    "frames": "100/second",
    # Bytes of one user, both ways: bodies, answers and frames from his sockets.
    "bytes": "1073741824/day",
}
"""The tiers, and log-in, registration and password by the API specification of the pickleball app, sections 8.1 and
8.2; the rest by what devices were seen to need."""

OTHER: Final = ""
"""The class of what has none: it counts in the caller's tier."""
UNLIMITED: Final = "unlimited"
"""The class of what is never counted, such as probes."""

_CLASSES: Final[Mapping[str, str]] = {
    "GET /": UNLIMITED,
    "GET /health/live": UNLIMITED,
    "GET /health/ready": UNLIMITED,
    "POST /sync/v1/push": "push",
    "POST /sync/v1/pull": "pull",
    # A replica that has pulled asks for the documents next.
    "POST /sync/v1/documents": "pull",
    "GET /sync/v1/live": "live",
    "GET /sync/v1/stream": "live",
    "POST /auth/v1/register": "register",
    "POST /auth/v1/password/*": "password",
    "POST /auth/v1/email/change": "password",
    # Mail to an address that somebody names, like a forgotten password.
    "POST /auth/v1/verify-email/send": "password",
    "POST /auth/v1/refresh": "refresh",
    "POST /auth/v1/me/export": "privacy",
    "POST /auth/v1/me/erase": "privacy",
}
_BY_ADDRESS: Final = frozenset({"register", "refresh"})
"""Of an address, whoever asks: or each new account could make some more."""
_ENDPOINT: Final = re.compile(r"(?:\*|GET|POST|PUT|PATCH|DELETE) /\S*")
_PARTS: Final = ("device", "user", "address")


class Subject(NamedTuple):
    """Who asks, as far as counting goes. `user` and `device`: "" if unknown. `address`: never empty."""

    tier: Tier
    user: str
    device: str
    address: str


class RateTable:
    """The rates of one server."""

    def __init__(self, rates: Mapping[str, Rate] | None = None) -> None:
        self._rates = {name: Rate.parse(text) for name, text in DEFAULT_RATES.items()} | dict(rates or {})
        self._endpoints = [name for name in self._rates if " " in name]
        # The same few ask again and again: what they take is put together once.
        self.class_of = lru_cache(maxsize=1024)(self._class_of)
        self.takes = lru_cache(maxsize=16_384)(self._takes)
        self._bytes_key = lru_cache(maxsize=16_384)(self._make_bytes_key)

    def __getitem__(self, name: str) -> Rate:
        return self._rates[name]

    @staticmethod
    def parse(rows: Iterable[str]) -> dict[str, Rate]:
        """Rows such as `push.device=600/minute` or `GET /courts=60/minute`. Raises `ValueError`."""
        rates: dict[str, Rate] = {}
        for row in rows:
            name, sign, text = row.partition("=")
            name = name.strip()
            if not sign or (name not in DEFAULT_RATES and _ENDPOINT.fullmatch(name) is None):
                raise ValueError(
                    f"{row!r} is not a row of rate limits: name one of {', '.join(DEFAULT_RATES)}, or an endpoint as in"
                    " 'GET /courts=60/minute'"
                )
            rates[name] = Rate.parse(text)
        return rates

    def bytes_of(self, user: str, amount: int) -> Take:
        """So many bytes out of a user's day."""
        return Take(self._bytes_key(user), self._rates["bytes"], amount)

    @staticmethod
    def _make_bytes_key(user: str) -> str:
        return _key("bytes", user)

    def _class_of(self, method: str, template: str) -> str:
        """The class of requests to `template`, the path as it is declared: an endpoint's own row, a class, or
        `OTHER`."""
        for known in (*self._endpoints, *_CLASSES):
            if _matches(known, method, template):
                return known if known in self._rates else _CLASSES[known]
        return OTHER

    def _takes(self, kind: str, subject: Subject) -> tuple[Take, ...]:
        """What one request of the class `kind` takes, the narrowest first; nothing if it is `UNLIMITED`."""
        if kind == UNLIMITED:
            return ()
        names = [f"{kind}.{part}" for part in _PARTS]
        takes = [self._take(name, part, subject) for name, part in zip(names, _PARTS, strict=True)]
        found = [take for take in takes if take is not None]
        if not found:
            name = kind if kind in self._rates else subject.tier.value
            who = subject.address if kind in _BY_ADDRESS else subject.user or subject.address
            found = [Take(_key(name, who), self._rates[name])]
        return (*found, Take(_key("address", subject.address), self._rates["address"]))

    def _take(self, name: str, part: str, subject: Subject) -> Take | None:
        who: str = getattr(subject, part)
        # Of who has a name, the address counts for everything together only.
        if name not in self._rates or not who or (part == "address" and subject.user):
            return None
        return Take(_key(name, who), self._rates[name])


def _key(name: str, who: str) -> str:
    return f"{name}:{hidden(who)}"


def _matches(pattern: str, method: str, template: str) -> bool:
    wanted, _, path = pattern.partition(" ")
    if wanted not in ("*", method) and not (wanted == "GET" and method == "HEAD"):
        return False
    return template.startswith(path[:-1]) if path.endswith("*") else template == path
