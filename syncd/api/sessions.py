"""Sessions over HTTP: logging in, a new access token, logging out, and the devices that are logged in."""

from __future__ import annotations

from aiohttp import web

from syncd.api.account_gate import AccountGate, answered, id_in
from syncd.api.account_messages import DeviceMessage, LogInRequest, LogOutRequest, RefreshRequest
from syncd.api.formats import Format
from syncd.api.guesses import Guesses
from syncd.api.refresh_cookie import RefreshCookie
from syncd.api.request_keys import principal_of
from syncd.auth.known_devices import known_device
from syncd.auth.sessions import Device, Tokens
from syncd.engine.principal import Caller
from syncd.errors import Unauthenticated

__all__ = ["SessionRoutes", "TokenAnswers", "device_of"]


class TokenAnswers:
    """Hands out the tokens of a session: the refresh token in the body, or as a cookie."""

    def __init__(self, cookie: RefreshCookie) -> None:
        self._cookie = cookie

    def tokens(
        self, request: web.Request, tokens: Tokens, answer_in: Format, *, by_cookie: bool, kept: str | None = None
    ) -> web.Response:
        """`kept`: the refresh token that goes on, where there is no new one."""
        told: dict[str, object] = {
            "account": tokens.account,
            "session": tokens.session,
            "token_type": "Bearer",
            "access_token": tokens.access,
            "access_expires_at_ms": tokens.access_expires_at_ms,
            "refresh_expires_at_ms": tokens.refresh_expires_at_ms,
        }
        if tokens.refresh is not None and not by_cookie:
            told["refresh_token"] = tokens.refresh
        response = answered(request, told, answer_in)
        refresh = tokens.refresh or kept
        if by_cookie and refresh is not None:
            self._cookie.keep(request, response, tokens, refresh)
        return response


class SessionRoutes:
    """Under `/auth/v1`."""

    def __init__(self, gate: AccountGate, guesses: Guesses, cookie: RefreshCookie) -> None:
        self._gate = gate
        self._guesses = guesses
        self._cookie = cookie
        self._answers = TokenAnswers(cookie)

    async def log_in(self, request: web.Request) -> web.Response:
        """`POST log-in`: a session. It is always a new one: a refresh token that comes along opens nothing here, and
        only shows that the device was logged in before.
        """
        message, answer_in = await self._gate.message(request, LogInRequest)
        if message.cookie:
            # Or a page of somebody else's could log its visitor in as him.
            self._cookie.check_page(request)
        people = self._gate.people
        before = message.refresh_token or self._cookie.shown(request)
        known = await known_device(people.store, message.email, before)
        async with self._guesses.counted(request, message.email, known_device=known):
            tokens = await people.log_in.with_password(
                message.email, message.password, device_of(message.device), second_factor=message.second_factor
            )
        return self._answers.tokens(request, tokens, answer_in, by_cookie=message.cookie)

    async def refresh(self, request: web.Request) -> web.Response:
        """`POST refresh`: a new access token, by a refresh token in the body, or else by the cookie."""
        message, answer_in = await self._gate.message(request, RefreshRequest)
        shown = message.refresh_token
        if by_cookie := shown is None:
            shown = self._by_cookie(request)
        if not shown:
            raise Unauthenticated(
                "there is no refresh token in this request",
                code="invalid_refresh_token",
                hint="Send the one that came with the log-in, or the cookie.",
            )
        tokens = await self._gate.people.sessions.refresh(shown, device_id=message.device)
        return self._answers.tokens(request, tokens, answer_in, by_cookie=by_cookie, kept=shown)

    async def log_out(self, request: web.Request) -> web.Response:
        """`POST log-out`: by the access token of this device, or, where that is over, by its refresh token.

        The answer to a refresh token that opens nothing is the same. The cookie goes in any case.
        """
        message, answer_in = await self._gate.message(request, LogOutRequest)
        sessions, principal = self._gate.people.sessions, principal_of(request)
        ended: dict[str, object] = {}
        if message.everywhere:
            person = await self._gate.person(request)
            keep = person.session if message.keep_this else ""
            count = await sessions.log_out_everywhere(person.user, keep_session=keep, asking=person.session)
            ended = {"sessions": count}
        elif principal.caller is Caller.USER:
            # A suspended account's too: who goes does no harm.
            await sessions.log_out(principal.user, principal.session, asking=principal.session)
        else:
            shown = message.refresh_token or self._by_cookie(request)
            if not shown:
                raise Unauthenticated(
                    "nobody is logged in by this request", hint="Send the access token, or the refresh token."
                )
            await sessions.log_out_by_token(shown)
        response = answered(request, ended, answer_in)
        if not message.keep_this and self._cookie.shown(request):
            self._cookie.clear(request, response)
        return response

    async def devices(self, request: web.Request) -> web.Response:
        """`GET devices`: where the account is logged in, oldest first."""
        person = await self._gate.person(request)
        devices = await self._gate.people.sessions.devices(person.user, current=person.session)
        return answered(
            request,
            {
                "devices": [
                    {
                        "session": each.id,
                        "device": {"id": each.device.id, "name": each.device.name, "platform": each.device.platform},
                        "created_at_ms": each.created_at_ms,
                        "used_at_ms": each.used_at_ms,
                        "expires_at_ms": each.expires_at_ms,
                        "current": each.current,
                    }
                    for each in devices
                ]
            },
        )

    async def remove_device(self, request: web.Request) -> web.Response:
        """`DELETE devices/{id}`: ends that session; its sockets close."""
        person = await self._gate.person(request)
        await self._gate.people.sessions.log_out(person.user, id_in(request), asking=person.session)
        return answered(request, {})

    def _by_cookie(self, request: web.Request) -> str | None:
        shown = self._cookie.shown(request)
        if shown is not None:
            self._cookie.check_page(request)
        return shown


def device_of(message: DeviceMessage) -> Device:
    """What a device says of itself."""
    return Device(message.id, message.name, message.platform)
