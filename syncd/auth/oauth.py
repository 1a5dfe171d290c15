"""Signing in by Google's authorization code flow (RFC 6749, section 4.1), as RFC 9700 asks: state, nonce and PKCE.

A browser is sent away by `begin` and comes back to `finish`. What has to be known then is kept in memory here, so that
a sign-in has to end at the process where it began, and does not outlive a restart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import structlog

from syncd.auth.fetching import Answer, Fetcher, FetchFailed, checked_url
from syncd.auth.identity import Identity, IdentityProvider, NonceForm
from syncd.errors import InvalidMessage, IssuerUnavailable, Unauthenticated

__all__ = ["GOOGLE_AUTHORIZE_URL", "GOOGLE_TOKEN_URL", "LIFETIME_S", "Begun", "CodeFlow", "SignedIn"]

log = structlog.get_logger(__name__)

GOOGLE_AUTHORIZE_URL: Final = "https://accounts.google.com/o/oauth2/v2/auth"
GOOGLE_TOKEN_URL: Final = "https://oauth2.googleapis.com/token"

LIFETIME_S: Final = 600
"""How long somebody may take to sign in."""
_MAX_WAITING: Final = 10_000
"""Sign-ins under way; of more, the oldest are forgotten. One takes about a kilobyte."""
_MAX_TEXT: Final = 2000
_RETRY_S: Final = 10

_OUR_PATH: Final = re.compile(r"/(?!/)[\x21-\x5b\x5d-\x7e]{0,499}")
"""Printable ASCII but the backslash, which browsers read as a slash: `/\\evil.example` is another site to them."""


@dataclass(frozen=True, slots=True)
class Begun:
    """`url`: where the browser is to go. `cookie`: a secret to be kept by that browser, HttpOnly, Secure and
    SameSite=Lax, and handed to `finish`. `state`: what it will come back with.
    """

    url: str
    state: str
    cookie: str = field(repr=False)
    expires_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`return_to`: the path of ours where it began."""

    identity: Identity
    return_to: str
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Waiting:
    cookie_hash: bytes
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str
    return_to: str
    expires_at_ms: int


class CodeFlow:
    """Sign-ins with one provider. `redirect_uris`: where browsers may come back to, spelt as the provider knows them.

    `now_ms`: milliseconds since 1970.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        fetcher: Fetcher,
        now_ms: Callable[[], int],
        *,
        client_id: str,
        client_secret: str,
        redirect_uris: Collection[str],
        authorize_url: str = GOOGLE_AUTHORIZE_URL,
        token_url: str = GOOGLE_TOKEN_URL,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._provider = provider
        self._fetcher = fetcher
        self._now_ms = now_ms
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uris = frozenset(redirect_uris)
        self._authorize_url = checked_url(authorize_url)
        self._token_url = checked_url(token_url)
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    def begin(self, redirect_uri: str, return_to: str = "/") -> Begun:
        """Where to send a browser that wants to sign in.

        Raises `InvalidMessage` for a `redirect_uri` that is not configured, letter by letter (RFC 9700, section 2.1),
        and for a `return_to` that is no path of ours: `/`, then printable ASCII, not `//`.
        """
        if redirect_uri not in self._redirect_uris:
            raise InvalidMessage(
                "this address to come back to is not configured",
                hint="Add it to the redirect_uris of the provider, in the very same spelling.",
                field="redirect_uri",
            )
        if _OUR_PATH.fullmatch(return_to) is None:
            raise InvalidMessage(
                "this is no path of this server", hint="Send a path such as /matches?day=today.", field="return_to"
            )
        self._forget_old()
        state, nonce, verifier, cookie = (secrets.token_urlsafe(32) for _ in range(4))
        expires_at_ms = self._now_ms() + LIFETIME_S * 1000
        self._waiting[state] = _Waiting(_hash(cookie), nonce, verifier, redirect_uri, return_to, expires_at_ms)
        question = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        return Begun(f"{self._authorize_url}?{urlencode(question)}", state, cookie, expires_at_ms)

    async def finish(self, code: str, state: str, cookie: str | None) -> SignedIn:
        """Who came back with `code` and `state`, in a browser that holds `cookie`. Each state counts once.

        Raises `Unauthenticated` with the code `sign_in_invalid`, or what `IdentityProvider.identify` raises, and
        `IssuerUnavailable` if the provider does not answer.
        """
        # Taken out at once: another request with the same state finds nothing, also while this one waits.
        waiting = self._waiting.pop(state, None)
        if waiting is None or self._now_ms() >= waiting.expires_at_ms:
            raise _refused("the state is unknown, used or too old")
        if cookie is None or not hmac.compare_digest(_hash(cookie), waiting.cookie_hash):
            raise _refused("it was begun in another browser")
        if not 0 < len(code) <= _MAX_TEXT:
            raise _refused("the code is empty or too long")
        id_token = await self._exchange(code, waiting)
        identity = await self._provider.identify(id_token, nonce=waiting.nonce, nonce_form=NonceForm.PLAIN)
        return SignedIn(identity, waiting.return_to, id_token)

    async def _exchange(self, code: str, waiting: _Waiting) -> str:
        """The id token for a code (OpenID Connect Core 1.0, section 3.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": waiting.redirect_uri,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code_verifier": waiting.verifier,
        }
        try:
            answer = await self._fetcher.post_form(self._token_url, form)
        except FetchFailed as failed:
            raise self._unavailable(str(failed)) from failed
        if answer.status >= 500 or answer.status == 429:
            raise self._unavailable(f"the status is {answer.status}")
        return _id_token(answer)

    def _unavailable(self, reason: str) -> IssuerUnavailable:
        log.warning("code_not_exchanged", provider=self._provider.name, reason=reason)
        return IssuerUnavailable(
            f"{self._provider.name} cannot be asked now", hint="Sign in again in a moment.", retry_after_s=_RETRY_S
        )

    def _forget_old(self) -> None:
        # In the order of their beginning, and so of their end.
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if self._now_ms() < oldest.expires_at_ms and len(self._waiting) < self._max_waiting:
                return
            self._waiting.popitem(last=False)


def _id_token(answer: Answer) -> str:
    document = answer.document if isinstance(answer.document, dict) else {}
    id_token = document.get("id_token")
    if answer.status == 200 and isinstance(id_token, str):
        return id_token
    if document.get("error") in ("invalid_client", "unauthorized_client", "redirect_uri_mismatch"):
        log.error("client_refused", error=document["error"])
    raise _refused("the provider does not take the code")


def _challenge(verifier: str) -> str:
    """S256 (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(_hash(verifier)).rstrip(b"=").decode()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _refused(reason: str) -> Unauthenticated:
    log.debug("sign_in_refused", reason=reason)
    return Unauthenticated(
        "this sign-in was not begun in this browser, is over, or took too long",
        code="sign_in_invalid",
        hint="Begin it again, and finish it in the same browser within ten minutes.",
    )
