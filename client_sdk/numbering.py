"""Numbering: giving changes other numbers, in the file and in memory at once (law 3).

Which changes need them, `renumbering` decides. Every method runs inside a write of the replica.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from client_sdk.local_rows import ReplicaRow
from client_sdk.observers import changed_pairs
from client_sdk.outbox import Entry, decode_row
from client_sdk.renumbering import after_forgetting
from client_sdk.replica import Replica, new_replica_id

__all__ = ["Numbering"]

log = logging.getLogger(__name__)


class Numbering:
    """Of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def go_on_from(self, replica_id: str, expected: int) -> bool:
        """Law 3: the server expects a lower number than was sent; it may have been restored from a backup."""
        replica = self._replica
        kept = [decode_row(row, replica.lift) for row in await replica.store.changes_from(replica_id, expected)]
        todo = after_forgetting(expected, kept, replica.outbox.waiting())
        if todo.anew:
            log.warning("the server expects change %d, which is not kept here", expected)
            await self.make_anew(todo.anew, keep_base=False)
        elif todo.again:
            log.warning("the server expects change %d again: %d are sent once more", expected, len(todo.again))
            # Their bases count versions of a past that the server no longer has: 0 claims nothing (law 1).
            again = [entry.made_anew(replica_id, entry.change.n, 0) for entry in todo.again]
            await self._save_renumbered(again, replica.row)
        return bool(todo.anew or todo.again)

    async def leave_taken(self, replica_id: str, settled: int) -> None:
        """The server has settled numbers that this replica has not given out yet: its file is a restored backup.

        Then the numbers to come are taken, and the server would take it for someone who has seen what was lost with the
        device; so everything that is not on its way goes on under a fresh id (law 3).
        """
        replica = self._replica
        if replica_id == replica.id and settled >= replica.row.next_n:
            waiting = [entry for entry in replica.outbox.waiting() if entry.change.replica == replica_id]
            await self.make_anew([entry for entry in waiting if not entry.sent], keep_base=True)

    async def send_as_read(self, replica_id: str, n: int) -> bool:
        """The server no longer reads the version that change `n` was made under. Where the app here does, send what it
        reads there from now on; returns whether anything is sent otherwise.

        Numbers are settled in order, so that nothing from `n` on is known to the server under what it said before.
        """
        replica = self._replica
        waiting = [entry for entry in replica.outbox.waiting() if entry.change.replica == replica_id]
        otherwise = [entry.sent_as_read() for entry in waiting if entry.change.n >= n]
        entries = [entry for entry in otherwise if entry is not None]
        if entries:
            log.warning("%d changes are sent under version %d of the app", len(entries), replica.app.version)
            await self._save_renumbered(entries, replica.row)
        return bool(entries)

    async def make_anew(self, entries: Sequence[Entry], *, keep_base: bool) -> None:
        """Number changes from 1 under a fresh replica id, which everything made from now on gets as well."""
        replica = self._replica
        fresh = new_replica_id()
        log.warning("%d changes are made anew under the replica id %s", len(entries), fresh)
        anew = [
            entry.made_anew(fresh, n, entry.change.base if keep_base else 0)
            for n, entry in enumerate(sorted(entries, key=lambda entry: entry.seq), 1)
        ]
        replica.clock.rename(fresh)
        await self._save_renumbered(anew, replace(replica.row, id=fresh, next_n=len(anew) + 1))

    async def _save_renumbered(self, entries: Sequence[Entry], row: ReplicaRow) -> None:
        replica = self._replica
        observed = replica.observers.types
        before = await replica.look_at({entry.key for entry in entries if entry.key[0] in observed})
        hidden = [entry for entry in entries if self._is_hidden(entry)]
        for entry in hidden:
            entry.shown = False
        async with replica.store.transaction():
            await replica.store.renumber(entry.row() for entry in entries)
            await replica.store.hide(entry.seq for entry in hidden)
            await replica.store.save_replica(row)
        rejected_count = await replica.store.count_rejected()
        # From here on without a pause: whoever looks sees all of it, or nothing.
        replica.row, replica.rejected_count = row, rejected_count
        for entry in entries:
            known = replica.outbox.get(entry.seq)
            if known is not None:
                known.become(entry)
            else:
                replica.outbox.add(entry)
        await replica.open_conflicts.look_again(entry.key for entry in entries)
        await replica.documents.look_again(entry.key for entry in entries)
        if before:
            replica.observers.tell(changed_pairs(before, await replica.look_at(before)))

    def _is_hidden(self, entry: Entry) -> bool:
        """Whether it is out of sight since its scope may not be seen any more, and not since it was settled."""
        known = self._replica.outbox.get(entry.seq)
        return known is not None and not known.shown and self._replica.is_absent(known.change.scope)
