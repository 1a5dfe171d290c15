"""The view: confirmed state, and pending changes over it. The histories of laws 1, 2 and 4, without a network."""

from __future__ import annotations

from typing import Any

from client_sdk.rebase import base_in_past_of, base_of, is_included, is_settled_by_page, same_content, show
from conflict_rules import JsonValue, Kind, Mark, Outcome, RecordRule, Stamp, rule_by_name
from conflict_rules.own import ARBITRATED, Own
from tests.client_sdk.make import change, pending, state

MERGE = rule_by_name("merge")


def fields_of(shown: Any) -> dict[str, Any]:
    assert shown is not None
    return dict(shown.fields)


class TestTheView:
    def test_shows_the_confirmed_state_where_nothing_is_pending(self) -> None:
        confirmed = state(5, text="a")
        assert show(MERGE, confirmed, []) is confirmed
        assert show(MERGE, None, []) is None

    def test_shows_pending_changes_in_the_order_made(self) -> None:
        shown = show(
            MERGE,
            None,
            [
                pending("create", n=1, text="a"),
                pending("update", n=2, text="b", color="red"),
                pending("update", n=3, text="c"),
            ],
        )
        assert fields_of(shown) == {"text": "c", "color": "red"}

    def test_shows_an_edit_of_what_was_seen_whatever_the_device_clock_says(self) -> None:
        """Law 2: base 5 has seen the value stamped at 1000; the edit's own stamp is 20."""
        shown = show(MERGE, state(5, at=1000, text="theirs"), [pending("update", base=5, at=20, text="mine")])
        assert fields_of(shown) == {"text": "mine"}

    def test_shows_the_later_of_two_values_that_have_not_seen_each_other(self) -> None:
        unseen = state(7, at=1000, text="theirs")
        assert fields_of(show(MERGE, unseen, [pending("update", base=5, at=20, text="mine")])) == {"text": "theirs"}
        assert fields_of(show(MERGE, unseen, [pending("update", base=5, at=2000, text="mine")])) == {"text": "mine"}

    def test_shows_the_second_of_two_own_edits_even_if_the_clock_went_back_between_them(self) -> None:
        edits = [pending("update", n=1, base=5, at=9000, text="first"), pending("update", n=2, base=5, at=20, text="2")]
        assert fields_of(show(MERGE, state(5, text="a"), edits)) == {"text": "2"}

    def test_shows_a_pending_delete_as_a_tombstone(self) -> None:
        shown = show(MERGE, state(5, text="a"), [pending("delete", base=5)])
        assert shown is not None
        assert shown.deleted is not None

    def test_shows_nothing_of_an_edit_to_what_others_deleted(self) -> None:
        tombstone = state(7, deleted=True)
        assert show(MERGE, tombstone, [pending("update", base=5, at=9000, text="mine")]) is tombstone

    def test_does_without_a_change_on_which_the_rule_of_an_author_fails(self) -> None:
        """The server will reject it; until then everything else is in sight."""

        def fail(base: JsonValue, mine: JsonValue, theirs: JsonValue) -> JsonValue:
            raise ZeroDivisionError

        rule = RecordRule("fails", Own("fails", fail, ARBITRATED))
        queue = [pending("update", n=1, base=5, x="mine"), pending("update", n=2, base=5, y="mine")]
        assert fields_of(show(rule, state(7, x="theirs"), queue)) == {"x": "theirs", "y": "mine"}


