"""Signing in with an id token of Google or Apple, against a local JWK Set."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncd.auth.fetching import Fetcher
from syncd.auth.identity import APPLE_ISSUERS, GOOGLE_ISSUERS, Identity, IdentityProvider, NonceForm
from syncd.auth.jwks import JwksSource
from syncd.errors import Unauthenticated
from tests.auth.issuers import NOW_S, Clock, jwk_of, jwks_server, private_key
from tests.auth.test_tokens import signed

WEB, PHONE = "web.apps.example", "phone.apps.example"
NONCE = "n-0S6_WzA2Mj"
NONCE_SHA256 = hashlib.sha256(NONCE.encode()).hexdigest()
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": WEB,
    "sub": "110169484474386276334",
    "iat": NOW_S,
    "exp": NOW_S + 3600,
    "nonce": NONCE,
    "email": "anna@club.example",
    "email_verified": True,
    "hd": "club.example",
    "name": "Anna Žižková",
    "picture": "https://lh3.example/photo.jpg",
}
APPLE = {
    **{name: value for name, value in CLAIMS.items() if name != "hd"},
    "iss": "https://appleid.apple.com",
    "sub": "000792.d71059495fa24644b94e4a644e2e3b4a.0638",
}


@pytest.fixture
async def keys() -> AsyncIterator[JwksSource]:
    fetcher = Fetcher()
    async with jwks_server() as server:
        server.publish(jwk_of(private_key("RS256"), "k1", "RS256", use="sig", alg="RS256"))
        source = JwksSource(server.url, fetcher, Clock())
        yield source
        await source.close()
        await fetcher.close()


@pytest.fixture
def google(keys: JwksSource) -> IdentityProvider:
    return IdentityProvider(
        "google", keys, Clock(), issuers=GOOGLE_ISSUERS, client_ids=[WEB, PHONE], nonce_form=NonceForm.PLAIN
    )


@pytest.fixture
def apple(keys: JwksSource) -> IdentityProvider:
    return IdentityProvider(
        "apple", keys, Clock(), issuers=APPLE_ISSUERS, client_ids=[WEB], nonce_form=NonceForm.SHA256
    )


def id_token(claims: dict[str, Any], **changed: Any) -> str:
    said = {name: value for name, value in {**claims, **changed}.items() if value is not ...}
    return signed(said, key=private_key("RS256"), algorithm="RS256", kid="k1")


async def refused(provider: IdentityProvider, token: str, nonce: str = NONCE, **how: Any) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await provider.identify(token, nonce=nonce, **how)
    return refusal.value.problem_code


async def test_who_it_is(google: IdentityProvider) -> None:
    assert await google.identify(id_token(CLAIMS), nonce=NONCE) == Identity(
        "google", CLAIMS["sub"], "anna@club.example", True, "Anna Žižková", "https://lh3.example/photo.jpg"
    )


@pytest.mark.parametrize("issuer", GOOGLE_ISSUERS)
@pytest.mark.parametrize("audience", [WEB, PHONE, [WEB], [WEB, PHONE]])
async def test_google_under_both_its_names_for_each_of_our_apps(
    google: IdentityProvider, issuer: str, audience: object
) -> None:
    assert await google.identify(id_token(CLAIMS, iss=issuer, aud=audience), nonce=NONCE)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://accounts.google.com.evil.example"},
        {"iss": "https://appleid.apple.com"},
        {"aud": "another.apps.example"},
        {"aud": [WEB, "another.apps.example"]},
        {"nonce": ...},
        {"nonce": ""},
        {"nonce": NONCE[:-1]},
        {"nonce": NONCE.upper()},
        {"iat": ...},
        {"sub": ...},
        {"email": "anna"},
        {"email_verified": 1},
    ],
    ids=str,
)
async def test_what_is_not_taken(google: IdentityProvider, changed: dict[str, Any]) -> None:
    assert await refused(google, id_token(CLAIMS, **changed)) == "token_invalid"


async def test_an_id_token_expires(google: IdentityProvider) -> None:
    assert await refused(google, id_token(CLAIMS, exp=NOW_S - 60)) == "token_expired"
    said = await google.identify(id_token(CLAIMS, exp=NOW_S - 59), nonce=NONCE)
    assert said.token_until_ms == (NOW_S + 1) * 1000, "as long as it is taken, its use has to be remembered"


@pytest.mark.parametrize("nonce", ["", "another", f"{NONCE} ", "ž", "\ud800"])
async def test_the_nonce_is_the_one_of_this_sign_in(google: IdentityProvider, nonce: str) -> None:
    assert await refused(google, id_token(CLAIMS), nonce) == "token_invalid"


async def test_a_hashed_nonce_is_shown_in_clear_to_us_only(apple: IdentityProvider) -> None:
    token = id_token(APPLE, nonce=NONCE_SHA256)
    assert (await apple.identify(token, nonce=NONCE)).subject == APPLE["sub"]
    # What somebody has who has stolen the token.
    assert await refused(apple, token, NONCE_SHA256) == "token_invalid"
    assert await refused(apple, id_token(APPLE)) == "token_invalid"


async def test_the_hash_of_no_nonce_is_none(apple: IdentityProvider) -> None:
    assert await refused(apple, id_token(APPLE, nonce=hashlib.sha256(b"").hexdigest()), "") == "token_invalid"


async def test_whoever_has_kept_the_nonce_says_its_form(apple: IdentityProvider) -> None:
    assert await apple.identify(id_token(APPLE), nonce=NONCE, nonce_form=NonceForm.PLAIN)
    assert await refused(apple, id_token(APPLE), nonce_form=NonceForm.SHA256) == "token_invalid"


@pytest.mark.parametrize(("said", "verified"), [("true", True), ("false", False), (True, True), (..., False)])
async def test_apple_writes_truth_values_as_text(apple: IdentityProvider, said: object, verified: bool) -> None:
    token = id_token(APPLE, nonce=NONCE_SHA256, email_verified=said)
    assert (await apple.identify(token, nonce=NONCE)).email_verified is verified


@pytest.mark.parametrize(
    ("email", "hosted", "verified"),
    [
        ("anna@gmail.com", ..., True),
        ("Anna@GMail.com", ..., True),
        ("anna@googlemail.com", ..., True),
        ("anna@club.example", "club.example", True),
        ("anna@club.example", ..., False),
        ("anna@club.example", "", False),
        ("anna@club.example", True, False),
        ("anna@gmail.com.club.example", ..., False),
        ("anna@notgmail.com", ..., False),
    ],
)
@pytest.mark.parametrize("issuer", GOOGLE_ISSUERS)
async def test_google_has_a_say_in_whose_an_address_is_where_it_runs_the_mailbox(
    google: IdentityProvider, issuer: str, email: str, hosted: object, verified: bool
) -> None:
    """Anybody may make a Google account with an address of elsewhere, and keep it when that is another's."""
    said = await google.identify(id_token(CLAIMS, iss=issuer, email=email, hd=hosted), nonce=NONCE)
    assert (said.email, said.email_verified) == (email, verified)
    no_word = id_token(CLAIMS, iss=issuer, email=email, hd=hosted, email_verified=False)
    assert not (await google.identify(no_word, nonce=NONCE)).email_verified


