"""`syncd user`, `role` and `token`: the accounts of a running server, by its shared token."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from rich.table import Table

from syncd.commands.figures import age_text, counted, printable, time_text
from syncd.commands.output import Output
from syncd.commands.remote import ask
from syncd.errors import CommandError

__all__ = [
    "PeopleServer",
    "create_key",
    "create_user",
    "grant_role",
    "list_keys",
    "list_members",
    "list_users",
    "log_out_user",
    "revoke_key",
    "revoke_role",
    "set_roles",
    "set_standing",
    "set_tier",
    "show_user",
]

_PAGE: Final = 500
_ORDINARY_TIER: Final = "authenticated"
_DAY_S: Final = 24 * 3600

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PeopleServer:
    """A running server, asked by whoever runs it. `token`: the shared one; None on a machine that needs none."""

    url: str
    token: str | None

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Facts:
        """One request; raises as `remote.ask` does."""
        return await ask(self.url, self.token, method, path, query=query, body=body)

    async def about(self, user: str, method: str, rest: str = "", *, body: object = None) -> Facts:
        """A request about an account, by its id or its e-mail address."""
        return await self.ask(method, f"admin/v1/users/{quote(await self.id_of(user), safe='')}{rest}", body=body)

    async def id_of(self, user: str) -> str:
        """Of an account that is named by its id or its e-mail address; raises `CommandError` if nobody has that."""
        if "@" not in user:
            return user
        found = (await self.ask("GET", "admin/v1/users", query={"email": user}))["users"]
        if not found:
            raise CommandError(
                f"There is no account with the address {printable(user)}.", hint="'syncd user list' lists them all."
            )
        return str(found[0]["id"])

    async def pages(self, path: str, name: str, query: Mapping[str, str]) -> AsyncIterator[Facts]:
        """Everything of a list, page after page."""
        after: str | None = ""
        while after is not None:
            page = await self.ask("GET", path, query={**query, "after": after, "limit": str(_PAGE)})
            for each in page[name]:
                yield each
            after = page["next"]


async def list_users(server: PeopleServer, output: Output, *, limit: int) -> int:
    """Tell of accounts, the oldest first, `limit` of them, 0 for all; 0."""
    table = _table("account", "e-mail", "status", "roles", "made")
    told = more = 0
    async for user in server.pages("admin/v1/users", "users", {}):
        if limit and told == limit:
            more += 1
            continue
        told += 1
        output.fact("user", **user)
        table.add_row(
            user["id"], _email(user), user["status"], _roles(user), age_text(user["created_at_ms"], _now_ms())
        )
    output.fact("end", users=told + more, shown=told)
    output.show(table if told else "There are no accounts yet.")
    if more:
        output.note(f"And {counted(more, 'account')} more; --limit 0 lists all.")
    return 0


async def show_user(server: PeopleServer, user: str, output: Output) -> int:
    """Tell all that there is to know of an account, but no secret; 0."""
    shown = await server.about(user, "GET")
    output.fact("user", **shown)
    _show_user(shown, output)
    for device in shown["devices"]:
        name = printable(device["name"] or device["platform"] or "a device without a name")
        output.show(f"  logged in: {name}, used {age_text(device['used_at_ms'], _now_ms())}")
    for provider in shown["providers"]:
        output.show(f"  signs in by {printable(provider)}")
    return 0


async def create_user(server: PeopleServer, email: str, name: str, roles: Sequence[str], output: Output) -> int:
    """Make an account, whose owner is mailed an invitation; 0."""
    made = await server.ask("POST", "admin/v1/users", body={"email": email, "name": name, "roles": list(roles)})
    output.fact("user_created", **made)
    _show_user(made, output)
    output.note("A mail with a code to set the password is on its way.")
    return 0


async def set_standing(server: PeopleServer, user: str, what: str, output: Output) -> int:
    """`what`: "suspend" or "reinstate"; 0."""
    told = await server.about(user, "POST", f"/{what}")
    output.fact("user", **told)
    _show_user(told, output)
    return 0


async def log_out_user(server: PeopleServer, user: str, output: Output) -> int:
    """End every session of an account; 0."""
    ended = int((await server.about(user, "POST", "/log-out"))["sessions"])
    output.fact("logged_out", sessions=ended)
    output.show(f"Ended {counted(ended, 'session')}. API keys go on; 'syncd token list' lists them.")
    return 0


async def set_tier(server: PeopleServer, user: str, tier: str, output: Output) -> int:
    """Put an account into a tier of limits; 0."""
    told = await server.about(user, "PUT", "/tier", body={"tier": "" if tier == _ORDINARY_TIER else tier})
    output.fact("user", **told)
    _show_user(told, output)
    return 0


async def set_roles(server: PeopleServer, user: str, roles: Sequence[str], output: Output) -> int:
    """Give an account these roles in the whole app, and no others; 0."""
    told = await server.about(user, "PUT", "/roles", body={"roles": list(roles)})
    output.fact("user", **told)
    _show_user(told, output)
    return 0


async def grant_role(server: PeopleServer, user: str, role: str, scope: str, output: Output) -> int:
    """Make somebody something in one scope; 0."""
    account = await server.id_of(user)
    body = {"scope": scope, "user": account, "role": role}
    told = await server.ask("PUT", "sync/v1/members", body=body)
    output.fact("granted", **told)
    output.show(f"{account} is {printable(role)} in {printable(scope)}.")
    return 0


async def revoke_role(server: PeopleServer, user: str, scope: str, output: Output) -> int:
    """Make somebody nothing in one scope any more; 0."""
    account = await server.id_of(user)
    told = await server.ask("DELETE", "sync/v1/members", query={"scope": scope, "user": account})
    output.fact("revoked", **told)
    output.show(f"{account} is nothing in {printable(scope)} any more.")
    return 0


async def list_members(server: PeopleServer, scope: str, output: Output) -> int:
    """Tell who is what in a scope; 0."""
    table = _table("account", "role", "since")
    count = 0
    async for member in server.pages("sync/v1/members", "members", {"scope": scope}):
        count += 1
        output.fact("member", **member)
        since_ms = int(member.get("since_ms") or 0)
        table.add_row(member["user"], printable(str(member["role"])), age_text(since_ms, _now_ms()))
    output.fact("end", members=count)
    output.show(table if count else f"Nobody is a member of {printable(scope)}.")
    return 0


async def create_key(
    server: PeopleServer, user: str, name: str, scopes: Sequence[str], days: int | None, output: Output
) -> int:
    """Make an API key that acts as an account, in `scopes` only if there are any; 0."""
    lifetime_s = None if days is None else days * _DAY_S
    body = {"name": name, "scopes": list(scopes) or None, "lifetime_s": lifetime_s}
    made = await server.about(user, "POST", "/api-keys", body=body)
    output.fact("token_created", **made)
    output.show(made["text"])
    output.note("This is shown once. Whoever has it acts as the account; keep it where secrets are kept.")
    return 0


async def list_keys(server: PeopleServer, user: str, output: Output) -> int:
    """Tell of an account's API keys, without their texts; 0."""
    keys = (await server.about(user, "GET", "/api-keys"))["api_keys"]
    table = _table("id", "name", "scopes", "used", "state")
    for key in keys:
        output.fact("token", **key)
        scopes = "all" if key["scopes"] is None else ", ".join(map(printable, key["scopes"]))
        used = age_text(key["used_at_ms"] or 0, _now_ms())
        table.add_row(key["id"], printable(key["name"]), scopes, used, _state(key))
    output.fact("end", tokens=len(keys))
    output.show(table if keys else "The account has no API keys.")
    return 0


