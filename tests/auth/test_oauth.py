"""The authorization code flow, played against a real local token endpoint."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from syncd.auth.fetching import Fetcher
from syncd.auth.identity import GOOGLE_ISSUERS, IdentityProvider, NonceForm
from syncd.auth.keys import StaticKeys, keys_of_jwks
from syncd.auth.oauth import LIFETIME_S, Begun, CodeFlow
from syncd.errors import InvalidMessage, IssuerUnavailable, SyncdError, Unauthenticated
from tests.auth.issuers import NOW_S, Clock, jwk_of, private_key
from tests.auth.test_tokens import signed

CLIENT_ID, CLIENT_SECRET = "web.apps.example", "client-secret-of-the-test"
HERE = "https://club.example/auth/google/callback"


@dataclass(slots=True)
class Google:
    """The provider's half: it keeps what a browser brought, and gives an id token for a code, once."""

    questions: dict[str, dict[str, str]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    answer: Mapping[str, Any] | bytes | None = None
    status: int = 200
    token_url: str = ""

    def visit(self, url: str) -> str:
        """What the browser does there: the person agrees, and it comes back with this code."""
        code = f"code-{len(self.questions)}"
        self.questions[code] = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        return code

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if isinstance(self.answer, bytes):
            return web.Response(status=self.status, body=self.answer)
        if self.answer is not None:
            return web.json_response(self.answer, status=self.status)
        question = self.questions.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if question is None or question["code_challenge"] != challenge.decode():
            return web.json_response({"error": "invalid_grant"}, status=400)
        if (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        assert form["grant_type"] == "authorization_code"
        assert form["redirect_uri"] == question["redirect_uri"]
        return web.json_response({"access_token": "x", "id_token": self.id_token(question["nonce"])})

    def id_token(self, nonce: str, **changed: Any) -> str:
        claims = {
            "iss": "https://accounts.google.com",
            "aud": CLIENT_ID,
            "sub": "110169484474386276334",
            "iat": NOW_S,
            "exp": NOW_S + 3600,
            "nonce": nonce,
        }
        return signed({**claims, **changed}, key=private_key("RS256"), algorithm="RS256", kid="k1")


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    google = Google()
    application = web.Application()
    application.router.add_post("/token", google.token)
    async with TestServer(application) as server:
        google.token_url = str(server.make_url("/token"))
        yield google


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def flow(google: Google, clock: Clock) -> AsyncIterator[CodeFlow]:
    fetcher = Fetcher()
    yield flow_of(google, clock, fetcher)
    await fetcher.close()


def flow_of(google: Google, clock: Clock, fetcher: Fetcher, **changed: Any) -> CodeFlow:
    keys = StaticKeys(keys_of_jwks({"keys": [jwk_of(private_key("RS256"), "k1", "RS256")]}))
    # Apps of ours may hash their nonces: this flow has made its own, and does not.
    provider = IdentityProvider(
        "google", keys, clock, issuers=GOOGLE_ISSUERS, client_ids=[CLIENT_ID], nonce_form=NonceForm.SHA256
    )
    given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token_url": google.token_url}
    return CodeFlow(provider, fetcher, clock, redirect_uris=[HERE], **{**given, **changed})


async def refused(flow: CodeFlow, code: str, state: str, cookie: str | None) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await flow.finish(code, state, cookie)
    return refusal.value.problem_code


class TestBeginning:
    def test_the_browser_is_sent_away_with_all_that_is_asked_for(self, flow: CodeFlow, clock: Clock) -> None:
        begun = flow.begin(HERE, "/matches?day=today#top")
        question = dict(parse_qsl(urlsplit(begun.url).query, strict_parsing=True))
        assert begun.url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
        assert (question["response_type"], question["client_id"], question["redirect_uri"]) == ("code", CLIENT_ID, HERE)
        assert question["scope"].split()[0] == "openid"
        assert (question["state"], question["code_challenge_method"]) == (begun.state, "S256")
        assert len(question["code_challenge"]) == 43
        assert begun.expires_at_ms == clock() + LIFETIME_S * 1000

    def test_no_two_are_alike_and_no_secret_goes_by_the_url(self, flow: CodeFlow) -> None:
        one, other = flow.begin(HERE), flow.begin(HERE)
        assert {one.state, one.cookie} & {other.state, other.cookie} == set()
        assert one.cookie not in one.url
        assert one.cookie not in repr(one)
        assert CLIENT_SECRET not in one.url

    @pytest.mark.parametrize(
        "redirect_uri", ["", f"{HERE}/", f"{HERE}?x", HERE.upper(), "https://evil.example/", "http" + HERE[5:]]
    )
    def test_it_comes_back_only_to_where_the_operator_says(self, flow: CodeFlow, redirect_uri: str) -> None:
        with pytest.raises(InvalidMessage) as refusal:
            flow.begin(redirect_uri)
        assert refusal.value.field == "redirect_uri"

    @pytest.mark.parametrize(
        "return_to",
        [
            "",
            "matches",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "/ž",
            "/a\x00",
            "/a b",
            "/" + "a" * 500,
        ],
    )
    def test_it_returns_only_to_a_path_of_ours(self, flow: CodeFlow, return_to: str) -> None:
        with pytest.raises(InvalidMessage) as refusal:
            flow.begin(HERE, return_to)
        assert refusal.value.field == "return_to"


class TestFinishing:
    async def test_who_has_signed_in_and_where_it_goes_on(self, flow: CodeFlow, google: Google) -> None:
        begun = flow.begin(HERE, "/matches")
        signed_in = await flow.finish(google.visit(begun.url), begun.state, begun.cookie)
        assert (signed_in.identity.provider, signed_in.identity.subject) == ("google", "110169484474386276334")
        assert signed_in.return_to == "/matches"

    async def test_a_state_counts_once(self, flow: CodeFlow, google: Google) -> None:
        begun = flow.begin(HERE)
        assert await flow.finish(google.visit(begun.url), begun.state, begun.cookie)
        assert await refused(flow, google.visit(begun.url), begun.state, begun.cookie) == "sign_in_invalid"
        assert len(google.forms) == 1

    async def test_of_two_at_once_with_one_state_one_is_refused(self, flow: CodeFlow, google: Google) -> None:
        begun = flow.begin(HERE)
        attempts = (flow.finish(google.visit(begun.url), begun.state, begun.cookie) for _ in range(2))
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert [isinstance(result, Unauthenticated) for result in results] == [False, True]

    @pytest.mark.parametrize("cookie", [None, "", "another", "ž\ud800"])
    async def test_another_browser_cannot_finish_it_nor_can_this_one_then(
        self, flow: CodeFlow, google: Google, cookie: str | None
    ) -> None:
        begun = flow.begin(HERE)
        assert await refused(flow, google.visit(begun.url), begun.state, cookie) == "sign_in_invalid"
        assert await refused(flow, google.visit(begun.url), begun.state, begun.cookie) == "sign_in_invalid"
        assert google.forms == []

    async def test_the_cookie_of_one_sign_in_does_not_finish_another(self, flow: CodeFlow, google: Google) -> None:
        mine, theirs = flow.begin(HERE), flow.begin(HERE)
        assert await refused(flow, google.visit(theirs.url), theirs.state, mine.cookie) == "sign_in_invalid"

    @pytest.mark.parametrize("state", ["", "made-up", "\x00"])
    async def test_a_state_that_was_never_given(self, flow: CodeFlow, state: str) -> None:
        assert await refused(flow, "code", state, flow.begin(HERE).cookie) == "sign_in_invalid"

    @pytest.mark.parametrize(("seconds", "in_time"), [(LIFETIME_S - 0.001, True), (LIFETIME_S, False)])
    async def test_it_may_take_ten_minutes(
        self, flow: CodeFlow, google: Google, clock: Clock, seconds: float, in_time: bool
    ) -> None:
        begun = flow.begin(HERE)
        clock.forward(seconds)
        if in_time:
            assert await flow.finish(google.visit(begun.url), begun.state, begun.cookie)
        else:
            assert await refused(flow, google.visit(begun.url), begun.state, begun.cookie) == "sign_in_invalid"

    async def test_a_code_that_was_meant_for_another_sign_in_is_not_exchanged(
        self, flow: CodeFlow, google: Google
    ) -> None:
        mine, theirs = flow.begin(HERE), flow.begin(HERE)
        stolen = google.visit(theirs.url)
        assert await refused(flow, stolen, mine.state, mine.cookie) == "sign_in_invalid"

    async def test_an_id_token_that_was_meant_for_another_sign_in_is_refused(
        self, flow: CodeFlow, google: Google
    ) -> None:
        google.answer = {"id_token": google.id_token("another-nonce")}
        assert await self.fails(flow, google) == "token_invalid"

    async def test_only_as_many_wait_as_there_is_room_for_and_the_oldest_give_way(
        self, google: Google, clock: Clock, flow: CodeFlow
    ) -> None:
        fetcher = Fetcher()
        small = flow_of(google, clock, fetcher, max_waiting=2)
        first, second, third = (small.begin(HERE) for _ in range(3))
        assert await refused(small, google.visit(first.url), first.state, first.cookie) == "sign_in_invalid"
        for begun in (second, third):
            assert await small.finish(google.visit(begun.url), begun.state, begun.cookie)
        await fetcher.close()

    @pytest.mark.parametrize(
        ("status", "answer", "code"),
        [
            (400, {"error": "invalid_grant"}, "sign_in_invalid"),
            (200, {"access_token": "x"}, "sign_in_invalid"),
            (200, {"id_token": 7}, "sign_in_invalid"),
            (200, ["id_token"], "sign_in_invalid"),
            (200, {"id_token": "x.y.z"}, "token_invalid"),
            (200, b"<html>", "issuer_unavailable"),
            (200, b"x" * (1 << 20), "issuer_unavailable"),
            (302, {}, "issuer_unavailable"),
            (429, {}, "issuer_unavailable"),
            (500, {}, "issuer_unavailable"),
        ],
    )
    async def test_what_else_the_provider_may_answer(
        self, flow: CodeFlow, google: Google, status: int, answer: Any, code: str
    ) -> None:
        google.status, google.answer = status, answer
        assert await self.fails(flow, google) == code

    async def test_a_provider_that_is_not_there(self, google: Google, clock: Clock, unused_tcp_port: int) -> None:
        fetcher = Fetcher()
        flow = flow_of(google, clock, fetcher, token_url=f"http://127.0.0.1:{unused_tcp_port}/token")
        begun = flow.begin(HERE)
        with pytest.raises(IssuerUnavailable):
            await flow.finish("code", begun.state, begun.cookie)
        await fetcher.close()

    async def test_a_wrong_client_secret_is_the_operators_to_know(self, google: Google, clock: Clock) -> None:
        fetcher = Fetcher()
        flow = flow_of(google, clock, fetcher, client_secret="mistyped")
        with capture_logs() as logs:
            assert await self.fails(flow, google) == "sign_in_invalid"
        assert {"event": "client_refused", "log_level": "error", "error": "invalid_client"} in logs
        assert "mistyped" not in str(logs)
        await fetcher.close()

    @staticmethod
    async def fails(flow: CodeFlow, google: Google) -> str:
        begun: Begun = flow.begin(HERE)
        with pytest.raises(SyncdError) as failure:
            await flow.finish(google.visit(begun.url), begun.state, begun.cookie)
        return failure.value.problem_code
