"""How much of anything there may be: in a request, of a document, in the quarantine."""

from __future__ import annotations

from pydantic import BaseModel, Field

from syncd.documents.limits import PoolLimits, WorkerLimits
from syncd.engine.limits import Limits
from syncd.engine.quarantine import Bounds

__all__ = ["LimitSettings"]

_LIMITS = Limits()
_BOUNDS = Bounds()
_POOL = PoolLimits()
_WORKER = WorkerLimits()


class LimitSettings(BaseModel):
    """The limits of one server process."""

    max_changes: int = Field(_LIMITS.max_changes, ge=1, description="changes in one push")
    max_body_bytes: int = Field(_LIMITS.max_body_bytes, ge=1024, description="of one request")
    max_resource_bytes: int = Field(_LIMITS.max_resource_bytes, ge=1024, description="of one stored resource, encoded")
    max_scopes: int = Field(_LIMITS.max_scopes, ge=1, description="scopes in one pull, or watched by one socket")
    max_page_bytes: int = Field(_LIMITS.max_page_bytes, ge=1024, description="of a pull's resources, at most")
    page_bytes: int = Field(_LIMITS.page_bytes, ge=1024, description="of a pull's resources, where it names no limit")
    max_relay_bytes: int = Field(
        _LIMITS.max_relay_bytes, ge=1024, description="of edits of documents that come live with one delta, at most"
    )
    max_drift_ms: int = Field(
        _LIMITS.max_drift_ms, ge=0, description="how far ahead of the server's clock a device's stamp counts as it is"
    )
    max_present_replicas: int = Field(
        _LIMITS.max_present_replicas, ge=1, description="shown as present in one scope; of more, how many there are"
    )
    max_presence_bytes: int = Field(
        _LIMITS.max_presence_bytes, ge=64, description="of what a replica says of itself where it is present, encoded"
    )
    max_presence_per_s: int = Field(
        _LIMITS.max_presence_per_s,
        ge=1,
        description="how often that may change on one socket; beyond, the newest waits",
    )
    presence_ms: int = Field(
        _LIMITS.presence_ms, ge=1000, description="how long a replica counts as present without saying so again"
    )
    quarantine_changes: int = Field(
        _BOUNDS.changes,
        ge=1,
        description="rejected changes of one replica that are kept in the database; the oldest go to a file beside it",
    )
    quarantine_bytes: int = Field(_BOUNDS.bytes, ge=1024, description="of the same, as they were sent")
    document_workers: int = Field(
        1, ge=1, le=64, description="processes that read CRDT documents; one more stands by for those that end one"
    )
    document_memory_bytes: int = Field(
        _WORKER.memory_bytes, ge=256 << 20, description="of the address space of each of them"
    )
    document_step_s: float = Field(
        _POOL.step_s,
        gt=0,
        description="how long one may compute at one update, before it is ended and the update refused",
    )
    document_bytes: int = Field(_WORKER.document_bytes, ge=1024, description="of one document, encoded")

    @property
    def limits(self) -> Limits:
        """The limits that every reply advertises."""
        return Limits(
            max_changes=self.max_changes,
            max_body_bytes=self.max_body_bytes,
            max_resource_bytes=self.max_resource_bytes,
            max_scopes=self.max_scopes,
            max_page_bytes=self.max_page_bytes,
            page_bytes=self.page_bytes,
            max_relay_bytes=self.max_relay_bytes,
            max_drift_ms=self.max_drift_ms,
            max_present_replicas=self.max_present_replicas,
            max_presence_bytes=self.max_presence_bytes,
            max_presence_per_s=self.max_presence_per_s,
            presence_ms=self.presence_ms,
        )

    @property
    def quarantine_bounds(self) -> Bounds:
        """What the quarantine keeps of each replica."""
        return Bounds(self.quarantine_changes, self.quarantine_bytes)

    @property
    def pool_limits(self) -> PoolLimits:
        """How long a process that reads documents may take."""
        return PoolLimits(step_s=self.document_step_s)

    @property
    def worker_limits(self) -> WorkerLimits:
        """What a process that reads documents may take up."""
        return WorkerLimits(memory_bytes=self.document_memory_bytes, document_bytes=self.document_bytes)
