"""One line of the file to which changes go that the quarantine has no room for: written, and read again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from syncd.engine.entry import Entry, read_entry
from syncd.store.protocol import Dealt, LedgerRow, SettledRow

__all__ = ["export_line", "read_line"]

_ANY_VERSION: Final = (1 << 63) - 1
"""Where the scope stood is not in the line: the base stays as it was sent."""


def export_line(row: LedgerRow, now_ms: int) -> bytes:
    """A change in the quarantine as one line of JSON: as it was sent, and why it was refused."""
    settled = row.settled
    told = {
        "replica": settled.replica,
        "n": settled.n,
        "scope": settled.scope,
        "type": settled.type,
        "id": settled.id,
        "at_ms": settled.at_ms,
        "exported_at_ms": now_ms,
        "change": json.loads(settled.change) if settled.change else None,
        "outcome": json.loads(settled.outcome),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def read_line(told: Mapping[str, Any]) -> Entry:
    """What such a line says, as if the ledger still had it; only its place there, `no`, is not known any more (0)."""
    settled = SettledRow(
        replica=told["replica"],
        n=told["n"],
        digest=b"",
        scope=told["scope"],
        type=told["type"],
        id=told["id"],
        version=_ANY_VERSION,
        kind=told["outcome"]["outcome"],
        at_ms=told["at_ms"],
        stamp="",
        change=b"" if told["change"] is None else json.dumps(told["change"]).encode(),
        outcome=json.dumps(told["outcome"]).encode(),
    )
    return read_entry(LedgerRow(0, settled, Dealt.EXPORTED))
