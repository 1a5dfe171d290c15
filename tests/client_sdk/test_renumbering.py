"""Law 3: only what must be is made anew, and in the order it was made."""

from __future__ import annotations

from client_sdk.messages import Answer
from client_sdk.outbox import Entry
from client_sdk.renumbering import after_forgetting, after_reuse
from conflict_rules import Kind, Outcome
from tests.client_sdk.make import entry

APPLIED = Outcome(Kind.APPLIED, 5)
REUSED = Outcome(Kind.REJECTED, 0, "id_reuse", "")
UNKNOWN = Outcome(Kind.REJECTED, 0, "unknown_resource", "")


def answered(*pairs: tuple[Entry, Outcome], repeat: bool = False) -> list[tuple[Entry, Answer]]:
    return [(each, Answer(each.change.n, outcome, repeat, None)) for each, outcome in pairs]


class TestAfterTheDeviceWasRestored:
    def test_nothing_is_made_anew_without_reuse(self) -> None:
        first, second = entry("create", n=1), entry("update", n=2)
        assert after_reuse(answered((first, APPLIED), (second, UNKNOWN)), 2, [entry("create", n=3)]) == []

    def test_only_what_is_answered_id_reuse_is(self) -> None:
        """Counterexample 7: taken under a new id with all of the outbox, 1 to 7 would count twice."""
        repeated = [entry("create", n=n, id=f"old{n}") for n in range(1, 8)]
        reused = [entry("create", n=n, id=f"new{n}") for n in range(8, 11)]
        answers = answered(*((each, APPLIED) for each in repeated), repeat=True)
        answers += answered(*((each, REUSED) for each in reused))
        assert after_reuse(answers, 10, []) == reused

    def test_what_was_rejected_for_want_of_it_goes_with_it(self) -> None:
        created, edited = entry("create", n=8), entry("update", n=11)
        bystander = entry("update", n=12, id="elsewhere")
        answers = answered((created, REUSED), (edited, UNKNOWN), (bystander, UNKNOWN))
        assert after_reuse(answers, 12, []) == [created, edited]

    def test_what_was_rejected_for_want_of_it_before_a_reply_was_lost_goes_with_it(self) -> None:
        created, edited = entry("create", n=8), entry("update", n=9)
        answers = [*answered((created, REUSED)), *answered((edited, UNKNOWN), repeat=True)]
        assert after_reuse(answers, 10, []) == [created, edited]

    def test_what_was_rejected_before_for_a_reason_of_its_own_stays_rejected(self) -> None:
        created, edited = entry("create", n=8), entry("update", n=9)
        invalid = Outcome(Kind.REJECTED, 0, "invalid_field", "")
        answers = [*answered((created, REUSED)), *answered((edited, invalid), repeat=True)]
        assert after_reuse(answers, 10, []) == [created]

    def test_the_rest_of_its_group_goes_with_it(self) -> None:
        left, right = entry("create", n=8, id="l", group="g"), entry("create", n=11, id="r", group="g")
        lost = Outcome(Kind.REJECTED, 0, "group_rejected", "")
        assert after_reuse(answered((left, REUSED), (right, lost)), 11, []) == [left, right]

    def test_what_the_server_cannot_have_yet_keeps_its_place_behind_it(self) -> None:
        reused, unsent = entry("create", n=8), entry("update", n=12, seq=12)
        in_doubt = entry("update", n=9, sent=True, seq=9)
        elsewhere = entry("create", n=1, by="newer", seq=13)
        sent_elsewhere = entry("create", n=2, by="newer", seq=14, sent=True)
        waiting = [reused, in_doubt, unsent, elsewhere, sent_elsewhere]
        assert after_reuse(answered((reused, REUSED)), 11, waiting) == [reused, unsent, elsewhere]


class TestAfterTheServerWasRestored:
    def test_what_is_kept_without_a_gap_is_sent_again(self) -> None:
        settled, waiting = entry("create", n=4), entry("create", n=5)
        settled.outcome = APPLIED
        todo = after_forgetting(4, [settled, waiting], [waiting])
        assert todo.again == [settled]
        assert todo.anew == ()

    def test_what_waits_is_made_anew_if_a_number_is_missing(self) -> None:
        waiting = [entry("create", n=8), entry("create", n=9)]
        todo = after_forgetting(3, waiting, waiting)
        assert todo.anew == waiting
        assert todo.again == ()

    def test_nothing_is_made_anew_that_may_be_settled_under_another_id(self) -> None:
        mine = entry("create", n=8)
        elsewhere = entry("create", n=1, by="newer", seq=9, sent=True)
        assert after_forgetting(3, [mine], [mine, elsewhere]).anew == [mine]


def test_a_change_made_anew_keeps_its_time_its_intent_and_its_place() -> None:
    old = entry("update", n=8, base=5, at=77, v=1)
    new = old.made_anew("fresh", 1, 5)
    assert (new.seq, new.made_ms) == (old.seq, old.made_ms)
    assert (new.change.replica, new.change.n, new.change.base) == ("fresh", 1, 5)
    assert (new.change.stamp.wall_ms, new.change.stamp.count) == (old.change.stamp.wall_ms, old.change.stamp.count)
    assert new.change.stamp.replica == "fresh", "a stamp names the replica that pushes it"
    assert new.change.fields == old.change.fields
    assert new.waiting
    assert new.shown
    assert not new.sent
