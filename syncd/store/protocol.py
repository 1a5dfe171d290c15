"""The Store: what the engine asks of a database, in types and prose. Two adapters, one conformance suite.

An adapter knows rows and bytes. It does not merge, number or encode anything: the engine hands it finished rows, in
few large calls, and gets back what it stored, unchanged. An adapter translates its driver's errors to
`syncd.errors.StoreError` at its own edge.

The contract, to which `tests/conformance/test_store_*.py` hold every adapter:

- **Durable.** When `Transaction.commit` has returned, a kill -9 of everything loses nothing of it (invariant 1).
- **Atomic.** A transaction that is left without a commit, or whose commit raises, leaves no trace.
- **Isolated.** Two transactions that share a replica or a scope run one after the other; what the second loads, it
  loads after the first has ended (law 5). Locks are taken when the transaction opens: replicas, then scopes, each in
  sorted order.
- **Ordered.** A snapshot that sees a scope at version v sees everything that was committed to it up to v, and nothing
  above (invariant 4).
- **Incarnations.** Each start on a database begins a new incarnation; a scope notes at its first commit in it where
  the one before had ended (law 10).
- **Documents.** What makes up a document is bytes, never read here: a snapshot, and a log of updates, appended by the
  commit that settles the changes which brought them. An update goes only when a snapshot that holds it takes its place,
  or with its document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

__all__ = [
    "Commit",
    "Deal",
    "Dealt",
    "DocumentHead",
    "DocumentKey",
    "LedgerPage",
    "LedgerRow",
    "Loaded",
    "LogTail",
    "Page",
    "QuarantineTotal",
    "ReplicaRow",
    "ResourceKey",
    "SettledRow",
    "Snapshot",
    "Squashed",
    "StateRow",
    "Store",
    "StoredDocument",
    "Transaction",
    "UpdateRow",
    "Wanted",
]

ResourceKey = tuple[str, str]
"""(type, id): one resource; an id is used once in a type, in whatever scope."""


class StateRow(NamedTuple):
    """The newest state of a resource. `body`: its wire form, encoded; stored and sent on as it is."""

    scope: str
    type: str
    id: str
    version: int
    deleted: bool
    body: bytes


class SettledRow(NamedTuple):
    """One settled change: at once the stored outcome (law 3), the history, and the quarantine (invariant 5).

    `digest`: 16 bytes, tells a repeat from another change. `version`: the one it led to, or the scope's at that
    moment; never below that of an earlier change of the replica in the scope (law 4: what is settled at a version is
    a prefix). `scope`, `type`, `id` are "" where the change could not be read. `change`, `outcome`: JSON.
    `stamp`: the effective one (`change` keeps the original).
    """

    replica: str
    n: int
    digest: bytes
    scope: str
    type: str
    id: str
    version: int
    kind: str
    at_ms: int
    stamp: str
    change: bytes
    outcome: bytes


class Dealt(StrEnum):
    """What has been done about a rejected change; with the first, it is in the quarantine."""

    NOT_YET = ""
    REPLAYED = "replayed"
    DISMISSED = "dismissed"
    EXPORTED = "exported"
    """Written to a file; its payload is dropped here, `change` is empty."""


@dataclass(frozen=True, slots=True)
class Deal:
    """Something is done about a change in the quarantine; a change that is not there is left as it is."""

    replica: str
    n: int
    dealt: Dealt


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A settled change as the ledger has it. `no`: its place in the order of settling, never used twice."""

    no: int
    settled: SettledRow
    dealt: Dealt = Dealt.NOT_YET


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Rows of the ledger; `more`: ask again from the last row's `no`."""

    rows: Sequence[LedgerRow]
    more: bool


@dataclass(frozen=True, slots=True)
class QuarantineTotal:
    """What the quarantine holds of one replica. `bytes`: of the changes as they were sent."""

    replica: str
    changes: int
    bytes: int


class ReplicaRow(NamedTuple):
    """What the server keeps for ever of a replica.

    `settled`: its highest settled number. `last_stamp`: the effective stamp of that change, "" for none.
    `clock_ahead_ms`: how far its clock was last found ahead of the drift bound, 0 if it was not (the flag of law 2).
    `failed_updates`: of its changes, those whose updates of documents failed in a worker, the last at `failed_at_ms`.
    `user`: the account that it belongs to, "" for none.
    """

    id: str
    settled: int = 0
    last_stamp: str = ""
    clock_ahead_ms: int = 0
    seen_at_ms: int = 0
    failed_updates: int = 0
    failed_at_ms: int = 0
    user: str = ""


class DocumentKey(NamedTuple):
    """One document: the content of one field of one resource, which nothing else shares."""

    type: str
    id: str
    field: str


