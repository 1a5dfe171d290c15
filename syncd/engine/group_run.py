"""One run of a group of jobs: their locks, what they load, each settled in one workspace, and one commit (law 5).

Locks are taken in one sorted order, before anything is read. What is found to need further ones is run again, from the
start, with all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from conflict_rules import Change, Clock, Kind
from conflict_rules.values import JsonValue
from conflict_rules.wire import encode_outcome
from syncd.app import App
from syncd.engine.admission import Admission
from syncd.engine.apply import Applier
from syncd.engine.authorise import Authoriser
from syncd.engine.disputes import Disputes
from syncd.engine.entry import REPLAY_REPLICA
from syncd.engine.homes import Homes
from syncd.engine.hook_documents import MOST_BYTES, Content, HookDocuments, Position, Shown, size_of
from syncd.engine.hook_transaction import EngineHookTransaction
from syncd.engine.incoming import Incoming
from syncd.engine.job import Job, PushReply, check_documents
from syncd.engine.limits import Limits
from syncd.engine.principal import AsOfNow, as_he_came
from syncd.engine.settle import Reply, Settler
from syncd.engine.stretch import Stretch
from syncd.engine.workspace import Workspace
from syncd.errors import AppError, Forbidden, Unauthenticated
from syncd.store.protocol import Commit, Loaded, ResourceKey, Store, Transaction, Wanted

__all__ = ["GroupRun"]

_MAX_RUNS: Final = 8
"""How often a group may run, each time with more locks: twice as a rule, more if hooks are led on by what they read."""
_MAX_BEGUN: Final = 100_000
"""Scopes of which is remembered that they were written to."""

OnCommit = Callable[[Commit, Workspace, Loaded], None]
"""Told of a commit, after it, with what there was before."""


class _NeedsMore(Exception):
    """What was run needs scopes whose locks are not held, or documents to show: it is run again with them (law 5)."""

    def __init__(self, scopes: set[str], documents: set[Position]) -> None:
        super().__init__(", ".join(sorted(scopes)))
        self.scopes = scopes
        self.documents = documents


class GroupRun:
    """Runs groups of jobs. `server`: the replica under which the server itself writes. `on_commit`: told of each.
    `as_of_now`: who somebody is when his changes are applied.
    """

    def __init__(
        self,
        store: Store,
        app: App,
        now_ms: Callable[[], int],
        limits: Limits,
        hook_documents: HookDocuments,
        *,
        server: str,
        on_commit: OnCommit,
        as_of_now: AsOfNow = as_he_came,
    ) -> None:
        self.server = server
        self._store = store
        self._app = app
        self._now_ms = now_ms
        self._limits = limits
        self._hook_documents = hook_documents
        self._on_commit = on_commit
        self._as_of_now = as_of_now
        self._clock = Clock(server, now_ms)
        self._authoriser = Authoriser(app)
        self._homes = Homes(app)
        self._begun: set[str] = set()

    async def run(self, jobs: Sequence[Job]) -> list[PushReply]:
        """An answer to each job, durable; raises for all of them if one cannot be run."""
        scopes = {home for job in jobs for change in job.changes if (home := self._homes.of(change))}
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
        for job in jobs:
            keys.update(self._authoriser.needed(job.principal, {self._homes.of(change) for change in job.changes}))
        if any(self._app.hooks(name) for name in {type_name for type_name, _ in keys}) or (
            # Whoever begins a scope is let in by the server.
            not scopes <= self._begun and any(job.principal.user for job in jobs)
        ):
            replicas.add(self.server)
        numbers = {(job.replica, n) for job in jobs for member in job.incoming if (n := member.change.n) is not None}
        documents = [key for job in jobs for key in job.judged.keys]
        async with self._store.transaction(replicas=replicas, scopes=scopes) as transaction:
            workspace = Workspace(may_grow=may_grow)
            loaded = await transaction.load(Wanted(replicas, scopes, keys, numbers, documents))
            workspace.add(loaded, keys)
            self._note_begun(scopes, workspace)
            shown = Shown(self._app, workspace, contents, may_miss=may_grow)
            for job in jobs:
                job.judged.check_heads(workspace.documents)
            stretch = Stretch()
            replies = [await self._settle(job, workspace, transaction, shown, now_ms, stretch) for job in jobs]
            if workspace.missing or shown.missing:
                raise _NeedsMore(workspace.missing, shown.missing)
            commit = workspace.commit(now_ms)
            if commit is not None:
                await transaction.commit(commit)
        if commit is not None:
            self._homes.note(commit.states)
            self._on_commit(commit, workspace, loaded)
        return replies

    def _note_begun(self, scopes: Collection[str], workspace: Workspace) -> None:
        """Which scopes have been written to: nobody begins them any more."""
        if len(self._begun) > _MAX_BEGUN:
            self._begun.clear()
        self._begun.update(scope for scope in scopes if workspace.head(scope))

    async def _settle(
        self,
        job: Job,
        workspace: Workspace,
        transaction: Transaction,
        shown: Shown,
        now_ms: int,
        stretch: Stretch,
    ) -> PushReply:
        hook_transaction = EngineHookTransaction(
            transaction,
            workspace,
            self._app,
            server=self.server,
            clock=self._clock,
            now_ms=now_ms,
            shown=shown,
        )
        try:
            # Under the lock: an account that is closed after this finds what was written here, and cleans it up.
            principal = self._as_of_now(job.principal)
        except Unauthenticated as ended:
            return PushReply(job.replica, 0, (), ended)
        replica, user = workspace.replica(job.replica), principal.user
        if user and replica.user not in ("", user):
            refused = Forbidden("this replica belongs to somebody else", code="foreign_replica", field="replica")
            return PushReply(job.replica, 0, (), refused)
        # What was sent before there were accounts, or by whoever runs the server, must not become his who comes first.
        # A replay is nobody's device: whoever may make it goes on where the last one left off.
        closed = bool(user and not replica.user and replica.settled) and not job.replica.startswith(REPLAY_REPLICA)
        admission = Admission(
            self._authoriser,
            principal,
            workspace,
            hook_transaction.look_for,
            hook_transaction.lives,
            hook_transaction.write,
            now_ms,
            commanded=job.commanded,
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
            admission,
            corrects=job.corrects,
        )
        settler = Settler(
            workspace, self._app, self._limits, job.replica, now_ms, applier, admission, stretch, user, closed=closed
        )
        replies = await settler.settle(job.incoming)
        if not workspace.missing and not shown.missing:
            # Else it is done again, and a hook may have turned away what it could not see.
            check_documents(job, replies, workspace)
        outcomes = []
        for reply, member in zip(replies, job.incoming, strict=True):
            outcomes.append(_encode_reply(reply))
            if reply.outcome.kind not in (Kind.APPLIED, Kind.RETRY_LATER) and not reply.repeat:
                instead = await _standing_instead(member, workspace, admission)
                if instead is not None:
                    outcomes[-1]["resource"] = instead
        return PushReply(job.replica, workspace.replica(job.replica).settled, outcomes)


def _encode_reply(reply: Reply) -> dict[str, JsonValue]:
    encoded = encode_outcome(reply.n, reply.outcome)
    if reply.repeat:
        encoded["repeat"] = True
    if reply.expected is not None:
        encoded["expected"] = reply.expected
    return encoded


async def _standing_instead(
    member: Incoming, workspace: Workspace, admission: Admission
) -> dict[str, JsonValue] | None:
    """The resource, where it is not as the change meant it to be, as far as its author may see it."""
    change = member.change
    state = workspace.state((change.type, change.id)) if isinstance(change, Change) else None
    # A resource of another scope is not this change's to see.
    if state is None or not isinstance(change, Change) or change.scope not in ("", state.scope):
        return None
    return await admission.shown(state)
