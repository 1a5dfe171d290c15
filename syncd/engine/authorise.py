"""Authorise: the one step that says what somebody may do in a scope. Every use case takes it; none decides by itself.

A role in a scope comes from a membership, which is a resource in the member's own scope and read in the same
transaction or snapshot as what it opens; from the scope being one's own; from an account-wide role; or from a share
link, which is no role. Of several the highest counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

from conflict_rules import State
from conflict_rules.values import JsonValue
from syncd.app import App
from syncd.app.access import USER_PREFIX, ScopeAccess
from syncd.app.builtin import MEMBERSHIP_TYPE, SHARE_LINK_TYPE
from syncd.engine.principal import Caller, Principal
from syncd.engine.rights import ALL, LINK_RANK, Rights, RightsOf
from syncd.store.protocol import ResourceKey, StateRow

__all__ = [
    "MOST_REMEMBERED",
    "OPERATORS_SCOPE",
    "Authoriser",
    "fields_of",
    "membership_id",
    "membership_key",
    "membership_prefix",
    "own_scope",
    "standing_fields",
]

MOST_REMEMBERED: Final = 4096
"""Devices, each in one scope, whose rights are known from one push to the next."""
_SCOPE_DIGITS: Final = 32
OWN_PREFIX: Final = "syncd"
OPERATORS_SCOPE: Final = f"{OWN_PREFIX}:operator"
"""What the operator's own share links live in, who has no scope of his own. Nobody else sees what begins like this."""

Standing = Callable[[ResourceKey], Mapping[str, JsonValue] | None]
"""The fields of a membership or a share link that was looked up; None if it never was, or has ended."""


def own_scope(user: str) -> str:
    """The scope that belongs to an account."""
    return f"{USER_PREFIX}:{user}"


def membership_prefix(scope: str) -> str:
    """What the ids of all memberships of a scope begin with, so that they stand side by side in the order of ids."""
    return hashlib.sha256(scope.encode()).hexdigest()[:_SCOPE_DIGITS] + "~"


def membership_id(scope: str, user: str) -> str:
    """The id of what a user is in a scope: one for life. A scope's name may be too long to stand in it."""
    return membership_prefix(scope) + user


@lru_cache(maxsize=4096)
def membership_key(scope: str, user: str) -> ResourceKey:
    """The resource that says what a user is in a scope."""
    return (MEMBERSHIP_TYPE, membership_id(scope, user))


