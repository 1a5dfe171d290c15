"""Quarantine: what was rejected, kept with the reason until somebody has dealt with it (invariant 5).

A change in it is replayed once what was wrong is mended, or dismissed. A replay is an ordinary push: validation, rules
and hooks hold for it, and its outcome is told. What a replica may have in it is bounded: beyond that the oldest are
written to a file, and only then is their payload dropped from the ledger.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from conflict_rules import Stamp
from conflict_rules.values import JsonValue
from syncd.engine.entry import Entry, read_entry, replay_replica
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.push import PushReply
from syncd.engine.quarantine_line import export_line
from syncd.errors import Forbidden, SyncdError
from syncd.store.protocol import Commit, Deal, Dealt, LedgerRow, QuarantineTotal, Store, Wanted

__all__ = ["MAX_ITEMS", "Bounds", "ExportFile", "Quarantine", "Waiting"]

log = structlog.get_logger(__name__)

MAX_ITEMS: Final = 500
"""Changes in one page, and in one replay or dismissal."""
_PAGE_BYTES: Final = 1024 * 1024
_ROOM: Final = 0.9
"""How full a quarantine is left that was over its bounds, so that not every further change is written by itself."""

Number = tuple[str, int]
"""(replica, n)."""


class Push(Protocol):
    """Settles changes of a replica on somebody's behalf (`Pusher.push`)."""

    def __call__(
        self, replica: str, schema: int, changes: Sequence[object], *, principal: Principal = OPERATOR
    ) -> Awaitable[PushReply]: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the quarantine keeps of each replica. `bytes`: of changes as they were sent."""

    changes: int = 1000
    bytes: int = 8 * 1024 * 1024


class ExportFile(Protocol):
    """Where changes go that the quarantine has no room for."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    async def append(self, lines: Sequence[bytes]) -> None:
        """Write lines behind what is there, and return when they are durable; raises `StoreError`."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """A page of the quarantine, oldest first. `next`: where to go on, None at the end."""

    entries: Sequence[Entry]
    next: int | None
    totals: Sequence[QuarantineTotal]


class Quarantine:
    """The use case. `push`: of the server's `Pusher`; `file`: where the oldest go, beyond `bounds`."""

    def __init__(self, store: Store, push: Push, file: ExportFile, bounds: Bounds, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._push = push
        self._file = file
        self._bounds = bounds
        self._now_ms = now_ms
        self._dealing = asyncio.Lock()
        self._noticed: set[str] = set()
        self._keeping: asyncio.Task[None] | None = None

    async def waiting(
        self,
        *,
        replica: str | None = None,
        scope: str | None = None,
        type: str | None = None,
        after: int = 0,
        limit: int = 100,
        principal: Principal = OPERATOR,
    ) -> Waiting:
        """What nobody has dealt with yet, and how much there is of each replica; of his own, for `principal`, and where
        he comes by a key to some scopes, of those.
        """
        user = _owner(principal)
        async with self._store.snapshot() as snapshot:
            page = await snapshot.quarantine(
                replica=replica,
                scope=scope,
                scopes=principal.scopes,
                type=type,
                user=user,
                after=after,
                limit=min(limit, MAX_ITEMS),
                limit_bytes=_PAGE_BYTES,
            )
            totals = await snapshot.quarantine_totals(None if replica is None else [replica], user, principal.scopes)
        return Waiting(list(map(read_entry, page.rows)), page.rows[-1].no if page.more else None, totals)

    async def replay(self, items: Sequence[Number], principal: Principal = OPERATOR) -> list[dict[str, JsonValue]]:
        """Settle these changes anew; for each what became of it. A change of a group brings its whole group along.

        They are made with the rights of `principal`, who may replay his own. "result": replayed, rejected (it stays in
        the quarantine), not_now, or why it cannot be replayed. Raises `Forbidden` for a suspended account.
        """
        _check_may_deal(principal)
        told = {number: _result(number, "unknown") for number in await self._foreign(items, principal)}
        async with self._dealing:
            # The author's own order, whatever order they are named in.
            for number in sorted(set(items)):
                if number not in told:
                    told.update(await self._replay(number, principal))
        return [told[number] for number in items]

    async def dismiss(self, items: Sequence[Number], principal: Principal = OPERATOR) -> list[dict[str, JsonValue]]:
        """Take these changes out of the quarantine, `principal` his own; the history keeps them, as they were sent.

        Raises `Forbidden` for a suspended account.
        """
        _check_may_deal(principal)
        foreign = await self._foreign(items, principal)
        async with self._dealing:
            rows = await self._rows([number for number in items if number not in foreign])
            refused = {number: _refusal(rows.get(number)) for number in items}
            await self._deal([number for number, reason in refused.items() if reason is None], Dealt.DISMISSED)
        return [_result(number, refused[number] or "dismissed") for number in items]

    def noticed(self, replicas: Iterable[str]) -> None:
        """Changes of these replicas were rejected: see, in a moment, whether there is room for them."""
        self._noticed.update(replicas)
        if self._noticed and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep(), name="keep-quarantine")

    async def keep_bounds(self, replicas: Collection[str] | None = None) -> int:
        """Export the oldest of every replica, or of these, that has more than it may; how many were exported."""
        async with self._store.snapshot() as snapshot:
            totals = await snapshot.quarantine_totals(replicas)
        exported = 0
        for total in totals:
            if total.changes > self._bounds.changes or total.bytes > self._bounds.bytes:
                exported += await self._export(total)
        return exported

    async def look_over(self) -> None:
        """Keep the bounds of every replica, as far as that can be done: at the start, when they may have changed."""
        try:
            await self.keep_bounds()
        except SyncdError as failure:
            self._put_off(failure)

    async def close(self) -> None:
        """Finish what was begun; may be called twice."""
        if self._keeping is not None:
            await self._keeping

    async def _keep(self) -> None:
        while self._noticed:
            replicas, self._noticed = self._noticed, set()
            try:
                await self.keep_bounds(replicas)
            except SyncdError as failure:
                self._put_off(failure)

    def _put_off(self, failure: SyncdError) -> None:
        """Nothing is lost: they stay in the ledger, and the next rejected change tries again."""
        log.error("quarantine_not_exported", reason=failure.message, hint=failure.hint, file=self._file.name)

    async def _export(self, total: QuarantineTotal) -> int:
        most_changes, most_bytes = int(self._bounds.changes * _ROOM), int(self._bounds.bytes * _ROOM)
        changes, size, exported = total.changes, total.bytes, 0
        while changes > most_changes or size > most_bytes:
            async with self._dealing:
                async with self._store.snapshot() as snapshot:
                    page = await snapshot.quarantine(
                        replica=total.replica,
                        limit=max(1, min(MAX_ITEMS, changes - most_changes)),
                        limit_bytes=_PAGE_BYTES,
                    )
                if not page.rows:
                    break
                await self._file.append([export_line(row, self._now_ms()) for row in page.rows])
                await self._deal([(row.settled.replica, row.settled.n) for row in page.rows], Dealt.EXPORTED)
            changes -= len(page.rows)
            size -= sum(len(row.settled.change) for row in page.rows)
            exported += len(page.rows)
        log.warning("quarantine_exported", replica=total.replica, changes=exported, file=self._file.name)
        return exported

    async def _foreign(self, items: Sequence[Number], principal: Principal) -> set[Number]:
        """Those that are not his, or not where his key opens: he is not told that they are there."""
        user = _owner(principal)
        if user is None:
            return set()
        async with self._store.snapshot() as snapshot:
            owners = await snapshot.owners({replica for replica, _ in items})
            rows = {} if principal.scopes is None else await snapshot.ledger(items)
        elsewhere = {number for number, row in rows.items() if row.settled.scope not in (principal.scopes or ())}
        return elsewhere | {number for number in items if owners.get(number[0]) != user}

    async def _replay(self, number: Number, principal: Principal) -> dict[Number, dict[str, JsonValue]]:
        rows = await self._rows([number])
        reason = _refusal(rows.get(number))
        if reason is not None:
            return {number: _result(number, reason)}
        unit = await self._with_its_group(rows[number])
        numbers = [(row.settled.replica, row.settled.n) for row in unit]
        if any(_refusal(row) is not None for row in unit):
            return {number: _result(number, "group_incomplete")}
        replica = replay_replica(*numbers[0])
        outcomes = await self._earlier_replay(replica, len(unit))
        if outcomes is None:
            outcomes = await self._push_again(replica, unit, principal)
        verdict = _verdict(outcomes)
        if verdict == "replayed":
            await self._deal(numbers, Dealt.REPLAYED)
        elif verdict == "rejected":
            # The attempt is in the history; it is the change itself that goes on waiting.
            await self._deal([(replica, int(str(outcome["n"]))) for outcome in outcomes], Dealt.DISMISSED)
        return {
            each: {**_result(each, verdict), "replica_of_replay": replica, "outcome": outcome}
            for each, outcome in zip(numbers, outcomes, strict=True)
        }

    async def _earlier_replay(self, replica: str, size: int) -> list[dict[str, JsonValue]] | None:
        """What came of a replay that was settled, but not noted as such: the server was stopped in between."""
        settled = await self._settled(replica)
        if settled == 0:
            return None
        last = [(replica, n) for n in range(settled - size + 1, settled + 1)]
        async with self._store.snapshot() as snapshot:
            rows = await snapshot.ledger(last)
        outcomes = [json.loads(rows[each].settled.outcome) for each in last if each in rows]
        return outcomes if len(outcomes) == size and _verdict(outcomes) == "replayed" else None

    async def _push_again(
        self, replica: str, unit: Sequence[LedgerRow], principal: Principal
    ) -> list[dict[str, JsonValue]]:
        first = await self._settled(replica) + 1
        changes = [_anew(row, replica, n) for n, row in enumerate(unit, first)]
        reply = await self._push(replica, 1, changes, principal=principal)
        return list(reply.outcomes)

    async def _settled(self, replica: str) -> int:
        async with self._store.transaction(replicas=[replica], scopes=()) as transaction:
            known = (await transaction.load(Wanted(replicas=[replica]))).replicas.get(replica)
        return 0 if known is None else known.settled

    async def _with_its_group(self, row: LedgerRow) -> list[LedgerRow]:
        """The change, and its neighbours of the same group, in order."""
        group = _group(row)
        if group is None:
            return [row]
        unit = {row.settled.n: row}
        for step in (-1, 1):
            n = row.settled.n + step
            while (found := (await self._rows([(row.settled.replica, n)])).get((row.settled.replica, n))) is not None:
                if _group(found) != group:
                    break
                unit[n] = found
                n += step
        return [unit[n] for n in sorted(unit)]

    async def _rows(self, numbers: Collection[Number]) -> Mapping[Number, LedgerRow]:
        async with self._store.snapshot() as snapshot:
            return await snapshot.ledger(numbers)

    async def _deal(self, numbers: Collection[Number], dealt: Dealt) -> None:
        if not numbers:
            return
        async with self._store.transaction(replicas={replica for replica, _ in numbers}, scopes=()) as transaction:
            await transaction.commit(Commit(deals=[Deal(replica, n, dealt) for replica, n in numbers]))


