"""Updates of documents that were taken, waited for others, and then fitted nowhere: each is put into the quarantine at
the moment when it goes from the log (invariant 5).

Their changes were acknowledged and are settled, and what else those brought stands. So the quarantine gets a change of
its own for each, with the update only, under a replica that is named after the author's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conflict_rules.values import JsonValue, canonical_json
from conflict_rules.wire import encode_outcome
from syncd.engine.entry import DROPPED_REPLICA
from syncd.engine.incoming import rejected
from syncd.store.protocol import DocumentKey, ReplicaRow, SettledRow, Snapshot, StoredDocument

__all__ = ["Unfit", "find_unfit", "quarantined"]

_MAX_REPLICA: Final = 64


@dataclass(frozen=True, slots=True)
class Unfit:
    """An update that fits nowhere. `replica`, `n`: which change brought it; `user`: whose replica that
    is. `why`: a sentence without its end."""

    key: DocumentKey
    scope: str
    replica: str
    n: int
    update: bytes
    why: str
    user: str = ""

    @property
    def quarantine(self) -> str:
        """The replica under which it is kept."""
        name = f"{DROPPED_REPLICA}{self.replica}"
        if len(name) <= _MAX_REPLICA:
            return name
        return f"{DROPPED_REPLICA}{hashlib.sha256(name.encode()).hexdigest()[:32]}"


async def find_unfit(
    snapshot: Snapshot, key: DocumentKey, stored: StoredDocument, dropped: Sequence[tuple[int, str]]
) -> list[Unfit]:
    """`dropped`: by seq of `stored`, with the reason; those that have gone from the log are passed over."""
    log = dict(stored.updates)
    numbers = await snapshot.update_numbers(key, stored.since, [seq for seq, _ in dropped if seq in log])
    state = (await snapshot.states([(key.type, key.id)])).get((key.type, key.id))
    if state is None:
        return []
    owners = await snapshot.owners({replica for replica, _ in numbers.values()})
    return [
        Unfit(key, state.scope, *numbers[seq], log[seq], why, owners.get(numbers[seq][0], ""))
        for seq, why in dropped
        if seq in numbers
    ]


def quarantined(
    unfit: Sequence[Unfit], replicas: Mapping[str, ReplicaRow], scopes: Mapping[str, int], now_ms: int
) -> tuple[list[SettledRow], list[ReplicaRow]]:
    """The rows that put them there. `replicas`, `scopes`: as loaded in the transaction that writes them."""
    rows: list[SettledRow] = []
    settled: dict[str, int] = {}
    for one in unfit:
        known = replicas.get(one.quarantine)
        n = settled[one.quarantine] = settled.get(one.quarantine, 0 if known is None else known.settled) + 1
        rows.append(_row(one, n, scopes.get(one.scope, 0), now_ms))
    owners = {one.quarantine: one.user for one in unfit}
    return rows, [ReplicaRow(name, n, user=owners[name]) for name, n in settled.items()]


def _row(unfit: Unfit, n: int, version: int, now_ms: int) -> SettledRow:
    field = f"fields.{unfit.key.field}"
    message = (
        f"change {unfit.n} of {unfit.replica} was taken and waited for others, "
        f"and its update of {unfit.key.field} then fitted nowhere: {unfit.why}"
    )
    change: dict[str, JsonValue] = {
        "n": n,
        "scope": unfit.scope,
        "type": unfit.key.type,
        "id": unfit.key.id,
        "op": "update",
        "base": 0,
        "fields": {unfit.key.field: {"update": base64.b64encode(unfit.update).decode()}},
    }
    return SettledRow(
        replica=unfit.quarantine,
        n=n,
        digest=hashlib.blake2b(unfit.update, digest_size=16).digest(),
        scope=unfit.scope,
        type=unfit.key.type,
        id=unfit.key.id,
        version=version,
        kind="rejected",
        at_ms=now_ms,
        stamp="",
        change=canonical_json(change),
        outcome=canonical_json(encode_outcome(n, rejected("invalid_document_update", message, field))),
    )
