"""Disputes: what a field remembers of its conflict. The conflict itself, with its candidates, is in `conflict`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from conflict_rules.values import JsonValue

__all__ = ["Dispute", "conflict_id", "dispute_of"]


@dataclass(frozen=True, slots=True)
class Dispute:
    """`version`: of the last widening, or of the settlement."""

    conflict: str
    version: int
    open: bool

    def data(self) -> JsonValue:
        """As it stands beside the field."""
        return {"conflict": self.conflict, "version": self.version, "open": self.open}


def dispute_of(data: JsonValue) -> Dispute | None:
    """The dispute that is kept beside a field, if there is or was one."""
    if not isinstance(data, dict) or "conflict" not in data:
        return None
    version = data.get("version")
    return Dispute(str(data["conflict"]), version if isinstance(version, int) else 0, data.get("open") is True)


def conflict_id(type_name: str, resource_id: str, field: str) -> str:
    """The id of the conflict over a field: one for life, so that it can be opened again."""
    return "c-" + hashlib.sha256("\0".join((type_name, resource_id, field)).encode()).hexdigest()[:32]
