"""The public keys of the server's own tokens, for others who verify them (RFC 7517, section 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from syncd.api.account_gate import AccountGate

__all__ = ["KeySetRoute"]


class KeySetRoute:
    """`jwks`: no secret is in it; without a key pair it is empty."""

    def __init__(self, gate: AccountGate, jwks: Mapping[str, object]) -> None:
        self._gate = gate
        self._body = json.dumps(jwks).encode()

    async def key_set(self, request: web.Request) -> web.Response:
        """`GET /.well-known/jwks.json`: to be kept for a few minutes, so that a new key is found in time."""
        _ = self._gate.people
        return web.Response(
            body=self._body,
            content_type="application/jwk-set+json",
            headers={"Cache-Control": "public, max-age=300"},
        )
