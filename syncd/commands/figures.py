"""Figures in words, for people. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from conflict_rules.crdt import marker_of

__all__ = ["age_text", "counted", "duration_text", "printable", "size_text", "time_text", "value_text"]

_UNITS: Final = (("day", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Such as `1 scope` and `2,000 scopes`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def size_text(size: int) -> str:
    """Bytes, such as `812 B` and `1.4 MB`."""
    if size < 1000:
        return f"{size} B"
    scaled = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        scaled /= 1000
        if scaled < 999.5 or unit == "TB":
            break
    return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:.0f} {unit}"


def duration_text(duration_ms: int) -> str:
    """Such as `3 days`, `2 h`, `5 min`, `4 s`: the largest unit that fits."""
    for name, length_ms in _UNITS:
        if duration_ms >= length_ms:
            count = duration_ms // length_ms
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''}"
    return "less than 1 s"


def age_text(at_ms: int, now_ms: int) -> str:
    """How long ago, such as `5 min ago`; `never` for 0."""
    if at_ms == 0:
        return "never"
    if at_ms > now_ms:
        return "just now" if at_ms < now_ms + 1000 else f"{duration_text(at_ms - now_ms)} ahead"
    return f"{duration_text(now_ms - at_ms)} ago"


def time_text(at_ms: int) -> str:
    """In UTC, such as `2026-11-03T17:04:09Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def value_text(value: object, length: int = 60) -> str:
    """A value of a field in one line: what others have written must not steer the terminal. Of a document that is told
    by its marker: how far it is.
    """
    marker = marker_of(value)
    if marker is not None:
        return f"a document, after {counted(marker.seq, 'edit')}"
    text = printable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return text if len(text) <= length else text[: length - 1] + "…"


def printable(text: str) -> str:
    """`text` with whatever is no plain character spelt out."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
