"""Keys by URL: fetched from a real server, kept, renewed, and not fetched more often than they may be."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from syncd.auth.fetching import Fetcher, FetchFailed, checked_url
from syncd.auth.jwks import JwksSource, JwksTimes
from syncd.auth.keys import UnusableKey, keys_of_jwks
from syncd.auth.policy import Policy
from syncd.auth.tokens import TokenVerifier
from syncd.errors import IssuerUnavailable, Unauthenticated
from tests.auth.issuers import Clock, JwksServer, jwk_of, jwks_server, private_key
from tests.auth.test_tokens import AUDIENCE, CLAIMS, ISSUER, signed
from tests.support.until import until

TIMES = JwksTimes(keep_s=600, keep_least_s=60, keep_most_s=3600, retry_s=10, stale_s=7200)

FETCH_S = 10.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(timeout_s=FETCH_S, max_bytes=64 * 1024)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def issuer() -> AsyncIterator[JwksServer]:
    async with jwks_server() as server:
        server.publish(es256("k1"))
        yield server


@pytest.fixture
async def source(issuer: JwksServer, fetcher: Fetcher, clock: Clock) -> AsyncIterator[JwksSource]:
    source = JwksSource(issuer.url, fetcher, clock, TIMES)
    yield source
    await source.close()


@pytest.fixture
def verifier(source: JwksSource, clock: Clock) -> TokenVerifier:
    algorithms = frozenset({"ES256", "RS256"})
    return TokenVerifier([Policy(ISSUER, frozenset({AUDIENCE}), algorithms, source)], clock, remembered_count=0)


def es256(kid: str | None, name: str = "first", **more: object) -> dict[str, Any]:
    return jwk_of(private_key("ES256", name), kid, "ES256", **more)


def token(kid: str | None, name: str = "first") -> str:
    headers = {} if kid is None else {"kid": kid}
    return signed(
        {**CLAIMS, "exp": CLAIMS["exp"] + 10**6}, key=private_key("ES256", name), algorithm="ES256", **headers
    )  # type: ignore[operator]


async def refused(verifier: TokenVerifier, text: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(text)
    assert refusal.value.problem_code == "token_invalid"


async def unavailable(verifier: TokenVerifier, text: str) -> None:
    with pytest.raises(IssuerUnavailable) as refusal:
        await verifier.verify(text)
    assert refusal.value.retry_after_s == TIMES.retry_s


class TestKeeping:
    async def test_many_tokens_take_one_fetch(self, verifier: TokenVerifier, issuer: JwksServer) -> None:
        for _ in range(5):
            assert await verifier.verify(token("k1"))
        assert issuer.asked == 1

    @pytest.mark.parametrize(
        ("said", "kept_s"),
        [
            ({}, 600),
            ({"Cache-Control": "public, max-age=1200, must-revalidate"}, 1200),
            ({"Cache-Control": "max-age=1"}, 60),
            ({"Cache-Control": "max-age=999999999"}, 3600),
            ({"Cache-Control": "s-maxage=5, no-transform"}, 600),
            ({"Cache-Control": "max-age=soon"}, 600),
        ],
    )
    async def test_keys_are_kept_as_long_as_the_answer_says_within_bounds(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock, said: dict[str, str], kept_s: int
    ) -> None:
        issuer.headers = said
        await verifier.verify(token("k1"))
        clock.forward(kept_s - 1)
        await verifier.verify(token("k1"))
        assert issuer.asked == 1
        clock.forward(1)
        await verifier.verify(token("k1"))
        await until(lambda: issuer.asked == 2)

    async def test_nobody_waits_for_a_renewal_while_the_keys_are_good(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        issuer.open.clear()
        clock.forward(700)
        async with asyncio.timeout(FETCH_S / 2):
            assert await verifier.verify(token("k1"))
        await until(lambda: issuer.asked == 2)

    async def test_after_a_quiet_time_a_key_that_was_taken_back_is_not_believed(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        issuer.publish(es256("k2", "second"))
        clock.forward(1300)
        await refused(verifier, token("k1"))
        assert issuer.asked == 2

    async def test_a_clock_that_was_set_back_does_not_keep_keys_for_years(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        clock.forward(10)
        await verifier.verify(token("k1"))
        clock.forward(-20)
        await verifier.verify(token("k1"))
        assert issuer.asked == 2


class TestRotation:
    async def test_a_new_kid_is_asked_for_at_once(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        issuer.publish(es256("k1"), es256("k2", "second"))
        clock.forward(TIMES.retry_s)
        assert await verifier.verify(token("k2", "second"))
        assert await verifier.verify(token("k1"))
        assert issuer.asked == 2

    async def test_made_up_kids_do_not_make_the_server_ask_again_and_again(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        clock.forward(TIMES.retry_s)
        for number in range(20):
            await refused(verifier, token(f"made-up-{number}", "stranger"))
        assert issuer.asked == 2
        clock.forward(TIMES.retry_s - 1)
        await refused(verifier, token("made-up", "stranger"))
        assert issuer.asked == 2
        clock.forward(1)
        await refused(verifier, token("made-up", "stranger"))
        assert issuer.asked == 3

    async def test_a_hundred_at_once_with_an_unknown_kid_take_one_fetch(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        issuer.publish(es256("k2", "second"))
        clock.forward(TIMES.retry_s)
        issuer.open.clear()
        waiting = [asyncio.create_task(verifier.verify(token("k2", "second"))) for _ in range(100)]
        await until(lambda: issuer.asked == 2)
        issuer.open.set()
        assert {claims.subject for claims in await asyncio.gather(*waiting)} == {"anna"}
        assert issuer.asked == 2

    async def test_a_hundred_at_once_at_the_very_start_take_one_fetch(
        self, verifier: TokenVerifier, issuer: JwksServer
    ) -> None:
        assert len(await asyncio.gather(*(verifier.verify(token("k1")) for _ in range(100)))) == 100
        assert issuer.asked == 1

    async def test_a_fetch_that_takes_long_is_not_begun_twice(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        issuer.open.clear()
        first = asyncio.create_task(verifier.verify(token("k1")))
        await until(lambda: issuer.asked == 1)
        clock.forward(TIMES.retry_s)
        second = asyncio.create_task(verifier.verify(token("k1")))
        await asyncio.sleep(0)
        issuer.open.set()
        assert [claims.subject for claims in await asyncio.gather(first, second)] == ["anna", "anna"]
        assert issuer.asked == 1

    async def test_whoever_goes_away_does_not_take_the_fetch_along(
        self, verifier: TokenVerifier, issuer: JwksServer
    ) -> None:
        issuer.open.clear()
        impatient, patient = (asyncio.create_task(verifier.verify(token("k1"))) for _ in range(2))
        await until(lambda: issuer.asked == 1)
        impatient.cancel()
        issuer.open.set()
        assert (await patient).subject == "anna"
        assert issuer.asked == 1

    async def test_closing_ends_a_fetch_that_is_under_way(self, source: JwksSource, issuer: JwksServer) -> None:
        issuer.open.clear()
        asking = asyncio.create_task(source.find("k1", "ES256"))
        await until(lambda: issuer.asked == 1)
        await source.close()
        with pytest.raises(asyncio.CancelledError):
            await asking


class TestOutage:
    @pytest.mark.parametrize("broken", [{"status": 500}, {"status": 404}, {"document": b"<html>"}, {"document": []}])
    async def test_keys_stay_good_for_a_time_while_the_url_fails(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock, broken: dict[str, Any]
    ) -> None:
        await verifier.verify(token("k1"))
        for name, value in broken.items():
            setattr(issuer, name, value)
        clock.forward(TIMES.stale_s - 1)
        assert await verifier.verify(token("k1"))
        clock.forward(1 + TIMES.retry_s)
        await unavailable(verifier, token("k1"))

    async def test_what_cannot_be_told_is_not_called_invalid(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        issuer.status = 503
        await unavailable(verifier, token("k1"))
        await unavailable(verifier, token("k1"))
        assert issuer.asked == 1
        issuer.status = 200
        clock.forward(TIMES.retry_s)
        assert await verifier.verify(token("k1"))
        issuer.status = 503
        clock.forward(TIMES.retry_s)
        await unavailable(verifier, token("k2", "second"))

    async def test_nobody_waits_twice_for_a_url_that_does_not_answer(
        self, verifier: TokenVerifier, issuer: JwksServer, clock: Clock
    ) -> None:
        await verifier.verify(token("k1"))
        issuer.status = 500
        clock.forward(2 * TIMES.keep_s)
        assert await verifier.verify(token("k1"))
        issuer.open.clear()
        clock.forward(TIMES.retry_s)
        async with asyncio.timeout(FETCH_S / 2):
            assert await verifier.verify(token("k1"))
        await until(lambda: issuer.asked == 3)

    async def test_a_server_that_is_not_there(self, fetcher: Fetcher, clock: Clock, unused_tcp_port: int) -> None:
        source = JwksSource(f"http://127.0.0.1:{unused_tcp_port}/jwks", fetcher, clock)
        with pytest.raises(IssuerUnavailable):
            await source.find("k1", "ES256")


class TestAnswers:
    @pytest.mark.parametrize(
        ("why", "body", "headers", "status"),
        [
            ("redirects", b"{}", {"Location": "/elsewhere"}, 302),
            ("compressed", gzip.compress(b"{}"), {"Content-Encoding": "gzip"}, 200),
            ("over 65536 bytes", b" " * 65537, {}, 200),
            ("not JSON", b"[" * 60_000, {}, 200),
            ("not JSON", b"\xff", {}, 200),
            ("status is 418", b"{}", {}, 418),
        ],
    )
    async def test_what_is_not_taken(
        self, fetcher: Fetcher, why: str, body: bytes, headers: dict[str, str], status: int
    ) -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=status, body=body, headers=headers)

        async with served(answer) as url:
            with pytest.raises(FetchFailed, match=why):
                await fetcher.get(url)

    async def test_a_body_without_an_end_is_given_up(self) -> None:
        async def drip(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)

        fetcher = Fetcher(timeout_s=0.2)
        async with served(drip) as url:
            with pytest.raises(FetchFailed, match="too long"):
                await fetcher.get(url)
        await fetcher.close()

    async def test_no_cookie_is_kept(self, fetcher: Fetcher) -> None:
        seen = []

        async def answer(request: web.Request) -> web.Response:
            seen.append(request.headers.get("Cookie"))
            response = web.json_response({})
            response.set_cookie("tracking", "1")
            return response

        async with served(answer) as url:
            # Of addresses in numbers no client keeps any.
            named = url.replace("127.0.0.1", "localhost")
            await fetcher.get(named)
            await fetcher.get(named)
        assert seen == [None, None]

    @pytest.mark.parametrize(
        "url",
        [
            "http://issuer.example/jwks",
            "http://127.0.0.1.evil.example/",
            "http://169.254.169.254/latest",
            "http://localhost.evil.example/",
            "https://user:secret@issuer.example/",
            "https://",
            "file:///etc/passwd",
            "ftp://issuer.example/jwks",
            "//issuer.example/jwks",
            "jwks.json",
            "",
        ],
    )
    async def test_urls_that_are_not_asked(self, fetcher: Fetcher, clock: Clock, url: str) -> None:
        with pytest.raises(ValueError, match="a URL"):
            JwksSource(url, fetcher, clock)
        with pytest.raises(FetchFailed):
            await fetcher.get(url)

    @pytest.mark.parametrize(
        "url", ["https://issuer.example/jwks", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
    )
    def test_urls_that_are(self, url: str) -> None:
        assert checked_url(url) == url


@asynccontextmanager
async def served(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """The URL of a server that answers everything with `handler`."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


