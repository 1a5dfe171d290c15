"""Who has come back from a provider, and has still to show a second factor: kept for the browser where it was.

In memory, like the sign-ins under way (`oauth`): it ends with the process, and is begun anew then.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from syncd.auth.oauth import SignedIn
from syncd.auth.secret_text import digest
from syncd.errors import Unauthenticated

__all__ = ["HalfSignedIn"]

_LIFETIME_MS: Final = 10 * 60 * 1000
_MAX: Final = 10_000
"""Of more, the oldest are forgotten."""


class HalfSignedIn:
    """They, by the digest of a secret that only one browser has."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._waiting: OrderedDict[bytes, tuple[SignedIn, int]] = OrderedDict()

    def keep(self, signed_in: SignedIn) -> str:
        """A secret by which it is found for ten minutes."""
        while len(self._waiting) >= _MAX:
            self._waiting.popitem(last=False)
        secret = secrets.token_urlsafe(32)
        self._waiting[digest(secret)] = (signed_in, self._now_ms() + _LIFETIME_MS)
        return secret

    def find(self, secret: str | None) -> SignedIn:
        """Raises `Unauthenticated` if there is none, or not any more. It stays, since a code may be mistyped."""
        signed_in, until_ms = self._waiting.get(digest(secret or ""), (None, 0))
        if signed_in is None or until_ms <= self._now_ms():
            raise Unauthenticated(
                "nobody has come back from a provider in this browser, or too long ago",
                code="sign_in_invalid",
                hint="Begin the sign-in again, and finish it in the same browser within ten minutes.",
            )
        return signed_in

    def forget(self, secret: str | None) -> None:
        """It was used."""
        self._waiting.pop(digest(secret or ""), None)