def _owner(principal: Principal) -> str | None:
    """Whose replicas he may look at; None: everybody's. Raises `Forbidden` for whoever has none."""
    if principal.caller is Caller.OPERATOR:
        return None
    if principal.caller is not Caller.USER:
        raise Forbidden("whoever comes by a share link has sent nothing", code="read_only")
    return principal.user


def _check_may_deal(principal: Principal) -> None:
    """Raise `Forbidden` for a suspended account, which may look at what waits of it and no more."""
    if principal.suspended:
        raise Forbidden(
            "this account is suspended: what waits of it stays as it is",
            code="account_suspended",
            hint="Ask whoever runs the server; nothing is lost meanwhile.",
        )


def _refusal(row: LedgerRow | None) -> str | None:
    """Why nothing can be done about a change, None if it waits in the quarantine."""
    if row is None:
        return "unknown"
    if row.settled.kind != "rejected":
        return "not_rejected"
    return None if row.dealt is Dealt.NOT_YET else f"already_{row.dealt.value}"


def _verdict(outcomes: Sequence[Mapping[str, Any]]) -> str:
    kinds = {outcome["outcome"] for outcome in outcomes}
    return "rejected" if "rejected" in kinds else "not_now" if "retry_later" in kinds else "replayed"


def _result(number: Number, result: str) -> dict[str, JsonValue]:
    return {"replica": number[0], "n": number[1], "result": result}


def _group(row: LedgerRow) -> str | None:
    sent = json.loads(row.settled.change) if row.settled.change else None
    group = sent.get("group") if isinstance(sent, dict) else None
    return group if isinstance(group, str) else None


def _anew(row: LedgerRow, replica: str, n: int) -> dict[str, Any]:
    """The change as it was sent, under the number and name of the replay; its base and the time it was made stay."""
    entry = read_entry(row)
    stamp = entry.stamp or Stamp(entry.at_ms, 0, replica)
    return {**entry.sent, "n": n, "stamp": str(Stamp(stamp.wall_ms, stamp.count, replica))}
