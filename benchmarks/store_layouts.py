"""Layouts of the store's file, compared: what each costs on insert, update, catch-up, history and disk.

Raw SQLite with the store's settings (write-ahead log, synchronous FULL, 64 MiB of cache), resources of 182 bytes in
commits of 500. Every layout keeps what the store must keep: the newest state of each resource by id, every scope in the
order of its versions, and every change of a resource, in order.

    python -m benchmarks.store_layouts                    # 100 000 resources, 50 000 updates, 100 scopes
    python -m benchmarks.store_layouts --resources 20000  # less of it

- **by id**: states clustered by (type, id), an index by scope and version; a ledger of changes.
- **log**: rows appended in the order of versions, what is superseded stays and is the history; a head index by id.
- **log, old rows apart**: the same, but a superseded row moves to the ledger.
- **in place**: states in the order of their creation, updated where they are, indexes by id and by scope and version;
  a ledger of changes. This is the store's (docs/decisions/0001-sqlite-layout.md).
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
import uuid_utils
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.harness.records import encoded, record

__all__ = ["LAYOUTS", "Layout", "measure"]

_COMMIT: Final = 500
_PAGE: Final = 1000
_LOOKED_UP: Final = 2000
_LEDGER: Final = (
    (
        "CREATE TABLE ledger (no INTEGER PRIMARY KEY, id TEXT NOT NULL, scope INTEGER NOT NULL, "
        "version INTEGER NOT NULL, body BLOB NOT NULL)"
    ),
    "CREATE INDEX ledger_of_resource ON ledger (id)",
)
_INTO_LEDGER: Final = "INSERT INTO ledger (id, scope, version, body) VALUES (:id, :scope, :version, :body)"

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Layout:
    """Statements. `insert` and `update` run for each row, in order; `page` reads a scope behind a version, `history`
    the bodies that a resource had, oldest first."""

    name: str
    tables: Sequence[str]
    insert: Sequence[str]
    update: Sequence[str]
    page: str
    history: str


LAYOUTS: Final = (
    Layout(
        "by id",
        (
            (
                "CREATE TABLE states (id TEXT PRIMARY KEY, scope INTEGER NOT NULL, version INTEGER NOT NULL, "
                "body BLOB NOT NULL) WITHOUT ROWID"
            ),
            "CREATE UNIQUE INDEX states_by_version ON states (scope, version)",
            *_LEDGER,
        ),
        ("INSERT INTO states (id, scope, version, body) VALUES (:id, :scope, :version, :body)", _INTO_LEDGER),
        ("UPDATE states SET version = :version, body = :body WHERE id = :id", _INTO_LEDGER),
        "SELECT version, body FROM states WHERE scope = ? AND version > ? ORDER BY version LIMIT ?",
        "SELECT body FROM ledger WHERE id = ? ORDER BY no",
    ),
    Layout(
        "log",
        (
            (
                "CREATE TABLE log (no INTEGER PRIMARY KEY, id TEXT NOT NULL, scope INTEGER NOT NULL, "
                "version INTEGER NOT NULL, superseded INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)"
            ),
            "CREATE UNIQUE INDEX log_by_version ON log (scope, version) WHERE superseded = 0",
            "CREATE INDEX log_of_resource ON log (id)",
            "CREATE TABLE heads (id TEXT PRIMARY KEY, no INTEGER NOT NULL) WITHOUT ROWID",
        ),
        (
            "INSERT INTO log (id, scope, version, body) VALUES (:id, :scope, :version, :body)",
            "INSERT INTO heads (id, no) VALUES (:id, last_insert_rowid())",
        ),
        (
            "UPDATE log SET superseded = 1 WHERE no = (SELECT no FROM heads WHERE id = :id)",
            "INSERT INTO log (id, scope, version, body) VALUES (:id, :scope, :version, :body)",
            "UPDATE heads SET no = last_insert_rowid() WHERE id = :id",
        ),
        "SELECT version, body FROM log WHERE scope = ? AND version > ? AND superseded = 0 ORDER BY version LIMIT ?",
        "SELECT body FROM log WHERE id = ? ORDER BY no",
    ),
    Layout(
        "log, old rows apart",
        (
            (
                "CREATE TABLE log (no INTEGER PRIMARY KEY, id TEXT NOT NULL, scope INTEGER NOT NULL, "
                "version INTEGER NOT NULL, body BLOB NOT NULL)"
            ),
            "CREATE UNIQUE INDEX log_by_version ON log (scope, version)",
            "CREATE TABLE heads (id TEXT PRIMARY KEY, no INTEGER NOT NULL) WITHOUT ROWID",
            *_LEDGER,
        ),
        (
            "INSERT INTO log (id, scope, version, body) VALUES (:id, :scope, :version, :body)",
            "INSERT INTO heads (id, no) VALUES (:id, last_insert_rowid())",
        ),
        (
            (
                "INSERT INTO ledger (id, scope, version, body) SELECT id, scope, version, body FROM log "
                "WHERE no = (SELECT no FROM heads WHERE id = :id)"
            ),
            "DELETE FROM log WHERE no = (SELECT no FROM heads WHERE id = :id)",
            "INSERT INTO log (id, scope, version, body) VALUES (:id, :scope, :version, :body)",
            "UPDATE heads SET no = last_insert_rowid() WHERE id = :id",
        ),
        "SELECT version, body FROM log WHERE scope = ? AND version > ? ORDER BY version LIMIT ?",
        "SELECT body FROM (SELECT body, no FROM ledger WHERE id = ?1 UNION ALL "
        "SELECT body, 1 << 60 FROM log WHERE no = (SELECT no FROM heads WHERE id = ?1)) ORDER BY no",
    ),
    Layout(
        "in place",
        (
            (
                "CREATE TABLE states (no INTEGER PRIMARY KEY, scope INTEGER NOT NULL, version INTEGER NOT NULL, "
                "id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, UNIQUE (scope, version))"
            ),
            *_LEDGER,
        ),
        ("INSERT INTO states (id, scope, version, body) VALUES (:id, :scope, :version, :body)", _INTO_LEDGER),
        ("UPDATE states SET version = :version, body = :body WHERE id = :id", _INTO_LEDGER),
        "SELECT version, body FROM states WHERE scope = ? AND version > ? ORDER BY version LIMIT ?",
        "SELECT body FROM ledger WHERE id = ? ORDER BY no",
    ),
)
"""The statements of a real store have a few columns more; they are the same for all."""

IDS: Final[dict[str, Callable[[random.Random], str]]] = {
    "uuid4": lambda dice: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    "uuid7": lambda dice: str(uuid_utils.uuid7()),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows a second, but for `history_us`, of one resource, and the file's size in MB after it all."""

    insert: float
    update: float
    catch_up: float
    history_us: float
    megabytes: float


