"""rxdb-server on its storage in memory: nothing that it acknowledges is durable. Refuses bodies of over 100 kB."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from benchmarks.harness.http_driver import Answer, request_bytes
from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import NODE, node_folder, versions_of_node

__all__ = ["MOST_IN_PUSH", "check_page", "check_push", "next_page", "push", "running", "versions"]

MOST_IN_PUSH: Final = 250
"""Records of 182 bytes in one push, so that its body stays well under the limit."""

_PACKAGES: Final = {"rxdb": "15.22.0", "rxdb-server": "15.22.0", "rxjs": "7.8.1", "express": "4.21.2", "cors": "2.8.5"}
_SCRIPT: Final = Path(__file__).with_name("rxdb_server.mjs")
_PRODUCTION: Final = {"NODE_ENV": "production"}
_PAGE: Final = 10_000
_CHECKPOINT: Final = re.compile(rb'"checkpoint":\{"id":"([^"]*)","lwt":([0-9.]+)\}\}\s*$')
_NONE_FOUND: Final = b'{"documents":[]'


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Server]:
    """A running server with an empty collection. Raises `Unavailable` if it cannot be had here."""
    packages = node_folder("rxdb", _PACKAGES)
    port = free_port()
    command = [str(NODE), str(_SCRIPT), str(packages), str(port)]
    async with started(command, port=port, folder=folder, environment=_PRODUCTION, name="rxdb") as server:
        yield server


def push(port: int, records: Sequence[tuple[str, str]]) -> bytes:
    """A request that writes `records`, each an id and the inside of the JSON object of its other fields."""
    rows = [f'{{"newDocumentState":{{"id":"{key}",{inside},"_deleted":false}}}}' for key, inside in records]
    return request_bytes("POST", port, "/notes/0/push", f"[{','.join(rows)}]".encode())


def check_push(answer: Answer, batch: int) -> None:
    """Raise `RuntimeError` if there were conflicts, or worse."""
    if answer.status != 200 or answer.body != b"[]":
        raise RuntimeError(f"a write of {batch} was answered {answer.status}: {answer.body[:600]!r}")


def next_page(port: int, answer: Answer | None) -> bytes | None:
    """The request for the page after `answer`, for the first if there is none yet; None: that was the last.

    The last page is the empty one: there is no telling before.
    """
    query = f"limit={_PAGE}"
    if answer is not None:
        found = _CHECKPOINT.search(answer.body[-300:])
        if answer.status != 200 or found is None:
            raise RuntimeError(f"a pull was answered {answer.status}: …{answer.body[-300:]!r}")
        if answer.body.startswith(_NONE_FOUND):
            return None
        query += f"&id={quote(found[1].decode())}&lwt={found[2].decode()}"
    return request_bytes("GET", port, f"/notes/0/pull?{query}")


def check_page(answer: Answer) -> int:
    """How many records a page has."""
    return len(json.loads(answer.body)["documents"])


def versions() -> dict[str, str]:
    """What is installed."""
    return versions_of_node("rxdb", _PACKAGES)
