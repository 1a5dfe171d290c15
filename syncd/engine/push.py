"""Push: changes in, outcomes out. Commit first; then the reply and the news, neither waiting for the other.

The path of one change: read, grouped with whatever else waits, settled against a workspace, committed, published.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from itertools import chain, count
from typing import Final
from weakref import WeakValueDictionary

import structlog

from conflict_rules import Change, Kind, Outcome, Stamp
from conflict_rules.values import JsonValue, valid_replica
from conflict_rules.wire import (
    MalformedChange,
    change_digest,
    decode_change,
    decode_outcome,
    encode_outcome,
    spelling_of,
)
from syncd.app import App
from syncd.bus.protocol import Bus
from syncd.documents.protocol import Documents
from syncd.engine.acts import Acts
from syncd.engine.delta import deltas_of
from syncd.engine.documents import DocumentJudge, kind_of
from syncd.engine.entry import DROPPED_REPLICA, REPLAY_REPLICA, SERVER_REPLICA
from syncd.engine.failed_updates import newly_marked
from syncd.engine.group_commit import GroupCommit
from syncd.engine.group_run import GroupRun
from syncd.engine.hook_documents import HookDocuments
from syncd.engine.incoming import SCATTERED, Incoming
from syncd.engine.job import Job, JudgedCommits, PushReply
from syncd.engine.limits import Limits
from syncd.engine.portions import Pace, group_of, scattered_groups, take_portion, units_of
from syncd.engine.principal import OPERATOR, AsOfNow, Caller, Principal, as_he_came
from syncd.engine.squash import Squasher
from syncd.engine.upgrade import OTHER_VERSION, behind, lift
from syncd.engine.watch import Watcher
from syncd.engine.workspace import Workspace
from syncd.errors import Forbidden, InvalidMessage, StoreUnavailable, SyncdError, TooLarge
from syncd.store.protocol import Commit, Loaded, Store

__all__ = ["PushReply", "Pusher", "check_own_name"]

log = structlog.get_logger(__name__)

_MAX_GROUP_CHANGES: Final = 500
"""Changes in one group commit: enough to share a disk write, few enough not to keep others waiting for long."""
_MAX_WAITING_CHANGES: Final = 50_000
_RESERVED: Final = (SERVER_REPLICA, REPLAY_REPLICA, DROPPED_REPLICA)
_MOST_ACTS: Final = 1_000
"""Users on whose behalf it numbers changes at a time; for others it begins anew."""


class Pusher:
    """The push use case. One for each server; `now_ms` reads the server's wall clock."""

    def __init__(
        self,
        store: Store,
        app: App,
        bus: Bus,
        watcher: Watcher,
        now_ms: Callable[[], int],
        limits: Limits,
        documents: Documents | None = None,
        *,
        as_of_now: AsOfNow = as_he_came,
    ) -> None:
        """`as_of_now`: who somebody is when his changes are applied, which may be long after he came in."""
        app.upgrades.check()
        self.on_rejected: Callable[[Set[str]], None] = lambda replicas: None
        """Told, after each commit, whose changes were rejected in it; whoever looks after the quarantine sets this."""
        self._app = app
        self._bus = bus
        self._watcher = watcher
        self._now_ms = now_ms
        self._limits = limits
        self._acts: dict[str, Acts] = {}
        self._acts_made = count(1)
        self._pace = Pace(time.monotonic)
        self._judge = DocumentJudge(app, store, documents)
        self._squasher = (
            None
            if documents is None
            else Squasher(
                store,
                documents,
                self._judge.turn,
                partial(kind_of, app),
                now_ms,
                lambda replicas: self.on_rejected(replicas),
            )
        )
        self._groups = GroupRun(
            store,
            app,
            now_ms,
            limits,
            HookDocuments(store, documents),
            server=SERVER_REPLICA + store.incarnation,
            on_commit=self._committed,
            as_of_now=as_of_now,
        )
        self._under_way = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._judged = JudgedCommits(self._judge, lambda job: self._commits.submit(job))
        self._commits: GroupCommit[Job, PushReply] = GroupCommit(
            self._groups.run,
            weigh=lambda job: max(1, len(job.incoming)),
            max_weight=_MAX_GROUP_CHANGES,
            max_waiting=_MAX_WAITING_CHANGES,
        )
        watcher.more_to_come = lambda: self._commits.busy

    async def push(
        self,
        replica: str,
        schema: int,
        changes: Sequence[object],
        *,
        corrects: bool = False,
        principal: Principal = OPERATOR,
    ) -> PushReply:
        """Settle the changes of one replica, oldest first, and answer each; durable when this returns (invariant 1).

        `changes`: as they were sent. `schema`: the app version that changes were made under which do not say.
        `corrects`: for clients that cannot be told an outcome; then what a refused or overruled change was about gets a
        new version (a refused create a tombstone), so that the next pull puts it right (law 11). `principal`: whose
        changes these are; whether he may make one is looked up when it is applied, and what he may not goes to the
        quarantine.
        Raises `Forbidden` for whoever may never push, and for a replica that belongs to somebody else, and
        `Unauthenticated` if what he came in by has ended meanwhile.
        Raises `InvalidMessage` or `TooLarge` for the envelope, `StoreError` if the database failed at once; then
        nothing was applied, unless the connection to it broke in the very moment of the commit. If it fails later, what
        was not reached is answered `retry_later`. Sending again is always safe.
        """
        _check_writes(principal)
        if not valid_replica(replica) or replica.startswith(SERVER_REPLICA):
            raise InvalidMessage(
                f"replica: 1 to 64 characters of A-Z a-z 0-9 _ -, not beginning with {SERVER_REPLICA!r}",
                field="replica",
                code="invalid_replica",
            )
        if len(changes) > self._limits.max_changes:
            raise TooLarge(
                f"{len(changes)} changes in one push, more than the {self._limits.max_changes} allowed", field="changes"
            )
        if self._under_way >= _MAX_WAITING_CHANGES:
            # A long push rests between its portions, where the group commit does not see it.
            raise StoreUnavailable(
                "too many changes are waiting to be written; nothing was applied", retry_after_s=1, code="overloaded"
            )
        self._under_way += len(changes)
        try:
            # Law 3: what a replica sends behind a long push must not come between its portions, as a gap or a reuse.
            async with self._turns.setdefault(replica, asyncio.Lock()):
                return await self._push(replica, schema, changes, corrects=corrects, principal=principal)
        finally:
            self._under_way -= len(changes)

    async def act(
        self, drafts: Sequence[Mapping[str, JsonValue]], principal: Principal = OPERATOR, *, commanded: bool = False
    ) -> list[dict[str, JsonValue]]:
        """Make changes for somebody who has no replica: wire form without `n` and `stamp`; an outcome for each.

        `principal`: on whose behalf, with his rights. `commanded`: whether they carry out a command, which alone may
        change built-in types (law 7). Durable when this returns. Raises what `push` raises.
        """
        _check_writes(principal)
        acts = self._acts.get(principal.user)
        if acts is None:
            # Never a name that was there before: its numbers are used.
            name = f"{self._groups.server}-{next(self._acts_made)}" if principal.user else self._groups.server
            acts = self._acts[principal.user] = Acts(name, self._now_ms, self._push_acts)
            while len(self._acts) > _MOST_ACTS:
                self._acts.pop(next(user for user in self._acts if user))
        return await acts.act(drafts, principal, commanded=commanded)

    async def close(self) -> None:
        """Let what was taken be committed, and take no more."""
        await self._commits.close()
        if self._squasher is not None:
            await self._squasher.close()

    def _committed(self, commit: Commit, workspace: Workspace, before: Loaded) -> None:
        """News of a commit, to whoever waits for it; neither waits for the other."""
        if commit.updates and self._squasher is not None:
            self._squasher.grown(workspace.documents, Counter(row.key for row in commit.updates))
        self.on_rejected({row.replica for row in commit.settled if row.kind == Kind.REJECTED})
        for row in newly_marked(before.replicas, commit.replicas):
            log.warning("document_updates_failed", replica=row.id, failed=row.failed_updates)
        self.publish(commit, before.scopes)

    def publish(self, commit: Commit, heads_before: Mapping[str, int]) -> None:
        """Tell everybody who watches of what was committed, by this or by whoever else writes as the server."""
        if commit.updates or commit.dropped:
            self._judge.written(commit)
        for delta in deltas_of(commit, heads_before):
            self._watcher.offer(delta)
            self._bus.publish(delta.scope, delta.upto)

    async def _push(
        self,
        replica: str,
        schema: int,
        changes: Sequence[object],
        *,
        corrects: bool = False,
        principal: Principal = OPERATOR,
        commanded: bool = False,
    ) -> PushReply:
        self._pace.begin(len(changes))
        units, scattered = units_of(changes), scattered_groups(changes)
        outcomes: list[dict[str, JsonValue]] = []
        settled: int | None = None
        while True:
            began = time.monotonic()
            incoming = self._read(replica, schema, take_portion(units, self._pace.portion), scattered)
            job = Job(replica, incoming, corrects, principal, commanded)
            waits: Outcome | None
            try:
                part = await self._judged.commit(job)
            except SyncdError as error:
                if settled is None:
                    raise
                # What came before is durable, so that the push as a whole has not failed. The rest is not tried: each
                # portion might wait as long as this one, only to be told that changes before it are missing.
                waits = Outcome(Kind.RETRY_LATER, code=error.problem_code, message=error.message)
                outcomes += [_not_now(member, waits) for member in job.incoming]
            else:
                outcomes += part.outcomes
                settled = part.settled
                waits = _waits_for_a_version(part)
            if waits is not None:
                rest = self._read(replica, schema, list(chain.from_iterable(units)), scattered)
                outcomes += [_not_now(member, waits) for member in rest]
                units.clear()
            if not units:
                return PushReply(replica, settled, outcomes)
            await asyncio.sleep(self._pace.pause_s(time.monotonic() - began))

    async def _push_acts(
        self, replica: str, changes: Sequence[object], principal: Principal, commanded: bool
    ) -> tuple[int | None, Sequence[dict[str, JsonValue]]]:
        reply = await self._push(replica, self._app.version, changes, principal=principal, commanded=commanded)
        return reply.settled, reply.outcomes

    def _read(self, replica: str, schema: int, raws: Sequence[object], scattered: Collection[str]) -> list[Incoming]:
        arrival = Stamp(self._now_ms(), 0, replica)
        return [
            self._incoming(
                decode_change(raw, replica, schema=schema, stamp=arrival),
                raw,
                # What stands between its members is settled before the last of them: too late for all or none.
                refused=SCATTERED if group_of(raw) in scattered else None,
            )
            for raw in raws
        ]

    def _incoming(self, change: Change | MalformedChange, raw: object, refused: Outcome | None) -> Incoming:
        """A change in the words of the app's version; law 3 and the history go by what was sent."""
        spelling = spelling_of(raw)
        digest = change_digest(raw, spelling)
        if not isinstance(change, Change):
            return Incoming(change, raw, digest, refused)
        if isinstance(raw, dict) and "schema" not in raw and change.schema != 1:
            # Its push named the version. Kept by itself it would say nothing of that, and be read as one of version 1.
            raw, spelling = {**raw, "schema": change.schema}, None
        lifted = lift(change, self._app)
        if isinstance(lifted, Change):
            return Incoming(lifted, raw, digest, refused, None, spelling)
        if lifted.kind is Kind.RETRY_LATER:
            return Incoming(change, raw, digest, refused, lifted, spelling)
        return Incoming(change, raw, digest, refused or lifted, None, spelling)


def _check_writes(principal: Principal) -> None:
    """Raise `Forbidden` for whoever never may."""
    if principal.caller in (Caller.LINK, Caller.NOBODY):
        raise Forbidden("whoever comes by a share link may read, and not write", code="read_only")


def check_own_name(replica: str, principal: Principal) -> None:
    """Raise `InvalidMessage` if somebody names his replica as the server names its own."""
    if principal.caller is not Caller.OPERATOR and replica.startswith(_RESERVED):
        raise InvalidMessage(
            f"replica: not beginning with {', '.join(_RESERVED)}", field="replica", code="invalid_replica"
        )


def _not_now(member: Incoming, waits: Outcome) -> dict[str, JsonValue]:
    return encode_outcome(member.change.n, waits)


def _waits_for_a_version(reply: PushReply) -> Outcome | None:
    """Why all that follows has to wait, if a change of this push waits for another version of the app."""
    last = next((each for each in reversed(reply.outcomes) if each.get("code") in OTHER_VERSION), None)
    if last is None:
        return None
    outcome, n = decode_outcome(last), last["n"]
    return outcome if outcome.field is None or not isinstance(n, int) else behind(n, outcome)
