"""Settling: what becomes of each change of one push, against one workspace. Laws 1 to 5 meet here.

Writes nothing by itself: the workspace holds what is to be committed, and outcomes go out only after that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import structlog

from conflict_rules import Change, InvalidValue, Kind, Op, Outcome, Stamp, State, apply_change, effective_stamp
from conflict_rules.values import RepeatedKeys, canonical_json
from conflict_rules.wire import MalformedChange, decode_outcome, encode_outcome
from syncd.app import App, Veto
from syncd.engine.limits import Limits
from syncd.engine.portions import group_of
from syncd.engine.upgrade import behind
from syncd.engine.workspace import Workspace, encode_body
from syncd.store.protocol import ReplicaRow, SettledRow

__all__ = ["SCATTERED", "Incoming", "Reply", "Settler"]

log = structlog.get_logger(__name__)

_RANK = (Kind.REJECTED, Kind.OVERRULED)
"""What brings a whole group down, the worst first."""

SCATTERED: Final = Outcome(
    Kind.REJECTED, 0, "invalid_group", "group: its changes stand apart in the push; put them side by side", "group"
)
"""What becomes of a change whose group does not stand in one piece."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One change of a push. `raw`: as it was sent. `digest`: of `raw`, tells a repeat from another change (law 3).

    `refused`: what it is settled with, whatever it says, for the sake of its group. `waits`: why it cannot be settled
    yet; what follows it then waits too.
    """

    change: Change | MalformedChange
    raw: object
    digest: bytes
    refused: Outcome | None = None
    waits: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Applied:
    """A change, what became of it, and its effective stamp if it came to that."""

    member: Incoming
    outcome: Outcome
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one change. `repeat`: it had been settled before. `expected`: the number to go on with."""

    n: int | None
    outcome: Outcome
    repeat: bool = False
    expected: int | None = None


RunHooks = Callable[[Change], Awaitable[None]]