@dataclass(frozen=True, slots=True)
class DocumentHead:
    """How far a document is, without its bytes.

    `since`: the version at which this life of it began. `seq`: of its newest update; they count 1, 2, 3, … in a life.
    `snapshot_seq`: how far its snapshot reaches, 0 if there is none. `waiting`: updates that are left in the log;
    `bytes`: of those.
    """

    since: int
    seq: int
    snapshot_seq: int
    waiting: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored. It is the snapshot, and then the updates, in this order.

    `snapshot`: b"" if there is none. `updates`: (seq, bytes), ascending: every one above `snapshot_seq`, and of those
    up to it the ones that the snapshot does not hold, because they wait for others. `shuffled`: whether one of them
    came before something that it needs.
    """

    since: int
    seq: int
    snapshot: bytes
    snapshot_seq: int
    updates: Sequence[tuple[int, bytes]]
    shuffled: bool = False


class LogTail(NamedTuple):
    """The newest updates of a document, in the order of their arrival. `shuffled`: as of a `StoredDocument`."""

    updates: Sequence[bytes]
    shuffled: bool


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """An update to append to a document. `seq` 1 of another `since` begins a new life: what is left of the one before
    goes. `version`, `replica`, `n`: where the change that brought it led to, and which it was. `waited`: it came before
    something that it needs.
    """

    key: DocumentKey
    scope: str
    since: int
    seq: int
    version: int
    replica: str
    n: int
    update: bytes
    waited: bool = False


@dataclass(frozen=True, slots=True)
class Squashed:
    """A snapshot that takes the place of the updates up to `snapshot_seq`, but for those in `keep`, which it does not
    hold; updates that were kept so far and are not in `keep` go too.

    Ignored if the document is gone, has another `since`, has a snapshot that reaches as far, or has not come as far:
    somebody else was first.
    """

    key: DocumentKey
    since: int
    snapshot: bytes
    snapshot_seq: int
    keep: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a transaction is to load, in one call."""

    replicas: Collection[str] = ()
    scopes: Collection[str] = ()
    resources: Collection[ResourceKey] = ()
    numbers: Collection[tuple[str, int]] = ()
    """(replica, n): settled changes by number."""
    documents: Collection[DocumentKey] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was there; what was not is absent from the mapping, except that a scope never written is at version 0."""

    replicas: Mapping[str, ReplicaRow] = field(default_factory=dict)
    scopes: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[ResourceKey, StateRow] = field(default_factory=dict)
    settled: Mapping[tuple[str, int], SettledRow] = field(default_factory=dict)
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """The stored digest of each scope that was asked for; absent for one that was never written."""
    documents: Mapping[DocumentKey, DocumentHead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one transaction writes.

    `states`: at most one per resource, the newest. `scopes`: the new head of each scope written to.
    `digests`: its new digest, 16 bytes (invariant 13). `settled`: in the
    order in which they were settled. `replicas`: the new row of each replica. `deals`: what is done about changes
    in the quarantine. `dropped`: documents that go, whole. `updates`: appended after that, in the order of their
    `seq`. `squashed`: snapshots that are put in place last.
    """

    states: Sequence[StateRow] = ()
    scopes: Mapping[str, int] = field(default_factory=dict)
    settled: Sequence[SettledRow] = ()
    replicas: Sequence[ReplicaRow] = ()
    digests: Mapping[str, bytes] = field(default_factory=dict)
    deals: Sequence[Deal] = ()
    updates: Sequence[UpdateRow] = ()
    squashed: Sequence[Squashed] = ()
    dropped: Sequence[DocumentKey] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """States of one scope in version order, as stored bytes.

    `upto`: the reader who applies the page has everything up to this version; if nothing is left (`more` is false)
    it is the scope's head. `types`: of the bodies, one for each.
    """

    bodies: Sequence[bytes]
    upto: int
    more: bool
    types: Sequence[str] = ()


class Transaction(Protocol):
    """A writing transaction, its locks held from start to end."""

    async def load(self, wanted: Wanted) -> Loaded:
        """Read rows, tombstones included, as of now; may be called again for more."""
        ...

    async def scan(self, scope: str) -> Sequence[StateRow]:
        """Every state of a scope, tombstones included, in version order: for hooks that count or search."""
        ...

    async def of_type(self, type: str, *, after: str, limit: int) -> Sequence[StateRow]:
        """The living resources of a type in any scope, as of now, whose id is above `after` (by code point), by id, at
        most `limit`.
        """
        ...

    async def commit(self, commit: Commit) -> None:
        """Write everything and make it durable. Called at most once, last.

        Raises `StoreUnavailable` if the database could not take it, `StoreError` if an update does not follow on what
        its document has; then nothing of it was written.
        """
        ...


