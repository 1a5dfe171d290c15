"""Hostile updates by the thousand, through a whole engine with the real workers: the server's process stands, its event
loop turns, its memory stays and that of the workers, honest documents are served, and each update that is refused is in
the quarantine with its reason. What was taken loads, and can be squashed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, cast

import pytest
from pydantic import Field

from conflict_rules.crdt import DocumentKind
from syncd.app import App, Resource, rules
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Documents, Verdict
from syncd.short_pauses import short_pauses
from syncd.store.protocol import DocumentKey, StoredDocument
from tests.documents.hostile import FIELD, KINDS, Attacker, chains, honest
from tests.documents.shelf import Shelved
from tests.documents.watching import Memory, Recorded, Ticker
from tests.sizes import SIZES
from tests.support.engine import Engine, open_engine

CODES: Final = {"invalid_document_update", "document_update_failed", "document_too_large"}
A_CALL: Final = 100
A_DOCUMENT: Final = 400
A_DATABASE: Final = 40
"""So many documents are attacked in one database, before another one is begun: they take a megabyte each."""
AT_ONCE: Final = 4
MAX_STALL_S: Final = 0.25
MAX_GROWTH_BYTES: Final = 100 << 20
MAX_WORKER_BYTES: Final = 200 << 20
MAX_WAIT_S: Final = 5.0

app = App("besieged")


@app.resource(scope="main", rule=rules.merge)
class Text(Resource):
    root: Annotated[str, rules.crdt] = ""


@app.resource(scope="main", rule=rules.merge)
class Map(Resource):
    root: Annotated[dict[str, Any], rules.crdt] = Field(default_factory=dict)


@app.resource(scope="main", rule=rules.merge)
class Array(Resource):
    root: Annotated[list[Any], rules.crdt] = Field(default_factory=list)


def encoded(update: bytes) -> dict[str, str]:
    return {"update": base64.b64encode(update).decode()}


async def attack(engine: Engine, documents: Recorded, seed: int, count: int) -> Counter[str]:
    """Send so many hostile updates to one document, see what became of each, then read it as anybody would."""
    kind = KINDS[seed % len(KINDS)]
    attacker, replica = Attacker(seed, kind), engine.replica(f"attacker-{seed}")
    key = DocumentKey(kind, f"hostile-{seed}", FIELD)
    await replica.create(key.id, _type=kind)
    found: Counter[str] = Counter()
    refused: dict[int, tuple[bytes, str, str]] = {}
    for _ in range(0, count, A_CALL):
        sent = attacker.updates(A_CALL)
        changes = [replica.change("update", key.id, 0, _type=kind, root=encoded(update)) for update in sent]
        outcomes = await replica.push(*changes)
        assert [outcome["n"] for outcome in outcomes] == [change["n"] for change in changes]
        for update, outcome in zip(sent, outcomes, strict=True):
            verdict = documents.verdicts[key].get(update, Verdict("invalid_document_update"))
            if outcome["outcome"] == "rejected":
                assert outcome["code"] in CODES
                assert len(outcome["message"].split()) > 2, outcome
                refused[outcome["n"]] = (update, outcome["code"], outcome["message"])
            else:
                assert outcome["outcome"] in ("applied", "merged")
                assert verdict.code is None
                if not verdict.waits:
                    attacker.learn(update)
            found[outcome.get("code") or ("waits" if verdict.waits else "fine")] += 1
    await see_each_in_the_quarantine(engine, replica.id, refused)
    await read_as_anybody_would(engine, documents, key, kind)
    return found


async def see_each_in_the_quarantine(engine: Engine, replica: str, refused: dict[int, tuple[bytes, str, str]]) -> None:
    kept: dict[int, tuple[bytes, str, str]] = {}
    after = 0
    while after is not None:
        async with engine.store.snapshot() as snapshot:
            page = await snapshot.quarantine(replica=replica, after=after, limit=500, limit_bytes=1 << 22)
        for row in page.rows:
            sent, outcome = json.loads(row.settled.change), json.loads(row.settled.outcome)
            update = base64.b64decode(sent["fields"][FIELD]["update"])
            kept[row.settled.n] = (update, outcome["code"], outcome["message"])
        if not page.more:
            break
        after = page.rows[-1].no
    assert kept == refused


async def read_as_anybody_would(engine: Engine, documents: Recorded, key: DocumentKey, kind: DocumentKind) -> None:
    """What is stored loads, to what the worker shows that has merged it; and so it does once it is squashed."""
    async with engine.store.snapshot() as snapshot:
        stored = await snapshot.document(key)
    if stored is None:
        return

    async def load() -> Any:
        return stored

    before = await documents.view(key, kind, stored.since, stored.seq, load)
    # Asked for under another name, it is loaded from what is stored.
    again = key._replace(id=f"again-{key.id}")
    assert await documents.view(again, kind, stored.since, stored.seq, load) == before
    squash = await documents.squash(again, kind, stored.since, stored.seq, load)
    left = [(seq, update) for seq, update in stored.updates if seq in squash.keep]
    squashed = StoredDocument(stored.since, stored.seq, squash.snapshot, stored.seq, left)

    async def load_squashed() -> StoredDocument:
        return squashed

    from_it = key._replace(id=f"squashed-{key.id}")
    assert await documents.view(from_it, kind, stored.since, stored.seq, load_squashed) == before
    documents.forget(key)


async def write_on(engine: Engine, stop: asyncio.Event, waits: list[float]) -> str:
    """Somebody honest types into a document of his own all the while. Returns what he has typed."""
    replica = engine.replica("honest")
    await replica.create("honest", _type="text")
    while not stop.is_set():
        began = time.monotonic()
        outcome = await replica.update("honest", 0, _type="text", root=encoded(honest(1, len(waits))))
        assert outcome["outcome"] in ("applied", "merged"), outcome
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    return "x" * len(waits)


@pytest.fixture
def as_served() -> Iterator[None]:
    """The interpreter's housekeeping as it is in a server: else it would be what takes longest."""
    with short_pauses():
        yield


