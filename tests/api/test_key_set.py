"""The key set: public keys only, and none where tokens are signed by a secret."""

from __future__ import annotations

from pathlib import Path

import jwt

from tests.auth.issuers import pem_of, private_key
from tests.support.accounts import SECRET_KEY, club_with_accounts


async def test_others_verify_tokens_by_it(tmp_path: Path) -> None:
    older = pem_of(private_key("ES256"))
    settings = {"secret_key": pem_of(private_key("EdDSA")), "older_secret_keys": (older, SECRET_KEY)}
    async with club_with_accounts(tmp_path, **settings) as club:
        ann = await club.member()
        answer = await club.ask("GET", "/.well-known/jwks.json")
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        keys = jwt.PyJWKSet.from_dict(answer.body).keys
        assert [key.algorithm_name for key in keys] == ["EdDSA", "ES256"]
        assert [set(key) & {"d", "k", "p", "q"} for key in answer.body["keys"]] == [set(), set()]
        options = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(ann.access, keys[0].key, algorithms=["EdDSA"], audience="syncd", options=options)
        assert claims["sub"] == ann.id


async def test_a_secret_is_not_in_it(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path) as club:
        assert (await club.ask("GET", "/.well-known/jwks.json")).body == {"keys": []}
