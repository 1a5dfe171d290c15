"""The audit: what was acknowledged, held against the server's ledger and against what is there in the end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from conflict_rules import Kind, Op
from syncd.demo.journal import Acknowledgement
from syncd.demo.ledger import LedgerRow

__all__ = ["Audit", "Check", "audit"]

Number = tuple[str, int]
"""(replica, n): one change."""

_TOOK_EFFECT = frozenset(kind.value for kind in Kind if kind.took_effect)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. `name` is stable text; `detail` says what was counted, or what is wrong."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """`counts`: changes by what became of them; `repeated` counts answers, `lost` changes that were acknowledged."""

    checks: Sequence[Check]
    counts: Mapping[str, int]


def audit(
    journal: Iterable[Acknowledgement], ledger: Sequence[LedgerRow], resources: Collection[tuple[str, str]]
) -> Audit:
    """Hold the `journal` against the `ledger` and the (type, id) of the `resources` that a fresh replica got."""
    heard: dict[Number, list[Acknowledgement]] = {}
    for entry in journal:
        if entry.settles:
            heard.setdefault((entry.replica, entry.n), []).append(entry)
    rows = {(row.replica, row.n): row for row in ledger}
    missing = [number for number in heard if number not in rows]
    effects_missing = _missing_effects(heard, ledger, resources)
    outcomes = Counter(row.outcome for row in ledger)
    counts = {
        "acknowledged": len(heard),
        "repeated": sum(entry.repeat for entries in heard.values() for entry in entries),
        "unheard": sum(not entry.heard for entries in heard.values() for entry in entries),
        **{kind: outcomes[kind] for kind in ("applied", "merged", "conflict", "overruled", "rejected")},
        "lost": len({*missing, *effects_missing}),
    }
    return Audit(
        (
            _check_ledger(heard, rows, missing),
            _check_repeats(heard),
            _check_numbers(ledger),
            _check_versions(heard, ledger),
            _verdict(
                "effects",
                [
                    f"the {entries[0].type} {entries[0].id} of {_name(number)}"
                    for number, entries in effects_missing.items()
                ],
                "what was acknowledged as created is there, or was deleted later",
                "acknowledged as created, and gone:",
            ),
        ),
        counts,
    )


def _check_ledger(
    heard: Mapping[Number, Sequence[Acknowledgement]], rows: Mapping[Number, LedgerRow], missing: Sequence[Number]
) -> Check:
    wrong = [f"{_name(number)} is missing" for number in missing]
    for number, entries in heard.items():
        row = rows.get(number)
        for entry in entries if row is not None else ():
            assert row is not None
            if (entry.outcome, entry.version) != (row.outcome, row.version):
                told = f"{entry.outcome} at version {entry.version}"
                wrong.append(f"{_name(number)} was told as {told} and is {row.outcome} at {row.version}")
            elif entry.digest != row.digest:
                wrong.append(f"{_name(number)} is another change in the ledger")
    return _verdict(
        "ledger",
        wrong,
        f"all {len(heard)} acknowledged changes are in the server's ledger, as told",
        "acknowledged, but",
    )


def _check_repeats(heard: Mapping[Number, Sequence[Acknowledgement]]) -> Check:
    wrong: list[str] = []
    repeats = 0
    for number, (first, *later) in heard.items():
        repeats += first.repeat
        for entry in later:
            repeats += entry.repeat
            if not entry.repeat:
                wrong.append(f"{_name(number)} was acknowledged, and taken for new when it came again")
            elif (entry.outcome, entry.version, entry.digest) != (first.outcome, first.version, first.digest):
                wrong.append(
                    f"{_name(number)} was {first.outcome} at {first.version}, then {entry.outcome} at {entry.version}"
                )
    if not repeats and not wrong:
        wrong.append("no change was sent twice, so nothing was shown")
    return _verdict("repeats", wrong, f"changes sent again, each answered as the first time: {repeats}", "repeats:")


def _check_numbers(ledger: Sequence[LedgerRow]) -> Check:
    wrong: list[str] = []
    by_replica: dict[str, list[int]] = {}
    for row in ledger:
        by_replica.setdefault(row.replica, []).append(row.n)
    for replica, numbers in by_replica.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            wrong.append(f"{replica[:8]} has {sorted(numbers)}")
    return _verdict(
        "numbers", wrong, f"one row for each of {len(ledger)} changes, counted without a gap", "not 1, 2, 3, …:"
    )


def _check_versions(heard: Mapping[Number, Sequence[Acknowledgement]], ledger: Sequence[LedgerRow]) -> Check:
    """Each version of a scope comes of one change, or is a question that it raised, and none is left out."""
    told: dict[str, set[int]] = {}
    changes: list[Acknowledgement | LedgerRow] = [entry for entries in heard.values() for entry in entries]
    for change in [*changes, *ledger]:
        if change.outcome in _TOOK_EFFECT:
            # A question takes the version after that of the change which raised it.
            versions = range(change.version, change.version + 1 + len(change.conflicts))
            told.setdefault(change.scope, set()).update(versions)
    wrong = [
        f"{scope} lacks version {', '.join(map(str, gap))}"
        for scope, versions in told.items()
        if (gap := sorted(set(range(1, max(versions) + 1)) - versions))
    ]
    heads = sum(max(versions) for versions in told.values())
    return _verdict("versions", wrong, f"{heads} versions without a gap, as told by the replies", "gaps:")


def _missing_effects(
    heard: Mapping[Number, Sequence[Acknowledgement]],
    ledger: Sequence[LedgerRow],
    resources: Collection[tuple[str, str]],
) -> dict[Number, Sequence[Acknowledgement]]:
    deleted = {(row.type, row.id) for row in ledger if row.op == Op.DELETE and row.outcome in _TOOK_EFFECT}
    there = deleted.union(resources)
    return {
        number: entries
        for number, entries in heard.items()
        if entries[0].op == Op.CREATE
        and entries[0].outcome in _TOOK_EFFECT
        and (entries[0].type, entries[0].id) not in there
    }


def _verdict(name: str, wrong: Sequence[str], right: str, heading: str) -> Check:
    if not wrong:
        return Check(name, True, right)
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Check(name, False, f"{heading} {'; '.join(wrong[:_SHOWN])}{more}")


def _name(number: Number) -> str:
    replica, n = number
    return f"change {n} of {replica[:8]}"
