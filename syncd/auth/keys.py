"""Keys that verify tokens, each for one algorithm for life, and where they are looked up.

A key carries its algorithm; what a token says of its algorithm is only compared with it (RFC 8725, section 3.1). So a
public key can never be taken for a shared secret, and there is no key at all for `none`. Knows no network: `jwks` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = [
    "ALGORITHMS",
    "PUBLIC_KEY_ALGORITHMS",
    "SECRET_ALGORITHMS",
    "KeySource",
    "StaticKeys",
    "UnusableKey",
    "VerificationKey",
    "keys_of_jwks",
    "matching",
]

SECRET_ALGORITHMS: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Of a shared secret, with the bytes that it needs at least (RFC 7518, section 3.2)."""

PUBLIC_KEY_ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
"""Of a pair of keys (RFC 7518; EdDSA of RFC 8037, here with Ed25519)."""

ALGORITHMS: Final = PUBLIC_KEY_ALGORITHMS | SECRET_ALGORITHMS.keys()

_RSA_BITS: Final = range(2048, 8192 + 1)
"""RFC 7518, section 3.3, and what may be asked of the processor by a longer key."""
_MAX_EXPONENT: Final = 1 << 32
_MAX_KEYS: Final = 64
_MAX_KID: Final = 200
_MAX_NUMBER: Final = 1400
_MAX_TRIED: Final = 8
"""Keys that one token is held against: how often a stranger can make the server compute by leaving the `kid` out."""

_KTY: Final[Mapping[tuple[object, object], str]] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}


class UnusableKey(ValueError):
    """A key that is too weak, of another kind than its algorithm, or none at all. The text does not repeat it."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """What verifies signatures of one algorithm. `kid`: its name, "" if it has none and fits whatever a token names."""

    kid: str
    algorithm: str
    _material: Any = field(repr=False)

    @classmethod
    def of_secret(cls, secret: bytes, algorithm: str, kid: str = "") -> VerificationKey:
        """A shared secret, which can also sign; raises `UnusableKey` if it is short, or is a public key."""
        needed = SECRET_ALGORITHMS.get(algorithm)
        if needed is None:
            raise UnusableKey(f"{algorithm} needs a private key in PEM, not a shared secret.")
        if len(secret) < needed:
            raise UnusableKey(f"{algorithm} needs a secret of {needed} bytes or more; this one has {len(secret)}.")
        if len(set(secret)) < 8:
            raise UnusableKey("The secret repeats a few characters over and over; make a random one.")
        try:
            # PEM, DER, SSH and JWK: whoever has the public key could sign with it.
            return cls(kid, algorithm, jwt.get_algorithm_by_name(algorithm).prepare_key(secret))
        except jwt.InvalidKeyError:
            raise UnusableKey("This is a key of a pair; it must not be used as a shared secret.") from None

    @classmethod
    def of_public_key(cls, key: object, kid: str = "") -> VerificationKey:
        """A public key of `cryptography`; its kind says the algorithm. Raises `UnusableKey`."""
        if isinstance(key, Ed25519PublicKey):
            return cls(kid, "EdDSA", key)
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            return cls(kid, "ES256", key)
        if isinstance(key, RSAPublicKey):
            if key.key_size not in _RSA_BITS or key.public_numbers().e > _MAX_EXPONENT:
                raise UnusableKey(f"An RSA key has {_RSA_BITS.start} to {_RSA_BITS.stop - 1} bits.")
            return cls(kid, "RS256", key)
        raise UnusableKey("A public key is Ed25519, EC on the curve P-256, or RSA.")

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether whoever holds the other half, or the secret, signed this."""
        return jwt.get_algorithm_by_name(self.algorithm).verify(signing_input, self._material, signature)


class KeySource(Protocol):
    """Where the keys of one issuer are."""

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """The keys that a token naming `kid` (None: naming none) may have been signed with, a few at most.

        Raises `IssuerUnavailable` if that cannot be known now.
        """

    async def close(self) -> None:
        """End what is under way. May be called twice."""


class StaticKeys:
    """Keys that are known from the start, such as those of a JWKS in a file."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """See `KeySource`."""
        return matching(self._keys, kid, algorithm)

    async def close(self) -> None:
        """There is nothing to end."""


def matching(keys: Iterable[VerificationKey], kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
    """Those of them that a token with this `kid` and algorithm may be held against, a few at most.

    Several keys may share a name (RFC 7517, section 4.5): each is tried.
    """
    fitting = [key for key in keys if key.algorithm == algorithm and (kid is None or key.kid in ("", kid))]
    return fitting[:_MAX_TRIED]


def keys_of_jwks(document: object) -> tuple[VerificationKey, ...]:
    """The keys of a JWK Set (RFC 7517, section 5) that verify here.

    What is for encryption, of another kind or algorithm, private, secret or malformed is passed over (same section),
    as are names that are none. Raises `UnusableKey` if the document is no JWK Set.
    """
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list):
        raise UnusableKey('A JWK Set is an object with a list of "keys" (RFC 7517, section 5).')
    return tuple(key for jwk in keys[:_MAX_KEYS] if (key := _key_of_jwk(jwk)) is not None)


def _key_of_jwk(jwk: object) -> VerificationKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    operations, kid = jwk.get("key_ops", ["verify"]), jwk.get("kid", "")
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not isinstance(kid, str) or len(kid) > _MAX_KID:
        return None
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(crv, str | None):
        return None
    # Before anybody computes with it: so long are the numbers of no key that is taken.
    if any(len(str(jwk.get(number, ""))) > _MAX_NUMBER for number in ("n", "e", "x", "y")):
        return None
    algorithm = _KTY.get((kty, crv))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return VerificationKey.of_public_key(jwt.PyJWK.from_dict(jwk, algorithm).key, kid)
    except (jwt.PyJWTError, ValueError, TypeError):
        # PyJWT lets what `cryptography` and base64 raise for hostile numbers through.
        return None
