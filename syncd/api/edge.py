"""What every request and every answer passes between the network and the handlers, put together once.

Outermost first: a request gets its id and its log line; failures become problem documents; pages of other sites are
held to the list; wrong tokens are counted; whoever is known by then is held to his limits. Headers are added as the
answer goes out, whoever made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from syncd.api.client_address import ClientAddress
from syncd.api.compression import compression_middleware
from syncd.api.cors import Cors
from syncd.api.middlewares import problem_middleware
from syncd.api.rate_limits import RateLimits
from syncd.api.request_ids import HEADER, request_id_of
from syncd.api.request_keys import REQUEST_ID
from syncd.api.request_log import RequestLog
from syncd.api.security_headers import add_security_headers

__all__ = ["Edge"]


@dataclass(frozen=True, slots=True)
class Edge:
    """The edge of one server."""

    cors: Cors
    rates: RateLimits
    addresses: ClientAddress
    requests: RequestLog

    def around(self, access: Middleware) -> Sequence[Middleware]:
        """All middlewares, outermost first. `access` finds out who asks, or raises `Unauthenticated`."""
        return (
            self.requests.middleware,
            problem_middleware,
            self.cors.middleware,
            compression_middleware,
            self.rates.strangers,
            access,
            self.rates.middleware,
        )

    async def finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Add the headers that every answer has; connected to `on_response_prepare`."""
        headers = response.headers
        # What aiohttp refuses by itself has not come past the middlewares.
        headers[HEADER] = request.get(REQUEST_ID) or request_id_of(request.headers.get(HEADER))
        self.rates.add_headers(request, headers)
        self.cors.add_headers(request, headers)
        add_security_headers(headers, secure=self.addresses.secure(request))
