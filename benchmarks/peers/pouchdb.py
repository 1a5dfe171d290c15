"""express-pouchdb, the server of PouchDB, on LevelDB, which it does not fsync: written into the page cache only."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.http_driver import Answer, Connection, request_bytes
from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import NODE, node_folder, versions_of_node

__all__ = ["check_page", "check_push", "make_database", "next_page", "push", "read", "running", "versions"]

_PACKAGES: Final = {"express": "4.21.2", "express-pouchdb": "4.2.0", "pouchdb": "7.3.1"}
_SCRIPT: Final = Path(__file__).with_name("pouchdb_server.mjs")
_PRODUCTION: Final = {"NODE_ENV": "production"}
_DATABASE: Final = "/bench"
_PAGE: Final = 10_000
_EMPTY_BYTES: Final = 100
"""An answer without changes is shorter than this, one with a change longer."""
_LAST: Final = re.compile(rb'"last_seq"\s*:\s*(\d+)\s*\}\s*$')


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Server]:
    """A running server without a database. Raises `Unavailable` if it cannot be had here."""
    packages = node_folder("pouchdb", _PACKAGES)
    port = free_port()
    command = [str(NODE), str(_SCRIPT), str(packages), str(folder), str(port)]
    async with started(command, port=port, folder=folder, environment=_PRODUCTION, name="pouchdb") as server:
        yield server


async def make_database(connection: Connection, port: int) -> None:
    """Make the database that everything goes to."""
    answer = await connection.ask(request_bytes("PUT", port, _DATABASE))
    if answer.status not in (201, 412):
        raise RuntimeError(f"making the database was answered {answer.status}: {answer.body[:400]!r}")


def push(port: int, records: Sequence[tuple[str, str]]) -> bytes:
    """A request that writes `records`, each an id and the inside of the JSON object of its other fields."""
    documents = [f'{{"_id":"{key}",{inside}}}' for key, inside in records]
    return request_bytes("POST", port, f"{_DATABASE}/_bulk_docs", f'{{"docs":[{",".join(documents)}]}}'.encode())


def check_push(answer: Answer, batch: int) -> None:
    """Raise `RuntimeError` unless all were written."""
    if answer.status != 201 or answer.body.count(b'"ok":true') != batch:
        raise RuntimeError(f"a write of {batch} was answered {answer.status}: {answer.body[:600]!r}")


def next_page(port: int, answer: Answer | None) -> bytes | None:
    """The request for the page after `answer`, for the first if there is none yet; None: that was the last.

    The last page is the empty one: there is no telling before.
    """
    since = b"0"
    if answer is not None:
        found = _LAST.search(answer.body[-100:])
        if answer.status != 200 or found is None:
            raise RuntimeError(f"_changes was answered {answer.status}: …{answer.body[-300:]!r}")
        if answer.size < _EMPTY_BYTES:
            return None
        since = found[1]
    query = f"include_docs=true&limit={_PAGE}&since={since.decode()}"
    return request_bytes("GET", port, f"{_DATABASE}/_changes?{query}")


def read(port: int, key: str) -> bytes:
    """A request for one record by its id."""
    return request_bytes("GET", port, f"{_DATABASE}/{key}")


def check_page(answer: Answer) -> int:
    """How many records a page has."""
    return sum("doc" in row for row in json.loads(answer.body)["results"])


def versions() -> dict[str, str]:
    """What is installed."""
    return versions_of_node("pouchdb", _PACKAGES, "leveldown")
