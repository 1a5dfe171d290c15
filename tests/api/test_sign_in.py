"""Signing in by a provider over HTTP, played against local ones: id tokens, and the way to Google and back."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.auth.issuers import NOW_S, jwk_of, jwks_server, private_key
from tests.auth.test_oauth import CLIENT_ID, CLIENT_SECRET, HERE, Google
from tests.auth.test_tokens import signed
from tests.support.accounts import ANN, PASSWORD, Answer, Club, club_with_accounts

NONCE = "a nonce that the app has made"


@dataclass
class Providers:
    """A server that trusts a local Google and a local Apple."""

    club: Club
    google: Google
    made: Iterator[int] = field(default_factory=itertools.count)

    def apple_token(self, nonce: str = NONCE, **changed: object) -> str:
        """A fresh one, as after every sign-in on the phone."""
        claims = {
            "jti": f"apple-{next(self.made)}",
            "iss": "https://appleid.apple.com",
            "aud": "club.app",
            "sub": "001234.apple",
            "iat": NOW_S,
            "exp": NOW_S + 3600,
            "nonce": hashlib.sha256(nonce.encode()).hexdigest(),
            "email": ANN,
            "email_verified": True,
        }
        return signed({**claims, **changed}, key=private_key("RS256"), algorithm="RS256", kid="k1")

    async def begin(self, return_to: str = "/matches") -> tuple[str, str, str]:
        """Where the browser is sent, its code and state once it was there, and its cookie."""
        begun = await self.club.ask("GET", f"/auth/v1/providers/google/begin?return_to={return_to}")
        assert begun.status == 302, begun
        url = begun.headers["Location"]
        (state,) = parse_qs(urlsplit(url).query)["state"]
        value, attributes = begun.cookie("syncd_sign_in")
        assert attributes == {
            "httponly": "",
            "samesite": "Lax",
            "path": "/auth/v1/providers/google",
            "max-age": "600",
        }
        return self.google.visit(url), state, value

    async def back(self, code: str, state: str, cookie: str | None) -> Answer:
        shown = {} if cookie is None else {"Cookie": f"syncd_sign_in={cookie}"}
        path = f"/auth/v1/providers/google/callback?code={code}&state={state}&scope=openid&authuser=0"
        return await self.club.ask("GET", path, **shown)


@pytest.fixture
async def providers(tmp_path: Path) -> AsyncIterator[Providers]:
    google = Google()
    application = web.Application()
    application.router.add_post("/token", google.token)
    async with jwks_server() as jwks, TestServer(application) as tokens:
        jwks.publish(jwk_of(private_key("RS256"), "k1", "RS256"))
        settings = {
            "google": {
                "client_ids": [CLIENT_ID],
                "client_secret": CLIENT_SECRET,
                "redirect_uris": [HERE],
                "jwks_url": jwks.url,
                "token_url": str(tokens.make_url("/token")),
            },
            "apple": {"client_ids": ["club.app"], "jwks_url": jwks.url},
        }
        async with club_with_accounts(tmp_path, **settings) as club:
            club.clock.now_ms = NOW_S * 1000
            yield Providers(club, google)


async def test_an_id_token_with_its_nonce_opens_an_account_the_same_one_each_time(providers: Providers) -> None:
    bodies = [{"id_token": providers.apple_token(), "nonce": NONCE, "device": {"id": "phone"}} for _ in range(2)]
    first, second = [await providers.club.post("providers/apple", body) for body in bodies]
    assert (first.status, second.body["account"]) == (200, first.body["account"])
    me = await providers.club.ask("GET", "/auth/v1/me", token=second.body["access_token"])
    assert (me.body["email"], me.body["has_password"]) == (ANN, False)


async def test_an_id_token_opens_one_session(providers: Providers) -> None:
    """The nonce comes along with it, and with Google's it can be read in it: it keeps out nobody who has stolen it."""
    club = providers.club
    for name, token in (("google", providers.google.id_token(NONCE)), ("apple", providers.apple_token())):
        body = {"id_token": token, "nonce": NONCE}
        assert (await club.post(f"providers/{name}", body)).status == 200
        club.clock.advance(1000)
        again = await club.post(f"providers/{name}", body)
        assert (again.status, again.code) == (401, "token_invalid")
        assert "fresh id token" in again.body["hint"]


