"""Pages, deltas and answers into the file: laws 3, 4 and 10 on the replica's side, played message by message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from client_sdk.drafts import GroupDraft
from client_sdk.edits import Edits
from client_sdk.messages import Limits
from client_sdk.replica import Replica
from conflict_rules import Kind, Outcome, State
from syncd.app import open_app
from tests.client_sdk.make import Parts, delta, page, reply, state

NOW_MS = 1_763_640_000_000


class Phone:
    """A replica, what its network brings, and what its watchers are told."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.told: list[tuple[str, dict[str, object] | None]] = []
        self.outcomes: dict[int, Kind] = {}
        parts = Parts(replica, self._on_outcome, lambda: ["main"], self._on_shown)
        self.intake, self.settlement = parts.intake, parts.settlement
        self.edits = Edits(replica)

    def _on_outcome(self, seq: int, outcome: Outcome) -> None:
        self.outcomes[seq] = outcome.kind

    def _on_shown(self, scope: str, states: Sequence[State]) -> None:
        self.told += [(each.id, None if each.deleted is not None else dict(each.fields)) for each in states]

    async def put(self, id: str, /, **fields: object) -> None:
        await self.edits.put("note", id, "main", fields, None)

    async def update(self, id: str, /, **fields: object) -> None:
        await self.edits.update("note", id, fields, None)

    async def answer(self, settled: int, *outcomes: dict[str, object]) -> bool:
        waiting = self.replica.outbox.waiting()
        return await self.settlement.settle(waiting, reply(waiting[0].change.replica, settled, *outcomes))

    async def page(self, *states: State, after: str | None, **options: object) -> bool:
        return await self.intake.apply_page("main", after, self.replica.id, page(*states, **options))  # type: ignore[arg-type]

    async def shown(self) -> dict[str, dict[str, object]]:
        return {each.id: dict(each.fields) for each in await self.replica.states("note", "main")}

    def waiting(self) -> list[int]:
        return [entry.change.n for entry in self.replica.outbox.waiting()]

    def pending(self) -> list[int]:
        return [entry.change.n for entry in self.replica.outbox.shown_in("main")]


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    replica = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
    await replica.follow(["main"])
    yield Phone(replica)
    await replica.close()


