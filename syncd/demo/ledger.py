"""The server's own book of settled changes, read from its SQLite file after the server has stopped.

Plain SQL on purpose: a witness that shares no code with the server.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LedgerRow", "read_ledger"]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One settled change. `digest`: hexadecimal. `outcome`, `version`, `conflicts`: as they were told in the reply."""

    replica: str
    n: int
    digest: str
    outcome: str
    version: int
    scope: str
    type: str
    id: str
    op: str
    conflicts: Sequence[str] = ()


def read_ledger(database: Path) -> Sequence[LedgerRow]:
    """Every settled change in the file, by replica and number; none where no server ever got to write there."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'changes'").fetchone():
            return []
        rows = connection.execute(
            """
            SELECT r.id, c.n, c.digest, s.name, c.type, c.id, c.change, c.outcome
            FROM changes AS c JOIN replicas AS r ON r.no = c.replica_no JOIN scopes AS s ON s.no = c.scope_no
            ORDER BY r.id, c.n
            """
        ).fetchall()
    ledger: list[LedgerRow] = []
    for replica, n, digest, scope, type_name, resource_id, change, outcome_text in rows:
        outcome = json.loads(outcome_text)
        ledger.append(
            LedgerRow(
                replica=replica,
                n=n,
                digest=bytes(digest).hex(),
                outcome=outcome["outcome"],
                version=outcome["version"],
                scope=scope,
                type=type_name,
                id=resource_id,
                op=json.loads(change)["op"],
                conflicts=outcome.get("conflicts", []),
            )
        )
    return ledger
