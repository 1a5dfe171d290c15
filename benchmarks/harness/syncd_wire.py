"""syncd's own protocol (docs/protocol.md), as far as workloads share it: a push's answer checked, everything pulled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from benchmarks.harness.http_driver import Answer, Connection, request_bytes
from benchmarks.harness.records import encoded

__all__ = ["PAGE_BYTES", "catch_up", "settled"]

PAGE_BYTES: Final = 1024 * 1024
"""The largest page that a server gives by default."""

_APPLIED: Final = b'"outcome":"applied"'


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
