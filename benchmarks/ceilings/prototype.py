"""The prototype: the same durable work as a push, with nothing around it. `--port … --database …`

An aiohttp handler reads JSON, one thread writes to SQLite and takes all that is queued into one transaction (WAL,
synchronous FULL), and the answer goes out when that has been committed. The table is clustered by id and has an index
on the sequence; of two records with the same id, the one with the higher stamp stands. It takes the messages that
syncd takes, and neither validates nor merges, keeps no history and knows no repeats. `GET /record?id=` reads one back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from benchmarks.ceilings.serving import serve

__all__ = ["application"]

_TABLES: Final = """
CREATE TABLE records (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, stamp TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX records_seq ON records (seq);
"""
_UPSERT: Final = """
INSERT INTO records (id, seq, stamp, body) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, stamp = excluded.stamp, body = excluded.body
WHERE excluded.stamp > records.stamp
"""
_CACHE_KIB: Final = 64 * 1024
_BODY_BYTES: Final = 64 * 1024 * 1024

Row = tuple[str, str, str]
"""Id, stamp, body."""


class _Writer:
    """The thread that writes, and what it has yet to write. Made within the event loop that it answers to."""

    def __init__(self, database: Path) -> None:
        self._queue: queue.SimpleQueue[tuple[Sequence[Row], asyncio.Future[int]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._database = database
        # It ends with the process, in the middle of a transaction if it must.
        threading.Thread(target=self._run, name="writer", daemon=True).start()

    async def write(self, rows: Sequence[Row]) -> int:
        """The sequence number of the last of `rows`, once they are durable."""
        written: asyncio.Future[int] = self._loop.create_future()
        self._queue.put((rows, written))
        return await written

    def _run(self) -> None:
        connection = sqlite3.connect(self._database, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.executescript(_TABLES)
        seq = 0
        while True:
            taken = [self._queue.get()]
            while not self._queue.empty():
                taken.append(self._queue.get())
            settled: list[Callable[[], None]] = []
            connection.execute("BEGIN IMMEDIATE")
            for rows, written in taken:
                numbered = [(key, seq + place, stamp, body) for place, (key, stamp, body) in enumerate(rows, start=1)]
                connection.executemany(_UPSERT, numbered)
                seq += len(rows)
                settled.append(_settling(written, seq))
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_call_all, settled)


_WRITER: Final = web.AppKey("writer", _Writer)


def _settling(written: asyncio.Future[int], seq: int) -> Callable[[], None]:
    return lambda: None if written.done() else written.set_result(seq)


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def application(database: Path) -> web.Application:
    """`POST /push`: answered when the changes are durable. `GET /record`: one of them. `database`: a new file."""

    async def start_writer(app: web.Application) -> None:
        app[_WRITER] = _Writer(database)

    async def push(request: web.Request) -> web.Response:
        changes: list[dict[str, Any]] = json.loads(await request.read())["changes"]
        rows = [
            (change["id"], change["stamp"], json.dumps(change["fields"], separators=(",", ":"))) for change in changes
        ]
        return web.json_response({"settled": await request.app[_WRITER].write(rows), "count": len(rows)})

    async def read(request: web.Request) -> web.Response:
        with closing(sqlite3.connect(database)) as connection:
            row = connection.execute("SELECT body FROM records WHERE id = ?", (request.query["id"],)).fetchone()
        return web.Response(text=row[0] if row else "", status=200 if row else 404)

    made = web.Application(client_max_size=_BODY_BYTES)
    made.on_startup.append(start_writer)
    made.router.add_post("/push", push)
    made.router.add_get("/record", read)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    given = parser.parse_args()
    serve(application(given.database), given.port)
