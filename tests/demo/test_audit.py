"""The audit finds what was acknowledged and is not so."""

from __future__ import annotations

from dataclasses import replace

from syncd.demo.audit import Audit, audit
from syncd.demo.journal import Acknowledgement
from syncd.demo.ledger import LedgerRow

CREATED = Acknowledgement(
    phone="A",
    replica="r1",
    n=1,
    outcome="applied",
    version=1,
    repeat=False,
    heard=False,
    digest="aa",
    scope="match:m",
    type="event",
    id="e1",
    op="create",
)
REPEATED = replace(CREATED, repeat=True, heard=True)
DELETED = replace(CREATED, n=2, version=2, op="delete", digest="bb", heard=True)
JOURNAL = (CREATED, REPEATED, DELETED)


def row(entry: Acknowledgement) -> LedgerRow:
    """What an honest server has in its ledger."""
    return LedgerRow(
        entry.replica,
        entry.n,
        entry.digest,
        entry.outcome,
        entry.version,
        entry.scope,
        entry.type,
        entry.id,
        entry.op,
        entry.conflicts,
    )


LEDGER = (row(CREATED), row(DELETED))


def failed(result: Audit) -> dict[str, str]:
    return {check.name: check.detail for check in result.checks if not check.ok}


def test_an_honest_server_passes_and_is_counted() -> None:
    result = audit(JOURNAL, LEDGER, ())

    assert failed(result) == {}
    assert result.counts == {
        "acknowledged": 2,
        "repeated": 1,
        "unheard": 1,
        "applied": 2,
        "merged": 0,
        "conflict": 0,
        "overruled": 0,
        "rejected": 0,
        "lost": 0,
    }


def test_an_acknowledged_change_that_is_missing_is_lost() -> None:
    result = audit(JOURNAL, LEDGER[:1], [("event", "e1")])

    assert failed(result) == {"ledger": "acknowledged, but change 2 of r1 is missing"}
    assert result.counts["lost"] == 1


def test_another_outcome_than_the_one_told_is_found() -> None:
    ledger = (LEDGER[0], replace(LEDGER[1], outcome="overruled"))

    assert (
        "change 2 of r1 was told as applied at version 2 and is overruled at 2"
        in failed(audit(JOURNAL, ledger, [("event", "e1")]))["ledger"]
    )


def test_another_change_under_the_same_number_is_found() -> None:
    ledger = (LEDGER[0], replace(LEDGER[1], digest="cc"))

    assert "change 2 of r1 is another change" in failed(audit(JOURNAL, ledger, ()))["ledger"]


def test_a_repeat_that_is_taken_for_new_is_found() -> None:
    journal = (CREATED, replace(REPEATED, repeat=False), REPEATED, DELETED)

    assert failed(audit(journal, LEDGER, ())) == {
        "repeats": "repeats: change 1 of r1 was acknowledged, and taken for new when it came again"
    }


def test_a_repeat_with_another_answer_is_found() -> None:
    journal = (CREATED, replace(REPEATED, version=3), DELETED)

    assert "change 1 of r1 was applied at 1, then applied at 3" in failed(audit(journal, LEDGER, ()))["repeats"]


def test_a_run_in_which_nothing_was_repeated_shows_nothing() -> None:
    assert failed(audit((CREATED, DELETED), LEDGER, ())) == {
        "repeats": "repeats: no change was sent twice, so nothing was shown"
    }


def test_a_first_acknowledgement_may_be_a_repeat_since_the_one_before_it_was_never_seen() -> None:
    assert failed(audit((REPEATED, DELETED), LEDGER, ())) == {}


def test_a_number_that_is_left_out_or_there_twice_is_found() -> None:
    for ledger in ((*LEDGER, replace(LEDGER[1], n=4, version=3)), (*LEDGER, LEDGER[1])):
        assert "numbers" in failed(audit(JOURNAL, ledger, ()))


def test_a_gap_in_the_versions_that_were_told_is_found() -> None:
    journal = (CREATED, REPEATED, replace(DELETED, version=3))
    ledger = (LEDGER[0], replace(LEDGER[1], version=3))

    assert failed(audit(journal, ledger, ())) == {"versions": "gaps: match:m lacks version 2"}


def test_a_question_takes_the_version_after_the_change_that_raised_it() -> None:
    asked = replace(CREATED, outcome="conflict", conflicts=["goal-1"])
    journal = (asked, replace(asked, repeat=True), replace(DELETED, version=3))

    assert failed(audit(journal, [row(asked), row(journal[2])], ())) == {}
    unasked = replace(asked, conflicts=[])
    ledger = [row(unasked), row(journal[2])]
    assert "versions" in failed(audit((unasked, replace(unasked, repeat=True), journal[2]), ledger, ()))


def test_a_created_resource_that_is_gone_without_a_delete_is_lost() -> None:
    journal, ledger = (CREATED, REPEATED), LEDGER[:1]

    assert failed(audit(journal, ledger, [("event", "e1")])) == {}
    result = audit(journal, ledger, [("event", "e2")])
    assert failed(result) == {"effects": "acknowledged as created, and gone: the event e1 of change 1 of r1"}
    assert result.counts["lost"] == 1


def test_a_delete_that_had_no_effect_explains_nothing() -> None:
    ledger = (LEDGER[0], replace(LEDGER[1], outcome="overruled"))
    journal = (CREATED, REPEATED, replace(DELETED, outcome="overruled"))

    assert "effects" in failed(audit(journal, ledger, ()))


def test_what_was_not_settled_is_no_acknowledgement() -> None:
    waiting = replace(DELETED, n=3, outcome="retry_later", version=0)

    assert failed(audit((*JOURNAL, waiting), LEDGER, ())) == {}
