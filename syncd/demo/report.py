"""The report: the merged match beside the record, what became of every change, and the verdict. A value, no output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.demo.audit import Check
from syncd.demo.beats import Moment
from syncd.demo.script import Script
from syncd.demo.standing import Copy, Line, differences, official_goals, shown_goals, timeline

__all__ = ["Report", "check_copies"]

PLACES = {"phone_a": "phone A", "phone_b": "phone B", "family": "the family", "fresh": "a fresh replica"}
"""Where the match is looked at in the end, by the name of the check."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run. `copies`: by the keys of `PLACES`, what could be read. `counts`: changes, by their fate."""

    script: Script
    copies: Mapping[str, Copy]
    counts: Mapping[str, int]
    checks: Sequence[Check]
    seconds: float
    folder: str | None

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return all(check.ok for check in self.checks)

    @property
    def score_right(self) -> bool:
        """Whether every place shows the published score."""
        right = (self.script.record.home, self.script.record.away)
        return len(self.copies) == len(PLACES) and all(
            (copy.score["home"], copy.score["away"]) == right for copy in self.copies.values()
        )

    @property
    def goals_right(self) -> int:
        """How many of the published goals every place has, with scorer, minute and side."""
        if len(self.copies) < len(PLACES):
            return 0
        right = Counter(official_goals(self.script))
        for copy in self.copies.values():
            right &= Counter(shown_goals(copy))
        return right.total()

    def lines(self) -> list[tuple[Line | None, Line | None]]:
        """(official, merged) in match order, each event beside its like; None where one side lacks it."""
        official = Counter(timeline(event.to_fields() for event in self.script.events))
        fresh = self.copies.get("fresh")
        merged = Counter(_events(fresh)) if fresh is not None else Counter()
        both = official & merged
        rows: list[tuple[Line | None, Line | None]] = [(line, line) for line in both.elements()]
        rows += [(line, None) for line in (official - both).elements()]
        rows += [(None, line) for line in (merged - both).elements()]
        return sorted(rows, key=lambda row: (row[0] or row[1] or (), row[0] is None))

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        record = self.script.record
        return {
            "ok": self.ok,
            "match": record.match.id,
            "teams": [record.match.home_team, record.match.away_team],
            "official": {
                "score": [record.home, record.away],
                "goals": len(self.script.events),
                "events": len(self.script.events),
            },
            "copies": {
                name: {
                    "score": [copy.score["home"], copy.score["away"]],
                    "timeline": [[str(Moment(line[0], line[1])), *line[2:]] for line in _events(copy)],
                }
                for name, copy in self.copies.items()
            },
            "changes": dict(self.counts),
            "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in self.checks],
            "seconds": round(self.seconds, 1),
            "folder": self.folder,
        }


def check_copies(copies: Mapping[str, Copy], script: Script) -> list[Check]:
    """One check for each place: the score and every scorer and minute are as published."""
    checks: list[Check] = []
    for name, place in PLACES.items():
        copy = copies.get(name)
        wrong = ["there is nothing to look at"] if copy is None else differences(copy, script)
        record = script.record
        right = f"{place} shows {record.home}-{record.away} and every goal as published"
        checks.append(Check(name, not wrong, f"{place}: {'; '.join(wrong)}" if wrong else right))
    contents = {name: copy.resources for name, copy in copies.items()}
    same = len(contents) == len(PLACES) and all(content == contents["fresh"] for content in contents.values())
    checks.append(
        Check("copies", same, "all copies hold the same" if same else "the copies of the match are not the same")
    )
    return checks


def _events(copy: Copy) -> list[Line]:
    return timeline(copy.events)
