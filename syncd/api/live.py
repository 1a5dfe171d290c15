"""The live socket: deltas go out as they are committed; a device says which scopes it watches.

Text frames are JSON and binary ones MessagePack. A device may send either; what it gets, its hello chooses.

Live is an accelerator: whatever goes wrong here, a pull puts it right. Frames come encoded from the engine's queue,
which is bounded; each socket has an outlet of its own, so that a slow one holds up nobody else.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from syncd.api.errors import CloseCode
from syncd.api.live_session import Live, LiveSession
from syncd.api.origins import origin_in
from syncd.api.socket_limits import SocketLimits
from syncd.api.sockets import Sockets, close_socket
from syncd.errors import InvalidMessage

__all__ = ["MAX_FRAME_BYTES", "LiveRoute"]

MAX_FRAME_BYTES: Final = 256 * 1024
"""Of a frame from a client; `max_scopes` subscriptions fit."""


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """`GET /sync/v1/live`. `talk`: what all conversations have in common. `sockets`: those that are open."""

    talk: Live
    sockets: Sockets

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until either side closes it."""
        self.talk.access.check_origin(origin_in(request.headers), request.headers.get("Host"))
        # Not compressed: one encoding of a delta serves every socket.
        socket = web.WebSocketResponse(
            compress=False,
            decode_text=False,
            # By the outlet, which waits for a slow peer: pongs that nobody reads would pile up here.
            autoping=False,
            heartbeat=self.talk.heartbeat_s,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=1.0,
            # The outlet waits by itself, and not for ever.
            writer_limit=sys.maxsize,
        )
        if not socket.can_prepare(request):
            raise InvalidMessage(
                "this URL is a WebSocket, and the request does not ask for one",
                code="websocket_required",
                hint="Connect with a WebSocket library (RFC 6455).",
            )
        goodbye = partial(close_socket, socket, request, CloseCode.GOING_AWAY, "the server is closing")
        counted = SocketLimits(self.talk.rates, request)
        with counted, self.sockets.holding(goodbye):
            await socket.prepare(request)
            # They have gone out, and the socket may be open for days.
            socket.headers.clear()
            await LiveSession(self.talk, socket, request, counted).run()
        return socket
