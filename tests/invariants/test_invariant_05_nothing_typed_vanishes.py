"""Invariant 5: what a person typed is kept, whatever became of it, with the reason beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conflict_rules.values import RepeatedKeys
from syncd.app import open_app
from syncd.engine.history import History
from syncd.store.protocol import Wanted
from tests.support.engine import Engine, open_engine


async def everything_that_can_happen(engine: Engine) -> dict[str, dict[str, Any]]:
    """One change for each fate; what was sent, by what became of it."""
    a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
    sent = {
        "applied": a.change("create", "x", 0, title="first", body="first"),
        "merged": a.change("update", "x", 1, title="typed by a, and lost to b", body="typed by a"),
        "overruled": a.change("update", "x", 1, title="typed by a, and lost again"),
        "deleted meanwhile": a.change("update", "y", 2, body="typed by a on what b deleted"),
        "rejected": a.change("update", "never-was", 0, body="typed by a on nothing"),
        "unreadable": a.change("create", "z", 0, body="typed by a under a bad type", _type="Not a type"),
    }
    first, *rest = sent.values()
    await a.push(first)
    await b.create("y", body="by b")
    await b.update("x", 1, title="by b")
    await b.delete("y", 2)
    outcomes = await a.push(*rest)
    assert [o["outcome"] for o in outcomes] == ["merged", "overruled", "overruled", "rejected", "rejected"]
    assert outcomes[0]["lost"] == ["title"]
    return sent


async def test_every_change_is_kept_as_it_was_sent_with_what_became_of_it(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db") as engine:
        sent = await everything_that_can_happen(engine)
        numbers = [("a", change["n"]) for change in sent.values()]
        async with engine.store.transaction(replicas=["a"], scopes=[]) as transaction:
            settled = (await transaction.load(Wanted(numbers=numbers))).settled
    assert len(settled) == len(sent)
    for change in sent.values():
        row = settled["a", change["n"]]
        kept, told = json.loads(row.change), json.loads(row.outcome)
        assert kept["fields"] == change["fields"]
        assert kept["stamp"] == change["stamp"]
        assert told["outcome"] in ("applied", "merged") or told["message"]


async def test_every_change_is_still_there_after_the_next_start(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db") as engine:
        sent = await everything_that_can_happen(engine)
    async with open_engine(tmp_path / "syncd.db") as engine:
        outcomes = await engine.replica("a").push(*sent.values())
    assert [o.get("repeat") for o in outcomes] == [True] * len(sent)


async def test_a_change_that_says_something_twice_is_kept_with_both(tmp_path: Path) -> None:
    """It is refused, since nobody can tell which one was meant; so both are needed to find out."""
    async with open_engine(tmp_path / "syncd.db") as engine:
        a = engine.replica("a")
        change = a.change("create", "x", 0)
        change["fields"] = RepeatedKeys(
            "title", [("title", "one"), ("title", ["two", RepeatedKeys("k", [("k", 3)] * 2)])]
        )
        assert (await a.push(change))[0]["code"] == "repeated_key"
        async with engine.store.transaction(replicas=["a"], scopes=[]) as transaction:
            (row,) = (await transaction.load(Wanted(numbers=[("a", 1)]))).settled.values()
    assert json.loads(row.change)["fields"] == {
        "repeated_key": [["title", "one"], ["title", ["two", {"repeated_key": [["k", 3], ["k", 3]]}]]]
    }


async def test_whatever_was_sent_is_found_in_the_history_of_its_resource_with_what_became_of_it(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db") as engine:
        sent = await everything_that_can_happen(engine)
        history = History(engine.store, open_app())
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for name in ("x", "y", "never-was"):
            page: Any = await history.page("note", name)
            found.update({(line["replica"], line["n"]): line for line in page["changes"]})
    for name, change in sent.items():
        if name == "unreadable":
            continue  # Of no resource: it is in the quarantine only.
        line = found["a", change["n"]]
        assert (line["fields"], line["stamp"]) == (change["fields"], change["stamp"])
        assert line["outcome"] in ("applied", "merged") or line["message"]
        for field in line.get("lost", ()):
            stood = line.get("stands_instead", {}).get(field)
            assert stood is None or stood["value"] != change["fields"][field]


async def test_whatever_was_rejected_waits_in_the_quarantine_as_it_was_sent(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db") as engine:
        sent = await everything_that_can_happen(engine)
        async with engine.store.snapshot() as snapshot:
            page = await snapshot.quarantine(limit=10, limit_bytes=1 << 20)
    kept = [json.loads(row.settled.change) for row in page.rows]
    assert kept == [sent["rejected"], sent["unreadable"]]
