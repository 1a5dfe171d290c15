"""One streamed response: every row of a table as a line, `select body … order by seq`. `--port … --database …`

A thread reads the next lines while the last ones go out; nothing is decoded. The file is made by `fill`, beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiohttp import web

from benchmarks.ceilings.serving import serve

__all__ = ["application", "fill"]

_ROWS_AT_ONCE: Final = 1000
_CACHE_KIB: Final = 16 * 1024


def fill(database: Path, bodies: Iterable[bytes]) -> None:
    """Make the file with one row for each of `bodies`."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    with connection:
        connection.executemany("INSERT INTO records (seq, body) VALUES (?, ?)", enumerate(bodies, start=1))
    connection.close()


def application(database: Path) -> web.Application:
    """`GET /all`: every row, in order. `database`: what `fill` has made."""
    reader = ThreadPoolExecutor(1)

    def opened() -> sqlite3.Cursor:
        connection = sqlite3.connect(database)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA query_only = ON")
        return connection.execute("SELECT body FROM records ORDER BY seq")

    def lines(cursor: sqlite3.Cursor) -> bytes:
        rows = cursor.fetchmany(_ROWS_AT_ONCE)
        return b"".join([row[0] + b"\n" for row in rows])

    async def everything(request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        cursor = await loop.run_in_executor(reader, opened)
        following = loop.run_in_executor(reader, lines, cursor)
        while chunk := await following:
            following = loop.run_in_executor(reader, lines, cursor)
            await response.write(chunk)
        await loop.run_in_executor(reader, cursor.connection.close)
        await response.write_eof()
        return response

    made = web.Application()
    made.router.add_get("/all", everything)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    given = parser.parse_args()
    serve(application(given.database), given.port)
