"""Whom the operator trusts: what can be configured, and what is refused at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.auth.fetching import Fetcher
from syncd.auth.identity import NonceForm
from syncd.auth.tokens import TokenVerifier
from syncd.auth.trusted import AppleSignIn, GoogleSignIn, TrustedIssuer
from syncd.errors import Unauthenticated
from tests.auth.issuers import SECRET, Clock, jwk_of, jwks_server, private_key
from tests.auth.test_tokens import AUDIENCE, CLAIMS, ISSUER, signed

BASE: dict[str, Any] = {"issuer": ISSUER, "audiences": [AUDIENCE]}
JWKS = {"keys": [jwk_of(private_key("ES256"), "k1", "ES256")]}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher()
    yield fetcher
    await fetcher.close()


def read(**given: Any) -> TrustedIssuer:
    """As it comes from the environment: JSON."""
    return TrustedIssuer.model_validate_json(json.dumps({**BASE, **given}))


async def test_by_a_shared_secret(fetcher: Fetcher) -> None:
    policy = read(algorithms=["HS256", "HS512"], secret=SECRET).policy(fetcher, Clock())
    verifier = TokenVerifier([policy], Clock())
    assert await verifier.verify(signed(algorithm="HS256", kid="whatever"))
    assert await verifier.verify(signed(algorithm="HS512"))
    with pytest.raises(Unauthenticated):
        await verifier.verify(signed(algorithm="HS384"))


async def test_by_a_jwk_set_in_the_configuration(fetcher: Fetcher) -> None:
    policy = read(algorithms=["ES256"], jwks=JWKS).policy(fetcher, Clock())
    token = signed(key=private_key("ES256"), algorithm="ES256", kid="k1")
    assert (await TokenVerifier([policy], Clock()).verify(token)).subject == "anna"


async def test_by_the_url_of_one(fetcher: Fetcher) -> None:
    async with jwks_server() as server:
        server.document = JWKS
        trusted = read(algorithms=["ES256"], jwks_url=server.url, roles_claim="realm_access.roles")
        policy = trusted.policy(fetcher, Clock())
        claims = {**CLAIMS, "sub": "auth0|5f7c", "realm_access": {"roles": ["coach"]}}
        token = signed(claims, key=private_key("ES256"), algorithm="ES256", kid="k1")
        verified = await TokenVerifier([policy], Clock()).verify(token)
        assert (verified.subject, verified.roles) == ("auth0|5f7c", {"coach"})
        await policy.keys.close()


@pytest.mark.parametrize(
    ("why", "given"),
    [
        ("one of", {"algorithms": ["HS256"]}),
        ("one of", {"algorithms": ["HS256"], "secret": SECRET, "jwks": JWKS}),
        ("one of", {"algorithms": ["ES256"], "jwks_url": "https://a.example", "jwks": JWKS}),
        ("need a secret", {"algorithms": ["HS256"], "jwks": JWKS}),
        ("need a secret", {"algorithms": ["ES256", "HS256"], "jwks_url": "https://a.example"}),
        ("a secret is for", {"algorithms": ["HS256", "RS256"], "secret": SECRET}),
        ("64 bytes or more", {"algorithms": ["HS256", "HS512"], "secret": SECRET[:63]}),
        ("no key", {"algorithms": ["RS256"], "jwks": JWKS}),
        ("JWK Set", {"algorithms": ["ES256"], "jwks": {}}),
        ("https", {"algorithms": ["ES256"], "jwks_url": "http://a.example"}),
        ("Input should be", {"algorithms": ["none"], "secret": SECRET}),
        ("Input should be", {"algorithms": ["RS512"], "jwks_url": "https://a.example"}),
        ("at least 1", {"algorithms": [], "secret": SECRET}),
        ("at least 1", {"algorithms": ["HS256"], "secret": SECRET, "audiences": []}),
        ("at least 1", {"algorithms": ["HS256"], "secret": SECRET, "issuer": ""}),
        ("not permitted", {"algorithms": ["HS256"], "secret": SECRET, "audience": "club"}),
    ],
)
def test_what_would_not_be_safe_or_could_never_work(why: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=why):
        read(**given)


def test_a_secret_is_in_no_text_of_it() -> None:
    trusted = read(algorithms=["HS256"], secret=SECRET)
    assert SECRET not in f"{trusted!r} {trusted} {trusted.model_dump_json()}"
    with pytest.raises(ValidationError) as invalid:
        read(algorithms=["HS512"], secret=SECRET[:40], roles_claim="")
    assert SECRET[:40] not in str(invalid.value)


async def test_apple_and_google_have_their_own_ways_with_the_nonce(fetcher: Fetcher) -> None:
    assert AppleSignIn(client_ids=("club.app",)).nonce is NonceForm.SHA256
    google = GoogleSignIn(client_ids=("web.apps.example",))
    assert google.nonce is NonceForm.PLAIN
    provider, keys = google.provider(fetcher, Clock(), 60)
    assert google.code_flow(provider, fetcher, Clock()) is None
    await keys.close()


async def test_the_code_flow_is_for_the_first_of_the_client_ids(fetcher: Fetcher) -> None:
    google = GoogleSignIn(
        client_ids=("web", "phone"), client_secret="hidden", redirect_uris=("https://club.example/cb",)
    )
    provider, _ = google.provider(fetcher, Clock(), 60)
    flow = google.code_flow(provider, fetcher, Clock())
    assert flow is not None
    assert "client_id=web&" in flow.begin("https://club.example/cb").url
    assert "hidden" not in f"{google!r}"


@pytest.mark.parametrize("given", [{"client_secret": "hidden"}, {"redirect_uris": ["https://club.example/cb"]}])
def test_the_code_flow_takes_both_a_secret_and_a_way_back(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="both"):
        GoogleSignIn.model_validate({"client_ids": ["web"], **given})
