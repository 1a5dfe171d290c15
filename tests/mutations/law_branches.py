"""The laws' branches: the line by which each law holds, taken out, and the history that then goes as the law forbids.

Each is a mutant, played against one test only: the one that plays the law's counterexample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.mutations.mutants import Mutant

__all__ = ["LAW_BRANCHES", "LawBranch"]


@dataclass(frozen=True, slots=True)
class LawBranch:
    """`test`: of tests/invariants, which passes with the branch and fails without it."""

    law: int
    mutant: Mutant
    test: str


def _taken_out(law: int, name: str, module: str, old: str, new: str, breaks: str, test: str) -> LawBranch:
    return LawBranch(law, Mutant(name, module, old, new, breaks), f"tests/invariants/test_law_{test}")


LAW_BRANCHES: Final = (
    _taken_out(
        1,
        "base-is-the-newest-version",
        "conflict_rules.state",
        "return self.version <= change.base or self.stamp.replica == change.replica",
        "return self.version <= change.base + 3 or self.stamp.replica == change.replica",
        "a base that rises by itself",
        "01_base.py::test_an_acknowledged_edit_of_one_field_does_not_make_another_persons_field_seen",
    ),
    _taken_out(
        1,
        "own-changes-are-not-seen",
        "conflict_rules.state",
        "return self.version <= change.base or self.stamp.replica == change.replica",
        "return self.version <= change.base",
        "a queue in conflict with itself",
        "01_base.py::test_a_queue_of_edits_to_one_field_is_a_sequence_not_a_conflict_with_itself",
    ),
    _taken_out(
        1,
        "hidden-by-a-pending-edit",
        "client_sdk.rebase",
        "return min([base, *(entry.change.base for entry in pending if entry.seq in hiding)])",
        "return base",
        "what a pending edit hides on the screen counts as seen",
        "01_on_a_device.py::test_what_a_pending_edit_hides_on_the_screen_was_not_seen",
    ),
    _taken_out(
        2,
        "stamps-only",
        "conflict_rules.later_stamp",
        "if held is None or offer.has_seen(held.mark) or offer.stamp > held.mark.stamp:",
        "if held is None or offer.stamp > held.mark.stamp:",
        "the wrong clock that cannot be beaten",
        "02_seen_beats_stamped.py::test_who_has_seen_the_wrong_clocks_value_overwrites_it",
    ),
    _taken_out(
        2,
        "arrival-only",
        "conflict_rules.later_stamp",
        "if held is None or offer.has_seen(held.mark) or offer.stamp > held.mark.stamp:",
        "if True:",
        "arrival decides",
        "02_seen_beats_stamped.py::test_between_changes_that_have_not_seen_each_other_the_later_stamp_decides_in_any_order",
    ),
    _taken_out(
        2,
        "low-stamp-on-a-high-one",
        "conflict_rules.field_rule",
        "stamp = offer.stamp if offer.stamp > old else old.next(offer.stamp.replica)",
        "stamp = offer.stamp",
        "a low stamp on top of a high one",
        "02_seen_beats_stamped.py::test_a_slow_clocks_correction_stands_against_whoever_would_have_lost_to_what_it_corrected",
    ),
    _taken_out(
        2,
        "no-drift-bound",
        "conflict_rules.stamp",
        "bound_ms = now_ms + max_drift_ms",
        "bound_ms = now_ms + 10**9",
        "a clock that is ahead for ever wins for ever",
        "02_effective_stamps.py::test_a_wrong_clock_cannot_win_for_ever",
    ),
    _taken_out(
        3,
        "numbers-without-digests",
        "syncd.engine.settle",
        "if stored.digest == member.digest:",
        "if True:",
        "the restored phone's new goals are taken for repeats",
        "03_numbers.py::test_a_restored_phone_counts_again_and_its_new_changes_are_told_apart",
    ),
    _taken_out(
        4,
        "pull-acknowledges-nothing",
        "syncd.engine.pull",
        "settled = await snapshot.settled(replica, upto, principal.user or None)",
        "settled = {}",
        "the increment that is counted twice on the screen",
        "04_pull_acknowledges.py::test_a_pull_says_that_a_change_whose_reply_was_lost_is_settled",
    ),
    _taken_out(
        4,
        "replayed-on-top-of-itself",
        "client_sdk.rebase",
        "return change.replica == replica and change.n <= settled",
        "return False",
        "a tap is shown twice, since its page does not end it",
        "04_on_a_device.py::test_a_tap_whose_answer_was_lost_is_not_replayed_on_top_of_the_state_that_holds_it",
    ),
    _taken_out(
        5,
        "hooks-read-before-the-commit",
        "syncd.engine.hook_transaction",
        "for state in self._workspace.written(scope) if state.type == name",
        "for state in () if False",
        "ten joins for two places",
        "05_locks.py::test_of_ten_joins_for_two_places_in_one_group_commit_two_get_in",
    ),
    _taken_out(
        5,
        "locks-are-not-taken-anew",
        "syncd.engine.group_run",
        "if workspace.missing or shown.missing:",
        "if shown.missing:",
        "a hook that locks backwards",
        "05_locks.py::test_hooks_that_write_backwards_do_not_deadlock_though_they_run_on_two_nodes",
    ),
    _taken_out(
        6,
        "one-class-for-all",
        "syncd.engine.pull",
        "if cursor is not None and cursor.tag == readers[scope].tag",
        "if cursor is not None",
        "a viewer who becomes a scorer lacks what was hidden",
        "06_reader_classes.py::test_a_viewer_who_becomes_a_scorer_is_told_to_start_over_and_then_has_what_was_hidden",
    ),
    _taken_out(
        7,
        "types-are-all-alike",
        "syncd.engine.apply",
        "if change.type == CONFLICT_TYPE and change.op is not Op.SETTLE:",
        "if False:",
        "who may write a scope writes what the server alone may say",
        "07_built_in_types.py::test_who_may_write_his_own_scope_puts_nothing_there_that_speaks_of_another",
    ),
    _taken_out(
        8,
        "whole-rows-settle",
        "conflict_rules.manual",
        """    if same_value(held.value, offer.value):
        # A whole record that is written back with the accepted value in it has chosen nothing.
        return Settled(Fate.SAME, held)
