"""The local half on a real file: making changes and showing the view, with no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from client_sdk import Closed, NotHere, Unfit
from client_sdk.drafts import GroupDraft
from client_sdk.edits import Edits
from client_sdk.messages import Limits
from client_sdk.replica import Replica
from conflict_rules import Change, InvalidValue, Op, State
from syncd.app import open_app
from tests.client_sdk.league import league
from tests.client_sdk.make import Parts, delta, page, reply, state

NOW_MS = 1_763_640_000_000


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    replica = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
    yield replica
    await replica.close()


@pytest.fixture
def parts(replica: Replica) -> Parts:
    return Parts(replica)


async def shown(replica: Replica, id: str = "x") -> dict[str, object] | None:
    found = await replica.state(("note", id))
    return None if found is None or found.deleted is not None else dict(found.fields)


async def put(replica: Replica, id: str = "x", /, **fields: object) -> int:
    draft = await Edits(replica).put("note", id, None, fields, None)
    assert draft.entry is not None
    return draft.entry.change.n


async def update(replica: Replica, id: str = "x", /, **fields: object) -> Change:
    draft = await Edits(replica).update("note", id, fields, None)
    assert draft.entry is not None
    return draft.entry.change


class TestMakingChanges:
    async def test_numbers_count_from_one(self, replica: Replica) -> None:
        assert [await put(replica, letter) for letter in "abc"] == [1, 2, 3]

    async def test_stamps_rise_and_name_the_replica(self, replica: Replica) -> None:
        for letter in "abc":
            await put(replica, letter)
        stamps = [entry.change.stamp for entry in replica.outbox]
        assert stamps == sorted(stamps)
        assert len(set(stamps)) == 3
        assert {stamp.replica for stamp in stamps} == {replica.id}

    async def test_many_tasks_at_once_get_numbers_of_their_own(self, replica: Replica) -> None:
        numbers = await asyncio.gather(*(put(replica, f"n{i}") for i in range(30)))
        assert sorted(numbers) == list(range(1, 31))

    async def test_a_second_put_is_an_edit_of_what_differs(self, replica: Replica) -> None:
        await put(replica, a=1, b=1)
        await put(replica, a=1, b=2, c=3)
        last = list(replica.outbox)[-1].change
        assert (last.op, dict(last.fields)) == (Op.UPDATE, {"b": 2, "c": 3})
        assert await shown(replica) == {"a": 1, "b": 2, "c": 3}

    async def test_true_is_not_one(self, replica: Replica) -> None:
        await put(replica, a=1)
        await put(replica, a=True)
        assert (await shown(replica) or {})["a"] is True

    async def test_what_is_not_here_cannot_be_edited_or_deleted(self, replica: Replica) -> None:
        with pytest.raises(NotHere, match="there is no note 'x'"):
            await Edits(replica).update("note", "x", {"a": 1}, None)
        with pytest.raises(NotHere, match="there is no note 'x'"):
            await Edits(replica).delete("note", "x", None)

    async def test_what_was_deleted_does_not_come_back(self, replica: Replica) -> None:
        await put(replica, a=1)
        await Edits(replica).delete("note", "x", None)
        for attempt in (
            Edits(replica).put("note", "x", None, {"a": 2}, None),
            Edits(replica).update("note", "x", {"a": 2}, None),
            Edits(replica).delete("note", "x", None),
        ):
            with pytest.raises(NotHere, match="was deleted"):
                await attempt
        assert replica.outbox.waiting_count == 2

    async def test_a_bad_value_is_refused_before_anything_is_queued(self, replica: Replica) -> None:
        for fields, code in (({"a": float("nan")}, "not_a_number"), ({"a": 1 << 60}, "integer_too_large")):
            with pytest.raises(InvalidValue) as refused:
                await put(replica, **fields)
            assert refused.value.code == code
        with pytest.raises(InvalidValue):
            await Edits(replica).put("note", "white space", None, {}, None)
        with pytest.raises(InvalidValue):
            await Edits(replica).put("note", "x", "no scope", {}, None)
        with pytest.raises(Unfit, match="no type"):
            await Edits(replica).put("No Type", "x", None, {}, None)
        assert replica.outbox.waiting_count == 0
        assert await put(replica) == 1

    async def test_file_and_memory_stay_one_if_the_caller_is_cancelled_right_after_the_commit(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transaction = replica.store.transaction

        @asynccontextmanager
        async def and_then_cancel() -> AsyncIterator[None]:
            async with transaction():
                yield
            task.cancel()
            await asyncio.sleep(0)

        monkeypatch.setattr(replica.store, "transaction", and_then_cancel)
        task = asyncio.create_task(put(replica, a=1))
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        assert await put(replica, "y", a=1) == 2
        assert await shown(replica) == {"a": 1}
        assert [row.n for row in await replica.store.open_changes()] == [1, 2]

    async def test_a_closed_replica_says_so(self, replica: Replica) -> None:
        await replica.close()
        with pytest.raises(Closed):
            await put(replica)
        with pytest.raises(Closed):
            await shown(replica)

    async def test_a_scope_with_own_changes_is_followed(self, replica: Replica) -> None:
        assert replica.followed() == []
        await Edits(replica).put("note", "x", "match:9f", {}, None)
        assert replica.followed() == ["match:9f"]


class TestBases:
    """Law 1, as the file keeps it."""

    async def test_counterexample_1_the_base_that_rose_by_itself(self, replica: Replica, parts: Parts) -> None:
        await replica.follow(["main"])
        await parts.intake.apply_page("main", None, replica.id, page(state(5, x="old", y="old")))
        assert (await update(replica, y="mine")).base == 5
        await parts.settlement.settle(
            replica.outbox.waiting(), reply(replica.id, 1, {"n": 1, "outcome": "applied", "version": 8})
        )
        assert not replica.outbox.has_waiting()
        assert await shown(replica) == {"x": "old", "y": "mine"}, "acknowledged, and still only pending here"
        assert (await update(replica, x="mine")).base == 5, "S's x at v7 was never shown"
        assert (await update(replica, y="mine again")).base == 5

    async def test_a_delta_raises_the_base_of_what_comes_after_it_only(self, replica: Replica, parts: Parts) -> None:
        await replica.follow(["main"])
        await parts.intake.apply_page("main", None, replica.id, page(state(5, x="old", y="old"), cursor="c5"))
        before = await update(replica, y="mine")
        await parts.intake.apply_delta(delta("c5", "c7", state(7, x="theirs", y="old", at=NOW_MS - 5)))
        after = await update(replica, x="seen theirs")
        assert (before.base, after.base) == (5, 7)
        assert [entry.change.base for entry in replica.outbox] == [5, 7]

    async def test_a_base_is_kept_over_a_restart(self, replica: Replica, parts: Parts, tmp_path: Path) -> None:
        await replica.follow(["main"])
        await parts.intake.apply_page("main", None, replica.id, page(state(5, x="old")))
        made = await update(replica, x="mine")
        await replica.close()
        again = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
        assert [entry.change for entry in again.outbox] == [made]
        await again.close()


class TestWholeRecords:
    async def test_an_lww_edit_carries_every_field_that_is_known(self, tmp_path: Path) -> None:
        """Counterexample 5."""
        replica = await Replica.open(tmp_path / "lww.db", league, lambda: NOW_MS, lambda: None)
        await Edits(replica).put("profile", "p", None, {"name": "a", "bio": "b", "from_a_newer_app": 1}, None)
        draft = await Edits(replica).update("profile", "p", {"bio": "c"}, None)
        assert draft.fields == {"name": "a", "bio": "c", "from_a_newer_app": 1}
        draft = await Edits(replica).put("profile", "p", None, {"name": "a", "bio": "d"}, None)
        assert draft.fields == {"name": "a", "bio": "d", "from_a_newer_app": 1}
        await replica.close()


class TestGroups:
    async def test_a_group_is_one_commit_and_one_unit(self, replica: Replica) -> None:
        group = GroupDraft("g")
        await Edits(replica).put("note", "x", None, {"a": 1}, group)
        await Edits(replica).put("note", "y", None, {"a": 1}, group)
        assert replica.outbox.waiting_count == 0
        assert await shown(replica) is None
        await Edits(replica).commit_group(group, Limits())
        assert [(entry.change.n, entry.change.group) for entry in replica.outbox] == [(1, "g"), (2, "g")]

    async def test_what_was_drafted_shows_inside_the_group(self, replica: Replica) -> None:
        group = GroupDraft("g")
        await Edits(replica).put("note", "x", None, {"a": 1}, group)
        await Edits(replica).update("note", "x", {"a": 2}, group)
        inside = await replica.state(("note", "x"), group)
        assert inside is not None
        assert inside.fields == {"a": 2}
        assert [each.id for each in await replica.states("note", "main", group)] == ["x"]
        assert await replica.states("note", "main") == []

    async def test_a_group_that_the_server_would_refuse_is_refused_here(self, replica: Replica) -> None:
        group = GroupDraft("g")
        for letter in "abc":
            await Edits(replica).put("note", letter, None, {}, group)
        with pytest.raises(Unfit, match="3 changes is more than the server takes at once"):
            await Edits(replica).commit_group(group, Limits(max_changes=2))
        assert replica.outbox.waiting_count == 0

    async def test_a_change_for_a_group_that_has_ended_is_refused(self, replica: Replica) -> None:
        group = GroupDraft("g")
        await Edits(replica).put("note", "x", None, {}, group)
        await Edits(replica).commit_group(group, Limits())
        with pytest.raises(Unfit, match="has ended"):
            await Edits(replica).put("note", "y", None, {}, group)


class TestScopes:
    async def test_following_is_kept_in_the_file(self, replica: Replica, tmp_path: Path) -> None:
        assert await replica.follow(["b", "a"]) == ["a", "b"]
        assert await replica.follow(["a"]) == []
        await replica.close()
        again = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
        assert again.followed() == ["a", "b"]
        await again.close()

    async def test_a_name_that_cannot_be_a_scope_is_refused(self, replica: Replica) -> None:
        with pytest.raises(InvalidValue, match="not the name of a scope"):
            await replica.follow(["with space"])

    async def test_a_scope_with_unsent_changes_cannot_be_left(self, replica: Replica) -> None:
        await put(replica, a=1)
        with pytest.raises(Unfit, match="1 changes in main have not been sent"):
            await replica.unfollow("main")

    async def test_a_scope_that_is_left_is_dropped_and_can_be_followed_anew(
        self, replica: Replica, parts: Parts
    ) -> None:
        await replica.follow(["main", "other"])
        await parts.intake.apply_page("main", None, replica.id, page(state(5, x="old")))
        await parts.intake.apply_page(
            "other", None, replica.id, page(state(5, id="y", scope="other", v=1), scope="other")
        )
        await replica.unfollow("main")
        assert replica.followed() == ["other"]
        assert [each.id for each in await replica.states(None, None)] == ["y"]
        await replica.follow(["main"])
        assert replica.scopes["main"].cursor is None


async def test_states_are_of_one_scope_and_type_or_of_all(replica: Replica, parts: Parts) -> None:
    await replica.follow(["main"])
    await parts.intake.apply_page("main", None, replica.id, page(state(5, id="b", v=1), state(6, id="c", deleted=True)))
    await Edits(replica).put("note", "a", "other", {"v": 2}, None)
    await Edits(replica).put("event", "d", "main", {"v": 3}, None)

    def ids(states: list[State]) -> list[str]:
        return [each.id for each in states]

    assert ids(await replica.states(None, None)) == ["a", "b", "d"]
    assert ids(await replica.states("note", None)) == ["a", "b"]
    assert ids(await replica.states("note", "other")) == ["a"]
    assert ids(await replica.states(None, "main")) == ["b", "d"]
