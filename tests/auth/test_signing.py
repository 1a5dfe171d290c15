"""Our own keys: which are taken, what they are called, and what of them is told to others."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat

from syncd.auth.keys import UnusableKey, VerificationKey, keys_of_jwks
from syncd.auth.signing import OwnKey, SigningKey, SigningKeys
from tests.auth.issuers import SECRET, pem_of, private_key, public_pem_of

PAIRS = ("RS256", "ES256", "EdDSA")


@pytest.mark.parametrize(("algorithm", "bytes_needed"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_the_hash(algorithm: str, bytes_needed: int) -> None:
    assert SigningKey.of_text(SECRET[:bytes_needed], algorithm).verification.algorithm == algorithm
    with pytest.raises(UnusableKey, match=f"{bytes_needed} bytes or more"):
        SigningKey.of_text(SECRET[: bytes_needed - 1], algorithm)


@pytest.mark.parametrize("secret", ["", "x" * 64, "abc" * 30])
def test_a_secret_that_repeats_itself_is_refused(secret: str) -> None:
    with pytest.raises(UnusableKey):
        SigningKey.of_text(secret)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_private_key_says_its_algorithm_itself(algorithm: str) -> None:
    pem = pem_of(private_key(algorithm))
    assert SigningKey.of_text(pem).verification.algorithm == algorithm
    assert SigningKey.of_text(pem, algorithm).verification.algorithm == algorithm
    with pytest.raises(UnusableKey, match=f"is for {algorithm}"):
        SigningKey.of_text(pem, "HS256")


def test_line_ends_may_be_written_out_as_environment_files_have_them() -> None:
    pem = pem_of(private_key("EdDSA"))
    assert SigningKey.of_text(pem.replace("\n", "\\n")).verification.kid == SigningKey.of_text(pem).verification.kid


def test_keys_that_are_weak_or_of_no_use() -> None:
    locked = private_key("ES256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    for pem in (
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        locked.decode(),
        public_pem_of(private_key("ES256")),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN \ud800",
    ):
        with pytest.raises(UnusableKey):
            SigningKey.of_text(pem)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_in_any_form_is_no_secret(algorithm: str) -> None:
    pem = public_pem_of(private_key("RS256"))
    jwk = json.dumps(SigningKey.of_text(pem_of(private_key("RS256"))).public)
    for text in (pem, jwk):
        with pytest.raises(UnusableKey, match="key of a pair"):
            VerificationKey.of_secret(text.encode(), algorithm)


def test_the_name_of_a_key_is_its_thumbprint() -> None:
    # RFC 8037, appendix A.3.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    pem = jwt.PyJWK.from_dict(jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert OwnKey.of_text(pem).verification.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_secrets_have_different_names_which_do_not_tell_them() -> None:
    names = {SigningKey.of_text(text).verification.kid for text in (SECRET, SECRET[::-1])}
    assert len(names) == 2
    assert all(len(name) == 12 for name in names)


def test_the_jwk_set_has_every_public_key_and_no_secret() -> None:
    pems = [pem_of(private_key(name)) for name in PAIRS]
    older = [OwnKey.of_text(text) for text in (*pems[1:], SECRET, public_pem_of(private_key("EdDSA", "older")))]
    jwks = SigningKeys(SigningKey.of_text(pems[0]), older).jwks()
    assert [jwk["alg"] for jwk in jwks["keys"]] == ["RS256", "ES256", "EdDSA", "EdDSA"]
    private_members = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
    assert not any(private_members & jwk.keys() for jwk in jwks["keys"])
    assert SECRET not in json.dumps(jwks)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_others_can_verify_our_tokens_with_it(algorithm: str) -> None:
    active = SigningKey.of_text(pem_of(private_key(algorithm)))
    published = SigningKeys(active).jwks()
    token = active.sign({"sub": "anna"}, "at+jwt")
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, [algorithm]) == {"sub": "anna"}
    assert [key.kid for key in keys_of_jwks(published)] == [active.verification.kid]


def test_an_older_secret_is_for_the_configured_algorithm_or_else_hs256() -> None:
    assert OwnKey.of_text(SECRET, "HS512").verification.algorithm == "HS512"
    assert OwnKey.of_text(SECRET, "EdDSA").verification.algorithm == "HS256"
    assert OwnKey.of_text(pem_of(private_key("ES256")), "HS512").verification.algorithm == "ES256"