class Snapshot(Protocol):
    """A reading transaction: everything it returns is of one moment."""

    async def heads(self, scopes: Collection[str]) -> Mapping[str, int]:
        """The version of each scope; 0 for one that was never written."""
        ...

    async def digests(self, scopes: Collection[str]) -> Mapping[str, bytes]:
        """The digest of each scope as of its head; 16 zero bytes for one that was never written (invariant 13)."""
        ...

    async def page(
        self,
        scope: str,
        after: int,
        limit_bytes: int,
        *,
        types: Collection[str] | None = None,
        limit_rows: int | None = None,
    ) -> Page:
        """States above version `after`, oldest first, until `limit_bytes` are reached; at least one if any is left.

        `types`: only of these; the others are passed over, whatever their size, and `upto` counts them (law 6). So that
        this does not go on without end, no more than `limit_rows` states (at least 1) are looked at: a page may then
        be empty and have `more`, and its `upto` is above `after` all the same.
        """
        ...

    async def pages(
        self,
        after: Mapping[str, int],
        limit_bytes: int,
        *,
        types: Collection[str] | None = None,
        limit_rows: int | None = None,
    ) -> Mapping[str, Page]:
        """A page of each scope after its version, one after the other; see `page`. They share `limit_bytes`: a scope
        that finds no room is absent. `limit_rows`: of each.
        """
        ...

    async def settled(self, replica: str, upto: Mapping[str, int], user: str | None = None) -> Mapping[str, int]:
        """For each scope, the highest number of `replica` settled in it with a version of at most that; 0 for none
        (law 4). `user`: who asks; of a replica that belongs to another account nothing is told, 0. None: anybody.
        """
        ...

    async def ends_of(self, incarnations: Mapping[str, str]) -> Mapping[str, int]:
        """For each scope, the version at which it stood when that incarnation ended, its head if it is the current one.

        A scope is absent if this database never had its incarnation (law 10).
        """
        ...

    async def states(self, resources: Collection[ResourceKey]) -> Mapping[ResourceKey, StateRow]:
        """The newest state of each resource, tombstones included; what never was is absent."""
        ...

    async def of_type(self, type: str, *, scope: str | None, after: str, limit: int) -> Sequence[StateRow]:
        """The living resources of a type whose id is above `after` (by code point), by id, at most `limit`.

        `scope`: None for all.
        """
        ...

    async def ledger(self, numbers: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], LedgerRow]:
        """Settled changes by (replica, n); what was never settled is absent."""
        ...

    async def history(
        self, resource: ResourceKey, *, after: int = 0, backwards: bool = False, limit: int, limit_bytes: int
    ) -> LedgerPage:
        """Settled changes of one resource, whatever became of them, in the order of settling.

        Those whose `no` is above `after`, oldest first; `backwards`: below `after` (0: all), newest first. At most
        `limit`, and not many more bytes of changes than `limit_bytes`; at least one if any is left.
        """
        ...

    async def quarantine(
        self,
        *,
        replica: str | None = None,
        scope: str | None = None,
        scopes: Collection[str] | None = None,
        type: str | None = None,
        user: str | None = None,
        after: int = 0,
        limit: int,
        limit_bytes: int,
    ) -> LedgerPage:
        """Rejected changes about which nothing has been done yet, in the order of settling; bounds as for `history`.

        None: of whichever replica, scope, type, or account (`user`: whose replica it is). `scopes`: only of these. What
        could not be read hangs on the scope and type "".
        """
        ...

    async def quarantine_totals(
        self,
        replicas: Collection[str] | None = None,
        user: str | None = None,
        scopes: Collection[str] | None = None,
    ) -> Sequence[QuarantineTotal]:
        """How much the quarantine holds of each of these replicas, or of all, by name; those of which there is
        nothing in it are absent, and so are those of other accounts than `user`, unless it is None. `scopes`: what it
        holds of these only.
        """
        ...

    async def owners(self, replicas: Collection[str]) -> Mapping[str, str]:
        """The account that each replica belongs to, "" for none; one that is not known is absent."""
        ...

    async def document_heads(self, keys: Collection[DocumentKey]) -> Mapping[DocumentKey, DocumentHead]:
        """How far each document is; what never was, or was dropped, is absent."""
        ...

    async def document(self, key: DocumentKey) -> StoredDocument | None:
        """A document, with every byte that is left of it; None if it never was, or was dropped."""
        ...

    async def update_numbers(
        self, key: DocumentKey, since: int, seqs: Collection[int]
    ) -> Mapping[int, tuple[str, int]]:
        """Which change brought each of these updates of the life `since`, by replica and number; those that are no
        longer in the log are absent.
        """
        ...

    async def updates_since(self, key: DocumentKey, since: int, seq: int) -> LogTail | None:
        """The updates above `seq` as they were appended, for whoever has the others; empty if there are none.

        None if the log does not say: it begins only behind `seq`, the document has not come as far, is gone, or has
        another `since`.
        """
        ...


class Store(Protocol):
    """One database, opened by one process."""

    @property
    def incarnation(self) -> str:
        """The id of the incarnation that began when this store was opened: letters and digits, at most 32."""
        ...

    def transaction(
        self, *, replicas: Collection[str], scopes: Collection[str]
    ) -> AbstractAsyncContextManager[Transaction]:
        """Open a writing transaction that holds the locks of these replicas and scopes.

        Leaving the block without a commit, or by an exception, rolls it back.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Open a reading transaction."""
        ...

    async def check(self) -> None:
        """Return if the database answers; raises `StoreUnavailable` otherwise. Cheap enough for a readiness probe."""
        ...

    async def close(self) -> None:
        """End all transactions and let go of the database; may be called twice."""
        ...
