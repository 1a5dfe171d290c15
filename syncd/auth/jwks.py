"""The keys of an issuer, by the URL of its JWK Set: kept, renewed, and asked for again when a token names a new one.

A verification does not wait for a renewal while the keys at hand are good, nor twice for a URL that cannot be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from syncd.auth.fetching import Fetcher, FetchFailed, checked_url
from syncd.auth.keys import UnusableKey, VerificationKey, keys_of_jwks, matching
from syncd.errors import IssuerUnavailable

__all__ = ["JwksSource", "JwksTimes"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JwksTimes:
    """In seconds. `keep_s`: how long keys are good without asking, where the answer does not say so by `max-age`;
    what it says counts between `keep_least_s` and `keep_most_s`.

    `retry_s`: at least between two fetches, whatever tokens name. `stale_s`: how long keys are good while the URL
    cannot be reached; also how long a key that the issuer has taken back can live on then.
    """

    keep_s: int = 600
    keep_least_s: int = 60
    keep_most_s: int = 24 * 3600
    retry_s: int = 10
    stale_s: int = 24 * 3600


class JwksSource:
    """A `KeySource` by URL. `now_ms`: milliseconds since 1970."""

    def __init__(self, url: str, fetcher: Fetcher, now_ms: Callable[[], int], times: JwksTimes = JwksTimes()) -> None:
        self._url = checked_url(url)
        self._host = urlsplit(url).hostname
        self._fetcher = fetcher
        self._now_ms = now_ms
        self._times = times
        self._keys: tuple[VerificationKey, ...] = ()
        self._keep_ms = 0
        self._fetched_ms: int | None = None
        self._tried_ms: int | None = None
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """See `KeySource`. A `kid` that nobody knows has the URL asked again, at most once in `retry_s`."""
        if not self._fetched_within(self._times.stale_s * 1000):
            await self._renew()
            if not self._fetched_within(self._times.stale_s * 1000):
                raise self._unavailable()
        elif not self._fetched_within(self._keep_ms):
            renewal = self._start()
            # After a quiet time the keys may be old by far: then their issuer is asked first, if it answers at all.
            if renewal is not None and not self._failing and not self._fetched_within(2 * self._keep_ms):
                await asyncio.shield(renewal)
        found = matching(self._keys, kid, algorithm)
        if not found and kid is not None:
            await self._renew()
            found = matching(self._keys, kid, algorithm)
            if not found and self._failing:
                raise self._unavailable()
        return found

    async def close(self) -> None:
        """Ends a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _renew(self) -> None:
        renewal = self._start()
        if renewal is not None:
            # Many wait for it: whoever goes away does not take it along.
            await asyncio.shield(renewal)

    def _start(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one; None if the last was a moment ago."""
        if self._fetching is None and not self._within(self._tried_ms, self._times.retry_s * 1000):
            self._tried_ms = self._now_ms()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            answer = await self._fetcher.get(self._url)
            self._keys = keys_of_jwks(answer.document)
        except (FetchFailed, UnusableKey) as error:
            self._failing = True
            log.warning("jwks_not_fetched", host=self._host, reason=str(error))
        else:
            times = self._times
            said_s = times.keep_s if answer.max_age_s is None else answer.max_age_s
            self._keep_ms = 1000 * min(max(said_s, times.keep_least_s), times.keep_most_s)
            self._fetched_ms, self._failing = self._now_ms(), False
            log.debug("jwks_fetched", host=self._host, keys=len(self._keys))
        finally:
            self._fetching = None

    def _fetched_within(self, age_ms: int) -> bool:
        return self._within(self._fetched_ms, age_ms)

    def _within(self, moment_ms: int | None, age_ms: int) -> bool:
        # A clock that was set back makes everything old, rather than new for years.
        return moment_ms is not None and 0 <= self._now_ms() - moment_ms < age_ms

    def _unavailable(self) -> IssuerUnavailable:
        return IssuerUnavailable(
            "the keys of the token's issuer cannot be fetched now", retry_after_s=self._times.retry_s
        )
