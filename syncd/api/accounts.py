"""Accounts over HTTP: registering, the address, the password, and who one is.

Whoever does not know a password is told the same of every address: the answer to a registration, and to whatever sends
a mail, is `{"mailed": true}`, whether there is an account or not.
"""

from __future__ import annotations

from aiohttp import web

from syncd.api.account_gate import AccountGate, answered
from syncd.api.account_messages import (
    ChangeEmail,
    ChangePassword,
    CodeMessage,
    EmailMessage,
    RegisterRequest,
    ResetPassword,
)
from syncd.api.guesses import Guesses
from syncd.api.request_keys import principal_of
from syncd.auth.accounts import existing
from syncd.auth.second_factor import has_second_factor
from syncd.engine.principal import Caller
from syncd.errors import Unauthenticated

__all__ = ["AccountRoutes"]

_MAILED = {"mailed": True}


class AccountRoutes:
    """Under `/auth/v1`."""

    def __init__(self, gate: AccountGate, guesses: Guesses) -> None:
        self._gate = gate
        self._guesses = guesses

    async def register(self, request: web.Request) -> web.Response:
        """`POST register`: an account, and a mail to its address; or a mail to whoever has the address already."""
        message, answer_in = await self._gate.message(request, RegisterRequest)
        await self._guesses.count_mail(request, message.email)
        await self._gate.people.accounts.register(message.email, message.password, message.name)
        return answered(request, _MAILED, answer_in)

    async def send_verification(self, request: web.Request) -> web.Response:
        """`POST verify-email/send`: the mail once more."""
        message, answer_in = await self._gate.message(request, EmailMessage)
        await self._guesses.count_mail(request, message.email)
        await self._gate.people.accounts.send_verification(message.email)
        return answered(request, _MAILED, answer_in)

    async def verify_email(self, request: web.Request) -> web.Response:
        """`POST verify-email`: takes the address, by the code of a mail."""
        message, answer_in = await self._gate.message(request, CodeMessage)
        return answered(request, {"account": await self._gate.people.accounts.verify_email(message.code)}, answer_in)

    async def forgot_password(self, request: web.Request) -> web.Response:
        """`POST password/forgot`: a mail with a code for a new password, or word that there is no account."""
        message, answer_in = await self._gate.message(request, EmailMessage)
        await self._guesses.count_mail(request, message.email)
        await self._gate.people.accounts.forgot_password(message.email)
        return answered(request, _MAILED, answer_in)

    async def reset_password(self, request: web.Request) -> web.Response:
        """`POST password/reset`: a new password by the code of a mail; ends every session."""
        message, answer_in = await self._gate.message(request, ResetPassword)
        account = await self._gate.people.accounts.reset_password(message.code, message.password)
        return answered(request, {"account": account}, answer_in)

    async def change_password(self, request: web.Request) -> web.Response:
        """`POST password/change`: a new password by the one of now; ends every session but this."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, ChangePassword)
        async with self._guesses.counted(request, person.user):
            await self._gate.people.accounts.change_password(
                person.user, message.old, message.new, keep_session=person.session
            )
        return answered(request, {"account": person.user}, answer_in)

    async def change_email(self, request: web.Request) -> web.Response:
        """`POST email/change`: a mail with a code to the new address, and word of it to the old one."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, ChangeEmail)
        await self._guesses.count_mail(request, message.email)
        async with self._guesses.counted(request, person.user):
            await self._gate.people.accounts.change_email(person.user, message.password, message.email)
        return answered(request, _MAILED, answer_in)

    async def confirm_email(self, request: web.Request) -> web.Response:
        """`POST email/confirm`: takes the new address, by the code that was sent there."""
        message, answer_in = await self._gate.message(request, CodeMessage)
        return answered(request, {"account": await self._gate.people.accounts.confirm_email(message.code)}, answer_in)

    async def me(self, request: web.Request) -> web.Response:
        """`GET me`: who asks, and as what. What is personal only somebody who has logged in is told."""
        people, principal = self._gate.people, principal_of(request)
        if principal.caller is not Caller.USER:
            if principal.caller is Caller.NOBODY:
                raise Unauthenticated("this server asks for a token")
            about: dict[str, object] = {"scope": principal.scope} if principal.caller is Caller.LINK else {}
            return answered(request, {"caller": principal.caller.value, **about})
        about = {
            "caller": principal.caller.value,
            "account": principal.user,
            "roles": sorted(principal.roles),
            "scopes": None if principal.scopes is None else sorted(principal.scopes),
            "suspended": principal.suspended,
            "expires_at_ms": principal.expires_at_ms,
        }
        session = None if principal.scopes is not None else await people.store.session(principal.session)
        if session is not None and session.account == principal.user and not principal.suspended:
            row = await existing(people.store, principal.user)
            about |= {
                "session": principal.session,
                "email": row.email,
                "email_verified": row.verified_at_ms is not None,
                "name": row.name,
                "tier": row.tier,
                "has_password": row.password_hash is not None,
                "second_factor": has_second_factor(row),
                "created_at_ms": row.created_at_ms,
            }
        return answered(request, about)
