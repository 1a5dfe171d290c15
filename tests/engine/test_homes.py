"""Where a change is at home, as far as it is known before anything is read: those are the locks that its push takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import Change, Op, Stamp
from conflict_rules.values import JsonValue
from syncd.app import App, Resource, rules
from syncd.engine import homes
from syncd.engine.homes import Homes
from syncd.store.protocol import StateRow, Transaction
from tests.support.engine import Engine, Replica, open_engine

app = App("league")


@app.resource(scope="match:{match_id}", rule=rules.merge)
class Goal(Resource):
    match_id: str
    minute: int = 0


def change(op: Op, scope: str = "", type: str = "goal", **fields: JsonValue) -> Change:
    return Change("a", 1, scope, type, "g1", op, Stamp(1, 0, "a"), fields=fields)


def row(scope: str, id: str = "g1") -> StateRow:
    return StateRow(scope, "goal", id, 1, False, b"{}")


def unscoped(replica: Replica, op: str, base: int = 0, **fields: JsonValue) -> dict[str, Any]:
    """A change that does not say in which scope its resource lives."""
    made = replica.change(op, "g1", base, _type="goal", **fields)
    del made["scope"]
    return made


class TestHome:
    def test_the_scope_that_a_change_names(self) -> None:
        assert Homes(app).of(change(Op.UPDATE, "match:7")) == "match:7"

    def test_of_something_new_what_its_fields_tell(self) -> None:
        assert Homes(app).of(change(Op.CREATE, match_id="7")) == "match:7"

    @pytest.mark.parametrize(
        "new",
        [change(Op.CREATE), change(Op.CREATE, match_id="no scope"), change(Op.CREATE, type="unheard_of", match_id="7")],
        ids=["nothing told", "told wrong", "of no type"],
    )
    def test_what_its_fields_do_not_tell_is_left_to_whoever_applies_it(self, new: Change) -> None:
        assert Homes(app).of(new) == ""

    def test_of_something_else_where_it_was_written_last(self) -> None:
        known = Homes(app)
        assert known.of(change(Op.UPDATE, minute=3)) == ""
        known.note([row("match:7")])
        assert known.of(change(Op.UPDATE, minute=3)) == "match:7"

    def test_the_oldest_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(homes, "_MAX_KNOWN", 2)
        known = Homes(app)
        known.note([row("match:7"), row("match:8", "g2"), row("match:8", "g3")])
        assert known.of(change(Op.UPDATE)) == ""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "league.db", app=app) as opened:
        yield opened


class TestPush:
    async def test_what_names_no_scope_is_run_once_where_its_home_is_known(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        locked = self.locks(engine, monkeypatch)
        a = Replica(engine, "a")
        (made,) = await a.push(unscoped(a, "create", match_id="7"))
        (moved,) = await a.push(unscoped(a, "update", made["version"], minute=3))
        assert (made["outcome"], moved["outcome"]) == ("applied", "applied")
        assert locked == [{"match:7"}, {"match:7"}]

    async def test_after_a_start_it_is_run_again_with_the_lock_of_its_home(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_engine(tmp_path / "league.db", app=app) as before:
            a = Replica(before, "a")
            (made,) = await a.push(unscoped(a, "create", match_id="7"))
        async with open_engine(tmp_path / "league.db", app=app) as engine:
            locked = self.locks(engine, monkeypatch)
            b = Replica(engine, "b")
            (moved,) = await b.push(unscoped(b, "update", made["version"], minute=3))
        assert moved["outcome"] == "applied"
        assert locked == [set(), {"match:7"}]

    @staticmethod
    def locks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
        """The scopes that each transaction from now on locks."""
        locked: list[set[str]] = []
        transaction = engine.store.transaction

        @asynccontextmanager
        async def noted(*, replicas: Collection[str], scopes: Collection[str]) -> AsyncIterator[Transaction]:
            locked.append(set(scopes))
            begun: AbstractAsyncContextManager[Transaction] = transaction(replicas=replicas, scopes=scopes)
            async with begun as inner:
                yield inner

        monkeypatch.setattr(engine.store, "transaction", noted)
        return locked
