"""What was edited after an edit that the server refused, made anew.

A Yjs client's edits build on one another: with a hole where the refused one was, all later ones of the same client id
would wait for ever, on the server too. So the refused edit is undone in a copy of the document, and what the copy says
then is made, under a fresh client id, of what the server will have. A change that may have been sent keeps its bytes
(law 3); those that were not are the ones that bring it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from client_sdk.document_rows import DocumentKey
from client_sdk.errors import DocumentUnreadable
from client_sdk.local_documents import as_value
from client_sdk.outbox import Entry
from client_sdk.replica import Replica
from conflict_rules import Change, Deletes, InvalidValue, Op
from conflict_rules.crdt import DocumentKind

__all__ = ["Remade", "remade"]

log = logging.getLogger(__name__)

_NOTHING = b"\x00\x00"
"""An update that brings nothing."""


@dataclass(frozen=True, slots=True)
class Remade:
    """`rewritten`: entries that were never sent, with other content. `added`: new ones, at the end."""

    rewritten: Sequence[Entry] = ()
    added: Sequence[Entry] = ()


async def remade(replica: Replica, refused: Iterable[Entry], settled: Iterable[Entry]) -> Remade:
    """What takes the place of edits that were made after `refused` ones, which are among the `settled`.

    Runs inside of a write of the replica, which is to save it.
    """
    keys: dict[DocumentKey, set[int]] = {}
    for entry in refused:
        for key, _ in replica.documents.updates_in(entry):
            keys.setdefault(key, set()).add(entry.seq)
    # Where a pull was the first to say that they are settled (law 4), they are shown no more.
    made: dict[DocumentKey, dict[int, tuple[Entry, bytes]]] = {}
    for entry in [*settled, *replica.outbox.waiting()] if keys else ():
        for key, update in replica.documents.updates_in(entry):
            made.setdefault(key, {})[entry.seq] = entry, update
    rewritten: dict[int, Entry] = {}
    added: list[Entry] = []
    for key, seqs in keys.items():
        try:
            await _remake(replica, key, seqs, made[key], rewritten, added)
        except (DocumentUnreadable, InvalidValue) as failure:
            log.warning("what was edited after a refused edit of %s %s is lost: %s", key.type, key.id, failure)
    return Remade(list(rewritten.values()), added)


async def _remake(
    replica: Replica,
    key: DocumentKey,
    refused: set[int],
    made: dict[int, tuple[Entry, bytes]],
    rewritten: dict[int, Entry],
    added: list[Entry],
) -> None:
    from client_sdk.said_again import edited_after, said_again

    rule = replica.documents.rule(key.type, key.field)
    state = await replica.confirmed((key.type, key.id))
    entries = {seq: entry for seq, (entry, _) in made.items()}
    entries |= {entry.seq: entry for entry in replica.outbox.shown_of((key.type, key.id))}
    creates = [entry for seq, entry in entries.items() if entry.change.op is not Op.UPDATE and seq in refused]
    # Under `update_wins` the edits bring back what was deleted without them.
    wins = replica.rule(key.type).deletes is Deletes.UPDATE_WINS
    gone = state is not None and state.deleted is not None and not wins
    # A restore that is on its way, or just came to its outcome, begins another life, which holds nothing of that one.
    restored = gone and any(e.change.op is Op.RESTORE and seq not in refused for seq, e in entries.items())
    if rule is None or (gone and not restored) or (state is None and creates):
        return
    own = {seq: update for seq, (_, update) in made.items()}
    own |= replica.documents.own(key)
    behind = edited_after(own, refused)
    if not behind:
        return
    _, confirmed = await replica.documents.confirmed(key)
    if restored:
        confirmed = []
    free = [seq for seq in behind if seq in entries and _is_free(entries[seq], key.field)]
    stays = {seq: update for seq, update in own.items() if seq not in refused and seq not in free}
    kind: DocumentKind = rule.kind
    update = said_again(kind, key.field, confirmed, own, refused, stays)
    log.warning("%d edits of %s %s were made after a refused one and are made anew", len(behind), key.type, key.id)
    for place, seq in enumerate(free):
        entry = rewritten.get(seq, entries[seq])
        content = (update or _NOTHING) if place == 0 else _NOTHING
        rewritten[seq] = replace_update(entry, key.field, content)
    if update is not None and not free:
        change = Change(
            replica.id,
            replica.row.next_n + len(added),
            entries[min(entries)].change.scope if entries else (state.scope if state is not None else ""),
            key.type,
            key.id,
            Op.UPDATE,
            replica.clock.tick(),
            min(
                (entries[seq].change.base for seq in behind if seq in entries),
                default=0 if state is None else state.version,
            ),
            {key.field: as_value(update)},
            schema=replica.app.version,
        )
        added.append(Entry.of(replica.next_seq + len(added), change, replica.clock.device_ms()))


def replace_update(entry: Entry, field: str, update: bytes) -> Entry:
    """The same change, which was never sent, with another update of a field."""
    change = replace(entry.change, fields={**entry.change.fields, field: as_value(update)})
    return Entry.of(entry.seq, change, entry.made_ms)


def _is_free(entry: Entry, field: str) -> bool:
    """Whether its content may still be chosen (law 3), under the words of the app as it is."""
    return entry.waiting and not entry.sent and entry.meaning is entry.change and field in entry.change.fields
