"""Rows as tests need them: only what matters is named, the rest is filled in, and differs from row to row."""

from __future__ import annotations

import hashlib

from syncd.store.protocol import (
    Commit,
    DocumentKey,
    Loaded,
    ReplicaRow,
    ResourceKey,
    SettledRow,
    StateRow,
    Store,
    UpdateRow,
    Wanted,
)

__all__ = ["load", "note", "settled_row", "update_row", "versions", "write", "write_notes"]


def note(
    scope: str, id: str, version: int, *, type: str = "note", deleted: bool = False, body: bytes = b""
) -> StateRow:
    """A state; without a body, one that tells its id and version."""
    return StateRow(scope, type, id, version, deleted, body or f"{id}@{version}".encode())


def settled_row(replica: str, n: int, scope: str, version: int) -> SettledRow:
    """A settled change."""
    return SettledRow(
        replica=replica,
        n=n,
        digest=hashlib.sha256(f"{replica} {n}".encode()).digest()[:16],
        scope=scope,
        type="note" if scope else "",
        id=f"id-{n}" if scope else "",
        version=version,
        kind="applied" if scope else "rejected",
        at_ms=1_763_640_000_000 + n,
        stamp=f"stamp-{n}",
        change=f'{{"n":{n}}}'.encode(),
        outcome=f'{{"n":{n},"outcome":"applied"}}'.encode(),
    )


def update_row(key: DocumentKey, since: int, seq: int, update: bytes = b"") -> UpdateRow:
    """An update in the scope s; without bytes of its own, some that tell its place."""
    return UpdateRow(key, "s", since, seq, since + seq - 1, "r", seq, update or f"{since}.{seq}".encode())


async def write(store: Store, commit: Commit) -> None:
    """Commit in a transaction that holds the locks it needs."""
    replicas = {row.id for row in commit.replicas} | {row.replica for row in commit.settled}
    replicas |= {row.replica for row in commit.updates}
    async with store.transaction(replicas=replicas, scopes=commit.scopes) as transaction:
        await transaction.commit(commit)


async def write_notes(store: Store, *notes: StateRow) -> None:
    """Commit states; each scope's head becomes the highest version among them."""
    heads: dict[str, int] = {}
    for row in notes:
        heads[row.scope] = max(heads.get(row.scope, 0), row.version)
    await write(store, Commit(states=notes, scopes=heads))


async def load(
    store: Store,
    *resources: ResourceKey,
    replicas: tuple[str, ...] = (),
    scopes: tuple[str, ...] = (),
    numbers: tuple[tuple[str, int], ...] = (),
) -> Loaded:
    """What a new transaction finds."""
    async with store.transaction(replicas=replicas, scopes=scopes) as transaction:
        return await transaction.load(Wanted(replicas, scopes, resources, numbers))


def replica_row(id: str, settled: int) -> ReplicaRow:
    """A replica, every column filled in."""
    return ReplicaRow(
        id,
        settled,
        f"stamp-{settled}",
        clock_ahead_ms=settled * 7,
        seen_at_ms=settled * 11,
        failed_updates=settled * 13,
        failed_at_ms=settled * 17,
    )


async def versions(store: Store, scope: str) -> list[str]:
    """Every body of a scope in version order, as a reader gets them."""
    async with store.snapshot() as snapshot:
        return [body.decode() for body in (await snapshot.page(scope, 0, 1 << 30)).bodies]
