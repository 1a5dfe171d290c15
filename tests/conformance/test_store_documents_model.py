"""Whatever is appended, squashed, dropped and begun anew, in whatever order: a store holds what a dictionary does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import StoreError
from syncd.store.protocol import Commit, DocumentHead, DocumentKey, Squashed, Store, UpdateRow, Wanted
from tests.conformance.rows import update_row
from tests.conformance.stores import DATABASES, Database

DOCUMENTS = 3


@dataclass(frozen=True)
class Life:
    """What a document is, in the simplest words."""

    since: int
    seq: int = 0
    snapshot: bytes = b""
    snapshot_seq: int = 0
    log: dict[int, bytes] = field(default_factory=dict)

    def head(self) -> DocumentHead:
        return DocumentHead(self.since, self.seq, self.snapshot_seq, len(self.log), sum(map(len, self.log.values())))

    def since_seq(self, since: int, seq: int) -> list[bytes] | None:
        if since != self.since or not self.snapshot_seq <= seq <= self.seq:
            return None
        return [update for number, update in sorted(self.log.items()) if number > seq]


Model = dict[DocumentKey, Life]


@dataclass
class House:
    """A database that outlives its openings; every history has documents of its own in it."""

    database: Database
    store: Store
    histories: int = 0
    version: int = 0

    async def reopen(self) -> None:
        await self.store.close()
        self.store = await self.database.open()


def append(model: Model, key: DocumentKey, count: int, size: int, since: int) -> list[UpdateRow]:
    """Go on with a document, or begin another life of it at `since` if there is none or it was ended."""
    life = model.get(key, Life(since))
    rows = [update_row(key, life.since, life.seq + 1 + i, bytes([i]) * size) for i in range(count)]
    log = {**life.log, **{row.seq: row.update for row in rows}}
    model[key] = replace(life, seq=life.seq + count, log=log)
    return rows


def squash(model: Model, squashed: Squashed) -> None:
    life = model.get(squashed.key)
    if life is None or life.since != squashed.since or not life.snapshot_seq < squashed.snapshot_seq <= life.seq:
        return
    log = {seq: update for seq, update in life.log.items() if seq > squashed.snapshot_seq or seq in squashed.keep}
    model[squashed.key] = replace(life, snapshot=squashed.snapshot, snapshot_seq=squashed.snapshot_seq, log=log)


which = st.integers(0, DOCUMENTS - 1)
edit = st.tuples(st.just("append"), which, st.integers(1, 4), st.integers(1, 40))
new_life = st.tuples(st.just("anew"), which, st.integers(1, 3), st.integers(1, 40))
drop = st.tuples(st.just("drop"), which, st.just(0), st.just(0))
snapshot = st.tuples(st.just("squash"), which, st.integers(-1, 6), st.integers(0, 63))
late_snapshot = st.tuples(st.just("squash another life"), which, st.integers(-1, 6), st.integers(0, 63))
step = st.one_of(edit, edit, edit, snapshot, snapshot, new_life, drop, late_snapshot)
ending = st.sampled_from(["commit", "commit", "commit", "leave", "fail", "reopen"])
history = st.lists(st.tuples(st.lists(step, min_size=1, max_size=5), ending), min_size=1, max_size=12)


def planned(
    house: House, model: Model, keys: list[DocumentKey], steps: list[tuple[str, int, int, int]]
) -> tuple[Commit, Model]:
    """The commit of these steps, taken in the order in which a commit does them, and what is to be there after it."""
    after = dict(model)
    dropped: list[DocumentKey] = []
    updates: list[UpdateRow] = []
    squashed: list[Squashed] = []
    for _, place, _, _ in [each for each in steps if each[0] == "drop"]:
        dropped.append(keys[place])
        after.pop(keys[place], None)
    for kind, place, count, size in steps:
        if kind == "anew":
            after.pop(keys[place], None)
        if kind in ("anew", "append"):
            house.version += 1
            updates += append(after, keys[place], count, size, house.version)
    for kind, place, back, mask in steps:
        if kind.startswith("squash"):
            life = after.get(keys[place], Life(1))
            upto = max(0, life.seq - back)
            keep = [seq for seq in range(1, upto + 1) if mask >> seq % 6 & 1]
            since = life.since + (kind != "squash")
            row = Squashed(keys[place], since, f"{since} to {upto}".encode(), upto, keep)
            squashed.append(row)
            squash(after, row)
    return Commit(updates=updates, squashed=squashed, dropped=dropped), after


async def play(house: House, commits: list[tuple[list[tuple[str, int, int, int]], str]]) -> None:
    house.histories += 1
    keys = [DocumentKey("note", f"n{house.histories}", f"f{place % 2}") for place in range(2)]
    keys.append(DocumentKey("plan", f"n{house.histories}", "f0"))
    model: Model = {}
    for steps, end in commits:
        commit, after = planned(house, model, keys, steps)
        if end == "fail":
            # The last of its rows does not follow: on a document that it leaves alone, or on none.
            touched = {*commit.dropped, *(row.key for row in commit.updates)}
            nowhere = DocumentKey("gap", f"n{house.histories}", "f0")
            untouched = next((key for key in model if key not in touched), nowhere)
            life = model.get(untouched, Life(1))
            gap = update_row(untouched, life.since, life.seq + 2)
            with pytest.raises(StoreError):
                await finish(house.store, replace(commit, updates=[*commit.updates, gap]))
        elif end == "leave":
            async with house.store.transaction(replicas=["r"], scopes=["s"]) as transaction:
                await transaction.load(Wanted(documents=keys))
        else:
            await finish(house.store, commit)
            model = after
        if end == "reopen":
            await house.reopen()
        await compare(house.store, keys, model)


async def finish(store: Store, commit: Commit) -> None:
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.commit(commit)


async def compare(store: Store, keys: list[DocumentKey], model: Model) -> None:
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        loaded = await transaction.load(Wanted(documents=keys))
    assert loaded.documents == {key: life.head() for key, life in model.items()}
    async with store.snapshot() as reader:
        for key in keys:
            document, life = await reader.document(key), model.get(key)
            if life is None:
                assert document is None
                assert await reader.updates_since(key, 1, 0) is None
                continue
            assert document is not None
            assert (document.since, document.seq) == (life.since, life.seq)
            assert (document.snapshot, document.snapshot_seq) == (life.snapshot, life.snapshot_seq)
            assert [*document.updates] == sorted(life.log.items())
            for since, seq in [(life.since, seq) for seq in range(life.seq + 2)] + [(life.since - 1, life.seq)]:
                tail: Any = await reader.updates_since(key, since, seq)
                assert (None if tail is None else [*tail.updates]) == life.since_seq(since, seq)


def test_a_store_holds_of_documents_what_a_dictionary_would(database_name: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        database = DATABASES[database_name](tmp_path)
        house = House(database, runner.run(database.open()))

        @given(history)
        def example(commits: list[tuple[list[tuple[str, int, int, int]], str]]) -> None:
            runner.run(play(house, commits))

        try:
            example()
        finally:
            runner.run(house.store.close())
