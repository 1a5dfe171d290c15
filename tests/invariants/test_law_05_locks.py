"""Law 5, locks: all of them before anything is read, in one sorted order; reads see what the transaction wrote earlier.

Counterexamples 8 and 9. The third of this law, rows that are read before the wait for their lock (10), needs a database
that locks rows: SQLite has one writer at a time. What every store has to keep of it is in `tests/conformance`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.engine.limits import Limits
from syncd.engine.push import Pusher
from syncd.store.protocol import Commit, Store, Transaction
from tests.support.engine import Engine, Replica, open_engine

PHONES = 10
PLACES = 2


class Game(Resource):
    """Room for two; `taken` is for hooks that keep count, rather than counting."""

    taken: int = 0


class Join(Resource):
    game_id: str


def club() -> App:
    app = App("club")
    app.resource(scope="match:{id}", rule=rules.merge)(Game)
    app.resource(scope="match:{game_id}", rule=rules.append)(Join)
    return app


@dataclass(frozen=True)
class Locked:
    """One transaction that was committed: whose locks it held, and what it wrote."""

    replicas: frozenset[str]
    scopes: frozenset[str]
    commit: Commit


class Witness:
    """A store that notes what is committed under which locks. `name`: of the node that it belongs to.

    `asked` is set when somebody wants a transaction, and may have to wait for it.
    """

    def __init__(self, store: Store, committed: list[Locked], name: str | None = None) -> None:
        self.store: Store = store.store if isinstance(store, Witness) else store
        self.committed = committed
        self.incarnation = name or store.incarnation
        self.asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @asynccontextmanager
    async def transaction(self, *, replicas: Collection[str], scopes: Collection[str]) -> AsyncIterator[Transaction]:
        self.asked.set()
        async with self.store.transaction(replicas=replicas, scopes=scopes) as transaction:
            commit = transaction.commit

            async def noted(written: Commit) -> None:
                await commit(written)
                self.committed.append(Locked(frozenset(replicas), frozenset(scopes), written))

            witnessed: Any = transaction
            witnessed.commit = noted
            yield transaction


@asynccontextmanager
async def a_club(path: Path, app: App) -> AsyncIterator[tuple[Engine, list[Locked]]]:
    """Its engine, and what is committed to its store from now on."""
    committed: list[Locked] = []
    async with open_engine(path, app=app, wrap=lambda store: cast(Store, Witness(store, committed))) as engine:
        yield engine, committed


def join(replica: Replica, game: str, id: str | None = None) -> dict[str, Any]:
    return replica.change("create", id or replica.id, 0, _type="join", _scope=f"match:{game}", game_id=game)


async def count_the_joins(tx: HookTransaction, change: Change) -> None:
    if len(await tx.all(Join, change.scope)) > PLACES:
        raise Veto("this game is full", code="full")


async def keep_count(tx: HookTransaction, change: Change) -> None:
    game = await tx.get(Game, "p")
    assert game is not None
    if game.taken >= PLACES:
        raise Veto("this game is full", code="full")
    await tx.update(Game, "p", taken=game.taken + 1)


@pytest.mark.parametrize("full_when_full", [count_the_joins, keep_count])
async def test_of_ten_joins_for_two_places_in_one_group_commit_two_get_in(tmp_path: Path, full_when_full: Any) -> None:
    """Counterexample 8: had each hook read what was there before the commit, all ten would have found room."""
    app = club()
    app.on_change(Join)(full_when_full)
    async with a_club(tmp_path / "db", app) as (engine, committed):
        await engine.replica("owner").create("p", _type="game", _scope="match:p")
        phones = [engine.replica(f"phone-{i}") for i in range(PHONES)]
        outcomes = await asyncio.gather(*(phone.push(join(phone, "p")) for phone in phones))
        told = [(outcome["outcome"], outcome.get("code")) for (outcome,) in outcomes]
        assert (told.count(("applied", None)), told.count(("rejected", "full"))) == (PLACES, PHONES - PLACES)
        assert sum(name.startswith("phone-") for name in await engine.fields("match:p")) == PLACES
    assert committed[-1].replicas >= {phone.id for phone in phones}, "else there was nothing to be taken together"


async def test_of_ten_joins_for_two_places_in_one_push_two_get_in(tmp_path: Path) -> None:
    app = club()
    app.on_change(Join)(count_the_joins)
    async with a_club(tmp_path / "db", app) as (engine, _):
        phone = engine.replica("phone")
        outcomes = await phone.push(*(join(phone, "p", f"j{i}") for i in range(PHONES)))
        assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * PLACES + ["rejected"] * (PHONES - PLACES)
        assert set(await engine.fields("match:p")) == {"j0", "j1"}


def echoing(runs: list[str]) -> App:
    """Whoever joins one game joins the other by a hook: from a to z, and from z to a."""
    app = club()

    @app.on_change(Join)
    async def join_the_other(tx: HookTransaction, change: Change) -> None:
        runs.append(change.id)
        other = {"a": "z", "z": "a"}[str(change.fields["game_id"])]
        await tx.create(Join(id=f"{change.id}-echo", game_id=other))

    return app


async def test_hooks_that_write_backwards_do_not_deadlock_though_they_run_on_two_nodes(tmp_path: Path) -> None:
    """Counterexample 9: a push to match:z writes to match:a by its hook; on another node one does the reverse."""
    runs: list[str] = []
    app = echoing(runs)
    async with a_club(tmp_path / "db", app) as (engine, committed), asyncio.timeout(60):
        other_store = cast(Store, Witness(engine.store, committed, "another-node"))
        other_node = Pusher(other_store, app, engine.bus, engine.watcher, engine.clock, Limits())
        a, z = engine.replica("to-a"), engine.replica("to-z")
        replies = await asyncio.gather(
            engine.pusher.push(a.id, 1, [join(a, "a", f"a{i}") for i in range(3)]),
            other_node.push(z.id, 1, [join(z, "z", f"z{i}") for i in range(3)]),
        )
        await other_node.close()
        assert {outcome["outcome"] for reply in replies for outcome in reply.outcomes} == {"applied"}
        mine, echoes = {"a0", "a1", "a2"}, {"z0-echo", "z1-echo", "z2-echo"}
        assert set(await engine.fields("match:a")) == mine | echoes
        versions = sorted(state["version"] for state in (await engine.states("match:a")).values())
        assert versions == [1, 2, 3, 4, 5, 6], "neither wrote over the other's head"
    for each in committed:
        assert each.commit.scopes.keys() <= each.scopes, "nothing is written whose lock was not held from the start"


async def test_a_hook_that_touches_an_unlocked_scope_runs_again_with_all_the_locks_taken_anew(tmp_path: Path) -> None:
    runs: list[str] = []
    async with a_club(tmp_path / "db", echoing(runs)) as (engine, committed):
        phone = engine.replica("phone")
        (outcome,) = await phone.push(join(phone, "z", "j"))
        assert outcome["outcome"] == "applied"
        assert runs == ["j", "j"], "once to learn which locks it needs, once with them"
        assert [sorted(each.scopes) for each in committed] == [["match:a", "match:z"]]
        assert set(await engine.fields("match:a")) == {"j-echo"}


async def test_what_a_hook_read_without_the_lock_is_read_again_under_it(tmp_path: Path) -> None:
    """Somebody joins match:z after a hook of match:g has looked there, and before the locks of both are held."""
    app = club()
    counted: list[int] = []
    joining: list[asyncio.Task[Any]] = []

    @app.on_change(Game)
    async def count_elsewhere(tx: HookTransaction, change: Change) -> None:
        counted.append(len(await tx.all(Join, "match:z")))
        if len(counted) == 1:
            other.asked.clear()
            joining.append(asyncio.create_task(other_node.push("late", 1, [join(late, "z")])))
            await other.asked.wait()

    async with a_club(tmp_path / "db", app) as (engine, committed):
        other = Witness(engine.store, committed, "another-node")
        other_node = Pusher(cast(Store, other), app, engine.bus, engine.watcher, engine.clock, Limits())
        late = engine.replica("late")
        await engine.replica("owner").create("g", _type="game", _scope="match:g")
        await asyncio.gather(*joining)
        await other_node.close()
    assert [sorted(each.scopes) for each in committed] == [["match:z"], ["match:g", "match:z"]]
    assert counted == [0, 1]