@pytest.mark.usefixtures("as_served")
async def test_hostile_updates_by_the_thousand(pool: DocumentPool, tmp_path: Path) -> None:
    pid = os.getpid()
    documents = Recorded(pool)
    await pool.start()
    memory, ticker = Memory(lambda: [*pool.pids, pool.zygote_pid]), Ticker()
    ticking = asyncio.create_task(ticker.run())
    found: Counter[str] = Counter()
    slowest_s, written = 0.0, 0
    seeds = range(SIZES.hostile_updates // A_DOCUMENT)
    for first in seeds[::A_DATABASE]:
        path = tmp_path / f"{first}.db"
        async with open_engine(path, app=app, documents=cast(Documents, documents)) as engine:
            stop, waits = asyncio.Event(), list[float]()
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(write_on(engine, stop, waits))
                left = iter(seeds[first : first + A_DATABASE])

                async def attack_one_after_another(engine: Engine = engine, left: Iterator[int] = left) -> None:
                    for seed in left:
                        found.update(await attack(engine, documents, seed, A_DOCUMENT))
                        memory.look()

                await asyncio.gather(*(attack_one_after_another() for _ in range(AT_ONCE)))
                stop.set()
            typed = writing.result()
            honest_one = Shelved(pool, f"honest-{first}", field=FIELD)
            async with engine.store.snapshot() as snapshot:
                stored = await snapshot.document(DocumentKey("text", "honest", FIELD))
            assert stored is not None
            honest_one.snapshot, honest_one.snapshot_seq = stored.snapshot, stored.snapshot_seq
            honest_one.since, honest_one.log = stored.since, dict(stored.updates)
            assert await honest_one.view() == typed
            slowest_s, written = max(slowest_s, *waits), written + len(waits)
        for file in tmp_path.glob(f"{first}.db*"):
            file.unlink()
    ticker.stop()
    await ticking

    print(dict(found), f"{pool.ended} workers ended", f"longest pause {ticker.longest_s * 1000:.0f} ms")
    print(f"{written} honest updates meanwhile, the slowest {slowest_s * 1000:.0f} ms")
    print(f"grew by {memory.growth_bytes >> 20} MiB, the largest worker {memory.worker_bytes >> 20} MiB")
    new = "\n ".join(documents.crashers)
    assert not documents.crashers, f"contained, and new: put these into fixtures/crdt/crashers.json\n {new}"
    assert pool.ended == 0
    assert found.total() == len(seeds) * A_DOCUMENT
    assert min(found["invalid_document_update"], found["fine"]) > found.total() // 50
    assert os.getpid() == pid
    assert ticker.longest_s < MAX_STALL_S, "\n".join(ticker.seen[-3:])
    assert slowest_s < MAX_WAIT_S
    assert memory.growth_bytes < MAX_GROWTH_BYTES
    assert memory.worker_bytes < MAX_WORKER_BYTES


async def test_what_would_take_memory_by_the_square_is_refused_in_words(pool: DocumentPool) -> None:
    document = Shelved(pool, field=FIELD)
    short, long = await document.push(chains(1000), chains(40_000))
    assert short.code is None
    assert long.code == "invalid_document_update"


async def test_what_ends_a_worker_is_written_out_for_the_fixtures(trusting: DocumentPool) -> None:
    """The workers here read nothing before, and break at a mark in an update."""
    documents = Recorded(trusting)
    key = DocumentKey("text", "hostile-7", FIELD)

    async def load() -> None:
        return None

    fine, ends = honest(1, 0), honest(2, 0).replace(b"\x01x", b"\x05~ends")
    await documents.check(key, "text", 1, 0, load, [fine, ends])
    (line,) = documents.crashers
    assert json.loads(line) == {
        "name": "hostile-7",
        "alone": "in the text root: applying the update ended the process that did it",
        "updates": [fine.hex(), ends.hex()],
    }


def test_an_attacker_of_the_same_seed_sends_the_same() -> None:
    assert Attacker(7, "map").updates(200) == Attacker(7, "map").updates(200)
    assert len(set(Attacker(7, "map").updates(200))) > 100
