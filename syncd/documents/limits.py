"""How much a worker may take, and how long: of memory, of time, of a document."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PoolLimits", "WorkerLimits"]


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What the worker itself keeps to.

    `memory_bytes`: of the process's address space. `warm_bytes`: of the snapshots and updates of the documents it keeps
    open; open they take many times that. `warm_documents`: how many they are, for even a small one takes some 100 kB.
    `document_bytes`: how large a document may become, encoded. `turn_s`: after how long it
    answers with what it has, so that others get their turn.
    """

    memory_bytes: int = 1 << 30
    warm_bytes: int = 8 << 20
    warm_documents: int = 256
    document_bytes: int = 8 << 20
    turn_s: float = 0.1


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What it is held to from outside.

    `step_s`: how long it may compute at one step, and a bit more the larger the document is. `update_bytes`: of one
    update. `turn_updates`, `turn_bytes`: how much is sent at once. `isolation_s`: how long a document that ended a
    worker is kept away from the others.
    """

    step_s: float = 1.0
    update_bytes: int = 256 << 10
    turn_updates: int = 512
    turn_bytes: int = 512 << 10
    isolation_s: float = 60.0
