"""The keys that the server signs its own tokens with: one active, older ones that only verify.

To rotate, make a new key the active one and the former an older one; when the last token that it signed has expired, it
can go. Knows nothing of what is signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from syncd.auth.keys import SECRET_ALGORITHMS, UnusableKey, VerificationKey, matching

__all__ = ["OwnKey", "SigningKey", "SigningKeys"]

_THUMBPRINT: Final[Mapping[str, tuple[str, ...]]] = {
    "RS256": ("e", "kty", "n"),
    "ES256": ("crv", "kty", "x", "y"),
    "EdDSA": ("crv", "kty", "x"),
}
"""The members that make a key what it is, in order (RFC 7638, section 3.2; RFC 8037, section 2)."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that verifies tokens of ours. `public`: the same as a JWK, None for a secret."""

    verification: VerificationKey
    public: Mapping[str, str] | None

    @classmethod
    def of_text(cls, text: str, algorithm: str | None = None) -> OwnKey:
        """An older key: a public or private one in PEM, or a secret. Raises `UnusableKey`.

        `algorithm`: the one now configured. An older secret was for that, or, where that is of a pair, for HS256.
        """
        if not _is_pem(text):
            return SigningKey.of_text(text, algorithm if algorithm in SECRET_ALGORITHMS else None)
        if "PUBLIC KEY-----" not in text:
            return SigningKey.of_text(text)
        try:
            return cls(*_named(load_pem_public_key(_pem(text))))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _refusal(error, "The PEM text is not a public key.") from None


@dataclass(frozen=True, slots=True)
class SigningKey(OwnKey):
    """A key that also signs."""

    _private: Any = field(repr=False)

    @classmethod
    def of_text(cls, text: str, algorithm: str | None = None) -> Self:
        """A private key in PEM, or else a secret: the UTF-8 bytes of `text`, for HS256 if no `algorithm` is named.

        Raises `UnusableKey` if it is weak, encrypted, of an unknown kind, or not for that algorithm.
        """
        if not _is_pem(text):
            secret = text.encode("utf-8", "surrogatepass")
            return cls(VerificationKey.of_secret(secret, algorithm or "HS256", _kid_of_secret(secret)), None, secret)
        try:
            private: Any = load_pem_private_key(_pem(text), password=None)
            verification, public = _named(private.public_key())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _refusal(error, "The PEM text is not a private key, or has a password.") from None
        if algorithm not in (None, verification.algorithm):
            raise UnusableKey(f"This key is for {verification.algorithm}, not for {algorithm}.")
        return cls(verification, public, private)

    def sign(self, claims: Mapping[str, object], kind: str) -> str:
        """A token in the compact form (RFC 7515, section 7.1). `kind`: its `typ`, which says what it is for."""
        headers = {"kid": self.verification.kid, "typ": kind}
        return jwt.encode(dict(claims), self._private, self.verification.algorithm, headers)


class SigningKeys:
    """The active key and the older ones: a `KeySource` for the tokens of this server."""

    def __init__(self, active: SigningKey, older: Iterable[OwnKey] = ()) -> None:
        self.active = active
        self._all = (active, *older)
        self._keys = tuple(key.verification for key in self._all)

    @classmethod
    def of_texts(cls, active: str, older: Iterable[str] = (), algorithm: str | None = None) -> SigningKeys:
        """As they are configured: see `of_text` of either kind. Raises `UnusableKey`."""
        return cls(SigningKey.of_text(active, algorithm), [OwnKey.of_text(text, algorithm) for text in older])

    @property
    def algorithms(self) -> frozenset[str]:
        """What a token of ours may be signed by."""
        return frozenset(key.algorithm for key in self._keys)

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """See `KeySource`."""
        return matching(self._keys, kid, algorithm)

    async def close(self) -> None:
        """There is nothing to end."""

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set (RFC 7517, section 5), for others who verify our tokens. No secret is in it."""
        return {"keys": [dict(key.public) for key in self._all if key.public is not None]}


def _named(public_key: Any) -> tuple[VerificationKey, dict[str, str]]:
    """The key and its JWK, both named by its thumbprint (RFC 7638); raises `UnusableKey`."""
    algorithm = VerificationKey.of_public_key(public_key).algorithm
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(public_key, as_dict=True)
    members = {name: jwk[name] for name in _THUMBPRINT[algorithm]}
    kid = _text(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())
    return VerificationKey.of_public_key(public_key, kid), {**members, "kid": kid, "use": "sig", "alg": algorithm}


def _kid_of_secret(secret: bytes) -> str:
    """A name that tells secrets apart. Like any token it lets a guess be checked, and helps no more than one."""
    return _text(hmac.digest(secret, b"kid", "sha256")[:9])


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_pem(text: str) -> bool:
    return text.lstrip().startswith("-----BEGIN ")


def _pem(text: str) -> bytes:
    # Many ways of setting an environment variable write line ends as the two characters \n.
    return text.replace("\\n", "\n").strip().encode("utf-8", "replace")


def _refusal(error: Exception, sentence: str) -> UnusableKey:
    return error if isinstance(error, UnusableKey) else UnusableKey(sentence)
