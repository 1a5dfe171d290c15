"""A portion of a push, as it waits for its commit, and how one with documents gets there: judged, committed, and if it
came out otherwise than judged, change by change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from conflict_rules import Change, Kind, Outcome
from conflict_rules.crdt import Marker
from conflict_rules.values import JsonValue
from conflict_rules.wire import encode_outcome
from syncd.engine.documents import DocumentJudge, Judged, StaleDocument
from syncd.engine.incoming import Incoming, rejected
from syncd.engine.portions import units_of
from syncd.engine.principal import OPERATOR, Principal
from syncd.engine.settle import Reply
from syncd.engine.workspace import Workspace
from syncd.errors import SyncdError

__all__ = ["Job", "JudgedCommits", "PushReply", "check_documents"]

_MAX_TRIES: Final = 8
_CROWDED: Final = rejected(
    "document_update_failed", "its document was changed by others each time before it could be written", None
)


@dataclass(frozen=True, slots=True)
class PushReply:
    """The answer to a push. `settled`: the replica's highest settled number. `outcomes`: wire form, in order.

    `refused`: why nothing of it was looked at.
    """

    replica: str
    settled: int
    outcomes: Sequence[dict[str, JsonValue]]
    refused: SyncdError | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Changes of one replica that are settled in one go. `corrects`, `principal`: see `Pusher.push`. `commanded`: they
    carry out a command of the principal's.
    """

    replica: str
    incoming: Sequence[Incoming]
    corrects: bool = False
    principal: Principal = OPERATOR
    commanded: bool = False
    judged: Judged = field(default_factory=Judged)

    @property
    def changes(self) -> list[Change]:
        """Those that could be read."""
        return [member.change for member in self.incoming if isinstance(member.change, Change)]


class JudgedCommits:
    """Commits jobs through `submit`, each with what its updates of documents were found to be."""

    def __init__(self, judge: DocumentJudge, submit: Callable[[Job], Awaitable[PushReply]]) -> None:
        self._judge = judge
        self._submit = submit

    async def commit(self, job: Job) -> PushReply:
        """Judge and commit; raises what the commit does."""
        try:
            return await self._try(job)
        except StaleDocument:
            # A hook has refused one, say, and those behind it were judged as if it had not.
            pass
        outcomes: list[dict[str, JsonValue]] = []
        settled = 0
        for unit in units_of([member.raw for member in job.incoming]):
            members = job.incoming[len(outcomes) : len(outcomes) + len(unit)]
            try:
                part = await self._commit_unit(replace(job, incoming=members))
            except SyncdError as error:
                if not outcomes:
                    raise
                # What came before is durable, so that the job as a whole has not failed.
                waits = Outcome(Kind.RETRY_LATER, code=error.problem_code, message=error.message)
                rest = job.incoming[len(outcomes) :]
                return PushReply(
                    job.replica, settled, [*outcomes, *(encode_outcome(each.change.n, waits) for each in rest)]
                )
            outcomes += part.outcomes
            settled = part.settled
        return PushReply(job.replica, settled, outcomes)

    async def _commit_unit(self, job: Job) -> PushReply:
        for attempt in range(_MAX_TRIES):
            try:
                return await self._try(job, reborn=attempt % 2 == 1)
            except StaleDocument:
                continue
        return await self._submit(
            replace(job, incoming=[replace(member, refused=member.refused or _CROWDED) for member in job.incoming])
        )

    async def _try(self, job: Job, *, reborn: bool = False) -> PushReply:
        if not self._judge.concerns(job.incoming):
            return _answered(await self._submit(job))
        try:
            async with self._judge.judged(job.incoming, reborn=reborn) as judged:
                return _answered(await self._submit(replace(job, judged=judged)))
        except StaleDocument:
            self._judge.forget(job.incoming)
            raise


def _answered(reply: PushReply) -> PushReply:
    if reply.refused is not None:
        raise reply.refused
    return reply


def check_documents(job: Job, replies: Sequence[Reply], workspace: Workspace) -> None:
    """Raise `StaleDocument` if an update would be written without one that it was judged after."""
    if not job.judged.keys:
        return
    written = {
        key: [((row.n, digest, key.field), Marker(row.since, row.seq)) for row, digest in workspace.appended(key)]
        for key in job.judged.keys
    }
    harmless = [
        (reply.n or 0, member.digest, name)
        for reply, member in zip(replies, job.incoming, strict=True)
        if reply.repeat and reply.outcome.kind.took_effect and isinstance(member.change, Change)
        for name in member.change.fields
    ]
    job.judged.check_written(written, harmless)
