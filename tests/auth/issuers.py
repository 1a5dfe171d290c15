"""Issuers of tokens for tests: real keys, a settable clock, and a JWK Set on a real local server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

__all__ = ["NOW_S", "SECRET", "Clock", "JwksServer", "jwk_of", "jwks_server", "pem_of", "private_key", "public_pem_of"]

NOW_S = 1_800_000_000
SECRET = "f3Wm0pZt9cQx7LrUa2Vd6NyKe8HbGj4s-and-long-enough-for-every-hash!!"


@dataclass(slots=True)
class Clock:
    """In ms since 1970, set by the test."""

    ms: int = NOW_S * 1000

    def __call__(self) -> int:
        return self.ms

    def forward(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def private_key(algorithm: str, name: str = "first") -> Any:
    """A real key, the same for the same name."""
    return _made(algorithm, name)


@cache
def _made(algorithm: str, name: str) -> Any:
    make: Mapping[str, Callable[[], Any]] = {
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    return make[algorithm]()


def pem_of(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem_of(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk_of(key: Any, kid: str | None, algorithm: str, **more: object) -> dict[str, Any]:
    """The public JWK, as an issuer publishes it."""
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {**{name: value for name, value in jwk.items() if name != "key_ops"}, **named, **more}


@dataclass(slots=True)
class JwksServer:
    """`document`: what is answered. `asked`: how often. `open`: cleared, it keeps who asks waiting."""

    url: str = ""
    document: object = field(default_factory=lambda: {"keys": []})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, *keys: Mapping[str, Any]) -> None:
        self.document = {"keys": list(keys)}

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.open.wait()
        body = self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()
        return web.Response(status=self.status, body=body, content_type="application/json", headers=self.headers)


@asynccontextmanager
async def jwks_server() -> AsyncIterator[JwksServer]:
    """On loopback, on a free port."""
    jwks = JwksServer()
    jwks.open.set()
    application = web.Application()
    application.router.add_get("/jwks", jwks.answer)
    async with TestServer(application) as server:
        jwks.url = str(server.make_url("/jwks"))
        yield jwks
        jwks.open.set()
