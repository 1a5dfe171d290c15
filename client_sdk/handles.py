"""What a caller holds of a change: its number, and its outcome whenever it comes.

Handles go by the change's place in the file, since its number may change (law 3).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from client_sdk.drafts import Draft
from client_sdk.errors import Closed, NotHere, Unfit
from client_sdk.outbox import decode_row
from client_sdk.replica import Replica
from conflict_rules import Change, Outcome

__all__ = ["ChangeHandle", "Outcomes"]


class Outcomes:
    """Outcomes that are waited for."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[asyncio.Future[Outcome]]] = defaultdict(list)
        self._closed = False

    async def wait(self, seq: int, known: Callable[[], Outcome | None]) -> Outcome:
        """The outcome of the change at `seq`, now if it is `known`, or when it comes; raises `Closed`."""
        if (outcome := known()) is not None:
            return outcome
        if self._closed:
            raise Closed
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[seq].append(future)
        try:
            return await future
        finally:
            if seq in self._waiting and future in self._waiting[seq]:
                self._waiting[seq].remove(future)

    def tell(self, seq: int, outcome: Outcome) -> None:
        """It came."""
        for future in self._waiting.pop(seq, ()):
            if not future.done():
                future.set_result(outcome)

    def close(self) -> None:
        """None will come any more."""
        self._closed = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(Closed())
        self._waiting.clear()


class ChangeHandle:
    """One change made here. Inside a group it has no number until the group ends."""

    def __init__(self, replica: Replica, outcomes: Outcomes, draft: Draft) -> None:
        self._replica = replica
        self._outcomes = outcomes
        self._draft = draft
        self._outcome: Outcome | None = None

    def __repr__(self) -> str:
        what = f"{self._draft.op.value} {self._draft.type} {self._draft.id}"
        return f"<ChangeHandle {what}>" if self._draft.entry is None else f"<ChangeHandle {self.n}: {what}>"

    @property
    def change(self) -> Change:
        """The change as it is numbered now."""
        entry = self._draft.entry
        if entry is None:
            raise Unfit("a change inside a group is numbered when the group ends")
        return (self._replica.outbox.get(entry.seq) or entry).change

    @property
    def n(self) -> int:
        """Its number."""
        return self.change.n

    @property
    def replica(self) -> str:
        """The replica id under which it is numbered."""
        return self.change.replica

    @property
    def id(self) -> str:
        """The id of its resource."""
        return self._draft.id

    @property
    def settled(self) -> bool:
        """Whether its outcome is known here."""
        return self._known() is not None

    async def outcome(self, timeout_s: float | None = None) -> Outcome:
        """What became of it, now or whenever that is known; raises `Closed` if the client is closed before.

        Raises `TimeoutError` if it is not known in time; the change is sent all the same.
        """
        entry = self._draft.entry
        if entry is None:
            raise Unfit("a change inside a group has no outcome before the group has ended")
        async with asyncio.timeout(timeout_s):
            self._outcome = await self._outcomes.wait(entry.seq, self._known)
        return self._outcome

    def _known(self) -> Outcome | None:
        if self._outcome is None and self._draft.entry is not None:
            # The entry made anew is another object; the outbox knows the one that counts.
            entry = self._replica.outbox.get(self._draft.entry.seq) or self._draft.entry
            self._outcome = entry.outcome
        return self._outcome


async def handle_by_number(replica: Replica, outcomes: Outcomes, replica_id: str, n: int) -> ChangeHandle:
    """The handle of a change made earlier, perhaps by an earlier process; raises `NotHere` if it is no longer kept."""
    async with replica.reading():
        row = await replica.store.change(replica_id, n)
        if row is None:
            raise NotHere(f"change {n} of replica {replica_id} is not kept in this file")
        entry = replica.outbox.get(row.seq) or decode_row(row)
    change = entry.change
    draft = Draft(change.scope, change.type, change.id, change.op, change.base, change.fields, entry)
    return ChangeHandle(replica, outcomes, draft)
