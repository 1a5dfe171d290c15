"""Admission: whether whoever pushes may make a change, told in the transaction that applies it.

Work done offline before a right was taken away is refused here, and so goes to the quarantine, not to the floor. A
right that is taken away counts from its commit on; what was committed before it stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from conflict_rules import CONFLICT_TYPE, Change, Kind, Op, Outcome, State
from conflict_rules.values import JsonValue, same_value
from conflict_rules.wire import encode_state
from syncd.app.builtin import COMMANDED, MEMBERSHIP_TYPE
from syncd.engine.authorise import (
    Authoriser,
    membership_id,
    membership_key,
    membership_prefix,
    own_scope,
    standing_fields,
)
from syncd.engine.incoming import rejected
from syncd.engine.principal import Caller, Principal
from syncd.engine.rights import Rights
from syncd.engine.workspace import Workspace
from syncd.store.protocol import ResourceKey

__all__ = ["DENIED", "Admission", "Write", "is_denied"]

DENIED: Final = frozenset({"account_suspended", "forbidden", "built_in_type"})
"""Codes of refusals that tell nothing of what is there, and leave no trace where somebody may not write."""

Lives = Callable[[str, str], Awaitable[bool]]
"""Whether a resource of a type lives whose id begins like this."""

Write = Callable[[str, str, str, Op, Mapping[str, JsonValue]], Awaitable[None]]
"""Writes as the server: type, scope, id, what, fields."""


def is_denied(outcome: Outcome) -> bool:
    """Whether a change was refused because whoever made it may not write there."""
    return outcome.kind is Kind.REJECTED and outcome.code in DENIED


class _Known(NamedTuple):
    """What was found out about a scope, and by which membership."""

    standing: State | None
    rights: Rights


class Admission:
    """Of one push. `look_for` brings resources into the workspace; `lives` looks for one by how its id begins; `write`
    is the server's own hand.

    `commanded`: the push carries out a command of `principal`'s, who is not the one whose replica it is.
    """

    def __init__(
        self,
        authoriser: Authoriser,
        principal: Principal,
        workspace: Workspace,
        look_for: Callable[[Sequence[ResourceKey]], Awaitable[None]],
        lives: Lives,
        write: Write,
        now_ms: int,
        *,
        commanded: bool = False,
    ) -> None:
        self._authoriser = authoriser
        self._principal = principal
        self._workspace = workspace
        self._look_for = look_for
        self._lives = lives
        self._write = write
        self._now_ms = now_ms
        self._commanded = commanded
        self._open = principal.caller is Caller.OPERATOR
        self._known: dict[str, _Known] = {}

    def allows(self, change: Change, state: State | None) -> bool:
        """Whether this change may be made for sure, by what is known already; else `refusal` looks closer."""
        if change.type in COMMANDED:
            return False
        if self._open:
            return True
        if change.type == CONFLICT_TYPE or not (state is None or state.scope == change.scope):
            return False
        rights = self._at_hand(change.scope)
        if rights is None:
            return False
        of_type = rights.of(change.type)
        return of_type.writes and of_type.sets_all(change.fields)

    async def refusal(self, change: Change, state: State | None) -> Outcome | None:
        """Why this change may not be made, None if it may. `state`: of what it is about, as it is.

        Begins the scope, if it is the first to be written there and may be.
        """
        if change.type in COMMANDED:
            if not self._commanded:
                message = f"type: a {change.type} is made by the server, at a command of whoever may"
                return rejected("built_in_type", message, "type")
            return await self._refused_command(change, state)
        if self._open:
            return None
        if self._principal.suspended:
            message = "this account is suspended; the change is kept until somebody has looked at it"
            return rejected("account_suspended", message, None)
        if state is not None and state.scope != change.scope:
            # Only who may make this change here is told that the id is taken.
            state = None
        refusal = _refused_by(await self.rights(change.scope), change, state)
        if refusal is not None and await self._founds(change):
            refusal = _refused_by(await self.rights(change.scope), change, state)
        return refusal

    def told(self, change: Change) -> tuple[str, ...]:
        """The fields of a change that was not refused which it only tells as they stand, since whoever made it may not
        set them. They are not merged: no mark moves, nothing is added, and no dispute ends by them.
        """
        known = self._known.get(change.scope)
        if self._open or known is None:
            # In his own scope nobody keeps a field from him.
            return ()
        of_type = known.rights.of(change.type)
        if of_type.sets_all(change.fields):
            return ()
        return tuple(sorted(name for name in change.fields if not of_type.sets(name)))

    async def denial(self, change: Change) -> Outcome | None:
        """Whether a change that is refused for another reason comes from somebody who may not write there at all; then
        that is why.
        """
        if not change.scope:
            return None
        refusal = await self.refusal(change, self._workspace.state((change.type, change.id)))
        return refusal if refusal is not None and is_denied(refusal) else None

    async def finds(self, state: State) -> bool:
        """Whether whoever pushes may know that this is there: he may change it, or sees it."""
        rights = await self.rights(state.scope)
        return rights is not None and (
            rights.of(state.type).writes or rights.reader.shown_value(state.type, encode_state(state)) is not None
        )

    async def rights(self, scope: str) -> Rights | None:
        """What whoever pushes may do in a scope, as of now."""
        keys = self._authoriser.needed(self._principal, (scope,))
        if keys:
            await self._look_for(keys)
        rights = self._authoriser.rights(self._principal, scope, self._standing)
        if rights is not None and keys:
            # As long as the membership is this one.
            self._known[scope] = _Known(self._workspace.state(keys[0]), rights)
        return rights

    def _at_hand(self, scope: str) -> Rights | None:
        """The same, if it follows from a membership that has been looked for already; else None."""
        key = membership_key(scope, self._principal.user)
        if self._principal.caller is not Caller.USER or not self._workspace.knows(key):
            return None
        membership = self._workspace.state(key)
        known = self._known.get(scope)
        if known is not None and known.standing is membership:
            return known.rights
        rights = self._authoriser.rights_by(membership, self._principal, scope)
        if rights is not None:
            self._known[scope] = _Known(membership, rights)
        return rights

    def _standing(self, key: ResourceKey) -> Mapping[str, JsonValue] | None:
        return standing_fields(self._workspace.state(key))

    async def shown(self, state: State) -> dict[str, JsonValue] | None:
        """A state in wire form as whoever pushes may see it; None: not at all."""
        encoded = encode_state(state)
        if self._open:
            return encoded
        rights = await self.rights(state.scope)
        return None if rights is None else rights.reader.shown_value(state.type, encoded)

    async def _founds(self, change: Change) -> bool:
        """Whether this change begins its scope; then whoever makes it is its highest role. Where the operator has let
        people in before anything was written, nobody becomes that by being the first to write.
        """
        scope, user = change.scope, self._principal.user
        if (
            change.op is not Op.CREATE
            or self._workspace.head(scope)
            or not self._authoriser.may_found(self._principal, scope)
            or await self._lives(MEMBERSHIP_TYPE, membership_prefix(scope))
        ):
            return False
        fields: dict[str, JsonValue] = {
            "of": scope,
            "role": self._authoriser.highest_role(scope),
            "by": user,
            "since_ms": self._now_ms,
        }
        key = (MEMBERSHIP_TYPE, membership_id(scope, user))
        # He may have been let in there before, and turned away.
        op = Op.CREATE if self._workspace.state(key) is None else Op.RESTORE
        await self._write(MEMBERSHIP_TYPE, own_scope(user), key[1], op, fields)
        return True

    async def _refused_command(self, change: Change, state: State | None) -> Outcome | None:
        """A membership or a share link is changed by those who let others into the scope that it is about."""
        of = change.fields.get("of") if state is None else state.fields.get("of", change.fields.get("of"))
        if not isinstance(of, str) or change.fields.get("of", of) != of:
            return rejected("forbidden", "of: it is about one scope, for life", "of")
        if change.op in (Op.CREATE, Op.RESTORE) and not self._authoriser.lets_others_in(of):
            return rejected("forbidden", f"of: {of!r} is for nobody else, whoever asks", "of")
        # Who may be let in, and what is pushed there, are settled one after the other.
        self._workspace.need(of)
        rights = await self.rights(of)
        leaves = change.op is Op.DELETE and change.scope == own_scope(self._principal.user)
        if rights is None or not (rights.manages or leaves):
            return rejected("forbidden", f"you may not let others into {of!r}, nor turn them away", "of")
        if change.type != MEMBERSHIP_TYPE:
            return None
        was = None if state is None or state.deleted is not None else state.fields.get("role")
        named = [role for role in (was, change.fields.get("role")) if role is not None]
        unknown = next((role for role in named[-1:] if self._authoriser.rank(of, role) is None), None)
        if unknown is not None and change.op is not Op.DELETE:
            return rejected("unknown_role", f"role: scopes like {of!r} have no role {unknown!r}", "role")
        if self._open:
            return None
        own = self._authoriser.rank(of, rights.role) or 0
        if any((self._authoriser.rank(of, role) or 0) > own for role in named):
            return rejected("forbidden", "role: you may neither give nor take a role that is above your own", "role")
        return None


def _refused_by(rights: Rights | None, change: Change, state: State | None) -> Outcome | None:
    if rights is None:
        return rejected("forbidden", f"you may not write to {change.scope!r}, or not any more", "scope")
    if change.type == CONFLICT_TYPE:
        if state is not None and state.deleted is None and _may_settle(rights, state):
            return None
        return rejected("forbidden", "you may not settle what you may not change", "type")
    of_type = rights.of(change.type)

    def stands(name: str) -> bool:
        """Whether the change only says what is there, and shown to whoever makes it: `lww` sends the whole record. Of a
        settlement that would be the answer.
        """
        there = {} if state is None or change.op is Op.SETTLE else state.fields
        return of_type.shows(name) and name in there and same_value(there[name], change.fields[name])

    if not of_type.writes:
        return rejected("forbidden", f"as {rights.role} you may not change a {change.type} here", "type")
    if of_type.sets_all(change.fields):
        return None
    locked = next((name for name in change.fields if not of_type.sets(name) and not stands(name)), None)
    if locked is not None:
        return rejected("forbidden_field", f"{locked}: as {rights.role} you may not set it", locked)
    return None


def _may_settle(rights: Rights, conflict: State) -> bool:
    """Law 8: who sees a conflict may change all that it is about; and the field has to be his to set."""
    if rights.reader.shown_value(CONFLICT_TYPE, encode_state(conflict)) is None:
        return False
    about, name = conflict.fields["about"], conflict.fields["field"]
    return not isinstance(about, dict) or name is None or rights.of(str(about["type"])).sets(str(name))