class TestPullAcknowledges:
    async def test_a_page_that_holds_a_change_drops_it_though_its_answer_was_lost(self, phone: Phone) -> None:
        """Counterexample 6."""
        await phone.put("x", v=1)
        await phone.put("y", v=2)
        await phone.page(state(1, by=phone.replica.id, v=1), after=None, settled=1)
        assert phone.pending() == [2]
        assert phone.waiting() == [1, 2], "it is asked for again, to learn the outcome"
        assert await phone.shown() == {"x": {"v": 1}, "y": {"v": 2}}

    async def test_an_answer_that_comes_before_the_page_leaves_the_change_in_sight(self, phone: Phone) -> None:
        await phone.put("x", v=1)
        await phone.answer(1, {"n": 1, "outcome": "applied", "version": 3})
        assert (phone.waiting(), phone.pending()) == ([], [1])
        assert await phone.shown() == {"x": {"v": 1}}
        await phone.page(state(2, id="other", v=9), after=None, cursor="c2")
        assert phone.pending() == [1], "a page from before it was settled does not drop it"
        await phone.intake.apply_delta(delta("c2", "c3", state(3, by="s", v=1)))
        assert phone.pending() == [], "passed by version, whoever wrote last"

    async def test_a_delta_with_its_own_origin_drops_a_change_and_those_before_it(self, phone: Phone) -> None:
        await phone.page(after=None, cursor="c0")
        for letter in ("a", "b", "c"):
            await phone.put(letter, v=1)
        await phone.intake.apply_delta(delta("c0", "c2", state(2, id="b", by=phone.replica.id, n=2, v=1)))
        assert phone.pending() == [3]

    async def test_what_had_no_effect_leaves_the_view_with_its_answer(self, phone: Phone) -> None:
        await phone.page(state(5, v="theirs"), after=None)
        await phone.update("x", v="mine")
        await phone.put("bad", v=1)
        await phone.answer(
            2,
            {"n": 1, "outcome": "overruled", "version": 5, "code": "later_change_stands", "lost": ["v"]},
            {"n": 2, "outcome": "rejected", "version": 0, "code": "vetoed", "message": "no"},
        )
        assert await phone.shown() == {"x": {"v": "theirs"}}
        assert phone.pending() == []
        assert phone.outcomes == {1: Kind.OVERRULED, 2: Kind.REJECTED}
        assert phone.replica.rejected_count == 1

    async def test_what_was_overruled_gives_way_to_what_stands_and_never_to_an_older_value(self, phone: Phone) -> None:
        await phone.page(state(5, v="old"), after=None, cursor="c5")
        await phone.update("x", v="mine")
        await phone.answer(1, {"n": 1, "outcome": "overruled", "version": 7, "lost": ["v"]})
        assert await phone.shown() == {"x": {"v": "mine"}}
        await phone.intake.apply_delta(delta("c5", "c7", state(7, at=NOW_MS + 9, v="theirs")))
        assert await phone.shown() == {"x": {"v": "theirs"}}
        assert phone.pending() == []

    async def test_a_group_that_fell_leaves_the_view_as_a_whole(self, phone: Phone) -> None:
        await phone.page(state(5, v="old"), state(6, id="y", v="old"), after=None, cursor="c6")
        group = GroupDraft("g")
        for name in "xy":
            await phone.edits.update("note", name, {"v": "mine"}, group)
        await phone.edits.commit_group(group, Limits())
        overruled = {"n": 1, "outcome": "overruled", "version": 7, "code": "later_change_stands", "lost": ["v"]}
        await phone.answer(2, overruled, {"n": 2, "outcome": "overruled", "version": 0, "code": "group_overruled"})
        await phone.page(state(6, id="y", v="old"), after="c6", cursor="c6b")
        assert await phone.shown() == {"x": {"v": "mine"}, "y": {"v": "mine"}}
        await phone.intake.apply_delta(delta("c6b", "c7", state(7, at=NOW_MS + 9, v="theirs")))
        assert await phone.shown() == {"x": {"v": "theirs"}, "y": {"v": "old"}}
        assert phone.pending() == []

    async def test_a_page_that_is_not_the_last_drops_only_what_it_brings(self, phone: Phone) -> None:
        """Mine took version 2; somebody wrote on top of it, at version 9: x is not on the page that ends at 5."""
        await phone.page(state(1, v="old"), after=None, cursor="c1")
        await phone.update("x", v="mine")
        await phone.put("y", v="mine")
        me = phone.replica.id
        assert await phone.page(state(5, id="y", by=me, n=2, v="mine"), after="c1", cursor="c5", more=True, settled=2)
        assert await phone.shown() == {"x": {"v": "mine"}, "y": {"v": "mine"}}
        assert phone.pending() == [1]
        await phone.answer(
            2, {"n": 1, "outcome": "applied", "version": 2}, {"n": 2, "outcome": "applied", "version": 5}
        )
        assert await phone.shown() == {"x": {"v": "mine"}, "y": {"v": "mine"}}
        await phone.page(state(9, v="theirs"), after="c5", cursor="c9", settled=2)
        assert await phone.shown() == {"x": {"v": "theirs"}, "y": {"v": "mine"}}
        assert phone.pending() == []

    async def test_an_answer_is_kept_over_a_restart(self, phone: Phone, tmp_path: Path) -> None:
        await phone.put("x", v=1)
        await phone.answer(1, {"n": 1, "outcome": "applied", "version": 3})
        await phone.replica.close()
        again = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
        assert not again.outbox.has_waiting()
        assert [entry.outcome for entry in again.outbox] == [Outcome(Kind.APPLIED, 3)]
        await again.close()


class TestOrder:
    async def test_a_page_of_a_position_that_was_left_meanwhile_changes_nothing(self, phone: Phone) -> None:
        await phone.page(state(1, v=1), after=None, cursor="c1")
        await phone.intake.apply_delta(delta("c1", "c2", state(2, v=2)))
        assert not await phone.page(state(1, v=1), after="c1", cursor="c1")
        assert await phone.shown() == {"x": {"v": 2}}
        assert phone.replica.scopes["main"].cursor == "c2"

    async def test_a_delta_behind_a_gap_changes_nothing(self, phone: Phone) -> None:
        await phone.page(state(1, v=1), after=None, cursor="c1")
        assert not await phone.intake.apply_delta(delta("c2", "c3", state(3, v=3)))
        assert await phone.shown() == {"x": {"v": 1}}

    async def test_a_scope_that_is_no_longer_followed_takes_nothing(self, phone: Phone) -> None:
        await phone.replica.unfollow("main")
        assert not await phone.page(state(1, v=1), after=None)
        assert not await phone.intake.apply_delta(delta("c2", "c3", state(3, v=3)))
        assert await phone.shown() == {}

    async def test_another_name_for_the_same_position_is_adopted(self, phone: Phone) -> None:
        await phone.page(state(1, v=1), after=None, cursor="old.1")
        assert await phone.intake.adopt_cursor("main", "old.1", "new.1")
        assert await phone.intake.apply_delta(delta("new.1", "new.2", state(2, v=2)))
        assert not await phone.intake.adopt_cursor("main", "old.1", "new.1")


