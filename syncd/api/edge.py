"""What every request and every answer passes between the network and the handlers, put together once.

In this order: a request gets its id; pages of other sites are held to the list; wrong tokens are counted; whoever is
known by then is held to his limits; answers are compressed, failures become problem documents, and there is a line in
the log. Headers are added as the answer goes out, whoever made it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.api.client_address import ClientAddress
from syncd.api.compression import compress_answer
from syncd.api.cors import Cors
from syncd.api.errors import problem_for
from syncd.api.rate_limits import RateLimits
from syncd.api.request_ids import HEADER, request_id_of
from syncd.api.request_keys import EXCEEDED, REQUEST_ID
from syncd.api.request_log import RequestLog
from syncd.api.security_headers import add_security_headers
from syncd.errors import RateLimited, Unauthenticated
from syncd.request_context import request_context

__all__ = ["Edge"]

Identify = Callable[[web.Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Edge:
    """The edge of one server."""

    cors: Cors
    rates: RateLimits
    addresses: ClientAddress
    requests: RequestLog

    def around(self, identify: Identify) -> Middleware:
        """All that a request passes, in one coroutine: a socket keeps every frame that it has come through, for as long
        as it is open. `identify` finds out who asks, or raises `Unauthenticated`.
        """

        @web.middleware
        async def pass_by(request: web.Request, handler: Handler) -> web.StreamResponse:
            request_id = request[REQUEST_ID] = request_id_of(request.headers.get(HEADER))
            with request_context(request_id):
                started = time.perf_counter()
                answer: web.StreamResponse | None = None
                try:
                    answer = self.cors.preflight(request)
                    if answer is None:
                        self.cors.check(request)
                        counted = ""
                        try:
                            try:
                                await identify(request)
                                counted = await self.rates.admit(request)
                                answer = await handler(request)
                            finally:
                                if counted:
                                    await self.rates.charge_rest(counted, request, answer)
                        except Unauthenticated:
                            await self.rates.count_wrong_token(request)
                            raise
                        answer = await compress_answer(request, answer)
                except Exception as failure:
                    answer = None
                    if isinstance(failure, RateLimited):
                        request[EXCEEDED] = failure.exceeded
                    answer = problem_for(request, failure)
                finally:
                    if self.requests.writes:
                        status = None if answer is None else answer.status
                        self.requests.write(request, status, time.perf_counter() - started)
                return answer

        return pass_by

    async def finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Add the headers that every answer has; connected to `on_response_prepare`."""
        headers = response.headers
        # What aiohttp refuses by itself has not come this way.
        headers[HEADER] = request.get(REQUEST_ID) or request_id_of(request.headers.get(HEADER))
        self.rates.add_headers(request, headers)
        self.cors.add_headers(request, headers)
        add_security_headers(headers, secure=self.addresses.secure(request))
