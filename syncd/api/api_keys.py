"""API keys over HTTP: of the person who asks, and of any account for whoever runs the server.

A key goes on when the session by which it was made has ended. So a session alone makes none.
"""

from __future__ import annotations

from aiohttp import web

from syncd.api.account_gate import AccountGate, answered, id_in
from syncd.api.account_messages import CreateApiKey, CreateOwnApiKey
from syncd.api.formats import Format
from syncd.api.guesses import Guesses
from syncd.auth.accounts import existing
from syncd.auth.api_keys import Key
from syncd.errors import InvalidMessage

__all__ = ["ApiKeyRoutes"]


class ApiKeyRoutes:
    """Under `/auth/v1/api-keys`, and under `/admin/v1/users/{id}/api-keys`."""

    def __init__(self, gate: AccountGate, guesses: Guesses) -> None:
        self._gate = gate
        self._guesses = guesses

    async def own(self, request: web.Request) -> web.Response:
        """`GET /auth/v1/api-keys`: all of mine, oldest first; ended ones for a while."""
        return await self._listed(request, (await self._gate.person(request)).user)

    async def create_own(self, request: web.Request) -> web.Response:
        """`POST /auth/v1/api-keys`: a key that acts as me, by my password; its text is shown this once."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, CreateOwnApiKey)
        people = self._gate.people
        if await people.api_keys.takes_password(person.user, person.session):
            if message.password is None:
                raise InvalidMessage(
                    "password: it is missing; a key goes on when you have logged out",
                    hint="Send the account's password along.",
                    field="password",
                )
            async with self._guesses.counted(request, person.user):
                await people.accounts.check_password(person.user, message.password)
        return await self._created(request, person.user, message, answer_in, person.session)

    async def revoke_own(self, request: web.Request) -> web.Response:
        """`DELETE /auth/v1/api-keys/{id}`: it opens nothing more, and its sockets close."""
        return await self._revoked(request, (await self._gate.person(request)).user)

    async def of(self, request: web.Request) -> web.Response:
        """`GET /admin/v1/users/{id}/api-keys`."""
        self._gate.operator(request)
        account = id_in(request)
        await existing(self._gate.people.store, account)
        return await self._listed(request, account)

    async def create_for(self, request: web.Request) -> web.Response:
        """`POST /admin/v1/users/{id}/api-keys`: a key that acts as that account."""
        self._gate.operator(request)
        message, answer_in = await self._gate.message(request, CreateApiKey)
        return await self._created(request, id_in(request), message, answer_in)

    async def revoke_of(self, request: web.Request) -> web.Response:
        """`DELETE /admin/v1/users/{id}/api-keys/{key}`."""
        self._gate.operator(request)
        return await self._revoked(request, id_in(request), "key")

    async def _listed(self, request: web.Request, account: str) -> web.Response:
        keys = await self._gate.people.api_keys.keys(account)
        return answered(request, {"api_keys": [_told(key) for key in keys]})

    async def _created(
        self, request: web.Request, account: str, message: CreateApiKey, answer_in: Format, session: str = ""
    ) -> web.Response:
        made = await self._gate.people.api_keys.create(
            account,
            message.name,
            scopes=message.scopes,
            lifetime_ms=None if message.lifetime_s is None else message.lifetime_s * 1000,
            session=session,
        )
        return answered(request, {"text": made.text, **_told(made.key)}, answer_in)

    async def _revoked(self, request: web.Request, account: str, name: str = "id") -> web.Response:
        await self._gate.people.api_keys.revoke(account, id_in(request, name))
        return answered(request, {})


def _told(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": None if key.scopes is None else sorted(key.scopes),
        "created_at_ms": key.created_at_ms,
        "used_at_ms": key.used_at_ms,
        "expires_at_ms": key.expires_at_ms,
        "revoked_at_ms": key.revoked_at_ms,
    }