async def test_the_id_token_of_a_browsers_sign_in_opens_no_other(providers: Providers) -> None:
    """It never reaches the browser, but others may have seen it on its way from Google to here."""
    code, state, cookie = await providers.begin()
    nonce = providers.google.questions[code]["nonce"]
    assert (await providers.back(code, state, cookie)).status == 302
    body = {"id_token": providers.google.id_token(nonce), "nonce": nonce}
    answer = await providers.club.post("providers/google", body)
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert "fresh id token" in answer.body["hint"]


async def test_the_cookie_is_set_for_our_own_pages_only(providers: Providers) -> None:
    body = {"id_token": providers.apple_token(), "nonce": NONCE, "cookie": True}
    assert (await providers.club.post("providers/apple", body)).code == "wrong_origin"
    own = await providers.club.post("providers/apple", body, Origin=providers.club.server.url)
    assert "refresh_token" not in own.body
    assert own.cookie()[0].startswith("syncd_refresh_")


async def test_an_id_token_opens_nothing_with_another_nonce_provider_or_audience(providers: Providers) -> None:
    for body in (
        {"id_token": providers.apple_token(), "nonce": "another"},
        {"id_token": providers.apple_token(), "nonce": ""},
        {"id_token": providers.google.id_token(NONCE), "nonce": NONCE},
        {"id_token": providers.apple_token(aud="another.app"), "nonce": NONCE},
        {"id_token": "x.y.z", "nonce": NONCE},
    ):
        answer = await providers.club.post("providers/apple", body)
        assert (answer.status, answer.code) == (401, "token_invalid")


async def test_an_id_token_is_no_access_token_and_the_other_way_round(providers: Providers) -> None:
    assert not await providers.club.works(providers.apple_token())
    ann = await providers.club.member("bob@club.example")
    answer = await providers.club.post("providers/google", {"id_token": ann.access, "nonce": NONCE})
    assert (answer.status, answer.code) == (401, "token_invalid")


async def test_a_browser_goes_to_google_and_comes_back_signed_in(providers: Providers) -> None:
    back = await providers.back(*await providers.begin())
    assert (back.status, back.headers["Location"]) == (302, "/matches")
    refresh, attributes = back.cookie()
    assert (attributes["samesite"], "httponly" in attributes) == ("Strict", True)
    assert back.cookie("syncd_sign_in")[0] == ""
    page = {"Cookie": f"syncd_refresh={refresh}", "Origin": providers.club.server.url}
    tokens = await providers.club.post("refresh", **page)
    assert await providers.club.works(tokens.body["access_token"])


async def test_a_sign_in_counts_once_and_in_the_browser_where_it_was_begun(providers: Providers) -> None:
    code, state, cookie = await providers.begin()
    for wrong in (None, "another"):
        answer = await providers.back(code, state, wrong)
        assert (answer.status, answer.code) == (401, "sign_in_invalid")
        assert "Set-Cookie" not in answer.headers
        code, state, cookie = await providers.begin()
    assert (await providers.back(code, state, cookie)).status == 302
    assert (await providers.back(code, state, cookie)).code == "sign_in_invalid"


async def test_a_sign_in_that_somebody_else_began_is_not_taken_for_ones_own(providers: Providers) -> None:
    code, state, cookie = await providers.begin()
    answer = await providers.back(code, state, f"{cookie}; syncd_sign_in=planted")
    assert (answer.status, answer.code) == (400, "invalid_message")
    begun = await providers.club.ask("GET", "/auth/v1/providers/google/begin", Host="sync.club.example")
    _, attributes = begun.cookie("__Host-syncd_sign_in")
    assert ("secure" in attributes, attributes["path"], "domain" in attributes) == (True, "/", False)


@pytest.mark.parametrize("return_to", ["https://evil.example/", "//evil.example", "/\\evil.example", "x"])
async def test_nobody_is_sent_to_another_site_in_the_end(providers: Providers, return_to: str) -> None:
    answer = await providers.club.ask("GET", f"/auth/v1/providers/google/begin?return_to={return_to}")
    assert (answer.status, answer.code) == (400, "invalid_message")


