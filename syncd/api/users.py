"""Accounts for whoever runs the server: found, listed, made with an invitation, suspended, given roles, logged out.

By the shared token only. Nothing here shows a secret: no hash, no code, no token.
"""

from __future__ import annotations

from aiohttp import web

from syncd.api.account_gate import AccountGate, answered, id_in
from syncd.api.account_messages import CreateUser, RevokeToken, SetRoles, SetTier, UserQuery
from syncd.api.envelope import read_query
from syncd.auth.accounts import existing
from syncd.auth.email_address import normal_email
from syncd.auth.second_factor import has_second_factor
from syncd.store.accounts import AccountRow

__all__ = ["UserRoutes"]


class UserRoutes:
    """Under `/admin/v1`."""

    def __init__(self, gate: AccountGate) -> None:
        self._gate = gate

    async def page(self, request: web.Request) -> web.Response:
        """`GET users`: by id, in pages; `next`: what to ask for as `after`, null at the end. Or the one of an
        address.
        """
        self._gate.operator(request)
        query, store = read_query(UserQuery, request.query.items()), self._gate.people.store
        if query.email is not None:
            found = await store.account_by_email(normal_email(query.email))
            return answered(request, {"users": [] if found is None else [_told(found)], "next": None})
        rows = await store.accounts(after=query.after, limit=query.limit)
        more = len(rows) == query.limit
        return answered(request, {"users": [_told(row) for row in rows], "next": rows[-1].id if more else None})

    async def show(self, request: web.Request) -> web.Response:
        """`GET users/{id}`: an account, where it is logged in, and who it is elsewhere."""
        self._gate.operator(request)
        people = self._gate.people
        row = await existing(people.store, id_in(request))
        devices = [
            {
                "session": each.id,
                "name": each.device.name,
                "platform": each.device.platform,
                "used_at_ms": each.used_at_ms,
            }
            for each in await people.sessions.devices(row.id)
        ]
        providers = [each.provider for each in await people.store.identities_of(row.id)]
        return answered(request, {**_told(row), "devices": devices, "providers": providers})

    async def create(self, request: web.Request) -> web.Response:
        """`POST users`: an account without a password, and a mail with a code to set one."""
        self._gate.operator(request)
        message, answer_in = await self._gate.message(request, CreateUser)
        row = await self._gate.people.invitations.invite(message.email, message.name, message.roles)
        return answered(request, _told(row), answer_in)

    async def suspend(self, request: web.Request) -> web.Response:
        """`POST users/{id}/suspend`: it may do nothing more; its sockets close."""
        self._gate.operator(request)
        await self._gate.people.standing.suspend(id_in(request))
        return await self._shown(request)

    async def reinstate(self, request: web.Request) -> web.Response:
        """`POST users/{id}/reinstate`: it goes on."""
        self._gate.operator(request)
        await self._gate.people.standing.reinstate(id_in(request))
        return await self._shown(request)

    async def set_roles(self, request: web.Request) -> web.Response:
        """`PUT users/{id}/roles`: these in the whole app, and no others; with the next request."""
        self._gate.operator(request)
        message, _ = await self._gate.message(request, SetRoles)
        await self._gate.people.standing.set_roles(id_in(request), message.roles)
        return await self._shown(request)

    async def set_tier(self, request: web.Request) -> web.Response:
        """`PUT users/{id}/tier`: of its limits."""
        self._gate.operator(request)
        message, _ = await self._gate.message(request, SetTier)
        await self._gate.people.standing.set_tier(id_in(request), message.tier)
        return await self._shown(request)

    async def log_out(self, request: web.Request) -> web.Response:
        """`POST users/{id}/log-out`: ends every session of it; API keys go on."""
        self._gate.operator(request)
        people = self._gate.people
        row = await existing(people.store, id_in(request))
        return answered(request, {"sessions": await people.sessions.log_out_everywhere(row.id)})

    async def revoke_token(self, request: web.Request) -> web.Response:
        """`POST tokens/revoke`: one access token, by its `jti`."""
        self._gate.operator(request)
        message, answer_in = await self._gate.message(request, RevokeToken)
        await self._gate.people.standing.revoke_token(message.id, message.expires_at_ms)
        return answered(request, {}, answer_in)

    async def _shown(self, request: web.Request) -> web.Response:
        return answered(request, _told(await existing(self._gate.people.store, id_in(request))))


def _told(row: AccountRow) -> dict[str, object]:
    return {
        "id": row.id,
        "email": row.email,
        "email_verified": row.verified_at_ms is not None,
        "name": row.name,
        "status": row.status.value,
        "roles": sorted(row.roles),
        "tier": row.tier,
        "second_factor": has_second_factor(row),
        "created_at_ms": row.created_at_ms,
    }