async def revoke_key(server: PeopleServer, user: str, key: str, output: Output) -> int:
    """End an API key of an account; 0."""
    await server.about(user, "DELETE", f"/api-keys/{quote(key, safe='')}")
    output.fact("token_revoked", id=key)
    output.show(f"{printable(key)} opens nothing any more.")
    return 0


def _show_user(user: Facts, output: Output) -> None:
    parts = [user["status"], f"roles: {_roles(user)}"]
    if user["tier"]:
        parts.append(f"tier: {printable(user['tier'])}")
    if user["second_factor"]:
        parts.append("second factor")
    output.show(f"{user['id']}  {_email(user)}  {', '.join(parts)}")


def _email(user: Facts) -> str:
    if user["email"] is None:
        return "no address"
    return printable(user["email"]) + ("" if user["email_verified"] else " (not verified)")


def _roles(user: Facts) -> str:
    return ", ".join(map(printable, user["roles"])) or "none"


def _state(key: Facts) -> str:
    if key["revoked_at_ms"] is not None:
        return "revoked"
    if key["expires_at_ms"] is None:
        return "does not end"
    return f"{'ended' if key['expires_at_ms'] <= _now_ms() else 'ends'} {time_text(key['expires_at_ms'])}"


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head in ("account", "id"))
    return table


def _now_ms() -> int:
    return int(time.time() * 1000)