class TestWhichKeysAreTaken:
    def test_one_of_each_kind(self) -> None:
        published = [jwk_of(private_key(name), name, name) for name in ("RS256", "ES256", "EdDSA")]
        keys = keys_of_jwks({"keys": published})
        assert [(key.kid, key.algorithm) for key in keys] == [(name, name) for name in ("RS256", "ES256", "EdDSA")]

    @pytest.mark.parametrize(
        "fine",
        [{"use": "sig"}, {"alg": "ES256"}, {"key_ops": ["verify"]}, {"x5c": ["MIIB"]}, {"x5u": "https://evil.example"}],
        ids=str,
    )
    def test_what_says_that_it_is_for_this(self, fine: dict[str, object]) -> None:
        assert len(keys_of_jwks({"keys": [es256("k", **fine)]})) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"use": "enc"},
            {"use": ["sig"]},
            {"alg": "RS256"},
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": ["ES256"]},
            {"kty": "RSA"},
            {"kty": "oct", "k": "AAAA"},
            {"kty": ["EC"]},
            {"kty": None},
            {"crv": "P-384"},
            {"crv": {}},
            {"key_ops": ["sign"]},
            {"key_ops": "verify"},
            {"kid": 7},
            {"kid": "x" * 201},
            {"x": "AAAA"},
            {"x": 5},
            {"x": "A" * 100_000},
            {"y": None},
            {"d": "AAAA"},
        ],
        ids=lambda it: str(it)[:40],
    )
    def test_what_is_for_something_else_or_malformed_is_passed_over(self, wrong: dict[str, object]) -> None:
        good = es256("good", "second")
        assert [key.kid for key in keys_of_jwks({"keys": [{**es256("k"), **wrong}, good]})] == ["good"]

    @pytest.mark.parametrize("entry", [None, 5, "key", [], {}, {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}])
    def test_nor_is_what_is_no_public_key(self, entry: object) -> None:
        assert keys_of_jwks({"keys": [entry]}) == ()

    def test_keys_that_are_weak_or_of_another_curve(self) -> None:
        # Small enough to be broken, which is what is tested.
        weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        other = ec.generate_private_key(ec.SECP384R1())
        goldilocks = ed448.Ed448PrivateKey.generate()
        published = [jwk_of(weak, "a", "RS256"), jwk_of(other, "b", "ES384"), jwk_of(goldilocks, "c", "EdDSA")]
        assert keys_of_jwks({"keys": published}) == ()

    def test_a_huge_exponent_costs_nothing(self) -> None:
        jwk = jwk_of(private_key("RS256"), "k", "RS256")
        large = base64.urlsafe_b64encode(((1 << 64) + 1).to_bytes(9, "big")).decode()
        assert keys_of_jwks({"keys": [{**jwk, "e": large}, {**jwk, "e": jwk["n"]}, {**jwk, "n": "A" * 200_000}]}) == ()

    @pytest.mark.parametrize(
        "document", [None, [], "keys", {}, {"keys": {}}, {"keys": None}, {"key": []}], ids=json.dumps
    )
    def test_what_is_no_jwk_set(self, document: object) -> None:
        with pytest.raises(UnusableKey):
            keys_of_jwks(document)
