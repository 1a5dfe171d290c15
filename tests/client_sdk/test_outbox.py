"""The outbox's index: what is sent next, what is replayed, what is in doubt."""

from __future__ import annotations

import json

from client_sdk.outbox import Entry, Outbox, decode_row, in_units, stand_in
from conflict_rules import Kind, Outcome
from conflict_rules.wire import decode_change
from tests.client_sdk.make import entry


def numbers(units: list[list[Entry]]) -> list[list[int]]:
    return [[each.change.n for each in unit] for unit in units]


class TestTheNextBatch:
    def test_is_in_the_order_of_the_numbers(self) -> None:
        outbox = Outbox([entry("create", n=3), entry("create", n=1), entry("create", n=2)])
        assert numbers(outbox.next_batch("r", 10, 10_000)) == [[1], [2], [3]]

    def test_holds_as_many_as_the_server_takes(self) -> None:
        outbox = Outbox(entry("create", n=n) for n in range(1, 6))
        assert numbers(outbox.next_batch("r", 2, 10_000)) == [[1], [2]]

    def test_holds_as_many_bytes_as_the_server_takes(self) -> None:
        outbox = Outbox(entry("create", n=n, text="é" * 200) for n in range(1, 6))
        one = len(entry("create", n=1, text="é" * 200).body.encode())
        assert numbers(outbox.next_batch("r", 10, 2 * one + 2)) == [[1], [2]]
        assert numbers(outbox.next_batch("r", 10, 2 * one)) == [[1]]

    def test_never_divides_a_group(self) -> None:
        outbox = Outbox([entry("create", n=1), *(entry("create", n=n, group="g") for n in (2, 3, 4))])
        assert numbers(outbox.next_batch("r", 3, 10_000)) == [[1]]
        outbox.remove(1)
        assert numbers(outbox.next_batch("r", 2, 10)) == [[2, 3, 4]], "too large, so alone"

    def test_is_of_one_replica_id_and_earlier_ids_come_first(self) -> None:
        outbox = Outbox(
            [
                entry("create", n=1, by="new", seq=1),
                entry("create", n=9, by="old", seq=2),
                entry("create", n=2, by="new", seq=3),
            ]
        )
        assert numbers(outbox.next_batch("new", 10, 10_000)) == [[9]]
        outbox.remove(2)
        assert numbers(outbox.next_batch("new", 10, 10_000)) == [[1], [2]]

    def test_goes_on_behind_what_is_on_its_way(self) -> None:
        outbox = Outbox(entry("create", n=n) for n in range(1, 6))
        assert numbers(outbox.next_batch("r", 2, 10_000, behind=2)) == [[3], [4]]
        assert outbox.next_batch("r", 2, 10_000, behind=5) == []

    def test_leaves_out_what_has_an_outcome(self) -> None:
        done = entry("create", n=1)
        done.outcome = Outcome(Kind.APPLIED, 3)
        assert numbers(Outbox([done, entry("create", n=2)]).next_batch("r", 10, 10_000)) == [[2]]

    def test_is_empty_when_nothing_waits(self) -> None:
        assert Outbox().next_batch("r", 10, 10_000) == []


def test_two_groups_side_by_side_are_two_units() -> None:
    entries = [entry("create", n=n, group=group) for n, group in enumerate([None, "a", "a", "b", None, None], 1)]
    assert numbers(list(in_units(entries))) == [[1], [2, 3], [4], [5], [6]]


