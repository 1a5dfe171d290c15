"""Push: changes in, outcomes out. Commit first; then the reply and the news, neither waiting for the other.

The path of one change: read, grouped with whatever else waits, settled against a workspace, committed, published.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from itertools import chain
from typing import Final
from weakref import WeakValueDictionary

import structlog

from conflict_rules import Change, Clock, Kind, Outcome, Stamp
from conflict_rules.values import JsonValue, valid_replica
from conflict_rules.wire import (
    MalformedChange,
    change_digest,
    decode_change,
    decode_outcome,
    encode_outcome,
    encode_state,
    spelling_of,
)
from syncd.app import App
from syncd.bus.protocol import Bus
from syncd.documents.protocol import Documents
from syncd.engine.acts import Acts
from syncd.engine.apply import Applier
from syncd.engine.delta import deltas_of
from syncd.engine.disputes import Disputes
from syncd.engine.documents import DocumentJudge, kind_of
from syncd.engine.failed_updates import newly_marked
from syncd.engine.group_commit import GroupCommit
from syncd.engine.hook_documents import MOST_BYTES, Content, HookDocuments, Position, Shown, size_of
from syncd.engine.hook_transaction import EngineHookTransaction
from syncd.engine.incoming import SCATTERED, Incoming
from syncd.engine.job import Job, JudgedCommits, PushReply, check_documents
from syncd.engine.limits import Limits
from syncd.engine.portions import Pace, group_of, scattered_groups, take_portion, units_of
from syncd.engine.settle import Reply, Settler
from syncd.engine.squash import Squasher
from syncd.engine.upgrade import OTHER_VERSION, behind, lift
from syncd.engine.watch import Watcher
from syncd.engine.workspace import Workspace
from syncd.errors import AppError, InvalidMessage, StoreUnavailable, SyncdError, TooLarge
from syncd.store.protocol import ResourceKey, Store, Transaction, Wanted

__all__ = ["PushReply", "Pusher"]

log = structlog.get_logger(__name__)

_MAX_GROUP_CHANGES: Final = 500
"""Changes in one group commit: enough to share a disk write, few enough not to keep others waiting for long."""
_MAX_WAITING_CHANGES: Final = 50_000
_LONGEST_STRETCH_S: Final = 0.002
"""Of settling, with no rest between two jobs of a group."""
_MAX_RUNS: Final = 8
"""How often a group may run, each time with more locks: twice as a rule, more if hooks are led on by what they read."""
_SERVER_REPLICA: Final = "server-"


class _NeedsMore(Exception):
    """What was run needs scopes whose locks are not held, or documents to show: it is run again with them (law 5)."""

    def __init__(self, scopes: set[str], documents: set[Position]) -> None:
        super().__init__(", ".join(sorted(scopes)))
        self.scopes = scopes
        self.documents = documents


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
    ) -> None:
        app.upgrades.check()
        self.on_rejected: Callable[[Set[str]], None] = lambda replicas: None
        """Told, after each commit, whose changes were rejected in it; whoever looks after the quarantine sets this."""
        self._store = store
        self._app = app
        self._bus = bus
        self._watcher = watcher
        self._now_ms = now_ms
        self._limits = limits
        self._server_replica = _SERVER_REPLICA + store.incarnation
        self._clock = Clock(self._server_replica, now_ms)
        self._acts = Acts(self._server_replica, now_ms, self._push_acts)
        self._pace = Pace(time.monotonic)
        self._judge = DocumentJudge(app, store, documents)
        self._hook_documents = HookDocuments(store, documents)
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
        self._under_way = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._judged = JudgedCommits(self._judge, lambda job: self._commits.submit(job))
        self._commits: GroupCommit[Job, PushReply] = GroupCommit(
            self._run,
            weigh=lambda job: max(1, len(job.incoming)),
            max_weight=_MAX_GROUP_CHANGES,
            max_waiting=_MAX_WAITING_CHANGES,
        )

    async def push(self, replica: str, schema: int, changes: Sequence[object], *, corrects: bool = False) -> PushReply:
        """Settle the changes of one replica, oldest first, and answer each; durable when this returns (invariant 1).

        `changes`: as they were sent. `schema`: the app version that changes were made under which do not say.
        `corrects`: for clients that cannot be told an outcome; then what a refused or overruled change was about gets a
        new version (a refused create a tombstone), so that the next pull puts it right (law 11).
        Raises `InvalidMessage` or `TooLarge` for the envelope, `StoreError` if the database failed at once; then
        nothing was applied, unless the connection to it broke in the very moment of the commit. If it fails later, what
        was not reached is answered `retry_later`. Sending again is always safe.
        """
        if not valid_replica(replica) or replica.startswith(_SERVER_REPLICA):
            raise InvalidMessage(
                f"replica: 1 to 64 characters of A-Z a-z 0-9 _ -, not beginning with {_SERVER_REPLICA!r}",
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
                return await self._push(replica, schema, changes, corrects)
        finally:
            self._under_way -= len(changes)

    async def act(self, drafts: Sequence[Mapping[str, JsonValue]]) -> list[dict[str, JsonValue]]:
        """Make changes for somebody who has no replica: wire form without `n` and `stamp`; an outcome for each.

        Durable when this returns. Raises what `push` raises.
        """
        return await self._acts.act(drafts)

    async def close(self) -> None:
        """Let what was taken be committed, and take no more."""
        await self._commits.close()
        if self._squasher is not None:
            await self._squasher.close()

    async def _push(self, replica: str, schema: int, changes: Sequence[object], corrects: bool = False) -> PushReply:
        self._pace.begin(len(changes))
        units, scattered = units_of(changes), scattered_groups(changes)
        outcomes: list[dict[str, JsonValue]] = []
        settled: int | None = None
        while True:
            began = time.monotonic()
            job = self._job(replica, schema, take_portion(units, self._pace.portion), scattered, corrects)
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
                rest = self._job(replica, schema, list(chain.from_iterable(units)), scattered)
                outcomes += [_not_now(member, waits) for member in rest.incoming]
                units.clear()
            if not units:
                return PushReply(replica, settled, outcomes)
            await asyncio.sleep(self._pace.pause_s(time.monotonic() - began))

    async def _push_acts(
        self, replica: str, changes: Sequence[object]
    ) -> tuple[int | None, Sequence[dict[str, JsonValue]]]:
        reply = await self._push(replica, self._app.version, changes)
        return reply.settled, reply.outcomes

    def _job(
        self, replica: str, schema: int, raws: Sequence[object], scattered: Collection[str], corrects: bool = False
    ) -> Job:
        arrival = Stamp(self._now_ms(), 0, replica)
        return Job(
            replica,
            [
                self._incoming(
                    decode_change(raw, replica, schema=schema, stamp=arrival),
                    raw,
                    # What stands between its members is settled before the last of them: too late for all or none.
                    refused=SCATTERED if group_of(raw) in scattered else None,
                )
                for raw in raws
            ],
            corrects,
        )

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

    async def _run(self, jobs: Sequence[Job]) -> list[PushReply]:
        scopes = {change.scope for job in jobs for change in job.changes if change.scope}
        contents = {position: content for job in jobs for position, content in job.judged.contents.items()}
        full = size_of(contents) + MOST_BYTES
        for _ in range(_MAX_RUNS - 1):
            try:
                return await self._run_locked(jobs, scopes, contents)
            except _NeedsMore as needed:
                # Law 5: locks are taken in one sorted order, so a set that has grown is taken anew from the start.
                scopes |= needed.scopes
                contents |= await self._hook_documents.read(needed.documents, full - size_of(contents))
                if len(jobs) > 1 and size_of(contents) >= full:
                    # Alone there is room for each.
                    raise AppError(f"the hooks of the app {self._app.name!r} look at many documents") from None
        if len(jobs) > 1:
            raise AppError(f"each run of the hooks of the app {self._app.name!r} touches further scopes")
        return await self._run_locked(jobs, scopes, contents, may_grow=False)

    async def _run_locked(
        self, jobs: Sequence[Job], scopes: set[str], contents: Mapping[Position, Content], *, may_grow: bool = True
    ) -> list[PushReply]:
        now_ms = self._now_ms()
        replicas = {job.replica for job in jobs}
        keys: set[ResourceKey] = {(change.type, change.id) for job in jobs for change in job.changes}
        if any(self._app.hooks(name) for name in {type_name for type_name, _ in keys}):
            replicas.add(self._server_replica)
        numbers = {(job.replica, n) for job in jobs for member in job.incoming if (n := member.change.n) is not None}
        documents = [key for job in jobs for key in job.judged.keys]
        async with self._store.transaction(replicas=replicas, scopes=scopes) as transaction:
            workspace = Workspace(may_grow=may_grow)
            loaded = await transaction.load(Wanted(replicas, scopes, keys, numbers, documents))
            workspace.add(loaded, keys)
            shown = Shown(self._app, workspace, contents, may_miss=may_grow)
            for job in jobs:
                job.judged.check_heads(workspace.documents)
            replies = []
            rested = time.monotonic()
            for job in jobs:
                replies.append(await self._settle(job, workspace, transaction, shown, now_ms))
                if time.monotonic() - rested > _LONGEST_STRETCH_S:
                    # A long group must not keep live frames and other requests waiting.
                    await asyncio.sleep(0)
                    rested = time.monotonic()
            if workspace.missing or shown.missing:
                raise _NeedsMore(workspace.missing, shown.missing)
            commit = workspace.commit(now_ms)
            if commit is not None:
                await transaction.commit(commit)
        if commit is not None:
            if commit.updates and self._squasher is not None:
                self._squasher.grown(workspace.documents, Counter(row.key for row in commit.updates))
            self.on_rejected({row.replica for row in commit.settled if row.kind == Kind.REJECTED})
            for row in newly_marked(loaded.replicas, commit.replicas):
                log.warning("document_updates_failed", replica=row.id, failed=row.failed_updates)
            for delta in deltas_of(commit, loaded.scopes):
                self._watcher.offer(delta)
                self._bus.publish(delta.scope, delta.upto)
        return replies

    async def _settle(
        self, job: Job, workspace: Workspace, transaction: Transaction, shown: Shown, now_ms: int
    ) -> PushReply:
        hook_transaction = EngineHookTransaction(
            transaction,
            workspace,
            self._app,
            server=self._server_replica,
            clock=self._clock,
            now_ms=now_ms,
            shown=shown,
        )
        disputes = Disputes(workspace, hook_transaction.look_for)
        applier = Applier(
            workspace,
            self._app,
            self._limits,
            job.replica,
            now_ms,
            disputes,
            hook_transaction.run_hooks,
            job.judged,
            corrects=job.corrects,
        )
        settler = Settler(workspace, self._app, self._limits, job.replica, now_ms, applier)
        replies = await settler.settle(job.incoming)
        if not workspace.missing and not shown.missing:
            # Else it is done again, and a hook may have turned away what it could not see.
            check_documents(job, replies, workspace)
        outcomes = [
            _encode_reply(reply, member, workspace) for reply, member in zip(replies, job.incoming, strict=True)
        ]
        return PushReply(job.replica, workspace.replica(job.replica).settled, outcomes)


def _not_now(member: Incoming, waits: Outcome) -> dict[str, JsonValue]:
    return encode_outcome(member.change.n, waits)


def _waits_for_a_version(reply: PushReply) -> Outcome | None:
    """Why all that follows has to wait, if a change of this push waits for another version of the app."""
    last = next((each for each in reversed(reply.outcomes) if each.get("code") in OTHER_VERSION), None)
    if last is None:
        return None
    outcome, n = decode_outcome(last), last["n"]
    return outcome if outcome.field is None or not isinstance(n, int) else behind(n, outcome)


def _encode_reply(reply: Reply, member: Incoming, workspace: Workspace) -> dict[str, JsonValue]:
    encoded = encode_outcome(reply.n, reply.outcome)
    if reply.repeat:
        encoded["repeat"] = True
    if reply.expected is not None:
        encoded["expected"] = reply.expected
    change = member.change
    as_intended = reply.outcome.kind in (Kind.APPLIED, Kind.RETRY_LATER)
    if not as_intended and not reply.repeat and isinstance(change, Change):
        state = workspace.state((change.type, change.id))
        # A resource of another scope is not this change's to see.
        if state is not None and change.scope in ("", state.scope):
            encoded["resource"] = encode_state(state)
    return encoded