class Settler:
    """Settles the changes of one replica, in order, in one workspace.

    `run_hooks` runs the author's hooks for a change that took effect; it may raise `Veto`.
    """

    def __init__(
        self, workspace: Workspace, app: App, limits: Limits, replica: str, now_ms: int, run_hooks: RunHooks
    ) -> None:
        self._workspace = workspace
        self._app = app
        self._limits = limits
        self._replica = replica
        self._now_ms = now_ms
        self._run_hooks = run_hooks
        self._waits: Outcome | None = None

    async def settle(self, incoming: Sequence[Incoming]) -> list[Reply]:
        """An answer to each change, in order. Changes with the same `group` are neighbours, settled all or none."""
        replies: list[Reply] = []
        for group, members in groupby(incoming, key=lambda member: group_of(member.raw)):
            if group is not None:
                replies.extend(await self._settle_unit(list(members)))
                continue
            for member in members:
                replies.extend(await self._settle_unit([member]))
        return replies

    async def _settle_unit(self, unit: Sequence[Incoming]) -> list[Reply]:
        """Answer repeats from store, turn gaps away, and apply what is new as one unit."""
        expected = self._workspace.replica(self._replica).settled + 1
        new: dict[int, Incoming] = {}
        for place, member in enumerate(unit):
            if member.change.n == expected + len(new):
                new[place] = member
        if any(n is not None and n >= expected + len(new) for n in (member.change.n for member in unit)):
            # A member is missing: the group waits until it can be applied as a whole.
            return [self._answer_without_settling(member, expected) for member in unit]
        for member in new.values():
            if member.waits is not None:
                self._waits = behind(member.change.n, member.waits)
                return [self._answer_without_settling(each, expected) for each in unit]
        numbers = {member.change.n: member.digest for member in new.values()}
        answers: dict[int, Reply] = {}
        for place, member in enumerate(unit):
            n = member.change.n
            if n not in numbers:
                answers[place] = self._answer_without_settling(member, expected)
            elif numbers[n] != member.digest:
                answers[place] = self._id_reuse(n)
        spoiler = next((reply for reply in answers.values() if reply.outcome.kind in _RANK), None)
        if spoiler is not None:
            refused = _with_its_group(spoiler.n, spoiler.outcome)
            new = {place: replace(member, refused=refused) for place, member in new.items()}
        answers.update(zip(new, await self._apply_unit(list(new.values())), strict=True))
        # What has no answer yet was told twice in this unit, and is a repeat by now.
        return [
            answers.get(place) or self._answer_without_settling(member, expected + len(new))
            for place, member in enumerate(unit)
        ]

    def _answer_without_settling(self, member: Incoming, expected: int) -> Reply:
        n = member.change.n
        if n is None:
            assert isinstance(member.change, MalformedChange)
            return Reply(None, _rejected_as(member.change))
        if n >= expected:
            return _out_of_order(n, expected) if self._waits is None else Reply(n, member.waits or self._waits)
        stored = self._workspace.settled.get((self._replica, n))
        if stored is None:
            # The number stays settled for ever, its outcome only for the retention time.
            return Reply(
                n, Outcome(Kind.APPLIED, code="outcome_expired", message="settled long ago; pull to see it"), True
            )
        if stored.digest == member.digest:
            return Reply(n, decode_stored_outcome(stored), repeat=True)
        return self._id_reuse(n)

    def _id_reuse(self, n: int | None) -> Reply:
        # Law 3: a phone restored from a backup counts again where it once was.
        log.warning("id_reuse", replica=self._replica, n=n)
        message = f"number {n} was another change of this replica; make this one anew under a new replica id"
        return Reply(n, Outcome(Kind.REJECTED, code="id_reuse", message=message, field="n"))

    async def _apply_unit(self, unit: Sequence[Incoming]) -> list[Reply]:
        workspace = self._workspace
        start = workspace.mark()
        applied: list[_Applied] = []
        for incoming in unit:
            member = self._at_home(incoming)
            before, head = workspace.mark(), workspace.head(_scope_of(member))
            outcome, stamp = await self._apply(member)
            if not outcome.kind.took_effect:
                workspace.undo(before)
            applied.append(_Applied(member, outcome, stamp))
            self._record(applied[-1], head)
        culprit = _culprit(applied)
        if culprit is not None:
            workspace.undo(start)
            applied = [self._taken_down(each, culprit) for each in applied]
            for each in applied:
                self._record(each, workspace.head(_scope_of(each.member)))
        return [Reply(each.member.change.n, each.outcome) for each in applied]

    def _at_home(self, member: Incoming) -> Incoming:
        """A change that names no scope gets the one in which its resource lives, or will live."""
        change = member.change
        if not isinstance(change, Change) or change.scope or member.refused is not None:
            return member
        try:
            scope = self._home_of(change)
        except InvalidValue as invalid:
            return replace(member, refused=_rejected(invalid.code, str(invalid), invalid.field))
        self._workspace.need(scope)
        return replace(member, change=replace(change, scope=scope))

    def _home_of(self, change: Change) -> str:
        state = self._state_of(change)
        if state is not None:
            return state.scope
        resource_type = self._app.type(change.type)
        if resource_type is None:
            raise InvalidValue("unknown_type", "type", f"this app has no type {change.type!r}")
        if change.op is not Op.CREATE:
            message = f"there is no {change.type} {change.id!r}: it never was, or was deleted long ago"
            raise InvalidValue("unknown_resource", "id", message)
        scope = resource_type.scope_of(change.id, change.fields)
        if scope is None:
            message = f"scope: which scope the new {change.type} belongs to cannot be told from its fields; name it"
            raise InvalidValue("missing_scope", "scope", message)
        return scope

    def _taken_down(self, each: _Applied, culprit: _Applied) -> _Applied:
        """What becomes of a member of a group that is not applied."""
        if each is culprit:
            # It may have met a state that another member had made, and that is no more.
            state = self._state_of(each.member.change)
            version = min(each.outcome.version, 0 if state is None else state.version)
            return replace(each, outcome=replace(each.outcome, version=version))
        if each.member.refused is not None:
            return each
        return replace(each, outcome=_with_its_group(culprit.member.change.n, culprit.outcome))

    def _state_of(self, change: Change | MalformedChange) -> State | None:
        return self._workspace.state((change.type, change.id)) if isinstance(change, Change) else None

    async def _apply(self, member: Incoming) -> tuple[Outcome, Stamp | None]:
        """Apply one change to the workspace; the outcome, and the effective stamp if it has come to that."""
        change = member.change
        if member.refused is not None:
            return member.refused, None
        if isinstance(change, MalformedChange):
            return _rejected_as(change), None
        workspace = self._workspace
        resource_type = self._app.type(change.type)
        if resource_type is None:
            return _rejected("unknown_type", f"this app has no type {change.type!r}", "type"), None
        state = workspace.state((change.type, change.id))
        if state is not None and state.scope != change.scope:
            return _rejected("scope_is_for_life", f"this {change.type} lives in another scope", "scope"), None
        try:
            if change.op is Op.CREATE:
                resource_type.check_create(change.id, change.scope, change.fields)
            elif change.op is Op.UPDATE:
                resource_type.check_update(change.scope, change.fields)
        except InvalidValue as invalid:
            return _rejected(invalid.code, str(invalid), invalid.field), None

        # Law 2: the effective stamp is fixed here, once, at first acceptance.
        last = workspace.replica(self._replica).last_stamp
        stamp = effective_stamp(
            change.stamp,
            now_ms=self._now_ms,
            after=Stamp.parse(last) if last else None,
            max_drift_ms=self._limits.max_drift_ms,
        )
        head = workspace.head(change.scope)
        # A version that this scope has not reached was shown by a database that was restored since: it claims nothing.
        change = replace(change, stamp=stamp, base=change.base if change.base <= head else 0)
        try:
            merged = apply_change(resource_type.rule, state, change, head + 1)
            if merged.state is None or merged.state is state:
                return merged.outcome, stamp
            body = encode_body(merged.state)
        except Exception:
            # A rule of the author's. One change must not stop the queue behind it (invariant 6).
            log.exception("rule_failed", type=change.type, id=change.id)
            message = f"the rule of {change.type} failed on this change; its author should look at the server's log"
            return _rejected("check_failed", message, None), stamp
        if len(body) > self._limits.max_resource_bytes:
            message = (
                f"the {change.type} would be {len(body)} bytes, more than the {self._limits.max_resource_bytes} allowed"
            )
            return _rejected("resource_too_large", message, "fields"), stamp
        workspace.put(merged.state, body)
        try:
            await self._run_hooks(change)
        except Veto as veto:
            return _rejected(veto.code, str(veto), veto.field), stamp
        return merged.outcome, stamp

    def _record(self, each: _Applied, head: int) -> None:
        """Settle a number: outcome, history and quarantine are one row (invariant 5). `head`: before the change."""
        member, outcome, stamp = each.member, each.outcome, each.stamp
        change, n = member.change, member.change.n
        assert n is not None
        if isinstance(change, Change):
            type_name, resource_id, ahead_ms = change.type, change.id, change.stamp.wall_ms - self._now_ms
        else:
            type_name, resource_id, ahead_ms = "", "", 0
        before = self._workspace.replica(self._replica)
        row = SettledRow(
            replica=self._replica,
            n=n,
            digest=member.digest,
            scope=_scope_of(member),
            type=type_name,
            id=resource_id,
            # Law 4: at the version it made, below those that its hooks made, so that no page holds it unsaid; what
            # changed nothing where the scope stands, never below an earlier change.
            version=max(head, outcome.version),
            kind=outcome.kind.value,
            at_ms=self._now_ms,
            stamp=str(stamp) if stamp is not None else "",
            change=_kept(member),
            outcome=canonical_json(encode_outcome(n, outcome)),
        )
        self._workspace.settle(
            row,
            ReplicaRow(
                id=self._replica,
                settled=n,
                last_stamp=row.stamp or before.last_stamp,
                clock_ahead_ms=ahead_ms if ahead_ms > self._limits.max_drift_ms else 0,
            ),
        )