""",
        "",
        "a record that is written back settles by accident",
        "08_conflicts.py::test_it_holds",
    ),
    _taken_out(
        8,
        "edits-settle-unseen",
        "conflict_rules.manual",
        "if dispute.version <= offer.change.base else settled",
        "",
        "an edit that has not seen the question answers it",
        "08_conflicts.py::test_it_holds",
    ),
    _taken_out(
        8,
        "settlements-of-anything",
        "conflict_rules.manual",
        " or dispute.conflict != offer.change.conflict",
        "",
        "a settlement of another conflict settles this one",
        "08_settling.py::test_a_settlement_that_names_another_conflict_settles_nothing",
    ),
    _taken_out(
        9,
        "updates-create",
        "conflict_rules.deletion",
        "if change.op is Op.CREATE or (change.op is Op.RESTORE and change.fields):",
        "if change.op is not Op.DELETE:",
        "the zombie comes back half-empty",
        "09_unknown_ids.py::test_an_update_of_what_is_not_there_is_rejected_and_makes_nothing",
    ),
    _taken_out(
        9,
        "the-zombie",
        "conflict_rules.deletion",
        'raise InvalidValue("unknown_resource", "id", message)',
        "return rule.merge(None, change, version)",
        "a phone that slept for a year brings a deleted resource back",
        "09_unknown_ids.py::test_a_phone_that_slept_until_the_tombstone_was_gone_brings_nothing_back_half_empty",
    ),
    _taken_out(
        10,
        "cursors-without-an-end",
        "syncd.engine.pull",
        "for scope, cursor in known.items() if scope in ends and cursor.version <= ends[scope]",
        "for scope, cursor in known.items()",
        "a phone that is ahead of a copied file misses what is new in it",
        "10_incarnations.py::test_phones_ahead_of_a_restored_database_start_over",
    ),
    _taken_out(
        11,
        "beliefs-are-not-compared",
        "conflict_rules.by_value",
        "elif name not in state.fields or same_value(held, believed):",
        "elif True:",
        "who pulls before every push overwrites what nobody showed him",
        "11_dialects.py::test_who_pulls_before_every_push_does_not_overwrite_what_he_never_showed_anybody",
    ),
    _taken_out(
        11,
        "the-refusal-nobody-hears",
        "syncd.engine.apply",
        "if self._corrects and isinstance(member.change, Change) and applied.outcome.code not in DENIED:",
        "if False:",
        "the refused row is shown for ever",
        "11_dialects.py::test_the_refusal_that_nobody_hears_is_put_right_by_the_next_pull",
    ),
    _taken_out(
        12,
        "judged-over-anything",
        "syncd.engine.documents",
        "line = lines[key] = await self._judge(key, kind, updates, judged.verdicts, anew=anew)",
        "line = await self._judge(key, kind, updates, judged.verdicts, anew=anew)",
        "what was read over a document that has moved on is written as it is",
        "12_documents.py::test_what_was_read_over_a_document_that_has_moved_on_is_read_again",
    ),
    _taken_out(
        12,
        "read-under-the-lock",
        "syncd.engine.documents",
        "            told = await self._documents.check(",
        """            async with self._store.transaction(replicas=[], scopes=[]):
                told = await self._documents.check(""",
        "an update that never comes back keeps every writer waiting",
        "12_documents.py::test_while_an_update_is_being_read_nobody_waits_for_the_database",
    ),
    _taken_out(
        12,
        "not-judged",
        "syncd.engine.documents",
        "            if verdict.code is None:\n                line.fine.append(offer)\n",
        "            verdicts[offer] = Verdict()\n            line.fine.append(offer)\n",
        "what native code cannot bear is committed",
        "12_documents.py::test_what_panics_native_code_is_refused_by_a_process_that_may_die_of_it",
    ),
    _taken_out(
        12,
        "no-process-boundary",
        "syncd.documents.pool",
        "            return await Judging(updates, self._limits, attempt).verdicts()\n",
        """            from pycrdt import Doc, Text

            doc = Doc({key.field: Text()})
            for update in updates:
                doc.apply_update(update)
            return [Verdict() for _ in updates]
""",
        "native code panics in the server",
        "12_documents.py::test_what_panics_native_code_is_refused_by_a_process_that_may_die_of_it",
    ),
)
