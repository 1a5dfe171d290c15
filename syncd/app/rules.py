"""The rules an app author may name: `rules.lww`, `rules.merge`, `rules.append`. The same objects that the engine runs.

What each is for stands in its own module of conflict_rules.
"""

from __future__ import annotations

from typing import Final

from conflict_rules import Rule, rule_by_name

__all__ = ["append", "lww", "merge"]

append: Final[Rule] = rule_by_name("append")
lww: Final[Rule] = rule_by_name("lww")
merge: Final[Rule] = rule_by_name("merge")