async def test_what_is_not_said_is_empty(google: IdentityProvider) -> None:
    token = id_token(CLAIMS, email=..., email_verified=..., name=..., picture=...)
    assert await google.identify(token, nonce=NONCE) == Identity("google", CLAIMS["sub"])


@pytest.mark.parametrize(
    ("name", "kept"),
    [("  Anna  ", "Anna"), ("An\u202ena\r\n", "Anna"), (7, ""), ("\u200b", ""), ("x" * 300, "x" * 200)],
)
async def test_a_name_changes_nothing_around_it(google: IdentityProvider, name: object, kept: str) -> None:
    assert (await google.identify(id_token(CLAIMS, name=name), nonce=NONCE)).name == kept


@pytest.mark.parametrize(
    "picture", ["http://lh3.example/a", "javascript:alert(1)", "https://a b", "https://ž.example", "https://a\n", 7]
)
async def test_a_picture_is_an_https_url(google: IdentityProvider, picture: object) -> None:
    assert (await google.identify(id_token(CLAIMS, picture=picture), nonce=NONCE)).picture == ""


async def test_what_is_personal_is_in_no_representation(google: IdentityProvider) -> None:
    shown = repr(await google.identify(id_token(CLAIMS), nonce=NONCE))
    assert "Anna" not in shown
    assert "anna@" not in shown
