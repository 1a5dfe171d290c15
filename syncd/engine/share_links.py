"""Share links: strangers read one scope by one, without an account and without a name, until it ends.

A link is a resource in the own scope of whoever made it, and changes by command only (law 7). It opens its scope as
long as it stands, and as long as its maker lets others in there. Its text carries a secret of 256 bits, which is told
once; what is kept is a digest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from conflict_rules import Op
from conflict_rules.values import JsonValue, valid_scope
from syncd.app.builtin import SHARE_LINK_TYPE
from syncd.engine.authorise import OPERATORS_SCOPE, Authoriser, fields_of, membership_prefix, own_scope
from syncd.engine.memberships import Command
from syncd.engine.principal import Caller, Principal
from syncd.errors import Forbidden, InvalidMessage, NotFound, Unauthenticated
from syncd.store.protocol import StateRow, Store

__all__ = ["LINK_PREFIX", "MadeLink", "RolesOf", "ShareLink", "ShareLinks"]

LINK_PREFIX: Final = "syncd_link_"
"""What the text of each begins with, so that it is known for one, also by those who look for leaked ones."""
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 12
_PORTION: Final = 500
_MAX_LABEL: Final = 100
_MAX_LIFETIME_MS: Final = 10 * 366 * 24 * 3600 * 1000

RolesOf = Callable[[str], Awaitable[frozenset[str]]]
"""The account-wide roles that an account has by now, whatever its tokens say."""


async def _no_roles(user: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link, without its secret. `by`: whoever made it, "" for the operator. Times in milliseconds since 1970."""

    id: str
    scope: str
    label: str
    by: str
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None

    def ended(self, now_ms: int) -> bool:
        """Whether it opens nothing any more."""
        return self.revoked_at_ms is not None or (self.expires_at_ms is not None and self.expires_at_ms <= now_ms)


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A new link. `text`: with the secret; it is never told again."""

    link: ShareLink
    text: str = field(repr=False)


class ShareLinks:
    """The use case. `act`: carries a command out. `roles_of`: where links of account-wide managers are to hold, as long
    as they are that.
    """

    def __init__(
        self,
        store: Store,
        authoriser: Authoriser,
        act: Command,
        now_ms: Callable[[], int],
        roles_of: RolesOf = _no_roles,
    ) -> None:
        self.roles_of = roles_of
        self._store = store
        self._authoriser = authoriser
        self._act = act
        self._now_ms = now_ms

    async def make(
        self, principal: Principal, scope: str, *, label: str = "", lifetime_ms: int | None = None
    ) -> MadeLink:
        """A link to `scope`, for whoever lets others in there. `lifetime_ms`: None for one that only ends by command.

        Raises `Forbidden`, and `InvalidMessage` for what cannot be.
        """
        if not valid_scope(scope):
            raise _no_scope()
        if len(label) > _MAX_LABEL:
            raise InvalidMessage(f"label: at most {_MAX_LABEL} characters", field="label")
        if lifetime_ms is not None and not 0 < lifetime_ms <= _MAX_LIFETIME_MS:
            raise InvalidMessage("lifetime_s: more than 0, and at most ten years", field="lifetime_s")
        if not self._authoriser.shares:
            raise Forbidden(
                "this server runs without an app, and nobody has said what strangers may see",
                code="nothing_to_share",
                hint="Share links show the fields that an app declares: see docs/access.md.",
            )
        await self._check_lasts(principal, scope)
        now_ms = self._now_ms()
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        link = ShareLink(
            membership_prefix(scope) + secrets.token_hex(_ID_BYTES),
            scope,
            label,
            principal.user,
            now_ms,
            None if lifetime_ms is None else now_ms + lifetime_ms,
            None,
        )
        fields: dict[str, JsonValue] = {
            "of": scope,
            "label": label,
            "by": principal.user,
            "created_at_ms": now_ms,
            "expires_at_ms": link.expires_at_ms,
            "secret_hash": _digest(secret),
        }
        await self._carry_out(principal, _home(principal.user), link.id, Op.CREATE, 0, fields)
        return MadeLink(link, f"{LINK_PREFIX}{link.id}.{secret}")

    async def revoke(self, principal: Principal, link_id: str) -> None:
        """End a link, for whoever lets others in where it leads; nothing, if it has ended already.

        Raises `NotFound` for one that is not there, or not his to see.
        """
        row = await self._row(link_id)
        link = None if row is None else _link(row)
        if row is None or link is None or not await self._manages(principal, link.scope):
            raise NotFound(f"there is no share link {link_id[:128]!r}", code="no_such_link")
        if link.revoked_at_ms is None:
            fields: dict[str, JsonValue] = {"revoked_at_ms": self._now_ms()}
            await self._carry_out(principal, row.scope, link_id, Op.UPDATE, row.version, fields)

    async def links(self, principal: Principal, scope: str) -> list[ShareLink]:
        """Every link to `scope`, ended ones too, for whoever lets others in there; raises `Forbidden`."""
        if not valid_scope(scope):
            raise _no_scope()
        if not await self._manages(principal, scope):
            raise _forbidden(scope)
        prefix = membership_prefix(scope)
        found: list[ShareLink] = []
        after = prefix
        async with self._store.snapshot() as snapshot:
            while True:
                rows = await snapshot.of_type(SHARE_LINK_TYPE, scope=None, after=after, limit=_PORTION)
                for row in rows:
                    if not row.id.startswith(prefix):
                        return found
                    found.append(_link(row))
                    after = row.id
                if len(rows) < _PORTION:
                    return found

    async def open(self, text: str) -> Principal:
        """Who comes by a link; raises `Unauthenticated` if it opens nothing."""
        link_id, _, secret = text.removeprefix(LINK_PREFIX).partition(".")
        row = await self._row(link_id) if secret and text.isascii() else None
        fields = fields_of(row) or {}
        # In constant time, and also where there is none, so that ids cannot be guessed by the delay of the answer.
        if not hmac.compare_digest(str(fields.get("secret_hash", "")), _digest(secret)) or row is None:
            raise Unauthenticated(
                "this share link opens nothing", code="link_unknown", hint="Ask whoever sent it for another."
            )
        link = _link(row)
        if link.ended(self._now_ms()):
            raise Unauthenticated(
                "this share link has ended", code="link_ended", hint="Ask whoever sent it for another."
            )
        return Principal(
            Caller.LINK,
            roles=await self._roles_in(link.scope, link.by),
            session=link.id,
            scope=link.scope,
            expires_at_ms=link.expires_at_ms,
            made_by=link.by,
        )

    async def _roles_in(self, scope: str, user: str) -> frozenset[str]:
        """The account-wide roles of a user, if they are anything in scopes like this one."""
        return await self.roles_of(user) if user and self._authoriser.counts_everywhere(scope) else frozenset()

    async def _check_lasts(self, principal: Principal, scope: str) -> None:
        """Raise `Forbidden` for somebody who manages the scope by a role that only his token says: nobody could tell
        for how long the link is to open anything.
        """
        if not self._authoriser.counts_everywhere(scope):
            return
        lasting = await self._roles_in(scope, principal.user)
        if principal.roles <= lasting or await self._manages(replace(principal, roles=lasting), scope):
            return
        if await self._manages(principal, scope):
            raise Forbidden(
                f"you let others into {scope!r} by a role that only your token says, which no link outlives",
                hint="Ask whoever runs the server for that role, or somebody to make you a member there.",
                field="scope",
            )

    async def _manages(self, principal: Principal, scope: str) -> bool:
        async with self._store.snapshot() as snapshot:
            rights = (await self._authoriser.rights_in(principal, [scope], snapshot.states))[scope]
        return rights is not None and rights.manages

    async def _row(self, link_id: str) -> StateRow | None:
        key = (SHARE_LINK_TYPE, link_id)
        async with self._store.snapshot() as snapshot:
            return (await snapshot.states([key])).get(key)

    async def _carry_out(
        self, principal: Principal, home: str, link_id: str, op: Op, base: int, fields: Mapping[str, JsonValue]
    ) -> None:
        draft: dict[str, JsonValue] = {
            "scope": home,
            "type": SHARE_LINK_TYPE,
            "id": link_id,
            "op": op.value,
            "base": base,
            "fields": dict(fields),
        }
        [outcome] = await self._act([draft], principal, commanded=True)
        if outcome["outcome"] == "rejected":
            raise Forbidden(str(outcome["message"]), hint="Ask somebody who lets others in there.", field="scope")


def _home(user: str) -> str:
    return own_scope(user) if user else OPERATORS_SCOPE


def _digest(secret: str) -> str:
    # Of 256 random bits: nothing slower is needed.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _link(row: StateRow) -> ShareLink:
    fields = fields_of(row) or {}

    def time_of(name: str) -> int | None:
        value = fields.get(name)
        return value if isinstance(value, int) else None

    return ShareLink(
        row.id,
        str(fields.get("of", "")),
        str(fields.get("label", "")),
        str(fields.get("by", "")),
        time_of("created_at_ms") or 0,
        time_of("expires_at_ms"),
        time_of("revoked_at_ms"),
    )


def _no_scope() -> InvalidMessage:
    return InvalidMessage("scope: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -", field="scope", code="invalid_scope")


def _forbidden(scope: str) -> Forbidden:
    return Forbidden(
        f"you may not let others into {scope!r}", hint="Ask somebody who lets others in there.", field="scope"
    )