async def test_an_account_with_a_second_factor_is_not_opened_by_the_provider_alone(providers: Providers) -> None:
    club = providers.club
    first = await club.post("providers/apple", {"id_token": providers.apple_token(), "nonce": NONCE})
    await club.post("password/forgot", {"email": ANN})
    code = await club.mailed_code(ANN)
    await club.post("password/reset", {"code": code, "password": PASSWORD})
    ann = await club.logged_in()
    assert ann.id == first.body["account"]
    begun = await club.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)
    phone = pyotp.TOTP(begun.body["secret"])
    await club.post("second-factor/confirm", {"code": phone.at(NOW_S)}, token=ann.access)
    club.clock.advance(30)
    body = {"id_token": providers.apple_token(), "nonce": NONCE}
    assert (await club.post("providers/apple", body)).code == "second_factor_required"
    assert (await club.post("providers/apple", {**body, "second_factor": phone.at(NOW_S + 30)})).status == 200
    assert (await club.post("providers/apple", body)).code == "token_invalid"


async def test_an_address_that_google_does_not_run_opens_nobodys_account(providers: Providers) -> None:
    club = providers.club
    ann = await club.member(ANN)
    stranger = providers.google.id_token(NONCE, email=ANN, email_verified=True)
    answer = await club.post("providers/google", {"id_token": stranger, "nonce": NONCE})
    assert answer.status == 200
    assert answer.body["account"] != ann.id
    me = await club.ask("GET", "/auth/v1/me", token=answer.body["access_token"])
    assert (me.body["email"], me.body["email_verified"]) == (None, False)


async def test_whoever_is_sent_to_google_shows_the_second_factor_when_he_is_back(providers: Providers) -> None:
    club = providers.club
    token = providers.google.id_token(NONCE, email=ANN, email_verified=True, hd="club.example")
    first = await club.post("providers/google", {"id_token": token, "nonce": NONCE})
    assert first.status == 200, first
    await club.post("password/forgot", {"email": ANN})
    await club.post("password/reset", {"code": await club.mailed_code(ANN), "password": PASSWORD})
    ann = await club.logged_in()
    begun = await club.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)
    phone = pyotp.TOTP(begun.body["secret"])
    await club.post("second-factor/confirm", {"code": phone.at(NOW_S)}, token=ann.access)
    club.clock.advance(30)
    google_code, state, cookie = await providers.begin()
    nonce = providers.google.questions[google_code]["nonce"]
    back = await providers.back(google_code, state, cookie)
    assert back.headers["Location"] == "/matches#sign_in=second_factor_required"
    secret, _ = back.cookie("syncd_sign_in")
    page = {"Origin": club.server.url, "Cookie": f"syncd_sign_in={secret}"}
    code = {"second_factor": phone.at(NOW_S + 30)}
    elsewhere = await club.post("providers/google/finish", code, Origin=club.server.url)
    assert (elsewhere.status, elsewhere.code) == (401, "sign_in_invalid")
    forged = await club.post("providers/google/finish", code, Cookie=page["Cookie"])
    assert forged.code == "wrong_origin"
    assert (
        await club.post("providers/google/finish", {"second_factor": "000000"}, **page)
    ).code == "wrong_second_factor"
    done = await club.post("providers/google/finish", code, **page)
    assert (done.status, done.body["account"]) == (200, ann.id)
    assert done.cookie()[0].startswith("syncd_refresh_")
    assert (await club.post("providers/google/finish", code, **page)).code == "sign_in_invalid"
    club.clock.advance(30)
    again = {"id_token": providers.google.id_token(nonce), "nonce": nonce, "second_factor": phone.at(NOW_S + 60)}
    assert (await club.post("providers/google", again)).code == "token_invalid", "it has opened its session"


async def test_providers_that_are_not_configured_are_not_there(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path) as club:
        for name in ("google", "apple"):
            assert (await club.post(f"providers/{name}", {"id_token": "x", "nonce": NONCE})).code == "not_found"
        for path in ("begin", "callback"):
            assert (await club.ask("GET", f"/auth/v1/providers/google/{path}")).code == "not_found"
        assert (await club.post("providers/google/finish", {"second_factor": "000000"})).code == "not_found"
