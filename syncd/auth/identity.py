"""Who somebody is according to Google or Apple: their id tokens, verified (OpenID Connect Core 1.0, section 3.1.3.7).

Knows nothing of accounts: what becomes of an identity is theirs to say.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from syncd.auth.claims import Claims
from syncd.auth.keys import KeySource
from syncd.auth.policy import Policy
from syncd.auth.tokens import TokenVerifier
from syncd.errors import Unauthenticated

__all__ = [
    "APPLE_ISSUERS",
    "APPLE_JWKS_URL",
    "GOOGLE_ISSUERS",
    "GOOGLE_JWKS_URL",
    "Identity",
    "IdentityProvider",
    "NonceForm",
]

log = structlog.get_logger(__name__)

GOOGLE_ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
"""Both are in use (Google's OpenID Connect reference, `issuer`)."""
GOOGLE_JWKS_URL: Final = "https://www.googleapis.com/oauth2/v3/certs"
APPLE_ISSUERS: Final = ("https://appleid.apple.com",)
APPLE_JWKS_URL: Final = "https://appleid.apple.com/auth/keys"

_GMAIL: Final = ("@gmail.com", "@googlemail.com")
_MAX_NAME: Final = 200
_MAX_PICTURE: Final = 2000


class NonceForm(StrEnum):
    """What an id token says of the nonce that the sign-in was begun with.

    One of the two, by configuration, never whichever fits: who has stolen a token of the second form reads only the
    hash in it, and taking that for a plain nonce would give away what the hash protects.
    """

    PLAIN = "plain"
    """The nonce itself: both providers give back what they were sent. It protects where we have made and kept it; a
    nonce that an app sends along can be read from the token by whoever has stolen that. So a token opens one session
    (`used_id_tokens`).
    """
    SHA256 = "sha256"
    """The SHA-256 of the nonce in hex: the app sent the provider that, and shows the nonce itself to nobody but us."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as `provider` knows him. `subject` is his for life there; everything else may change, or be "".

    `email` proves nothing unless `email_verified`: by `provider`, where it has a say in whose that address is.
    `token_until_ms`: for how long the token that says all this is taken.
    """

    provider: str
    subject: str
    email: str = field(default="", repr=False)
    email_verified: bool = False
    name: str = field(default="", repr=False)
    picture: str = field(default="", repr=False)
    token_until_ms: int = field(default=0, compare=False)


class IdentityProvider:
    """One provider: `name` such as "google", the spellings of its issuer, and the ids under which it knows our apps."""

    def __init__(
        self,
        name: str,
        keys: KeySource,
        now_ms: Callable[[], int],
        *,
        issuers: Iterable[str],
        client_ids: Iterable[str],
        nonce_form: NonceForm,
        algorithms: Iterable[str] = ("RS256", "ES256"),
        leeway_s: int = 60,
    ) -> None:
        self.name = name
        self._client_ids = frozenset(client_ids)
        self._nonce_form = nonce_form
        self._leeway_ms = leeway_s * 1000
        policies = [
            Policy(
                issuer=issuer,
                audiences=self._client_ids,
                algorithms=frozenset(algorithms),
                keys=keys,
                required=frozenset({"iat", "nonce"}),
            )
            for issuer in issuers
        ]
        # An id token opens one session: there is no second time to be quicker.
        self._verifier = TokenVerifier(policies, now_ms, leeway_s, remembered_count=0)

    async def identify(self, id_token: str, *, nonce: str, nonce_form: NonceForm | None = None) -> Identity:
        """Who has signed in with this `nonce`. `nonce_form`: if it is another than the apps use.

        Raises what `TokenVerifier.verify` does. `azp` is not looked at: for an app with several client ids it names
        another one than `aud` does, and Google's own instructions go by `aud` alone.
        """
        claims = await self._verifier.verify(id_token)
        if not claims.audience <= self._client_ids:
            # OpenID Connect Core 1.0, section 3.1.3.7, rule 3.
            raise self._refused("it is for others too")
        if not _same_nonce(claims.nonce, nonce, nonce_form or self._nonce_form):
            raise self._refused("the nonce is another")
        return Identity(
            provider=self.name,
            subject=claims.subject,
            email=claims.email,
            email_verified=claims.email_verified and _may_say_whose(claims),
            name=_name(claims.raw),
            picture=_picture(claims.raw),
            token_until_ms=claims.expires_at_ms + self._leeway_ms,
        )

    def _refused(self, reason: str) -> Unauthenticated:
        log.debug("id_token_refused", provider=self.name, reason=reason)
        return Unauthenticated("this sign-in is not valid here", code="token_invalid", hint="Sign in again.")


def _may_say_whose(claims: Claims) -> bool:
    """Whether the issuer knows who reads mail at the address that it calls verified.

    Google does where it runs the mailbox: for Gmail, and for organisations that it hosts, which `hd` names. Anywhere
    else it has sent a mail there once, and who has the address today it cannot say (Google, "Authenticate with a
    backend server", on `email_verified` and `hd`).
    """
    if claims.issuer not in GOOGLE_ISSUERS:
        return True
    hosted = claims.raw.get("hd")
    return claims.email.lower().endswith(_GMAIL) or (isinstance(hosted, str) and hosted != "")


def _same_nonce(said: str, nonce: str, form: NonceForm) -> bool:
    given = nonce.encode("utf-8", "surrogatepass")
    expected = hashlib.sha256(given).hexdigest().encode() if form is NonceForm.SHA256 else given
    return nonce != "" and hmac.compare_digest(said.encode(), expected)


def _name(raw: Mapping[str, object]) -> str:
    """A name to begin with, without what would change how other text is shown; people can correct it."""
    name = raw.get("name")
    if not isinstance(name, str):
        return ""
    return "".join(each for each in name if unicodedata.category(each) not in ("Cc", "Cf")).strip()[:_MAX_NAME]


def _picture(raw: Mapping[str, object]) -> str:
    picture = raw.get("picture")
    fits = isinstance(picture, str) and picture.isascii() and picture.isprintable() and " " not in picture
    return picture if fits and picture.startswith("https://") and len(picture) <= _MAX_PICTURE else ""  # type: ignore