class Authoriser:
    """Says what a principal may do, by the declarations of one app."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._rights = RightsOf(app)
        self._by: dict[tuple[str, str, str], tuple[State | None, Principal, Rights]] = {}

    @property
    def remembered(self) -> int:
        """How many rights `rights_by` knows."""
        return len(self._by)

    def needed(self, principal: Principal, scopes: Iterable[str]) -> list[ResourceKey]:
        """What to look up before `rights` can be asked about these scopes."""
        if principal.caller is Caller.LINK:
            if principal.scope not in scopes:
                return []
            keys = [(SHARE_LINK_TYPE, principal.session)]
            return [*keys, membership_key(principal.scope, principal.made_by)] if principal.made_by else keys
        if principal.caller is not Caller.USER:
            return []
        own = own_scope(principal.user)
        return [membership_key(scope, principal.user) for scope in scopes if scope and scope != own]

    def rights(self, principal: Principal, scope: str, standing: Standing) -> Rights | None:
        """What `principal` may do in `scope`; None: nothing, and it is not told whether the scope is there.

        `standing`: of what `needed` has named.
        """
        if principal.caller is Caller.OPERATOR:
            return ALL
        if principal.caller is Caller.LINK:
            return self._rights_by_link(principal, scope, standing)
        if principal.caller is not Caller.USER or principal.suspended:
            return None
        if principal.scopes is not None and scope not in principal.scopes:
            return None
        access = self._access(scope)
        if access.prefix == OWN_PREFIX:
            return None
        if access.prefix == USER_PREFIX:
            return self._rights.at(access, 0) if scope == own_scope(principal.user) else None
        rank = self._rank_of(principal.user, principal.roles, access, scope, standing)
        return None if rank is None else self._rights.at(access, rank)

    def rights_by(self, membership: State | None, principal: Principal, scope: str) -> Rights | None:
        """The same, of somebody of whom `needed` has named this membership: remembered for as long as both stay.

        It is asked for each push, and a membership that stays is decoded once (see `Workspace.state`).
        """
        # By its name, since the id of a membership says less than that; and each of somebody's devices by itself.
        key = (scope, principal.user, principal.session)
        before = self._by.get(key)
        if before is not None and before[0] is membership and (before[1] is principal or before[1] == principal):
            return before[2]
        rights = self.rights(principal, scope, lambda _: standing_fields(membership))
        if rights is not None:
            if key not in self._by and len(self._by) >= MOST_REMEMBERED:
                self._by.clear()
            self._by[key] = (membership, principal, rights)
        return rights

    def _rights_by_link(self, principal: Principal, scope: str, standing: Standing) -> Rights | None:
        """A link opens its scope as long as it stands, and its maker lets others in there."""
        if scope != principal.scope or not self.shares:
            return None
        link = standing((SHARE_LINK_TYPE, principal.session))
        if link is None or link.get("of") != scope:
            return None
        if link.get("revoked_at_ms") is not None or not self.lets_others_in(scope):
            return None
        access = self._access(scope)
        if principal.made_by:
            rank = self._rank_of(principal.made_by, principal.roles, access, scope, standing)
            if rank is None or not self._rights.at(access, rank).manages:
                return None
        return self._rights.at(access, LINK_RANK)

    @property
    def shares(self) -> bool:
        """Whether anything can be shared: an app says what, and without one nobody does."""
        return not self._app.open

    def _access(self, scope: str) -> ScopeAccess:
        return self._app.scope_access(scope.partition(":")[0])

    @staticmethod
    def _rank_of(user: str, roles: Collection[str], access: ScopeAccess, scope: str, standing: Standing) -> int | None:
        """The highest of what a user is in a scope: like everybody, by account-wide `roles`, or by his membership."""
        named = [access.public, *(each for held, each in access.everywhere.items() if held in roles)]
        named.append(_role_in(scope, standing(membership_key(scope, user))))
        return max((rank for rank in map(access.rank, named) if rank is not None), default=None)

    def lets_others_in(self, scope: str) -> bool:
        """Whether anybody can be let into scopes like this one: not into an account's own, nor into the server's."""
        return self._access(scope).prefix not in (USER_PREFIX, OWN_PREFIX)

    def counts_everywhere(self, scope: str) -> bool:
        """Whether account-wide roles count in scopes like this one."""
        return bool(self._access(scope).everywhere)

    def may_found(self, principal: Principal, scope: str) -> bool:
        """Whether `principal` may begin a scope in which nothing was ever written, and be its highest role."""
        access = self._access(scope)
        if principal.caller is not Caller.USER or principal.suspended or not self.lets_others_in(scope):
            return False
        if principal.scopes is not None and scope not in principal.scopes:
            return False
        return access.founders is None or not access.founders.isdisjoint(principal.roles)

    def rank(self, scope: str, role: object) -> int | None:
        """The place of a role among those of scopes like this, 0 for the lowest; None if they do not have it."""
        return self._access(scope).rank(role) if isinstance(role, str) else None

    def highest_role(self, scope: str) -> str:
        """What whoever begins a scope is in it."""
        return self._access(scope).highest

    async def rights_in(
        self,
        principal: Principal,
        scopes: Collection[str],
        states: Callable[[Collection[ResourceKey]], Awaitable[Mapping[ResourceKey, StateRow]]],
    ) -> dict[str, Rights | None]:
        """What `principal` may do in each of these scopes. `states`: of the snapshot that all else is read from."""
        keys = self.needed(principal, scopes)
        rows = await states(keys) if keys else {}
        return {scope: self.rights(principal, scope, lambda key: fields_of(rows.get(key))) for scope in scopes}


def fields_of(row: StateRow | None) -> Mapping[str, JsonValue] | None:
    """The fields of a membership or share link that stands."""
    if row is None or row.deleted:
        return None
    fields: dict[str, JsonValue] = json.loads(row.body)["fields"]
    return fields


def standing_fields(state: State | None) -> Mapping[str, JsonValue] | None:
    """The same, of a state."""
    return None if state is None or state.deleted is not None else state.fields


def _role_in(scope: str, membership: Mapping[str, JsonValue] | None) -> str | None:
    role = None if membership is None or membership.get("of") != scope else membership.get("role")
    return role if isinstance(role, str) else None
