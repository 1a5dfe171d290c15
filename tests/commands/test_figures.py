"""Figures read as people say them, and nothing that others wrote steers the terminal."""

from __future__ import annotations

import pytest

from syncd.commands.figures import age_text, counted, duration_text, size_text, time_text, value_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_600, "1.0 MB"), (5 * 10**15, "5000 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "less than 1 s"),
        (1500, "1 s"),
        (60_000, "1 min"),
        (7_200_000, "2 h"),
        (86_400_000, "1 day"),
        (3 * 86_400_000, "3 days"),
    ],
)
def test_durations(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text


def test_ages() -> None:
    assert [age_text(at_ms, 10_000_000) for at_ms in (0, 9_940_000, 10_000_500, 10_120_000)] == [
        "never",
        "1 min ago",
        "just now",
        "2 min ahead",
    ]


def test_counts_and_times() -> None:
    assert [counted(1, "scope"), counted(2000, "scope"), counted(2, "man", "men")] == [
        "1 scope",
        "2,000 scopes",
        "2 men",
    ]
    assert time_text(1_763_640_000_000) == "2025-11-20T12:00:00Z"


def test_a_value_is_one_line_that_steers_no_terminal() -> None:
    assert value_text("red \x1b[31m\n\x9b2J ü") == '"red \\u001b[31m\\n\\u009b2J ü"'
    assert value_text("x" * 100, 10) == '"xxxxxxxx…'
    assert value_text({"document": {"since": 4, "seq": 2}}) == "a document, after 2 edits"
