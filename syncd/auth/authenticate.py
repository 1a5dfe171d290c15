"""Who asks: from what stands behind `Bearer` to a principal. Every request passes here once, mostly without a database.

The kinds are told apart by their form, and each is tried as what it looks like only: one that is no good is not tried
as another. Somebody suspended is let in as such, so that what his devices have queued reaches the quarantine.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from syncd.auth.api_keys import PREFIX as API_KEY_PREFIX
from syncd.auth.api_keys import ApiKeys
from syncd.auth.identities import Identities
from syncd.auth.refresh_tokens import LOG_IN
from syncd.auth.revocations import Revocations
from syncd.engine.principal import ANYONE, OPERATOR, Caller, Principal
from syncd.errors import Unauthenticated
from syncd.store.accounts import AccountStatus

__all__ = ["Authenticator", "Claims", "OpenLink", "Verifier"]

OpenLink = Callable[[str], Awaitable[Principal]]
"""From the text of a share link to its principal; raises `Unauthenticated`."""


class Claims(Protocol):
    """What a token says that was found to be good. `session`: "" if it has none; `token_id`: its `jti`."""

    @property
    def subject(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def token_id(self) -> str: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def expires_at_ms(self) -> int: ...


class Verifier(Protocol):
    """Whoever verifies tokens: signature, times, issuer, audience."""

    async def verify(self, token: str) -> Claims:
        """What a token says; raises `Unauthenticated` unless it is good."""
        ...


class Authenticator:
    """`issuer`: as our own tokens name it; those of all others are strangers' with an account made for them.

    `operator_token`: the shared one, None if there is none. `nobody`: who it is that shows nothing. `links`: by the
    prefix of their text, what opens share links.
    """

    def __init__(
        self,
        verifier: Verifier,
        api_keys: ApiKeys,
        identities: Identities,
        revocations: Revocations,
        *,
        issuer: str,
        operator_token: str | None = None,
        nobody: Principal = ANYONE,
        links: Mapping[str, OpenLink] | None = None,
    ) -> None:
        self._verifier = verifier
        self._api_keys = api_keys
        self._identities = identities
        self._revocations = revocations
        self._issuer = issuer
        # An empty one would be whoever's who sends a header without a token.
        self._operator_token = _bytes(operator_token) if operator_token else None
        self._nobody = nobody
        self._links = dict(links or {})

    async def authenticate(self, bearer: str | None) -> Principal:
        """Who shows this; None: nothing. Raises `Unauthenticated` if it opens nothing."""
        if bearer is None:
            return self._nobody
        # In constant time, so that the answer's delay does not spell the token letter by letter.
        if self._operator_token is not None and hmac.compare_digest(_bytes(bearer), self._operator_token):
            return OPERATOR
        if bearer.startswith(API_KEY_PREFIX):
            return await self._by_key(bearer)
        for prefix, open_link in self._links.items():
            if bearer.startswith(prefix):
                return self.as_of_now(await open_link(bearer))
        if not bearer.isascii():
            raise Unauthenticated("This is not a token of any kind that is taken here.")
        return await self._by_token(bearer)

    async def _by_key(self, text: str) -> Principal:
        grant = await self._api_keys.verify(text)
        return Principal(
            Caller.USER,
            user=grant.account,
            roles=grant.roles,
            session=grant.id,
            expires_at_ms=grant.expires_at_ms,
            suspended=self._suspended(grant.account),
            scopes=grant.scopes,
            by_key=True,
        )

    async def _by_token(self, token: str) -> Principal:
        claims = await self._verifier.verify(token)
        lent = frozenset[str]()
        if claims.issuer == self._issuer:
            self._check_goes_on(claims.session, claims.token_id)
            user, session = claims.subject, claims.session or claims.token_id
            roles = self._revocations.roles(user, claims.roles)
        else:
            # A session of theirs is none of ours, even if it is called like one.
            self._check_goes_on(claims.token_id)
            known = await self._identities.known(claims.issuer, claims.subject)
            # Once more: it may have been revoked while the account was looked up.
            self._check_goes_on(claims.token_id)
            user, session, roles = known.account, claims.token_id, claims.roles | known.roles
            lent = claims.roles
        return Principal(
            Caller.USER,
            user=user,
            roles=roles,
            session=session,
            expires_at_ms=claims.expires_at_ms,
            suspended=self._suspended(user),
            token=claims.token_id,
            lent=lent,
        )

    def as_of_now(self, principal: Principal) -> Principal:
        """Who somebody is by now who came in a while ago; see `AsOfNow`."""
        if principal.caller is not Caller.USER:
            return self._link_as_of_now(principal) if principal.caller is Caller.LINK else principal
        self._check_goes_on(principal.session, principal.token)
        suspended = self._suspended(principal.user)
        roles = self._revocations.roles(principal.user, principal.roles) | principal.lent
        if suspended == principal.suspended and roles == principal.roles:
            return principal
        return replace(principal, suspended=suspended, roles=roles)

    def _link_as_of_now(self, link: Principal) -> Principal:
        self._check_goes_on(link.session)
        self._check_maker(link.made_by)
        roles = self._revocations.roles(link.made_by, link.roles)
        return link if roles == link.roles else replace(link, roles=roles)

    def _check_goes_on(self, *ids: str) -> None:
        if self._revocations.ended(*ids):
            raise Unauthenticated("This session has ended.", code="session_ended", hint=LOG_IN)

    def _check_maker(self, account: str) -> None:
        """Raise `Unauthenticated` for a link of somebody who may let nobody in now; "", the operator, always may."""
        if account and self._revocations.status(account) is not AccountStatus.ACTIVE:
            raise Unauthenticated(
                "This share link has ended.", code="link_ended", hint="Ask whoever sent it for another."
            )

    def _suspended(self, account: str) -> bool:
        status = self._revocations.status(account)
        if status is AccountStatus.ERASED:
            raise Unauthenticated("This account is no more.", code="session_ended", hint=LOG_IN)
        return status is AccountStatus.SUSPENDED


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")
