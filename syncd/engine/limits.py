"""The limits that every reply advertises, so that a device can fit its batches to them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from conflict_rules import MAX_DRIFT_MS

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_changes`: in one push. `max_body_bytes`: of one request. `max_resource_bytes`: of one encoded state.
    `max_scopes`: in one pull or subscription. `page_bytes`: of a pull that names no limit; `max_page_bytes`: of one
    that does. `max_drift_ms`: how far ahead of the server's clock a stamp counts for what it says (law 2).
    `max_relay_bytes`: of updates of documents that come with one delta.
    `max_present_replicas`: shown as present in one scope. `max_presence_bytes`: of what one says of itself, encoded;
    `max_presence_per_s`: how often one socket's may change; `presence_ms`: how long it stands without being renewed.
    """

    max_changes: int = 1000
    max_body_bytes: int = 1024 * 1024
    max_resource_bytes: int = 256 * 1024
    max_scopes: int = 200
    max_page_bytes: int = 1024 * 1024
    page_bytes: int = 48 * 1024
    max_drift_ms: int = MAX_DRIFT_MS
    max_relay_bytes: int = 64 * 1024
    max_present_replicas: int = 64
    max_presence_bytes: int = 1024
    max_presence_per_s: int = 10
    presence_ms: int = 30_000

    def as_dict(self) -> dict[str, int]:
        """As they go over the wire."""
        return asdict(self)
