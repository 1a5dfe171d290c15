"""Rate limits over HTTP: whose request it is, what it counts as, and the headers that say how much is left.

The decision is `syncd.limiting`'s. Here a request becomes a class and a subject, and a refusal a 429.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, istr

from syncd.api.client_address import ClientAddress
from syncd.api.request_keys import EXCEEDED, STANDINGS, principal_of
from syncd.engine.principal import ANYONE, Caller, Principal
from syncd.errors import RateLimited
from syncd.limiting.bucket import Bucket
from syncd.limiting.counters import Counters, Standing, Take, narrowest
from syncd.limiting.held import Held, Slot
from syncd.limiting.table import OTHER, UNLIMITED, RateTable, Subject, Tier

__all__ = ["Limiting", "RateLimits"]

_LIMIT: Final = istr("X-RateLimit-Limit")
_REMAINING: Final = istr("X-RateLimit-Remaining")
_RESET: Final = istr("X-RateLimit-Reset")
_RETRY_AFTER: Final = istr("X-RateLimit-Retry-After")
_TIERS: Final = (("partner", Tier.PARTNER), ("premium", Tier.PREMIUM), ("verified", Tier.PREMIUM))
"""Roles of the whole app that lift their account into another tier."""


class Limiting(StrEnum):
    """Who is limited."""

    OFF = "off"
    """Nobody."""
    ON = "on"
    """Everybody, also whoever runs the server."""
    AUTO = "auto"
    """Everybody but whoever runs the server: the holder of the shared token, or, without one, this machine."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of one server.

    `user_sockets`, `address_sockets`: how many of them are open. `now_ms`: milliseconds since 1970. `monotonic_ms`: of
    any clock that does not go back.
    """

    limiting: Limiting
    table: RateTable
    counters: Counters
    addresses: ClientAddress
    user_sockets: Held
    address_sockets: Held
    now_ms: Callable[[], int]
    monotonic_ms: Callable[[], float]

    async def admit(self, request: web.Request) -> str:
        """Count a request whose caller is known by now; raises `RateLimited` if there is no room for it.

        Returns whose bytes are counted, "" if they are not: else `charge_rest` is to follow, whatever becomes of it.
        """
        principal = principal_of(request)
        if not self.applies_to(principal):
            return ""
        kind = self._class_of(request)
        if kind == UNLIMITED:
            return ""
        takes = self.table.takes(kind, self._subject(principal, request))
        if not principal.user:
            await self._take(request, takes)
            return ""
        await self._take(request, takes, self.table.bytes_of(principal.user, max(1, request.content_length or 0)))
        return principal.user

    async def count_wrong_token(self, request: web.Request) -> None:
        """Count who showed a wrong token, or none where one is needed, by his address: guessing is slowed down.

        It never stands in the way of who shows the right one, also from the same address. Raises `RateLimited` in the
        place of what he was about to be told.
        """
        if self.limiting is not Limiting.OFF:
            await self._take(request, self.table.takes(OTHER, self._subject(ANYONE, request)))

    def applies_to(self, principal: Principal) -> bool:
        """Whether this caller is limited."""
        if self.limiting is Limiting.AUTO:
            return principal.caller is not Caller.OPERATOR
        return self.limiting is Limiting.ON

    def frames(self, principal: Principal) -> Bucket | None:
        """What the frames of one socket are counted by, None if they are not."""
        return Bucket(self.table["frames"], self.monotonic_ms) if self.applies_to(principal) else None

    def open_socket(self, request: web.BaseRequest) -> Slot:
        """Counts a socket or stream as open for the length of a block: of its user, else of its address.

        Entering raises `RateLimited` if there are as many as may be.
        """
        return Slot(*self._place(request))

    def move_socket(self, slot: Slot, request: web.BaseRequest) -> None:
        """Count it as that of whoever it has turned out to be; raises `RateLimited` if there is no room."""
        slot.move(*self._place(request))

    async def take_as(self, request: web.Request, principal: Principal) -> None:
        """Count a socket or stream as opened by whoever it has turned out to be, where it was counted as a stranger's.

        Raises `RateLimited` if there is no room for it.
        """
        if self.applies_to(principal):
            kind = self._class_of(request)
            counted = self.table.takes(kind, self._subject(principal_of(request), request))
            own = self.table.takes(kind, self._subject(principal, request))
            takes = [take for take in own if take not in counted]
            if takes:
                await self._take(request, takes)

    async def take_bytes(self, principal: Principal, count: int) -> None:
        """Count what came in over a socket; raises `RateLimited` if the user's bytes of the day are used up."""
        if principal.user and self.applies_to(principal):
            (standing,) = await self.counters.take([self.table.bytes_of(principal.user, max(1, count))])
            if standing.wait_ms:
                raise _too_many_bytes(standing)

    def add_headers(self, request: web.BaseRequest, headers: CIMultiDict[str]) -> None:
        """Say how the limit stands for which the request was refused, else, if it was counted, the bucket that will be
        empty first. `Retry-After` is the problem document's."""
        exceeded = request.get(EXCEEDED)
        if exceeded is not None:
            # There may be some left, of bytes, and only too few for this request: none like it can come now. What no
            # bucket holds stands as full when it is worth another try.
            _say(headers, exceeded.limit, 0, max(exceeded.full_at_ms, self.now_ms() + exceeded.wait_ms))
            headers[_RETRY_AFTER] = str(exceeded.wait_s)
        elif standings := request.get(STANDINGS):
            standing = narrowest(standings)
            _say(headers, standing.rate.count, standing.left, standing.full_at_ms)

    def _place(self, request: web.BaseRequest) -> tuple[Held | None, str]:
        principal = principal_of(request)
        if not self.applies_to(principal):
            return None, ""
        return (
            (self.user_sockets, principal.user)
            if principal.user
            else (
                self.address_sockets,
                self.addresses.key(request),
            )
        )

    async def _take(self, request: web.Request, takes: Sequence[Take], spent: Take | None = None) -> None:
        """Take all of it, `spent` of bytes too; raises `RateLimited` if one of the buckets lacks room."""
        standings = await self.counters.take(takes if spent is None else (*takes, spent))
        standing = narrowest(standings)
        if standing.wait_ms:
            if spent is not None and standing is standings[-1]:
                raise _too_many_bytes(standing)
            raise RateLimited(f"more than {standing.rate} requests of this kind", standing.exceeded)
        request[STANDINGS] = standings if spent is None else standings[:-1]

    async def charge_rest(self, user: str, request: web.Request, response: web.StreamResponse | None) -> None:
        """Count the answer too, if there is one, and a body that did not say how long it would be. What has come in has
        come in, also if it was refused then."""
        answer = response.body if isinstance(response, web.Response) else None
        rest = max(0, request.content.total_bytes - (request.content_length or 0))
        rest += len(answer) if isinstance(answer, bytes) else 0
        if rest:
            await self.counters.charge([self.table.bytes_of(user, rest)])

    def _subject(self, principal: Principal, request: web.BaseRequest) -> Subject:
        address = self.addresses.key(request)
        if principal.caller is Caller.USER:
            tier = next((tier for role, tier in _TIERS if role in principal.roles), Tier.AUTHENTICATED)
            return Subject(tier, principal.user, principal.session, address)
        if principal.caller is Caller.OPERATOR:
            return Subject(Tier.PARTNER, "operator", "", address)
        # Many hold the same share link: each counts by where he is.
        return Subject(Tier.ANONYMOUS, "", "", address)

    def _class_of(self, request: web.Request) -> str:
        resource = request.match_info.route.resource
        return self.table.class_of(request.method, "" if resource is None else resource.canonical)


def _too_many_bytes(standing: Standing) -> RateLimited:
    return RateLimited(
        f"more than {standing.rate} bytes",
        standing.exceeded,
        hint="Wait as long as Retry-After says. Nothing was applied, and nothing is lost.",
    )


def _say(headers: CIMultiDict[str], limit: int, left: int, full_at_ms: int) -> None:
    headers[_LIMIT] = str(limit)
    headers[_REMAINING] = str(left)
    # Seconds since 1970, not too early.
    headers[_RESET] = str(-(-full_at_ms // 1000))
