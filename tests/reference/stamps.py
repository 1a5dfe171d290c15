"""Stamps of the reference model: text "milliseconds.count.replica" in hex, compared by time, then count, then name."""

from __future__ import annotations

__all__ = ["above", "earlier", "effective", "greater", "owned", "owner", "stamp"]

MOST_COUNT = 0xFFFF


def stamp(ms: int, count: int, replica: str) -> str:
    return f"{ms:012x}.{count:04x}.{replica}"


def parts(text: str) -> tuple[int, int, str]:
    ms, count, replica = text.split(".", 2)
    return int(ms, 16), int(count, 16), replica


def owner(text: str) -> str:
    """The replica that made it."""
    return parts(text)[2]


def owned(text: str, replica: str) -> str:
    """The same moment, as somebody else's."""
    ms, count, _ = parts(text)
    return stamp(ms, count, replica)


def earlier(one: str, other: str) -> bool:
    return parts(one) < parts(other)


def greater(one: str, other: str) -> str:
    return one if earlier(other, one) else other


def next_of(text: str, replica: str) -> str:
    """The smallest stamp of `replica` that lies above."""
    ms, count, _ = parts(text)
    return stamp(ms, count + 1, replica) if count < MOST_COUNT else stamp(ms + 1, 0, replica)


def above(new: str, old: str) -> str:
    """Law 2, counterexample 4: what is put on top of a value never lies below it."""
    return new if earlier(old, new) else next_of(old, owner(new))


def effective(sent: str, last: str | None, now_ms: int, max_drift_ms: int) -> str:
    """Law 2: no device is far in the future, and none goes back behind itself."""
    if parts(sent)[0] > now_ms + max_drift_ms:
        sent = stamp(now_ms + max_drift_ms, 0, owner(sent))
    return sent if last is None else above(sent, last)