class TestReset:
    async def test_old_rows_stay_in_sight_until_the_new_snapshot_is_complete(self, phone: Phone) -> None:
        """Law 10, and no empty flash."""
        await phone.page(state(900, id="kept", v=1), state(901, id="gone", v=1), after=None, cursor="old")
        phone.told.clear()
        await phone.page(state(3, id="kept", v=2), after="old", cursor="n1", more=True, reset=True)
        assert await phone.shown() == {"kept": {"v": 2}, "gone": {"v": 1}}
        await phone.page(state(4, id="new", v=3), after="n1", cursor="n2")
        assert await phone.shown() == {"kept": {"v": 2}, "new": {"v": 3}}
        assert dict(phone.told) == {"kept": {"v": 2}, "gone": None, "new": {"v": 3}}
        assert len(phone.told) == 3

    async def test_a_reset_that_begins_again_in_the_middle_still_purges_only_at_its_end(self, phone: Phone) -> None:
        await phone.page(state(900, id="gone", v=1), after=None, cursor="old")
        await phone.page(state(1, id="a", v=1), after="old", cursor="n1", more=True, reset=True)
        await phone.page(state(1, id="b", v=1), after="n1", cursor="m1", more=True, reset=True)
        assert set(await phone.shown()) == {"gone", "a", "b"}
        await phone.page(state(2, id="c", v=1), after="m1", cursor="m2")
        assert set(await phone.shown()) == {"b", "c"}

    async def test_a_reset_goes_on_after_a_restart(self, phone: Phone, tmp_path: Path) -> None:
        await phone.page(state(900, id="gone", v=1), after=None, cursor="old")
        await phone.page(state(1, id="a", v=1), after="old", cursor="n1", more=True, reset=True)
        await phone.replica.close()
        replica = await Replica.open(tmp_path / "phone.db", open_app(), lambda: NOW_MS, lambda: None)
        again = Phone(replica)
        await again.page(state(2, id="b", v=1), after="n1", cursor="n2")
        assert set(await again.shown()) == {"a", "b"}
        await replica.close()

    async def test_the_outbox_is_kept(self, phone: Phone) -> None:
        await phone.page(state(900, v=1), after=None, cursor="old")
        await phone.put("mine", v=1)
        await phone.page(after="old", cursor="n1", reset=True)
        assert await phone.shown() == {"mine": {"v": 1}}
        assert phone.waiting() == [1]

    async def test_what_was_settled_in_the_past_is_no_longer_replayed(self, phone: Phone) -> None:
        """Its version says nothing of the new incarnation; the snapshot is what is left of it."""
        await phone.page(after=None, cursor="old")
        await phone.put("x", v=1)
        await phone.answer(1, {"n": 1, "outcome": "applied", "version": 900})
        await phone.page(state(3, id="y", v=1), after="old", cursor="n1", more=True, reset=True)
        assert phone.pending() == [1]
        await phone.put("late", v=1)
        await phone.answer(2, {"n": 2, "outcome": "applied", "version": 7})
        await phone.page(state(4, id="z", v=1), after="n1", cursor="n2")
        assert phone.pending() == [2], "settled since, above what the snapshot holds"