class TestTheBaseOfAnEdit:
    """Law 1: the version of the state that the person was shown."""

    def base(self, confirmed: Any, queue: list[Any], *fields: str) -> int:
        return base_of(confirmed, queue, show(MERGE, confirmed, queue), fields)

    def test_is_nothing_for_what_was_never_here(self) -> None:
        assert self.base(None, [], "text") == 0

    def test_is_the_confirmed_version(self) -> None:
        assert self.base(state(5, text="a"), [], "text") == 5

    def test_is_inherited_from_a_pending_value(self) -> None:
        """Counterexample 1: R's pending x hides S's newer x on R's screen."""
        queue = [pending("update", n=1, base=5, at=9000, x="mine")]
        newer = state(7, at=1000, x="theirs", y="theirs")
        assert self.base(newer, queue, "x") == 5

    def test_is_the_confirmed_version_in_a_field_that_no_pending_change_hides(self) -> None:
        """Counterexample 1: R edits y → pending; S's x at v7 has been pulled and is in sight."""
        queue = [pending("update", n=1, base=5, at=9000, y="mine")]
        newer = state(7, at=1000, x="theirs", y="old")
        assert self.base(newer, queue, "x") == 7
        assert self.base(newer, queue, "x", "y") == 5

    def test_is_the_confirmed_version_where_the_pending_value_was_overruled_in_the_view_already(self) -> None:
        queue = [pending("update", n=1, base=5, at=20, x="mine")]
        assert self.base(state(7, at=1000, x="theirs"), queue, "x") == 7

    def test_is_not_raised_by_an_acknowledgement(self) -> None:
        """Counterexample 1: y was acknowledged as v8, S wrote x at v7, and R has not pulled: v5 is all it was shown."""
        confirmed = state(5, x="old", y="old")
        acknowledged = [pending("update", n=1, base=5, y="mine")]
        assert self.base(confirmed, acknowledged, "x") == 5
        assert self.base(confirmed, acknowledged, "y") == 5

    def test_of_a_queue_of_edits_stays_where_the_first_began(self) -> None:
        """Counterexample 2: 1-0, then 2-0, both on base 5: a sequence, which the origin tells."""
        queue = [pending("update", n=1, base=5, score="1-0"), pending("update", n=2, base=5, score="2-0")]
        assert self.base(state(5, score="0-0"), queue, "score") == 5

    def test_of_a_delete_covers_the_whole_resource(self) -> None:
        queue = [pending("update", n=1, base=5, at=9000, y="mine")]
        newer = state(7, at=1000, x="theirs", y="old")
        assert base_of(newer, queue, show(MERGE, newer, queue), None) == 5

    def test_of_an_edit_over_ones_own_pending_create_is_that_of_the_create(self) -> None:
        """And that is the version of the scope that was shown when it was made."""
        assert self.base(None, [pending("create", n=1, x=1)], "x") == 0
        assert self.base(None, [pending("create", n=1, base=5, x=1)], "x") == 5


class TestTheBaseInAnotherPast:
    """Laws 1 and 10: the server was restored, and counts versions anew from the backup on."""

    def test_stands_where_the_server_has_the_very_state_that_was_shown(self) -> None:
        assert base_in_past_of(state(5, text="a"), state(5, text="a"), 5) == 5

    def test_claims_nothing_of_what_the_server_no_longer_has(self) -> None:
        assert base_in_past_of(None, state(45, text="a"), 45) == 0

    def test_claims_nothing_that_was_written_since_under_a_number_that_it_covers(self) -> None:
        """Version 45 was one value in the past that is lost, and version 43 is another in this one."""
        assert base_in_past_of(state(43, at=900, by="t", x="new"), state(45, x="lost"), 45) < 43

    def test_still_claims_the_fields_that_both_pasts_share(self) -> None:
        shared, lost, new = Mark(30, Stamp(1, 0, "s")), Mark(45, Stamp(2, 0, "s")), Mark(43, Stamp(3, 0, "t"))
        held = state(45, marks={"x": shared, "y": lost}, x=1, y=1)
        brought = state(43, marks={"x": shared, "y": new}, x=1, y=2)
        assert base_in_past_of(brought, held, 45) == 42

    def test_is_never_raised(self) -> None:
        assert base_in_past_of(state(30, x=1), state(30, x=1), 7) == 7

    def test_does_not_claim_to_have_seen_a_delete_of_the_new_past(self) -> None:
        assert base_in_past_of(state(43, by="t", deleted=True), state(45, x=1), 45) == 42


class TestWhenAPendingChangeIsDropped:
    """Law 4, and counterexample 6: it is in the confirmed state, or it is replayed over it; never both."""

    def test_a_page_that_says_so_holds_it(self) -> None:
        assert is_settled_by_page(change("update", n=3), "r", 3)
        assert not is_settled_by_page(change("update", n=4), "r", 3)

    def test_a_page_speaks_of_one_replica_id_only(self) -> None:
        assert not is_settled_by_page(change("update", n=3, by="before"), "r", 3)

    def test_an_outcome_alone_does_not_drop_it(self) -> None:
        applied = Outcome(Kind.APPLIED, 8)
        assert not is_included(change("update", n=3), applied, 7, {})
        assert is_included(change("update", n=3), applied, 8, {})

    def test_a_delta_with_its_own_origin_or_a_later_one_holds_it(self) -> None:
        assert is_included(change("update", n=3), None, 8, {"r": 3})
        assert is_included(change("update", n=3), None, 8, {"r": 4})
        assert not is_included(change("update", n=3), None, 8, {"r": 2, "s": 9})


class TestWhatLooksTheSame:
    def test_absent_and_deleted_look_alike(self) -> None:
        assert same_content(None, state(3, deleted=True))
        assert same_content(state(3, deleted=True), None)

    def test_equal_fields_look_alike_whoever_set_them(self) -> None:
        assert same_content(state(3, text="a"), state(9, by="t", text="a"))
        assert not same_content(state(3, text="a"), state(3, text="b"))
        assert not same_content(None, state(3, text="a"))
        assert not same_content(state(3, text="a"), state(4, deleted=True))