def decode_stored_outcome(row: SettledRow) -> Outcome:
    """The outcome that was given when the change was settled."""
    return decode_outcome(json.loads(row.outcome))


def _kept(member: Incoming) -> bytes:
    """A change as it was sent, as far as JSON can hold it: what cannot be read is kept all the same."""
    raw = _spelt_out(member.raw) if isinstance(member.change, MalformedChange) else member.raw
    return json.dumps(raw, ensure_ascii=True, default=repr, separators=(",", ":")).encode()


def _spelt_out(raw: object) -> object:
    """`raw` with what an object says twice under one key as pairs, since a dict would keep neither."""
    if isinstance(raw, RepeatedKeys):
        return {"repeated_key": [[key, _spelt_out(value)] for key, value in raw.pairs]}
    if isinstance(raw, dict):
        # MessagePack has keys of any type.
        return {key if isinstance(key, str) else repr(key): _spelt_out(value) for key, value in raw.items()}
    return [_spelt_out(item) for item in raw] if isinstance(raw, list) else raw


def _scope_of(member: Incoming) -> str:
    """The scope that a change is settled in: "" for one that names none that can be found."""
    return member.change.scope if isinstance(member.change, Change) else ""


def _culprit(applied: Sequence[_Applied]) -> _Applied | None:
    """The member for whose sake a group is not applied, if there is one."""
    if len(applied) == 1:
        return None
    return next((each for kind in _RANK for each in applied if each.outcome.kind is kind), None)


def _with_its_group(n: int | None, culprit: Outcome) -> Outcome:
    which = "a change" if n is None else f"change {n}"
    message = f"not applied, since {which} of the same group was {culprit.kind.value}: {culprit.message}"
    return Outcome(culprit.kind, 0, f"group_{culprit.kind.value}", message, "group")


def _out_of_order(n: int | None, expected: int) -> Reply:
    message = f"changes before it are missing; send on from number {expected}"
    return Reply(n, Outcome(Kind.RETRY_LATER, code="out_of_order", message=message, field="n"), expected=expected)


def _rejected(code: str, message: str, field: str | None) -> Outcome:
    return Outcome(Kind.REJECTED, 0, code, message, field)


def _rejected_as(malformed: MalformedChange) -> Outcome:
    return _rejected(malformed.code, malformed.message, malformed.field)
