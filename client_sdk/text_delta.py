"""What leads from one text to another, for those who show it."""

from __future__ import annotations

from collections.abc import Mapping

from conflict_rules.values import JsonValue

__all__ = ["text_delta"]


def text_delta(before: str, after: str) -> list[Mapping[str, JsonValue]]:
    """As [{"retain": 3}, {"delete": 1}, {"insert": "…"}], in code points, as if all was typed at one place."""
    start = _common(before, after)
    end = min(_common(before[::-1], after[::-1]), len(before) - start, len(after) - start)
    steps: list[Mapping[str, JsonValue]] = []
    if start:
        steps.append({"retain": start})
    if gone := len(before) - start - end:
        steps.append({"delete": gone})
    if come := after[start : len(after) - end]:
        steps.append({"insert": come})
    return steps


def _common(one: str, other: str) -> int:
    """How long the beginning is that both share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
