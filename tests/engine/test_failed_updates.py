"""A replica is marked by its updates of documents that end, hang or spoil whoever reads them: counted, once each."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from pycrdt import Doc, Text
from structlog.testing import capture_logs

from syncd.app import App, Resource, rules
from syncd.documents.limits import PoolLimits
from syncd.documents.pool import DocumentPool
from tests.conformance.rows import load
from tests.documents.marks import ENDS, HANGS
from tests.support.engine import NOON_MS, Engine, open_engine

app = App("club")


@app.resource(scope="main", rule=rules.merge)
class Note(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


def update(update: bytes) -> dict[str, str]:
    return {"update": base64.b64encode(update).decode()}


def typed(letters: str) -> dict[str, str]:
    doc = Doc({"text": Text(letters)})
    return update(doc.get_update())


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """Its workers trust what comes, and break of it (`trusting_zygote`)."""
    pool = DocumentPool(limits=PoolLimits(step_s=0.1), zygote="tests.documents.trusting_zygote")
    try:
        async with open_engine(tmp_path / "db", app=app, documents=pool) as engine:
            yield engine
    finally:
        await pool.close()


async def marks(engine: Engine, replica: str) -> tuple[int, int]:
    row = (await load(engine.store, replicas=(replica,))).replicas[replica]
    return row.failed_updates, row.failed_at_ms


async def test_each_update_that_breaks_its_reader_counts_once_and_the_last_has_its_time(engine: Engine) -> None:
    hostile, honest = engine.replica("hostile"), engine.replica("honest")
    await honest.create("n", text=typed("fine"))
    first = hostile.change("update", "n", text=update(HANGS))
    with capture_logs() as logs:
        outcomes = await hostile.push(first, hostile.change("update", "n", title="fine"))
    assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "merged"]
    told = [(entry["replica"], entry["failed"]) for entry in logs if entry["event"] == "document_updates_failed"]
    assert told == [("hostile", 1)]
    assert await marks(engine, "hostile") == (1, NOON_MS)
    engine.clock.advance(seconds=60)
    await hostile.push(first, hostile.change("update", "n", text=update(ENDS)))
    assert await marks(engine, "hostile") == (2, NOON_MS + 60_000), "a repeat is told again, and does not count again"
    engine.clock.advance(seconds=60)
    await hostile.update("n", 2, title="again")
    assert await marks(engine, "hostile") == (2, NOON_MS + 60_000)
    assert await marks(engine, "honest") == (0, 0)


async def test_what_is_refused_without_breaking_anybody_is_no_mark(engine: Engine) -> None:
    a = engine.replica("a")
    outcomes = await a.push(
        a.change("create", "n", text="plain text"),
        a.change("create", "m", text=typed("fine")),
    )
    assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "applied"]
    assert await marks(engine, "a") == (0, 0)


async def test_of_a_group_that_fails_with_it_only_the_update_itself_counts(engine: Engine) -> None:
    a = engine.replica("a")
    outcomes = await a.push(
        a.change("create", "n", _group="g", text=typed("fine")),
        a.change("update", "n", 1, _group="g", text=update(ENDS)),
        a.change("create", "m", _group="g"),
    )
    assert [outcome["code"] for outcome in outcomes] == ["group_rejected", "document_update_failed", "group_rejected"]
    assert (await marks(engine, "a"))[0] == 1
