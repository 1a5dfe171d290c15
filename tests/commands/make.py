"""Exports and databases for tests."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from conflict_rules import Stamp, State
from conflict_rules.crdt import Marker
from conflict_rules.state import Mark, Origin
from syncd.engine.workspace import encode_body
from syncd.store.protocol import Commit, DocumentKey, Squashed, StateRow
from syncd.store.sqlite import SqliteStore
from tests.commands.conftest import Run
from tests.conformance.rows import update_row
from tests.support.served import Served
from tests.support.server import ServerProcess

__all__ = ["export_of", "note", "plant_documents", "pull", "push", "seed", "syncd", "write_export"]

Line = Mapping[str, Any]


def note(id: str, scope: str = "main", **fields: object) -> Line:
    """The line of a note."""
    return {"scope": scope, "type": "note", "id": id, "fields": fields}


def write_export(path: Path, *lines: Line | str, header: bool = True, end: bool = True) -> Path:
    """An export with these lines; what is a text stands there as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    deleted = sum(isinstance(line, Mapping) and "deleted" in line for line in lines)
    first = ['{"syncd_export":1}'] if header else []
    last = [json.dumps({"end": True, "resources": len(lines) - deleted, "deleted": deleted})] if end else []
    path.write_text("\n".join([*first, *texts, *last]) + "\n")
    return path


def seed(run: Run, database: Path, *lines: Line) -> None:
    """A database with these resources in it, at rest."""
    done = run("import", write_export(database.with_suffix(".seed"), *lines), "--database", database)
    assert done.code == 0, done


def export_of(run: Run, database: Path, *more: str) -> list[dict[str, Any]]:
    """The resources in a database, as an export has them, without their versions."""
    done = run("export", "--database", database, *more)
    assert done.code == 0, done
    return [{key: value for key, value in line.items() if key != "version"} for line in done.facts[1:-1]]


async def push(
    server: ServerProcess | Served, replica: str, changes: Iterable[Line], first_n: int = 1
) -> list[dict[str, Any]]:
    """Push changes, numbered here; the outcomes."""
    numbered = [{"n": n, "base": 0, **change} for n, change in enumerate(changes, first_n)]
    async with ClientSession(server.url) as http:
        answer = await http.post("/sync/v1/push", json={"replica": replica, "schema": 1, "changes": numbered})
        assert answer.status == 200, await answer.text()
        return list((await answer.json())["outcomes"])


async def pull(server: ServerProcess, scope: str, cursor: str | None, limit_bytes: int = 1_000_000) -> dict[str, Any]:
    """A page of a scope after a cursor."""
    async with ClientSession(server.url) as http:
        answer = await http.post("/sync/v1/pull", json={"scopes": {scope: cursor}, "limit_bytes": limit_bytes})
        return dict((await answer.json())["scopes"][scope])


def create(id: str, scope: str = "main", **fields: object) -> Line:
    """A change that makes a note."""
    return {**note(id, scope, **fields), "op": "create"}


@asynccontextmanager
async def syncd(*arguments: object, cwd: Path, stdin: int | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """`syncd` as a process of its own; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "syncd", *map(str, arguments)),
        cwd=cwd,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def plant_documents(database: Path, scope: str = "scope:0") -> None:
    """A document that lives, squashed to 3 of its 5 updates while the first waits, and one that a tombstone keeps.

    In a scope of a database at rest, above whatever is there; its digest does not know of them.
    """
    mark = Mark(21, Stamp(1, 0, "r"))
    living = State(scope, "note", "plan", 21, {"n": 1, "body": Marker(21, 5).value()}, {}, Origin("r", 1))
    living = replace(living, marks=dict.fromkeys(living.fields, mark))
    kept = replace(living, id="kept", version=22, fields={"body": Marker(21, 1).value()}, marks={"body": mark})
    states = [living, replace(kept, deleted=Mark(22, mark.stamp))]
    plan, gone = (DocumentKey("note", name, "body") for name in ("plan", "kept"))
    store = await SqliteStore.open(database)
    async with store.transaction(replicas=["r"], scopes=[scope]) as transaction:
        await transaction.commit(
            Commit(
                [
                    StateRow(each.scope, each.type, each.id, each.version, each.deleted is not None, encode_body(each))
                    for each in states
                ],
                {scope: 22},
                updates=[update_row(plan, 21, seq) for seq in range(1, 6)] + [update_row(gone, 21, 1)],
                squashed=[Squashed(plan, 21, b"to 3", 3, keep=[1])],
            )
        )
    await store.close()
