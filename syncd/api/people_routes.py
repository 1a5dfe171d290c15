"""Which URL of accounts leads to which handler, and which of them need no access token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from syncd.api.account_gate import AccountGate
from syncd.api.accounts import AccountRoutes
from syncd.api.api_keys import ApiKeyRoutes
from syncd.api.guesses import Guesses
from syncd.api.key_set import KeySetRoute
from syncd.api.refresh_cookie import RefreshCookie
from syncd.api.second_factors import SecondFactorRoutes
from syncd.api.sessions import SessionRoutes
from syncd.api.sign_in import SignInRoutes
from syncd.api.users import UserRoutes
from syncd.auth.half_signed_in import HalfSignedIn
from syncd.auth.identity import IdentityProvider
from syncd.auth.oauth import CodeFlow
from syncd.auth.used_id_tokens import UsedIdTokens

__all__ = ["PeopleRoutes"]


@dataclass(frozen=True, slots=True)
class PeopleRoutes:
    """What the handlers of one server go by. `jwks`: the public keys of its tokens; the rest as in `SignInRoutes`."""

    gate: AccountGate
    guesses: Guesses
    cookie: RefreshCookie
    providers: Mapping[str, IdentityProvider]
    google_flow: CodeFlow | None
    redirect_uris: Sequence[str]
    half: HalfSignedIn
    used: UsedIdTokens
    jwks: Mapping[str, object]

    def open_routes(self) -> list[web.RouteDef]:
        """Those that are there for people who have no access token yet, or none any more."""
        accounts = AccountRoutes(self.gate, self.guesses)
        sessions = SessionRoutes(self.gate, self.guesses, self.cookie)
        sign_in = SignInRoutes(
            self.gate,
            self.guesses,
            self.cookie,
            self.guesses.rates.addresses,
            self.providers,
            self.google_flow,
            self.redirect_uris,
            self.half,
            self.used,
        )
        return [
            web.post("/auth/v1/register", accounts.register),
            web.post("/auth/v1/verify-email", accounts.verify_email),
            web.post("/auth/v1/verify-email/send", accounts.send_verification),
            web.post("/auth/v1/password/forgot", accounts.forgot_password),
            web.post("/auth/v1/password/reset", accounts.reset_password),
            web.post("/auth/v1/email/confirm", accounts.confirm_email),
            web.post("/auth/v1/log-in", sessions.log_in),
            web.post("/auth/v1/refresh", sessions.refresh),
            web.post("/auth/v1/log-out", sessions.log_out),
            web.post("/auth/v1/providers/google", sign_in.google),
            web.post("/auth/v1/providers/apple", sign_in.apple),
            # No HEAD: each would begin, or use up, a sign-in.
            web.get("/auth/v1/providers/google/begin", sign_in.begin, allow_head=False),
            web.get("/auth/v1/providers/google/callback", sign_in.callback, allow_head=False),
            web.post("/auth/v1/providers/google/finish", sign_in.finish),
            web.get("/.well-known/jwks.json", KeySetRoute(self.gate, self.jwks).key_set),
        ]

    def routes(self) -> list[web.RouteDef]:
        """Those that ask for a token, and then look whose it is."""
        accounts = AccountRoutes(self.gate, self.guesses)
        sessions = SessionRoutes(self.gate, self.guesses, self.cookie)
        second_factor = SecondFactorRoutes(self.gate, self.guesses)
        api_keys, users = ApiKeyRoutes(self.gate, self.guesses), UserRoutes(self.gate)
        return [
            web.get("/auth/v1/me", accounts.me),
            web.post("/auth/v1/password/change", accounts.change_password),
            web.post("/auth/v1/email/change", accounts.change_email),
            web.get("/auth/v1/devices", sessions.devices),
            web.delete("/auth/v1/devices/{id}", sessions.remove_device),
            web.post("/auth/v1/second-factor/enrol", second_factor.enrol),
            web.post("/auth/v1/second-factor/confirm", second_factor.confirm),
            web.post("/auth/v1/second-factor/remove", second_factor.remove),
            web.get("/auth/v1/api-keys", api_keys.own),
            web.post("/auth/v1/api-keys", api_keys.create_own),
            web.delete("/auth/v1/api-keys/{id}", api_keys.revoke_own),
            web.get("/admin/v1/users", users.page),
            web.post("/admin/v1/users", users.create),
            web.get("/admin/v1/users/{id}", users.show),
            web.post("/admin/v1/users/{id}/suspend", users.suspend),
            web.post("/admin/v1/users/{id}/reinstate", users.reinstate),
            web.post("/admin/v1/users/{id}/log-out", users.log_out),
            web.put("/admin/v1/users/{id}/roles", users.set_roles),
            web.put("/admin/v1/users/{id}/tier", users.set_tier),
            web.get("/admin/v1/users/{id}/api-keys", api_keys.of),
            web.post("/admin/v1/users/{id}/api-keys", api_keys.create_for),
            web.delete("/admin/v1/users/{id}/api-keys/{key}", api_keys.revoke_of),
            web.post("/admin/v1/tokens/revoke", users.revoke_token),
        ]