class TestNumbers:
    async def test_what_is_answered_id_reuse_is_made_anew_and_stays_in_sight(self, phone: Phone) -> None:
        """Counterexample 7."""
        await phone.put("x", v=1)
        await phone.update("x", v=2)
        await phone.put("y", v=3)
        old = phone.replica.id
        moved = await phone.answer(
            3,
            {"n": 1, "outcome": "rejected", "version": 0, "code": "id_reuse"},
            {"n": 2, "outcome": "rejected", "version": 0, "code": "id_reuse"},
            {"n": 3, "outcome": "applied", "version": 9},
        )
        assert moved
        assert phone.replica.id != old
        assert [(e.change.replica, e.change.n, e.change.id) for e in phone.replica.outbox.waiting()] == [
            (phone.replica.id, 1, "x"),
            (phone.replica.id, 2, "x"),
        ]
        assert await phone.shown() == {"x": {"v": 2}, "y": {"v": 3}}
        await phone.put("z", v=4)
        assert phone.waiting() == [1, 2, 3]
        assert phone.replica.rejected_count == 0

    async def test_a_lower_number_that_is_kept_is_sent_again(self, phone: Phone) -> None:
        for n in (1, 2, 3):
            await phone.put(f"n{n}", v=n)
        await phone.answer(
            2,
            {"n": 1, "outcome": "applied", "version": 1},
            {"n": 2, "outcome": "applied", "version": 2},
        )
        moved = await phone.answer(0, {"n": 3, "outcome": "retry_later", "version": 0, "expected": 1})
        assert moved
        assert phone.waiting() == [1, 2, 3]
        assert [entry.change.base for entry in phone.replica.outbox.waiting()] == [0, 0, 0]

    async def test_a_lower_number_that_is_not_kept_makes_what_waits_anew(self, phone: Phone) -> None:
        for n in (1, 2, 3):
            await phone.put(f"n{n}", v=n)
        await phone.answer(1, {"n": 1, "outcome": "applied", "version": 1})
        old, replica = phone.replica.id, phone.replica
        async with replica.reading(), replica.store.transaction():
            await replica.store._connection.execute("DELETE FROM changes WHERE n = 1")
        moved = await phone.answer(0, {"n": 2, "outcome": "retry_later", "version": 0, "expected": 1})
        assert moved
        assert replica.id != old
        assert phone.waiting() == [1, 2]
        assert [entry.change.id for entry in replica.outbox.waiting()] == ["n2", "n3"]

    async def test_an_answer_that_settles_nothing_says_so(self, phone: Phone) -> None:
        await phone.put("x", v=1)
        assert not await phone.answer(0, {"n": 1, "outcome": "retry_later", "version": 0})
        assert not await phone.answer(0)
        assert phone.waiting() == [1]

    async def test_what_is_settled_stays_under_its_number_though_the_server_cannot_look_up_its_answer(
        self, phone: Phone
    ) -> None:
        """A database that fails in the middle of a push, met by a phone restored from a backup: nothing is doubled."""
        for n in (1, 2, 3):
            await phone.put(f"n{n}", v=n)
        old = phone.replica.id
        phone.replica.outbox.note_sent(phone.replica.outbox.waiting(), sent=True)
        unknown = {"outcome": "retry_later", "version": 0, "code": "store_unavailable"}
        assert await phone.answer(
            9, {"n": 1, "outcome": "applied", "version": 1}, *({"n": n, **unknown} for n in (2, 3))
        )
        assert [(entry.change.replica, entry.change.n) for entry in phone.replica.outbox.waiting()] == [
            (old, 2),
            (old, 3),
        ]

    async def test_a_page_that_counts_further_than_this_file_means_that_the_file_is_a_backup(
        self, phone: Phone
    ) -> None:
        """The server would take us for someone who has seen what was lost with the device."""
        await phone.put("unsent", v=1)
        old = phone.replica.id
        await phone.page(state(9, by=old, n=9, v=9), after=None, settled=9)
        assert phone.replica.id != old
        assert [(e.change.n, e.change.replica) for e in phone.replica.outbox.waiting()] == [(1, phone.replica.id)]
        assert await phone.shown() == {"x": {"v": 9}, "unsent": {"v": 1}}


class TestWatchers:
    async def test_are_told_what_is_shown_now_after_news_from_the_network(self, phone: Phone) -> None:
        await phone.page(state(1, v=1), after=None, cursor="c1")
        await phone.intake.apply_delta(delta("c1", "c2", state(2, v=2)))
        await phone.intake.apply_delta(delta("c2", "c3", state(3, deleted=True)))
        assert phone.told == [("x", {"v": 1}), ("x", {"v": 2}), ("x", None)]

    async def test_are_not_told_of_their_own_echo(self, phone: Phone) -> None:
        await phone.page(after=None, cursor="c0")
        await phone.put("x", v=1)
        await phone.intake.apply_delta(delta("c0", "c1", state(1, by=phone.replica.id, v=1)))
        assert phone.told == []

    async def test_are_not_told_of_what_a_pending_change_hides(self, phone: Phone) -> None:
        await phone.page(state(1, v="old"), after=None, cursor="c1")
        await phone.update("x", v="mine")
        phone.told.clear()
        await phone.intake.apply_delta(delta("c1", "c2", state(2, at=NOW_MS - 9, v="theirs")))
        assert phone.told == []
        assert await phone.shown() == {"x": {"v": "mine"}}

    async def test_are_told_when_a_refusal_takes_something_away(self, phone: Phone) -> None:
        await phone.put("x", v=1)
        await phone.answer(1, {"n": 1, "outcome": "rejected", "version": 0, "code": "vetoed"})
        assert phone.told == [("x", None)]


async def test_stamps_that_come_in_are_followed(phone: Phone) -> None:
    await phone.page(state(1, at=NOW_MS + 5_000, v=1), after=None)
    await phone.update("x", v=2)
    (mine,) = phone.replica.outbox.waiting()
    assert mine.change.stamp.wall_ms >= NOW_MS + 5_000
