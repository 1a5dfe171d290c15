"""Law 12: updates of documents are read before the transaction opens; it sees only that they were read as it stands."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from pycrdt import Doc, Text

from conflict_rules.crdt import DocumentKind
from syncd.app import App, Resource, rules
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Documents, Load, Verdict
from syncd.engine.document_reader import AskedDocument, DocumentReader
from syncd.engine.history import History
from syncd.engine.limits import Limits
from syncd.engine.push import Pusher
from syncd.store.protocol import DocumentKey
from tests.support.crdt import crashers
from tests.support.engine import Engine, open_engine

app = App("club")
NOTES = DocumentKey("note", "n", "text")
(PANICS,) = next(one.updates for one in crashers() if one.name == "many clients at clocks that nothing reaches")


@app.resource(scope="main", rule=rules.merge)
class Note(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


async def nothing() -> None:
    """Reads as fast as it can."""


class Watched:
    """Reads documents as the pool does. `before`, `after`: what happens meanwhile. `checked`: at which `seq`."""

    def __init__(self, pool: DocumentPool) -> None:
        self._pool = pool
        self.before: Callable[[], Awaitable[None]] = nothing
        self.after: Callable[[], Awaitable[None]] = nothing
        self.checked: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def check(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, updates: Sequence[bytes]
    ) -> Sequence[Verdict]:
        self.checked.append(seq)
        before, self.before = self.before, nothing
        await before()
        verdicts = await self._pool.check(key, kind, since, seq, load, updates)
        after, self.after = self.after, nothing
        await after()
        return verdicts


@asynccontextmanager
async def a_club(path: Path, *, zygote: str = "syncd.documents.zygote") -> AsyncIterator[tuple[Engine, Watched]]:
    pool = DocumentPool(zygote=zygote)
    watched = Watched(pool)
    try:
        async with open_engine(path, app=app, documents=cast(Documents, watched)) as engine:
            yield engine, watched
    finally:
        await pool.close()


def typed(text: str) -> dict[str, str]:
    """What a device sends that has typed this into an empty document of its own."""
    doc: Any = Doc()
    doc["text"] = Text(text)
    return {"update": base64.b64encode(doc.get_update()).decode()}


async def content(engine: Engine) -> str:
    doc: Any = Doc()
    doc["text"] = Text()
    reader = DocumentReader(app, engine.store, engine.documents, History(engine.store, app))
    for update in (await reader.read(AskedDocument(NOTES))).updates:
        doc.apply_update(update)
    return str(doc["text"])


async def test_while_an_update_is_being_read_nobody_waits_for_the_database(tmp_path: Path) -> None:
    """Counterexample 18: an update that never comes back, read under the lock, would keep every writer waiting."""
    async with a_club(tmp_path / "db") as (engine, watched):
        comes_back = asyncio.Event()
        begun = asyncio.Event()

        async def hang() -> None:
            begun.set()
            await comes_back.wait()

        watched.before = hang
        victim = asyncio.create_task(engine.replica("a").create("n", text=typed("a")))
        await begun.wait()
        try:
            async with asyncio.timeout(10):
                others = await asyncio.gather(
                    *(engine.replica(f"b{i}").create(f"other-{i}", title="x") for i in range(5))
                )
            assert [outcome["outcome"] for outcome in others] == ["applied"] * 5
            assert not victim.done()
        finally:
            comes_back.set()
        assert (await victim)["outcome"] == "applied"


async def test_what_panics_native_code_is_refused_by_a_process_that_may_die_of_it(tmp_path: Path) -> None:
    """The workers here read nothing before pycrdt does, so that this update comes as far."""
    async with a_club(tmp_path / "db", zygote="tests.documents.trusting_zygote") as (engine, watched):
        a, b = engine.replica("a"), engine.replica("b")
        assert (await a.create("n", text=typed("kept")))["outcome"] == "applied"
        before = set(watched.pids)
        outcome = await b.update("n", 0, text={"update": base64.b64encode(PANICS).decode()})
        assert (outcome["outcome"], outcome["code"]) == ("rejected", "document_update_failed")
        assert not before & set(watched.pids), "who read it is no more"
        assert (await b.update("n", 0, text=typed(", and goes on")))["outcome"] == "merged"
        assert sorted(await content(engine)) == sorted("kept, and goes on")
        async with engine.store.snapshot() as snapshot:
            (kept,) = (await snapshot.quarantine(limit=10, limit_bytes=1 << 20)).rows
        assert (kept.settled.replica, kept.settled.n) == ("b", outcome["n"])


@pytest.mark.parametrize("times", [1, 3])
async def test_what_was_read_over_a_document_that_has_moved_on_is_read_again(tmp_path: Path, times: int) -> None:
    """On another node somebody writes to it between the reading and the commit."""
    async with a_club(tmp_path / "db") as (engine, watched):
        await engine.replica("a").create("n", text=typed("-"))
        pool = DocumentPool()
        elsewhere = Pusher(engine.store, app, engine.bus, engine.watcher, engine.clock, Limits(), cast(Documents, pool))
        there = engine.replica("there")

        async def meanwhile(left: int = times) -> None:
            await elsewhere.push("there", 1, [there.change("update", "n", 0, text=typed(str(left)))])
            if left > 1:
                watched.after = lambda: meanwhile(left - 1)

        watched.after = meanwhile
        try:
            outcome = await engine.replica("b").update("n", 0, text=typed("b"))
            assert outcome["outcome"] == "merged"
            assert watched.checked == list(range(times + 2)), "each time where the document stood"
            assert sorted(await content(engine)) == sorted("-b" + "123"[:times])
        finally:
            await elsewhere.close()
            await pool.close()