def measure(
    layout: Layout, new_id: Callable[[random.Random], str], folder: Path, resources: int, scopes: int
) -> Figures:
    """All of one layout, on a file of its own. Raises `RuntimeError` if it lost something on the way."""
    dice = random.Random(7)
    path = folder / f"{uuid.uuid4().hex}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "wal_autocheckpoint = 16384"):
        connection.execute(f"PRAGMA {pragma}")
    for statement in layout.tables:
        connection.execute(statement)
    ids = [new_id(dice) for _ in range(resources)]
    versions = [0] * scopes
    inserted = _seconds(connection, layout.insert, _rows(ids, ids, versions, dice))
    changed = dice.choices(ids, k=resources // 2)
    updated = _seconds(connection, layout.update, _rows(changed, ids, versions, dice))
    began = time.perf_counter()
    read = sum(_catch_up(connection, layout, scope) for scope in range(scopes))
    caught_up = time.perf_counter() - began
    looked_up = dice.choices(changed, k=_LOOKED_UP)
    began = time.perf_counter()
    told = [len(connection.execute(layout.history, (each,)).fetchall()) for each in looked_up]
    history = time.perf_counter() - began
    if read != resources or min(told) < 2:
        raise RuntimeError(f"{layout.name}: {read} of {resources} resources came, with {min(told)} changes at least")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    size = path.stat().st_size
    path.unlink()
    return Figures(
        resources / inserted, len(changed) / updated, read / caught_up, history / len(told) * 1e6, size / 1e6
    )


def _rows(chosen: Iterable[str], ids: Sequence[str], versions: list[int], dice: random.Random) -> Iterator[Row]:
    home = {resource: place % len(versions) for place, resource in enumerate(ids)}
    body = [encoded(record(dice)) for _ in range(_COMMIT)]
    for place, resource in enumerate(chosen):
        scope = home[resource]
        versions[scope] += 1
        yield {"id": resource, "scope": scope, "version": versions[scope], "body": body[place % _COMMIT]}


def _seconds(connection: sqlite3.Connection, statements: Sequence[str], rows: Iterable[Row]) -> float:
    """What it takes to write them, durable commit by durable commit."""
    every = list(rows)
    began = time.perf_counter()
    for start in range(0, len(every), _COMMIT):
        connection.execute("BEGIN IMMEDIATE")
        for row in every[start : start + _COMMIT]:
            for statement in statements:
                connection.execute(statement, row)
        connection.execute("COMMIT")
    return time.perf_counter() - began


def _catch_up(connection: sqlite3.Connection, layout: Layout, scope: int) -> int:
    after = read = 0
    while page := connection.execute(layout.page, (scope, after, _PAGE)).fetchall():
        read += len(page)
        after = page[-1][0]
    return read


def main(
    resources: Annotated[int, typer.Option(min=_COMMIT, help="How many are inserted; half as many updates.")] = 100_000,
    scopes: Annotated[int, typer.Option(min=1, help="Over how many scopes.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="The median of so many counts.")] = 3,
) -> None:
    """Compare the layouts, by turns, and print a table."""
    console = Console()
    cases = [(layout, ids) for layout in LAYOUTS for ids in IDS]
    found: dict[tuple[str, str], list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="syncd-layouts-") as folder, Progress(console=console) as progress:
        task = progress.add_task("", total=rounds * len(cases))
        for _ in range(rounds):
            for layout, ids in cases:
                progress.update(task, description=f"{layout.name}, {ids}")
                figures = measure(layout, IDS[ids], Path(folder), resources, scopes)
                found.setdefault((layout.name, ids), []).append(figures)
                progress.advance(task)
    table = Table(title=f"{resources:,} resources in {scopes} scopes, {resources // 2:,} updates; median of {rounds}")
    for heading in ("layout", "ids", "inserts/s", "updates/s", "catch-up/s", "history µs", "MB"):
        table.add_column(heading, justify="left" if heading in ("layout", "ids") else "right")
    for (name, ids), some in found.items():
        table.add_row(
            name,
            ids,
            *(
                f"{statistics.median(getattr(each, figure) for each in some):,.0f}"
                for figure in ("insert", "update", "catch_up", "history_us", "megabytes")
            ),
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
