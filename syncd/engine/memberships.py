"""Memberships: what people are in scopes, as resources in their own scopes, changed by commands alone (law 7).

Who may give the command is settled in the transaction that carries it out (`admission`); here is only which change says
it, and who is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from conflict_rules import Op
from conflict_rules.values import JsonValue, valid_id, valid_scope
from syncd.app.builtin import MEMBERSHIP_TYPE
from syncd.engine.authorise import (
    Authoriser,
    fields_of,
    membership_id,
    membership_key,
    membership_prefix,
    own_scope,
)
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.errors import Forbidden, InvalidMessage
from syncd.store.protocol import StateRow, Store

__all__ = ["Command", "Member", "Memberships"]

_PORTION: Final = 500

Draft = Mapping[str, JsonValue]


class Command(Protocol):
    """Makes changes of wire-form drafts on somebody's behalf (`Pusher.act`)."""

    def __call__(
        self, drafts: Sequence[Draft], principal: Principal = OPERATOR, *, commanded: bool = False
    ) -> Awaitable[list[dict[str, JsonValue]]]: ...


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody, and what he is in a scope. `by`: who let him in, "" for the operator."""

    user: str
    role: str
    by: str
    since_ms: int


class Memberships:
    """The use case. `act`: carries a command out."""

    def __init__(self, store: Store, authoriser: Authoriser, act: Command, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._authoriser = authoriser
        self._act = act
        self._now_ms = now_ms

    async def grant(self, principal: Principal, scope: str, user: str, role: str) -> None:
        """Make `user` something in `scope`, whatever he was before; a role that he has already is left as it is.

        Raises `Forbidden` if `principal` may not, `InvalidMessage` for what cannot be.
        """
        _check(scope, user)
        row = await self._row(scope, user)
        standing = fields_of(row)
        if standing is not None and standing.get("role") == role and await self._may_manage(principal, scope):
            return
        fields: dict[str, JsonValue] = {"of": scope, "role": role, "by": principal.user, "since_ms": self._now_ms()}
        op = Op.CREATE if row is None else Op.RESTORE if row.deleted else Op.UPDATE
        await self._carry_out(principal, scope, user, op, row, fields)

    async def revoke(self, principal: Principal, scope: str, user: str) -> None:
        """Turn `user` out of `scope`; nothing, if he is not in it. Everybody may leave by himself.

        Raises `Forbidden` if `principal` may not.
        """
        _check(scope, user)
        row = await self._row(scope, user)
        if row is None or row.deleted:
            if principal.user != user and not await self._may_manage(principal, scope):
                raise _forbidden(scope)
            return
        await self._carry_out(principal, scope, user, Op.DELETE, row, {})

    async def members(self, principal: Principal, scope: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Who is in `scope`, by user id, those above `after`. For every member; raises `Forbidden` for others."""
        if not valid_scope(scope):
            raise _no_scope()
        prefix = membership_prefix(scope)
        async with self._store.snapshot() as snapshot:
            rights = (await self._authoriser.rights_in(principal, [scope], snapshot.states))[scope]
            if rights is None or principal.caller is Caller.LINK:
                raise _forbidden(scope)
            rows = await snapshot.of_type(MEMBERSHIP_TYPE, scope=None, after=prefix + after, limit=limit)
        return [_member(row, len(prefix)) for row in rows if row.id.startswith(prefix)]

    async def of_user(self, user: str) -> dict[str, str]:
        """What somebody is, by scope; for himself and the operator."""
        found: dict[str, str] = {}
        async with self._store.snapshot() as snapshot:
            after = ""
            while True:
                rows = await snapshot.of_type(MEMBERSHIP_TYPE, scope=own_scope(user), after=after, limit=_PORTION)
                for row in rows:
                    fields = fields_of(row) or {}
                    found[str(fields["of"])] = str(fields["role"])
                    after = row.id
                if len(rows) < _PORTION:
                    return found

    async def _carry_out(
        self,
        principal: Principal,
        scope: str,
        user: str,
        op: Op,
        row: StateRow | None,
        fields: Mapping[str, JsonValue],
    ) -> None:
        draft: dict[str, JsonValue] = {
            "scope": own_scope(user),
            "type": MEMBERSHIP_TYPE,
            "id": membership_id(scope, user),
            "op": op.value,
            "base": 0 if row is None else row.version,
        }
        if fields:
            draft["fields"] = dict(fields)
        [outcome] = await self._act([draft], principal, commanded=True)
        if outcome["outcome"] == "rejected":
            if outcome["code"] == "forbidden":
                raise _forbidden(scope, str(outcome["message"]))
            raise InvalidMessage(str(outcome["message"]), code=str(outcome["code"]), field=str(outcome.get("field")))

    async def _row(self, scope: str, user: str) -> StateRow | None:
        key = membership_key(scope, user)
        async with self._store.snapshot() as snapshot:
            return (await snapshot.states([key])).get(key)

    async def _may_manage(self, principal: Principal, scope: str) -> bool:
        async with self._store.snapshot() as snapshot:
            rights = (await self._authoriser.rights_in(principal, [scope], snapshot.states))[scope]
        return rights is not None and rights.manages


def _member(row: StateRow, prefix_length: int) -> Member:
    fields = fields_of(row) or {}
    since_ms = fields.get("since_ms")
    return Member(
        row.id[prefix_length:],
        str(fields.get("role")),
        str(fields.get("by", "")),
        since_ms if isinstance(since_ms, int) else 0,
    )


def _check(scope: str, user: str) -> None:
    if not valid_scope(scope):
        raise _no_scope()
    if not valid_id(user) or not valid_id(membership_id(scope, user)):
        raise InvalidMessage("user: the id of an account, 1 to 95 characters of A-Z a-z 0-9 _ . : ~ @ -", field="user")


def _no_scope() -> InvalidMessage:
    return InvalidMessage("scope: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -", field="scope", code="invalid_scope")


def _forbidden(scope: str, message: str | None = None) -> Forbidden:
    return Forbidden(
        message or f"you may not see who is in {scope!r}, nor let others in",
        hint="Ask somebody who lets others in there.",
        field="scope",
    )
