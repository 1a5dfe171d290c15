"""Applying one change to the workspace: checked, merged by its rule, followed by its conflicts and its hooks.

What has no effect leaves the workspace as it was. Numbers, repeats and groups are `settle`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from conflict_rules import (
    CONFLICT_TYPE,
    Change,
    InvalidValue,
    Kind,
    Mark,
    Merged,
    Op,
    Origin,
    Outcome,
    Stamp,
    State,
    apply_change,
    conflict_id,
    effective_stamp,
)
from conflict_rules.crdt import marker_of, update_of
from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.wire import MalformedChange
from syncd.app import App, ResourceType, Veto
from syncd.app.builtin import COMMANDED
from syncd.engine.admission import DENIED, Admission
from syncd.engine.disputes import Disputes, concerns_conflicts
from syncd.engine.documents import Judged, document_fields
from syncd.engine.incoming import Incoming, rejected, rejected_as
from syncd.engine.limits import Limits
from syncd.engine.workspace import Workspace, encode_body
from syncd.store.protocol import DocumentKey, UpdateRow

__all__ = ["Applied", "Applier", "RunHooks"]

log = structlog.get_logger(__name__)

_OF_THE_DOCUMENT: Final = frozenset({"document_too_large", "document_unreadable"})
"""Refusals of an update that tell something of what is there, and not of the update alone."""

RunHooks = Callable[[Change], Awaitable[Sequence[str]]]
"""Runs the hooks for a change that took effect: the ids of the conflicts that they opened. May raise `Veto`."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Applied:
    """A change, what became of it, and its effective stamp if it came to that.

    `disputed`: whether a field of it is in dispute; then its group is not applied without it.
    """

    member: Incoming
    outcome: Outcome
    stamp: Stamp | None
    disputed: bool = False


