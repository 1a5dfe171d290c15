"""The application over the use cases, and how often each may be asked."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from syncd.api.account_gate import AccountGate
from syncd.api.application import make_application
from syncd.api.body import BodyReader
from syncd.api.client_address import ClientAddress
from syncd.api.conflicts import ConflictRoutes
from syncd.api.cors import Cors
from syncd.api.documents import DocumentRoutes
from syncd.api.edge import Edge
from syncd.api.guesses import Guesses
from syncd.api.health import HealthRoutes
from syncd.api.history import HistoryRoutes
from syncd.api.live import LiveRoute
from syncd.api.live_session import Live
from syncd.api.members import MemberRoutes
from syncd.api.origins import Origins
from syncd.api.people_routes import PeopleRoutes
from syncd.api.privacy import PrivacyRoutes
from syncd.api.quarantine import QuarantineRoutes
from syncd.api.rate_limits import RateLimits
from syncd.api.refresh_cookie import RefreshCookie
from syncd.api.request_log import RequestLog
from syncd.api.sockets import Sockets
from syncd.api.stream import StreamRoute
from syncd.api.sync import SyncRoutes
from syncd.auth.half_signed_in import HalfSignedIn
from syncd.auth.used_id_tokens import UsedIdTokens
from syncd.engine.own_replica import claim_replica
from syncd.engine.sight import Sight
from syncd.limiting.held import Held
from syncd.limiting.logins import LoginThrottle
from syncd.limiting.memory import MemoryCounters
from syncd.limiting.table import RateTable
from syncd.wiring.parts import Server

__all__ = ["open_rates", "open_web"]

_MAX_ACCOUNT_BODY_BYTES: Final = 64 * 1024
"""Of requests about accounts, which anybody may send: their longest is an id token."""


async def open_rates(server: Server, undo: AsyncExitStack) -> None:
    """Whoever counts requests and sockets."""
    settings = server.settings
    server.rates = RateLimits(
        limiting=settings.rate_limiting,
        table=RateTable(settings.rates),
        counters=MemoryCounters(server.now_ms),
        addresses=ClientAddress(settings.proxies, settings.forwarded_header),
        user_sockets=Held(settings.max_user_sockets, "sockets of this account"),
        address_sockets=Held(settings.max_address_sockets, "sockets from this address"),
        now_ms=server.now_ms,
        monotonic_ms=lambda: time.monotonic() * 1000,
    )


async def open_web(server: Server, undo: AsyncExitStack) -> None:
    """The application that a listener, or a test, serves."""
    settings = server.settings
    server.sockets = Sockets()
    sight = partial(Sight, server.authoriser)
    bodies = BodyReader(max_bytes=server.limits.max_body_bytes, timeout_s=settings.body_timeout_s)
    guesses = Guesses(LoginThrottle(server.rates.table, server.rates.counters), server.rates)
    server.web = make_application(
        access=server.access,
        edge=Edge(
            cors=Cors(Origins(settings.cors_origins)),
            rates=server.rates,
            addresses=server.rates.addresses,
            requests=RequestLog(settings.log_requests),
        ),
        sync=SyncRoutes(
            pusher=server.pusher,
            puller=server.puller,
            bodies=bodies,
            limits=server.limits,
            schema=server.app.version,
            now_ms=server.now_ms,
        ),
        live=LiveRoute(
            Live(
                watcher=server.watcher,
                presence=server.presence,
                visits=server.visits,
                access=server.access,
                limits=server.limits,
                rates=server.rates,
                claim_replica=partial(claim_replica, server.store, server.now_ms, server.as_of_now),
                schema=server.app.version,
                now_ms=server.now_ms,
                hello_timeout_s=settings.hello_timeout_s,
                heartbeat_s=settings.heartbeat_s,
            ),
            server.sockets,
        ),
        stream=StreamRoute(
            watcher=server.watcher,
            visits=server.visits,
            access=server.access,
            limits=server.limits,
            rates=server.rates,
            sockets=server.sockets,
            schema=server.app.version,
            now_ms=server.now_ms,
            comment_s=settings.comment_s,
            patience_s=settings.heartbeat_s,
        ),
        history=HistoryRoutes(history=server.history, sight=sight),
        quarantine=QuarantineRoutes(quarantine=server.quarantine, bodies=bodies),
        conflicts=ConflictRoutes(inbox=server.inbox, bodies=bodies, sight=sight),
        documents=DocumentRoutes(
            reader=server.document_reader,
            bodies=bodies,
            limits=server.limits,
            sight=sight,
        ),
        members=MemberRoutes(
            memberships=server.memberships,
            links=server.links,
            visits=server.visits,
            uses=None if server.people is None else server.people.link_uses,
            bodies=bodies,
        ),
        people=_people_routes(server, guesses),
        privacy=PrivacyRoutes(privacy=server.privacy, bodies=bodies, guesses=guesses),
        health=HealthRoutes(store=server.store, app=server.app),
    )


def _people_routes(server: Server, guesses: Guesses) -> PeopleRoutes:
    settings, rates = server.settings, server.rates
    bodies = BodyReader(max_bytes=_MAX_ACCOUNT_BODY_BYTES, timeout_s=settings.body_timeout_s)
    return PeopleRoutes(
        gate=AccountGate(server.people, bodies),
        guesses=guesses,
        cookie=RefreshCookie(Origins(settings.cors_origins), rates.addresses, server.now_ms),
        providers=server.providers,
        google_flow=server.google_flow,
        redirect_uris=() if settings.google is None else settings.google.redirect_uris,
        half=HalfSignedIn(server.now_ms),
        used=UsedIdTokens(server.now_ms),
        jwks=server.signing_keys.jwks(),
    )
