"""Rows appended by raw sqlite3, with a head index: what the disk and SQLite take, without a server or JSON.

`--database … --batch … --seconds …` writes for so long, one transaction for each batch (WAL, synchronous FULL), and
prints `{"records", "seconds", "cpu_s", "latencies_ms"}`. Rows are clustered by their sequence; `head` leads from an id,
as 16 bytes, to the row that stands for it. Making the records is not counted; checkpoints are.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness.records import encoded, record

__all__ = ["main", "write"]

_TABLES: Final = """
CREATE TABLE log (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, stamp INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE head (id BLOB PRIMARY KEY, seq INTEGER NOT NULL, stamp INTEGER NOT NULL) WITHOUT ROWID;
"""
_APPEND: Final = "INSERT INTO log (seq, id, stamp, body) VALUES (?, ?, ?, ?)"
_HEAD: Final = """
INSERT INTO head (id, seq, stamp) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, stamp = excluded.stamp WHERE excluded.stamp > head.stamp
"""
_CACHE_KIB: Final = 64 * 1024
_POOL: Final = 512

Row = tuple[int, bytes, int, bytes]
"""Sequence number, id, stamp, body."""


def write(database: Path, batch: int, seconds: float) -> dict[str, object]:
    """Write to a new file for so long; what came of it."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.executescript(_TABLES)
    dice = random.Random(1)
    pool = [encoded(record(dice)) for _ in range(_POOL)]
    spent = cpu = 0.0
    latencies: list[float] = []
    seq = 0
    while spent < seconds:
        rows = _rows(seq, batch, dice, pool)
        seq += batch
        began, cpu_began = time.perf_counter(), time.process_time()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_APPEND, rows)
        connection.executemany(_HEAD, [(key, place, stamp) for place, key, stamp, _ in rows])
        connection.execute("COMMIT")
        latencies.append((time.perf_counter() - began) * 1000)
        cpu += time.process_time() - cpu_began
        spent += latencies[-1] / 1000
    (held,) = connection.execute("SELECT count(*) FROM head JOIN log USING (seq)").fetchone()
    connection.close()
    if held != seq:
        raise RuntimeError(f"{held} of {seq} rows are there")
    return {"records": seq, "seconds": spent, "cpu_s": cpu, "latencies_ms": latencies}


def _rows(after: int, count: int, dice: random.Random, pool: Sequence[bytes]) -> list[Row]:
    """New rows with random ids, numbered from the one after `after`."""
    return [
        (seq, uuid.UUID(int=dice.getrandbits(128), version=4).bytes, seq, pool[seq % _POOL])
        for seq in range(after + 1, after + count + 1)
    ]


def main() -> None:
    """As a process of its own, so that it can be kept to the servers' core."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(write(asked.database, asked.batch, asked.seconds)))


if __name__ == "__main__":
    main()