class Applier:
    """Applies the changes of one replica. `corrects`: it cannot be told outcomes, see `Pusher.push`."""

    def __init__(
        self,
        workspace: Workspace,
        app: App,
        limits: Limits,
        replica: str,
        now_ms: int,
        disputes: Disputes,
        run_hooks: RunHooks,
        judged: Judged,
        admission: Admission,
        corrects: bool = False,
    ) -> None:
        self._workspace = workspace
        self._app = app
        self._limits = limits
        self._replica = replica
        self._now_ms = now_ms
        self._disputes = disputes
        self._run_hooks = run_hooks
        self._judged = judged
        self._admission = admission
        self._corrects = corrects
        self._last: tuple[str, Stamp | None] = ("", None)

    async def apply(self, member: Incoming) -> Applied:
        """Apply one change; its outcome, and the effective stamp if it has come to that."""
        start = self._workspace.mark()
        applied = await self._apply(member)
        if not applied.outcome.kind.took_effect:
            self._workspace.undo(start)
            await self._disputes.tell_loser(member.change, applied.outcome, applied.stamp)
            if self._corrects and isinstance(member.change, Change) and applied.outcome.code not in DENIED:
                return await self._corrected(applied, member.change)
        return applied

    async def _corrected(self, applied: Applied, change: Change) -> Applied:
        """Law 11: who cannot be told that his change came to nothing finds the resource anew in his next pull."""
        state = self._workspace.state((change.type, change.id))
        if not await self._may_write(change, state):
            return applied
        version = self._workspace.head(change.scope) + 1
        if state is not None and state.scope == change.scope:
            anew = replace(state, version=version)
        elif state is None and change.op is Op.CREATE and change.scope and change.type != CONFLICT_TYPE:
            # Law 7: under the id of a question a tombstone would keep it from ever being asked.
            origin, mark = Origin(change.replica, change.n), Mark(version, applied.stamp or change.stamp)
            anew = State(change.scope, change.type, change.id, version, {}, {}, origin, mark)
        else:
            return applied
        self._workspace.put(anew, encode_body(anew))
        return replace(applied, outcome=replace(applied.outcome, version=version))

    async def _may_write(self, change: Change, state: State | None) -> bool:
        """Whether whoever made a change that came to nothing may leave a version there: what was refused for the sake
        of its group, or of its words, has not been asked that.
        """
        if change.type in COMMANDED:
            return False
        start = self._workspace.mark()
        refusal = await self._admission.refusal(change, state)
        if self._workspace.mark() != start:
            # What comes to nothing begins no scope.
            self._workspace.undo(start)
            return False
        return refusal is None or refusal.code not in DENIED

    async def ask_for_group(self, applied: Applied, group: Collection[int]) -> Applied:
        """A group is not applied, for the sake of a field that is in dispute: only that is asked."""
        change = applied.member.change
        assert isinstance(change, Change)
        assert applied.stamp is not None
        state = self._workspace.state((change.type, change.id))
        resource_type = self._app.type(change.type)
        assert resource_type is not None
        change = self._effective(change, applied.stamp)
        about = {name: conflict_id(change.type, change.id, name) for name in change.fields}
        asked = {name: value for name, value in change.fields.items() if about[name] in applied.outcome.conflicts}
        merged = self._merged(resource_type, state, replace(change, fields=asked))
        if merged.outcome.kind is Kind.CONFLICT and merged.state is not None:
            self._workspace.put(merged.state, encode_body(merged.state))
            await self._disputes.follow(state, merged.state, change, sorted(group))
        return replace(applied, outcome=replace(applied.outcome, version=merged.outcome.version))

    async def _apply(self, member: Incoming) -> Applied:
        change = member.change
        told: tuple[str, ...] = ()
        if member.refused is not None:
            # Whoever may not write there leaves no other trace than that, whatever else is wrong with his change.
            denial = await self._admission.denial(change) if isinstance(change, Change) else None
            return Applied(member, denial or member.refused, None)
        if isinstance(change, MalformedChange):
            return Applied(member, rejected_as(change), None)
        state = self._workspace.state((change.type, change.id))
        if state is not None and state.scope != change.scope and not await self._is_told(change, state):
            state = None
        if not self._admission.allows(change, state):
            refusal = await self._admission.refusal(change, state)
            if refusal is not None:
                return Applied(member, refusal, None)
            told = self._admission.told(change)
        try:
            resource_type = self._checked(change, state)
            updates = self._updates(member, change, is_there=state is not None or _makes(change))
        except InvalidValue as invalid:
            return Applied(member, rejected(invalid.code, str(invalid), invalid.field), None)
        if told:
            change = replace(change, fields={name: each for name, each in change.fields.items() if name not in told})
        stamp = self._effective_stamp(change)
        outcome = await self._settled(resource_type, state, self._effective(change, stamp), updates, member.digest)
        if told:
            outcome = replace(outcome, told=told)
        return Applied(member, outcome, stamp, outcome.kind is Kind.CONFLICT and bool(outcome.lost))

    async def _is_told(self, change: Change, state: State) -> bool:
        """Whether whoever makes this change learns that its id belongs to what lives in another scope: only if he sees
        that, or would have made it anew here.
        """
        return _makes(change) or await self._admission.finds(state)

    def _checked(self, change: Change, state: State | None) -> ResourceType:
        """Whether it may be applied at all; raises `InvalidValue`."""
        resource_type = self._app.type(change.type)
        if resource_type is None:
            raise InvalidValue("unknown_type", "type", f"this app has no type {change.type!r}")
        if change.type == CONFLICT_TYPE and change.op is not Op.SETTLE:
            message = "op: a conflict is opened by the server, and changes by `settle` only"
            raise InvalidValue("built_in_type", "op", message)
        elsewhere = state is not None and state.scope != change.scope
        if elsewhere and not _makes(change):
            raise _in_another_scope(change)
        # A restore may count on what the tombstone keeps; if it brings a whole record, that is checked as one.
        if change.op is Op.CREATE or (change.op is Op.RESTORE and (state is None or not state.fields)):
            if change.fields or change.op is Op.CREATE:
                resource_type.check_create(change.id, change.scope, change.fields)
        elif change.op is not Op.DELETE:
            resource_type.check_update(change.scope, change.fields)
        if elsewhere:
            # Last: that an id is taken is told to whoever could have had it.
            raise _in_another_scope(change)
        return resource_type

    def _updates(self, member: Incoming, change: Change, *, is_there: bool) -> dict[DocumentKey, bytes]:
        """The updates of documents that it brings; raises `InvalidValue` for what is none, or cannot be taken.

        `is_there`: what it edits, as far as whoever makes it may know.
        """
        updates: dict[DocumentKey, bytes] = {}
        for key, _, value in document_fields(self._app, change):
            updates[key] = update_of(key.field, value)
            refusal = self._judged.refusal(member, key.field)
            if refusal is not None and (is_there or refusal.code not in _OF_THE_DOCUMENT):
                raise refusal
        return updates

    def _keep(self, updates: Mapping[DocumentKey, bytes], after: State, change: Change, digest: bytes) -> None:
        for key, update in updates.items():
            marker = marker_of(after.fields.get(key.field))
            assert marker is not None, "the rule `crdt` leaves a marker"
            waited = self._judged.waits(change.n, digest, key.field)
            place = (key, after.scope, marker.since, marker.seq, after.version)
            row = UpdateRow(*place, change.replica, change.n, update, waited)
            self._workspace.append(row, digest)

    def _effective_stamp(self, change: Change) -> Stamp:
        """Law 2: it is fixed here, once, at first acceptance."""
        last = self._workspace.replica(self._replica).last_stamp
        if last != self._last[0]:
            self._last = last, Stamp.parse(last) if last else None
        stamp = effective_stamp(
            change.stamp, now_ms=self._now_ms, after=self._last[1], max_drift_ms=self._limits.max_drift_ms
        )
        # It will most likely be the last one when the next change comes.
        self._last = str(stamp), stamp
        return stamp

    def _effective(self, change: Change, stamp: Stamp) -> Change:
        # A version that this scope has not reached was shown by a database that was restored since: it claims nothing.
        base = change.base if change.base <= self._workspace.head(change.scope) else 0
        if base == change.base and stamp == change.stamp:
            return change
        return replace(change, stamp=stamp, base=base)

    def _merged(self, resource_type: ResourceType, state: State | None, change: Change) -> Merged:
        return apply_change(resource_type.rule, state, change, self._workspace.head(change.scope) + 1)

    async def _settled(
        self,
        resource_type: ResourceType,
        state: State | None,
        change: Change,
        updates: Mapping[DocumentKey, bytes],
        digest: bytes,
    ) -> Outcome:
        try:
            merged = self._merged(resource_type, state, change)
            if merged.state is None or merged.state is state:
                return merged.outcome
            body = encode_body(merged.state)
        except Exception:
            # A rule of the author's. One change must not stop the queue behind it (invariant 6).
            log.exception("rule_failed", type=change.type, id=change.id)
            message = f"the rule of {change.type} failed on this change; its author should look at the server's log"
            return rejected("check_failed", message, None)
        if len(body) > self._limits.max_resource_bytes:
            message = (
                f"the {change.type} would be {len(body)} bytes, more than the {self._limits.max_resource_bytes} allowed"
            )
            return rejected("resource_too_large", message, "fields")
        self._workspace.put(merged.state, body)
        self._keep(updates, merged.state, change, digest)
        try:
            if concerns_conflicts(state, merged.state):
                await self._disputes.follow(state, merged.state, change)
            asked = await self._run_hooks(change) if self._app.hooks(change.type) else ()
        except InvalidValue as invalid:
            return rejected(invalid.code, str(invalid), invalid.field)
        except Veto as veto:
            return rejected(veto.code, str(veto), veto.field)
        return _with_questions(merged.outcome, asked)


def _makes(change: Change) -> bool:
    """Whether it makes the resource, should there be none."""
    return change.op is Op.CREATE or (change.op is Op.RESTORE and bool(change.fields))


def _in_another_scope(change: Change) -> InvalidValue:
    return InvalidValue("scope_is_for_life", "scope", f"this {change.type} lives in another scope")


def _with_questions(outcome: Outcome, asked: Sequence[str]) -> Outcome:
    """The outcome of a change over which a hook has asked something: it took effect, and somebody has to answer."""
    if not asked:
        return outcome
    conflicts = tuple(dict.fromkeys((*outcome.conflicts, *asked)))
    if outcome.kind is Kind.CONFLICT:
        return replace(outcome, conflicts=conflicts)
    message = "it was saved, and raises a question that somebody has to answer"
    return replace(outcome, kind=Kind.CONFLICT, code="question_asked", message=message, conflicts=conflicts)
