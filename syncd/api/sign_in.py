"""Signing in by a provider over HTTP: an id token that an app has got, or a browser that is sent to Google and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from syncd.api.account_gate import AccountGate
from syncd.api.account_messages import FinishSignIn, ProviderLogIn
from syncd.api.client_address import ClientAddress
from syncd.api.cookies import HostCookie
from syncd.api.guesses import Guesses
from syncd.api.refresh_cookie import RefreshCookie
from syncd.api.sessions import TokenAnswers, device_of
from syncd.auth.half_signed_in import HalfSignedIn
from syncd.auth.identity import Identity, IdentityProvider
from syncd.auth.oauth import LIFETIME_S, CodeFlow
from syncd.auth.sessions import Tokens
from syncd.auth.used_id_tokens import UsedIdTokens
from syncd.errors import Forbidden, NotFound, Unauthenticated

__all__ = ["SignInRoutes"]


class SignInRoutes:
    """Under `/auth/v1/providers`. `providers`: by name. `flow`: None where browsers are not sent to Google;
    `redirect_uris`: where they come back to; `half`: who is back, and has to show a second factor. `used`: id tokens
    that have opened a session.
    """

    def __init__(
        self,
        gate: AccountGate,
        guesses: Guesses,
        cookie: RefreshCookie,
        addresses: ClientAddress,
        providers: Mapping[str, IdentityProvider],
        flow: CodeFlow | None,
        redirect_uris: Sequence[str],
        half: HalfSignedIn,
        used: UsedIdTokens,
    ) -> None:
        self._gate = gate
        self._guesses = guesses
        self._cookie = cookie
        self._answers = TokenAnswers(cookie)
        # Lax: it has to come along when Google sends the browser back, which is a link to here from another site.
        self._state = HostCookie("syncd_sign_in", "/auth/v1/providers/google", "Lax", addresses)
        self._providers = providers
        self._flow = flow
        self._redirect_uris = redirect_uris
        self._half = half
        self._used = used

    async def google(self, request: web.Request) -> web.Response:
        """`POST google`: a session, by an id token of Google's."""
        return await self._by_id_token(request, "google")

    async def apple(self, request: web.Request) -> web.Response:
        """`POST apple`: a session, by an id token of Apple's."""
        return await self._by_id_token(request, "apple")

    async def begin(self, request: web.Request) -> web.Response:
        """`GET google/begin?return_to=/…`: sends the browser to Google. With several addresses to come back to,
        `redirect_uri` names one.
        """
        flow = self._code_flow()
        redirect_uri = request.query.get("redirect_uri", self._redirect_uris[0])
        begun = flow.begin(redirect_uri, request.query.get("return_to", "/"))
        response = _redirection(begun.url)
        self._state.keep(request, response, begun.cookie, LIFETIME_S)
        return response

    async def callback(self, request: web.Request) -> web.Response:
        """`GET google/callback?code=…&state=…`: the browser is back; it goes on where it began, with the refresh token
        as a cookie. The page there asks for an access token by `POST refresh`.

        Where the account asks for a second factor, the page is told so by `#sign_in=second_factor_required`, and then
        `finish` takes the code; what else keeps it from being opened is told in the same way.
        """
        flow = self._code_flow()
        people, query = self._gate.people, request.query
        signed_in = await flow.finish(query.get("code", ""), query.get("state", ""), self._state.shown(request))
        try:
            with self._used.once(signed_in.id_token, signed_in.identity.token_until_ms):
                tokens = await people.log_in.with_identity(signed_in.identity)
        except (Unauthenticated, Forbidden) as refusal:
            response = _redirection(f"{signed_in.return_to.partition('#')[0]}#sign_in={refusal.problem_code}")
            if refusal.problem_code == "second_factor_required":
                self._state.keep(request, response, self._half.keep(signed_in), LIFETIME_S)
            else:
                self._state.forget(request, response)
            return response
        response = _redirection(signed_in.return_to)
        self._state.forget(request, response)
        if tokens.refresh is not None:
            self._cookie.keep(request, response, tokens, tokens.refresh)
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """`POST google/finish`: the second factor of whoever came back; the refresh token is a cookie here too."""
        _ = self._code_flow()
        message, answer_in = await self._gate.message(request, FinishSignIn)
        self._cookie.check_page(request)
        shown = self._state.shown(request)
        signed_in = self._half.find(shown)
        tokens = await self._opened_once(request, signed_in.identity, signed_in.id_token, message)
        self._half.forget(shown)
        response = self._answers.tokens(request, tokens, answer_in, by_cookie=True)
        self._state.forget(request, response)
        return response

    async def _by_id_token(self, request: web.Request, name: str) -> web.Response:
        message, answer_in = await self._gate.message(request, ProviderLogIn)
        provider = self._providers.get(name)
        if provider is None:
            raise NotFound(
                f"This server does not let anybody sign in by {name}.",
                hint=f"Set SYNCD_{name.upper()}; see accounts.md.",
            )
        if message.cookie:
            self._cookie.check_page(request)
        identity = await provider.identify(message.id_token, nonce=message.nonce)
        tokens = await self._opened_once(request, identity, message.id_token, message)
        return self._answers.tokens(request, tokens, answer_in, by_cookie=message.cookie)

    async def _opened_once(
        self, request: web.Request, identity: Identity, id_token: str, message: FinishSignIn | ProviderLogIn
    ) -> Tokens:
        """A session, the only one by this id token."""
        with self._used.once(id_token, identity.token_until_ms):
            async with self._guesses.counted(request, _guessed_at(identity)):
                return await self._gate.people.log_in.with_identity(
                    identity, device_of(message.device), second_factor=message.second_factor
                )

    def _code_flow(self) -> CodeFlow:
        _ = self._gate.people
        if self._flow is None:
            raise NotFound(
                "This server sends no browser to Google.",
                hint="Set client_secret and redirect_uris in SYNCD_GOOGLE; see accounts.md.",
            )
        return self._flow


def _guessed_at(identity: Identity) -> str:
    return f"{identity.provider} {identity.subject}"


def _redirection(url: str) -> web.Response:
    return web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