class TestWaitingAndShown:
    def test_a_change_may_be_in_the_confirmed_state_and_still_wait_for_its_answer(self) -> None:
        outbox = Outbox([each := entry("create", n=1)])
        each.shown = False
        outbox.tidy(1)
        assert outbox.waiting_count == 1
        assert outbox.pending(("note", "x")) == []
        assert outbox.has_waiting()

    def test_a_change_may_have_its_answer_and_not_be_in_the_confirmed_state(self) -> None:
        outbox = Outbox([each := entry("create", n=1)])
        each.outcome = Outcome(Kind.APPLIED, 3)
        outbox.tidy(1)
        assert not outbox.has_waiting()
        assert len(outbox.pending(("note", "x"))) == 1

    def test_a_change_with_both_is_let_go(self) -> None:
        outbox = Outbox([each := entry("create", n=1)])
        each.outcome, each.shown = Outcome(Kind.APPLIED, 3), False
        outbox.tidy(1)
        assert list(outbox) == []
        assert outbox.get(1) is None

    def test_pending_changes_of_a_resource_are_in_the_order_made(self) -> None:
        outbox = Outbox([entry("update", n=2), entry("create", n=1), entry("create", n=3, id="y")])
        assert [each.change.n for each in outbox.pending(("note", "x"))] == [1, 2]

    def test_pending_resources_are_found_by_type_and_scope(self) -> None:
        outbox = Outbox([entry("create", n=1), entry("create", n=2, id="y", scope="other")])
        assert outbox.pending_keys("note", "main") == [("note", "x")]
        assert outbox.pending_keys(None, None) == [("note", "x"), ("note", "y")]
        assert outbox.pending_keys("event", None) == []


class TestWhatAMessageMayHold:
    def test_is_what_has_its_outcome_and_of_what_waits_the_numbers_that_are_settled(self) -> None:
        answered = entry("create", n=1)
        answered.outcome = Outcome(Kind.APPLIED, 3)
        waiting = [entry("create", n=n, id=f"x{n}") for n in (2, 3, 4)]
        elsewhere = entry("create", n=5, id="y", scope="other")
        of_another_id = entry("create", n=2, by="old", seq=6, id="z")
        outbox = Outbox([answered, *waiting, elsewhere, of_another_id])
        assert outbox.may_be_held("main", {}) == [answered]
        assert outbox.may_be_held("main", {"r": 3, "stranger": 9}) == [answered, *waiting[:2]]
        assert outbox.may_be_held("main", {"old": 2}) == [answered, of_another_id]
        assert outbox.may_be_held("other", {"r": 9}) == [elsewhere]

    def test_is_nothing_that_the_view_does_not_replay(self) -> None:
        outbox = Outbox([each := entry("create", n=1)])
        each.shown = False
        outbox.tidy(1)
        assert outbox.may_be_held("main", {"r": 1}) == []

    def test_follows_an_entry_that_becomes_another(self) -> None:
        outbox = Outbox([each := entry("create", n=7)])
        each.become(each.made_anew("fresh", 1, 0))
        assert outbox.may_be_held("main", {"r": 9}) == []
        assert outbox.may_be_held("main", {"fresh": 1}) == [each]
        assert numbers(outbox.next_batch("fresh", 9, 10_000)) == [[1]]


class TestDoubt:
    def test_a_change_that_was_sent_and_not_answered_puts_its_scope_in_doubt(self) -> None:
        outbox = Outbox([each := entry("create", n=1)])
        assert not outbox.in_doubt("main")
        outbox.note_sent([each], sent=True)
        assert outbox.in_doubt("main")
        assert not outbox.in_doubt("other")
        assert outbox.doubtful() == [each]
        outbox.note_sent([each], sent=False)
        assert not outbox.in_doubt("main")

    def test_an_answer_or_a_page_that_holds_it_ends_the_doubt(self) -> None:
        outbox = Outbox([each := entry("create", n=1, sent=True)])
        each.shown = False
        assert not outbox.in_doubt("main")
        each.shown, each.outcome = True, Outcome(Kind.APPLIED, 3)
        assert not outbox.in_doubt("main")

    def test_what_waited_when_the_process_ended_may_have_been_sent(self) -> None:
        assert decode_row(entry("create", n=1).row()).sent


def test_a_row_reads_back_as_it_was_written() -> None:
    each = entry("update", n=4, base=2, group="g", text="Tor für Zürich", tags=[1, {"a": None}])
    each.outcome = Outcome(Kind.MERGED, 9, lost=("text",))
    each.shown = False
    back = decode_row(each.row())
    assert (back.change, back.body, back.outcome, back.shown) == (each.change, each.body, each.outcome, False)


def test_what_stands_in_for_an_unreadable_change_takes_its_number_and_changes_nothing() -> None:
    unreadable = entry("create", n=7, group="g", text="x")
    harmless = decode_change(json.loads(stand_in(unreadable)), "r")
    assert (harmless.n, getattr(harmless, "op", None), getattr(harmless, "group", "?")) == (7, "delete", None)
    assert getattr(harmless, "id", "x") != "x"
