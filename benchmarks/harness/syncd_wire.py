"""What a client of syncd's own protocol says, written with as little work as can be (docs/protocol.md)."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Final

from benchmarks.harness.http_driver import Answer, Connection, request_bytes
from benchmarks.harness.records import encoded, record

__all__ = ["PAGE_BYTES", "Writer", "catch_up", "settled"]

PAGE_BYTES: Final = 1024 * 1024
"""The largest page that a server gives by default."""

_APPLIED: Final = b'"outcome":"applied"'


class Writer:
    """One replica that creates records; writes whole requests."""

    def __init__(self, replica: str, port: int, *, scope: str = "main", seed: int = 0) -> None:
        self.n = 0
        self._replica = replica
        self._port = port
        self._scope = scope
        self._dice = random.Random(f"{replica}-{seed}")

    def push(self, batch: int, scope: str | None = None) -> bytes:
        """A request with the next `batch` changes, each the creation of a record of 182 bytes."""
        changes = []
        for _ in range(batch):
            self.n += 1
            fields = record(self._dice)
            change = {"n": self.n, "scope": scope or self._scope, "type": "note", "id": fields.pop("id")}
            changes.append(change | {"op": "create", "base": 0, "fields": fields})
        body = encoded({"replica": self._replica, "schema": 1, "changes": changes})
        return request_bytes("POST", self._port, "/sync/v1/push", body)


def settled(answer: Answer, batch: int) -> None:
    """Check that all of a push were applied; raises `RuntimeError` with what the server said."""
    if answer.status != 200 or answer.body.count(_APPLIED) != batch:
        raise RuntimeError(f"a push of {batch} was answered {answer.status}: {answer.body[:600]!r}")


async def catch_up(connection: Connection, port: int, scopes: Sequence[str]) -> tuple[int, int, float]:
    """Pull everything there is in `scopes`, as a new replica does: resources, bytes, and seconds to the first byte.

    Raises `RuntimeError` if the server refuses. Whoever calls knows how many there must be.
    """
    cursors: dict[str, str | None] = dict.fromkeys(scopes)
    resources = size = 0
    first_s = 0.0
    while cursors:
        body = encoded({"scopes": cursors, "limit_bytes": PAGE_BYTES})
        answer = await connection.ask(request_bytes("POST", port, "/sync/v1/pull", body))
        if answer.status != 200:
            raise RuntimeError(f"a pull was answered {answer.status}: {answer.body[:600]!r}")
        first_s = first_s or answer.first_s
        size += answer.size
        for scope, page in json.loads(answer.body)["scopes"].items():
            resources += len(page["resources"])
            if page["more"]:
                cursors[scope] = page["cursor"]
            else:
                del cursors[scope]
    return resources, size, first_s
