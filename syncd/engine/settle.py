"""Settling: what becomes of each change of one push, against one workspace. Laws 1 to 5 meet here.

Writes nothing by itself: the workspace holds what is to be committed, and outcomes go out only after that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from conflict_rules import Change, InvalidValue, Kind, Op, Outcome, State
from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.wire import MalformedChange, decode_outcome, outcome_text
from syncd.app import App
from syncd.engine.admission import Admission, is_denied
from syncd.engine.apply import Applied, Applier
from syncd.engine.failed_updates import marked
from syncd.engine.incoming import Incoming, kept, rejected, rejected_as, scope_of
from syncd.engine.limits import Limits
from syncd.engine.portions import group_of, in_units
from syncd.engine.stretch import Stretch
from syncd.engine.upgrade import behind
from syncd.engine.workspace import Workspace
from syncd.store.protocol import ReplicaRow, SettledRow

__all__ = ["Reply", "Settler"]

log = structlog.get_logger(__name__)

_RANK = (Kind.REJECTED, Kind.OVERRULED)
"""What brings a whole group down, the worst first."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one change. `repeat`: it had been settled before. `expected`: the number to go on with."""

    n: int | None
    outcome: Outcome
    repeat: bool = False
    expected: int | None = None


class Settler:
    """Settles the changes of one replica, in order, in one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        app: App,
        limits: Limits,
        replica: str,
        now_ms: int,
        applier: Applier,
        admission: Admission,
        stretch: Stretch,
        user: str = "",
        *,
        closed: bool = False,
    ) -> None:
        """`user`: whose the replica is from its first change on, "" for nobody's. `closed`: it has a past that is
        nobody's, and settles no further number: whoever comes makes his changes anew under another replica id.
        """
        self._workspace = workspace
        self._app = app
        self._limits = limits
        self._replica = replica
        self._now_ms = now_ms
        self._applier = applier
        self._admission = admission
        self._stretch = stretch
        self._user = user
        self._closed = closed
        self._waits: Outcome | None = None

    async def settle(self, incoming: Sequence[Incoming]) -> list[Reply]:
        """An answer to each change, in order. Changes with the same `group` are neighbours, settled all or none."""
        if self._closed:
            return [self._answer_from_the_past(member) for member in incoming]
        replies: list[Reply] = []
        for unit in in_units(incoming, lambda member: group_of(member.raw)):
            replies += await self._settle_unit(unit)
            if self._stretch.is_long:
                await self._stretch.rest()
        return replies

    async def _settle_unit(self, unit: Sequence[Incoming]) -> list[Reply]:
        """Answer repeats from store, turn gaps away, and apply what is new as one unit."""
        expected = self._workspace.replica(self._replica).settled + 1
        if len(unit) == 1 and unit[0].change.n == expected and unit[0].waits is None:
            return await self._apply_unit(unit)
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

    def _answer_from_the_past(self, member: Incoming) -> Reply:
        """A repeat gets its outcome; what is new, no number."""
        n, settled = member.change.n, self._workspace.replica(self._replica).settled
        if n is None or n <= settled:
            return self._answer_without_settling(member, settled + 1)
        message = "what this replica sent before belongs to no account; make this one anew under a new replica id"
        return Reply(n, Outcome(Kind.REJECTED, code="id_reuse", message=message, field="replica"))

    def _answer_without_settling(self, member: Incoming, expected: int) -> Reply:
        n = member.change.n
        if n is None:
            assert isinstance(member.change, MalformedChange)
            return Reply(None, rejected_as(member.change))
        if n >= expected:
            return _out_of_order(n, expected) if self._waits is None else Reply(n, member.waits or self._waits)
        stored = self._workspace.settled(self._replica, n)
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
        applied: list[Applied] = []
        for incoming in unit:
            member = await self._at_home(incoming)
            head = workspace.head(scope_of(member))
            applied.append(await self._applier.apply(member))
            self._record(applied[-1], head)
        culprit = _culprit(applied)
        if culprit is not None:
            workspace.undo(start)
            down = [self._taken_down(each, culprit) for each in applied]
            heads = [workspace.head(scope_of(each.member)) for each in down]
            if culprit.disputed:
                numbers = [n for each in down if (n := each.member.change.n)]
                asked = await self._applier.ask_for_group(culprit, numbers)
                down = [asked if each is culprit else each for each in down]
            for each, head in zip(down, heads, strict=True):
                self._record(each, head)
            applied = down
        return [Reply(each.member.change.n, each.outcome) for each in applied]

    async def _at_home(self, member: Incoming) -> Incoming:
        """A change that names no scope gets the one in which its resource lives, or will live."""
        change = member.change
        if not isinstance(change, Change) or change.scope or member.refused is not None:
            return member
        try:
            scope = await self._home_of(change)
        except InvalidValue as invalid:
            return replace(member, refused=rejected(invalid.code, str(invalid), invalid.field))
        self._workspace.need(scope)
        return replace(member, change=replace(change, scope=scope))

    async def _home_of(self, change: Change) -> str:
        state = self._state_of(change)
        if state is not None and await self._admission.finds(state):
            return state.scope
        resource_type = self._app.type(change.type)
        if resource_type is None:
            raise InvalidValue("unknown_type", "type", f"this app has no type {change.type!r}")
        if change.op is not Op.CREATE:
            # Of what he may neither see nor change nobody is told that it is there. Nor by creating it: where that
            # would live, and whether he may, is told by its fields, as of any other id.
            message = f"there is no {change.type} {change.id!r}: it never was, or was deleted long ago"
            raise InvalidValue("unknown_resource", "id", message)
        scope = resource_type.scope_of(change.id, change.fields)
        if scope is None:
            message = f"scope: which scope the new {change.type} belongs to cannot be told from its fields; name it"
            raise InvalidValue("missing_scope", "scope", message)
        return scope

    def _taken_down(self, each: Applied, culprit: Applied) -> Applied:
        """What becomes of a member of a group that is not applied."""
        if each is culprit:
            if each.disputed:
                return each
            # It may have met a state that another member had made, and that is no more.
            state = self._state_of(each.member.change)
            version = min(each.outcome.version, 0 if state is None else state.version)
            return replace(each, outcome=replace(each.outcome, version=version))
        if each.member.refused is not None or is_denied(each.outcome):
            return each
        return replace(each, outcome=_with_its_group(culprit.member.change.n, culprit.outcome))

    def _state_of(self, change: Change | MalformedChange) -> State | None:
        return self._workspace.state((change.type, change.id)) if isinstance(change, Change) else None

    def _record(self, each: Applied, head: int) -> None:
        """Settle a number: outcome, history and quarantine are one row (invariant 5). `head`: before the change."""
        member, outcome, stamp = each.member, each.outcome, each.stamp
        change, n = member.change, member.change.n
        assert n is not None
        if isinstance(change, Change):
            type_name, resource_id, ahead_ms = change.type, change.id, change.stamp.wall_ms - self._now_ms
        else:
            type_name, resource_id, ahead_ms = "", "", 0
        before = marked(self._workspace.replica(self._replica), member, outcome, self._now_ms)
        row = SettledRow(
            replica=self._replica,
            n=n,
            digest=member.digest,
            scope=scope_of(member),
            type=type_name,
            id=resource_id,
            # Law 4: at the version it made, below those that its hooks made, so that no page holds it unsaid; what
            # changed nothing where the scope stands, never below an earlier change.
            version=max(head, outcome.version),
            kind=outcome.kind.value,
            at_ms=self._now_ms,
            stamp=str(stamp) if stamp is not None else "",
            change=kept(member),
            outcome=outcome_text(n, outcome),
        )
        self._workspace.settle(
            row,
            ReplicaRow(
                before.id,
                n,
                row.stamp or before.last_stamp,
                ahead_ms if ahead_ms > self._limits.max_drift_ms else 0,
                before.seen_at_ms,
                before.failed_updates,
                before.failed_at_ms,
                before.user or self._user,
            ),
        )


def decode_stored_outcome(row: SettledRow) -> Outcome:
    """The outcome that was given when the change was settled."""
    return decode_outcome(json.loads(row.outcome))


def _culprit(applied: Sequence[Applied]) -> Applied | None:
    """The member for whose sake a group is not applied, if there is one."""
    if len(applied) == 1:
        return None
    refused = (each for kind in _RANK for each in applied if each.outcome.kind is kind)
    return next(refused, None) or next((each for each in applied if each.disputed), None)


def _with_its_group(n: int | None, culprit: Outcome) -> Outcome:
    which = "a change" if n is None else f"change {n}"
    fate = "is in conflict" if culprit.kind is Kind.CONFLICT else f"was {culprit.kind.value}"
    message = f"not applied, since {which} of the same group {fate}: {culprit.message}"
    return Outcome(culprit.kind, 0, f"group_{culprit.kind.value}", message, "group", (), culprit.conflicts)


def _out_of_order(n: int | None, expected: int) -> Reply:
    message = f"changes before it are missing; send on from number {expected}"
    return Reply(n, Outcome(Kind.RETRY_LATER, code="out_of_order", message=message, field="n"), expected=expected)
