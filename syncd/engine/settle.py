"""Settling: what becomes of each change of one push, against one workspace. Laws 1 to 5 meet here.

Writes nothing by itself: the workspace holds what is to be committed, and outcomes go out only after that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import structlog

from conflict_rules import Change, InvalidValue, Kind, Op, Outcome, Stamp, apply_change, effective_stamp
from conflict_rules.values import canonical_json
from conflict_rules.wire import MalformedChange, decode_outcome, encode_outcome
from syncd.app import App, Veto
from syncd.engine.limits import Limits
from syncd.engine.workspace import Workspace, encode_body
from syncd.errors import SyncdError
from syncd.store.protocol import ReplicaRow, SettledRow

__all__ = ["Incoming", "Reply", "Settler"]

log = structlog.get_logger(__name__)

_RANK = (Kind.REJECTED, Kind.OVERRULED)
"""What brings a whole group down, the worst first."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One change of a push. `raw`: as it was sent. `digest`: of `raw`, tells a repeat from another change (law 3)."""

    change: Change | MalformedChange
    raw: object
    digest: bytes


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

    async def settle(self, incoming: Sequence[Incoming]) -> list[Reply]:
        """An answer to each change, in order. Neighbours with the same `group` are settled all or none."""
        replies: list[Reply] = []
        for group, members in groupby(incoming, key=_group_of):
            if group is None:
                for member in members:
                    replies.extend(await self._settle_unit([member]))
            else:
                replies.extend(await self._settle_unit(list(members)))
        return replies

    async def _settle_unit(self, unit: Sequence[Incoming]) -> list[Reply]:
        """Answer repeats from store, turn gaps away, and apply what is new as one unit."""
        expected = self._workspace.replica(self._replica).settled + 1
        replies: list[Reply | None] = []
        new: list[Incoming] = []
        for member in unit:
            n = member.change.n
            if n is not None and n == expected + len(new):
                replies.append(None)
                new.append(member)
            else:
                replies.append(self._answer_without_settling(member, n, expected + len(new)))
        if any(reply is not None and reply.outcome.kind is Kind.RETRY_LATER for reply in replies) and len(unit) > 1:
            # A member is missing: the group waits until it can be applied as a whole.
            return [
                reply or _out_of_order(member.change.n, expected) for reply, member in zip(replies, unit, strict=True)
            ]
        if len(unit) > 1 and any(member.change.n is None for member in unit):
            new = [_without_a_number_in_its_group(member) for member in new]
        answers = iter(await self._apply_unit(new)) if new else iter(())
        return [reply or next(answers) for reply in replies]

    def _answer_without_settling(self, member: Incoming, n: int | None, expected: int) -> Reply:
        if n is None:
            assert isinstance(member.change, MalformedChange)
            return Reply(None, _rejected_as(member.change))
        if n > expected:
            return _out_of_order(n, expected)
        stored = self._workspace.settled.get((self._replica, n))
        if stored is None:
            # The number stays settled for ever, its outcome only for the retention time.
            return Reply(
                n, Outcome(Kind.APPLIED, code="outcome_expired", message="settled long ago; pull to see it"), True
            )
        if stored.digest == member.digest:
            return Reply(n, decode_stored_outcome(stored), repeat=True)
        # Law 3: a phone restored from a backup counts again where it once was.
        log.warning("id_reuse", replica=self._replica, n=n)
        return Reply(
            n,
            Outcome(
                Kind.REJECTED,
                code="id_reuse",
                message=f"number {n} was another change of this replica; make this one anew under a new replica id",
                field="n",
            ),
        )

    async def _apply_unit(self, unit: Sequence[Incoming]) -> list[Reply]:
        workspace = self._workspace
        start = workspace.mark()
        applied: list[tuple[Outcome, Stamp | None]] = []
        for member in unit:
            before = workspace.mark()
            outcome, stamp = await self._apply(member)
            if not outcome.kind.took_effect:
                workspace.undo(before)
            applied.append((outcome, stamp))
            self._record(member, outcome, stamp)
        culprit = _culprit(unit, [outcome for outcome, _ in applied])
        if culprit is None:
            return [Reply(member.change.n, outcome) for member, (outcome, _) in zip(unit, applied, strict=True)]

        workspace.undo(start)
        replies: list[Reply] = []
        for index, (member, (outcome, stamp)) in enumerate(zip(unit, applied, strict=True)):
            if index != culprit:
                outcome = _with_its_group(unit[culprit].change.n, applied[culprit][0])
            self._record(member, outcome, stamp)
            replies.append(Reply(member.change.n, outcome))
        return replies

    async def _apply(self, member: Incoming) -> tuple[Outcome, Stamp | None]:
        """Apply one change to the workspace; the outcome, and the effective stamp if it has come to that."""
        change = member.change
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
        change = replace(change, stamp=stamp)
        merged = apply_change(resource_type.rule, state, change, workspace.head(change.scope) + 1)
        if merged.state is None or merged.state is state:
            return merged.outcome, stamp
        body = encode_body(merged.state)
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

    def _record(self, member: Incoming, outcome: Outcome, stamp: Stamp | None) -> None:
        """Settle a number: outcome, history and quarantine are one row (invariant 5)."""
        change, n = member.change, member.change.n
        assert n is not None
        if isinstance(change, Change):
            scope, type_name, resource_id = change.scope, change.type, change.id
            ahead_ms = change.stamp.wall_ms - self._now_ms
        else:
            scope, type_name, resource_id, ahead_ms = "", "", "", 0
        before = self._workspace.replica(self._replica)
        row = SettledRow(
            replica=self._replica,
            n=n,
            digest=member.digest,
            scope=scope,
            type=type_name,
            id=resource_id,
            # Law 4: also what changed nothing is settled where the scope stands now, never below an earlier change.
            version=self._workspace.head(scope),
            kind=outcome.kind.value,
            at_ms=self._now_ms,
            stamp=str(stamp) if stamp is not None else "",
            change=raw_json(member.raw),
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


def raw_json(raw: object) -> bytes:
    """A change as it was sent, as far as JSON can hold it: what cannot be read is kept all the same."""
    return json.dumps(raw, ensure_ascii=True, default=repr, separators=(",", ":")).encode()


def hook_failure(change: Change, failure: Exception) -> Veto:
    """A hook that fails refuses its change, and the queue behind it goes on; the change waits in the quarantine."""
    if isinstance(failure, SyncdError):
        raise failure
    log.error("hook_failed", type=change.type, id=change.id, exc_info=failure)
    return Veto(
        "a hook of the app failed on this change; its author should look at the server's log", code="hook_failed"
    )


def _group_of(incoming: Incoming) -> str | None:
    return incoming.change.group if isinstance(incoming.change, Change) else _raw_group(incoming.raw)


def _raw_group(raw: object) -> str | None:
    """The group of a change that cannot be read: it brings its group down, not its neighbours."""
    group = raw.get("group") if isinstance(raw, dict) else None
    return group if isinstance(group, str) else None


def _culprit(unit: Sequence[Incoming], outcomes: Sequence[Outcome]) -> int | None:
    """The member for whose sake a group is not applied, if there is one."""
    if len(unit) == 1:
        return None
    for kind in _RANK:
        for index, outcome in enumerate(outcomes):
            if outcome.kind is kind:
                return index
    return None


def _with_its_group(n: int | None, culprit: Outcome) -> Outcome:
    message = f"not applied, since change {n} of the same group was {culprit.kind.value}: {culprit.message}"
    return Outcome(culprit.kind, culprit.version, f"group_{culprit.kind.value}", message, "group")


def _without_a_number_in_its_group(member: Incoming) -> Incoming:
    message = "not applied, since a change of the same group has no readable number"
    return replace(member, change=MalformedChange(member.change.n, "group_rejected", message, "group"))


def _out_of_order(n: int | None, expected: int) -> Reply:
    message = f"changes before it are missing; send on from number {expected}"
    return Reply(n, Outcome(Kind.RETRY_LATER, code="out_of_order", message=message, field="n"), expected=expected)


def _rejected(code: str, message: str, field: str | None) -> Outcome:
    return Outcome(Kind.REJECTED, 0, code, message, field)


def _rejected_as(malformed: MalformedChange) -> Outcome:
    return _rejected(malformed.code, malformed.message, malformed.field)
