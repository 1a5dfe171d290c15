"""A server of a few routes behind the real edge and the real listener; who asks is what the header `As` says.

Only finding out who asks is made up: a user by his name, with a role and a session after it, as in
`asha/premium/phone`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from syncd.api.client_address import ClientAddress, TrustedProxies
from syncd.api.cors import Cors
from syncd.api.edge import Edge
from syncd.api.listener import listening
from syncd.api.origins import Origins
from syncd.api.rate_limits import Limiting, RateLimits
from syncd.api.request_keys import PRINCIPAL
from syncd.api.request_log import RequestLog
from syncd.engine.principal import ANYONE, OPERATOR, Caller, Principal
from syncd.errors import Unauthenticated
from syncd.limiting.held import Held
from syncd.limiting.memory import MemoryCounters
from syncd.limiting.table import RateTable

__all__ = ["Behind", "Clock", "behind_the_edge"]


@dataclass
class Clock:
    """Stands still until it is moved."""

    ms: int = 1_763_640_000_000

    def __call__(self) -> int:
        return self.ms


@dataclass
class Behind:
    """The server, and a client of it."""

    url: str
    http: ClientSession
    clock: Clock
    rates: RateLimits
    seen: list[str] = field(default_factory=list)


async def who_asks(request: web.Request) -> None:
    text = request.headers.get("As", "")
    if text == "wrong":
        raise Unauthenticated("this token is not known")
    name, _, rest = text.partition("/")
    roles, _, session = rest.partition("/")
    if name == "operator":
        request[PRINCIPAL] = OPERATOR
    elif name == "link":
        request[PRINCIPAL] = Principal(Caller.LINK, session="link-1", scope="match:9f")
    elif name:
        request[PRINCIPAL] = Principal(Caller.USER, name, frozenset({roles} - {""}), session)
    else:
        request[PRINCIPAL] = ANYONE


@asynccontextmanager
async def behind_the_edge(
    *,
    limiting: Limiting = Limiting.AUTO,
    rates: Mapping[str, str] | None = None,
    origins: tuple[str, ...] = (),
    proxies: str = "1",
    handler: Callable[[web.Request], object] | None = None,
) -> AsyncIterator[Behind]:
    """`rates`: rows of the table that are otherwise. `proxies`: one, so that a test may come from anywhere."""
    clock = Clock()
    addresses = ClientAddress(TrustedProxies.parse(proxies))
    limits = RateLimits(
        limiting=limiting,
        table=RateTable(RateTable.parse(f"{name}={rate}" for name, rate in (rates or {}).items())),
        counters=MemoryCounters(clock),
        addresses=addresses,
        user_sockets=Held(2, "sockets"),
        address_sockets=Held(2, "sockets"),
        now_ms=clock,
        monotonic_ms=clock,
    )
    edge = Edge(Cors(Origins(origins)), limits, addresses, RequestLog("info"))

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if handler is not None:
            handler(request)
        return web.json_response({"got": len(body)})

    application = web.Application(middlewares=[edge.around(who_asks)])
    application.on_response_prepare.append(edge.finish)
    application.add_routes(
        [
            web.get("/things", answer),
            web.post("/things", answer),
            web.get("/things/{id}", answer),
            web.post("/sync/v1/push", answer),
            web.get("/sync/v1/live", answer),
            web.post("/auth/v1/register", answer),
            web.get("/health/live", answer),
        ]
    )
    async with (
        listening(application, host="127.0.0.1", port=0, idle_timeout_s=10, shutdown_timeout_s=0.2) as url,
        ClientSession(url) as http,
    ):
        yield Behind(url, http, clock, limits)
