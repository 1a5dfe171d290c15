"""Settlement: the answers to a push, into the local file, in one local commit each.

What was rejected leaves the view at once. Everything else stays until the confirmed state holds what became of it (law
4): a value that was overruled gives way to the one that stands, and never to an older one before that has come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from client_sdk.document_remaking import remade
from client_sdk.errors import UpgradeRequired
from client_sdk.messages import PushReply
from client_sdk.numbering import Numbering
from client_sdk.outbox import Entry, encode_result
from client_sdk.rebase import is_included
from client_sdk.renumbering import after_reuse
from client_sdk.replica import Replica
from client_sdk.shown_changes import ShownChanges
from conflict_rules import Change, Kind, Outcome

__all__ = ["Settlement"]

log = logging.getLogger(__name__)


class Settlement:
    """Of one replica. `on_outcome(seq, outcome)` is told of each outcome once it is in the file; `on_rejected`, of each
    change that was refused, once the view shows it no more.
    """

    def __init__(
        self,
        replica: Replica,
        numbering: Numbering,
        shown: ShownChanges,
        on_outcome: Callable[[int, Outcome], None],
        on_rejected: Callable[[Change, Outcome], None] = lambda change, outcome: None,
    ) -> None:
        self._replica = replica
        self._numbering = numbering
        self._shown = shown
        self._on_outcome = on_outcome
        self._on_rejected = on_rejected

    async def settle(self, sent: Sequence[Entry], reply: PushReply) -> bool:
        """Take in the answers to `sent`; returns whether anything moved on, so that sending again makes sense."""
        replica = self._replica
        by_n = {entry.change.n: entry for entry in sent}
        moved = False

        async def commit() -> None:
            nonlocal moved
            answered = [(by_n[answer.n], answer) for answer in reply.answers if answer.n in by_n]
            anew = after_reuse(answered, reply.settled, replica.outbox.waiting())
            other_numbers = {entry.seq for entry in anew}
            outcomes: list[tuple[Entry, Outcome]] = []
            for entry, answer in answered:
                if answer.outcome.kind is Kind.RETRY_LATER:
                    # Not settled, and known not to be; unless it is a repeat that the server could not look up.
                    replica.outbox.note_sent([entry], sent=answer.n <= reply.settled)
                elif entry.seq not in other_numbers:
                    outcomes.append((entry, answer.outcome))
            await self._save_outcomes(_falling_together(outcomes))
            if anew:
                log.warning("the server has these numbers of somebody else, or of a newer copy of this file (id_reuse)")
                await self._numbering.make_anew(anew, keep_base=True)
            else:
                await self._numbering.leave_taken(sent[0].change.replica, reply.settled)
            expected = next((answer.expected for _, answer in answered if answer.expected is not None), None)
            went_on = expected is not None and await self._numbering.go_on_from(sent[0].change.replica, expected)
            too_old = next((entry for entry, answer in answered if answer.outcome.code == UpgradeRequired.code), None)
            otherwise = too_old is not None and await self._numbering.send_as_read(
                too_old.change.replica, too_old.change.n
            )
            moved = bool(outcomes or anew or went_on or otherwise)

        await replica.write(commit)
        return moved

    async def reject(self, entries: Sequence[Entry], code: str, message: str) -> None:
        """Changes that the server would not even read, and whose numbers are settled by now: kept, with the reason."""
        outcome = Outcome(Kind.REJECTED, 0, code, message)

        async def commit() -> None:
            await self._save_outcomes([(entry, outcome) for entry in entries])

        await self._replica.write(commit)

    async def _save_outcomes(self, outcomes: Sequence[tuple[Entry, Outcome]]) -> None:
        replica = self._replica
        if not outcomes:
            return

        def still_shown(entry: Entry, outcome: Outcome) -> bool:
            row = replica.scopes.get(entry.change.scope)
            included = row is None or is_included(entry.change, outcome, row.version, {})
            return entry.shown and outcome.kind is not Kind.REJECTED and not included

        stays = {entry.seq for entry, outcome in outcomes if still_shown(entry, outcome)}
        # Thousands may be answered, and as a rule nobody watches.
        watched = self._shown.is_anybody_there()
        keys = {key for entry, _ in outcomes for key in replica.touched_by(entry)} if watched else ()
        before = await self._shown.look(keys)
        refused = [entry for entry, outcome in outcomes if outcome.kind in (Kind.REJECTED, Kind.OVERRULED)]
        anew = await remade(replica, refused, (entry for entry, _ in outcomes))
        row = replica.with_clock(replace(replica.row, next_n=replica.row.next_n + len(anew.added)))
        echoes = replica.documents.echoes_of(
            (entry, outcome) for entry, outcome in outcomes if entry.shown and entry.seq not in stays
        )
        async with replica.store.transaction():
            await replica.store.settle(
                (entry.seq, encode_result(entry.change.n, outcome), outcome.kind.value, entry.seq in stays)
                for entry, outcome in outcomes
            )
            await replica.store.forget_old_outcomes()
            await replica.store.documents.add_echoes(echoes)
            if anew.rewritten or anew.added:
                await replica.store.renumber(entry.row() for entry in anew.rewritten)
                await replica.store.add_changes(entry.row() for entry in anew.added)
                await replica.store.save_replica(row)
        if anew.added:
            replica.row = row
            replica.next_seq += len(anew.added)
            replica.made_anew = replica.made
        for entry in anew.added:
            replica.outbox.add(entry)
        for entry in anew.rewritten:
            known = replica.outbox.get(entry.seq)
            if known is not None:
                known.become(entry)
        replica.documents.took(echoes)
        for entry, outcome in outcomes:
            replica.documents.settled(entry, outcome)
        for entry, outcome in outcomes:
            entry.shown = entry.seq in stays
            entry.outcome = outcome
            replica.outbox.tidy(entry.seq)
            if outcome.kind is Kind.REJECTED:
                replica.rejected_count += 1
                log.warning("change %d was rejected: %s", entry.change.n, outcome.message)
        await replica.open_conflicts.look_again({entry.key for entry, _ in outcomes})
        await replica.documents.look_again({entry.key for entry, _ in outcomes})
        await self._shown.tell(before)
        for entry, outcome in outcomes:
            self._on_outcome(entry.seq, outcome)
            if outcome.kind is Kind.REJECTED:
                self._on_rejected(entry.change, outcome)


def _falling_together(outcomes: Sequence[tuple[Entry, Outcome]]) -> list[tuple[Entry, Outcome]]:
    """The same, with each member of a group that did not come about as of the version that brought the group down.

    The others have no version of their own. So the group leaves the view as a whole, when that version is here.
    """
    versions: dict[tuple[str | None, str], int] = {}
    for entry, outcome in outcomes:
        place = (entry.change.group, entry.change.scope)
        versions[place] = max(versions.get(place, 0), outcome.version)

    def falls_with_others(outcome: Outcome) -> bool:
        return outcome.kind is not Kind.REJECTED and (outcome.code or "").startswith("group_")

    return [
        (entry, replace(outcome, version=versions[entry.change.group, entry.change.scope]))
        if falls_with_others(outcome)
        else (entry, outcome)
        for entry, outcome in outcomes
    ]
