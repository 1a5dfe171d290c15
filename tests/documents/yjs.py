"""Yjs updates written by hand, so that the tests of a process that has no pycrdt need none."""

from __future__ import annotations

__all__ = ["number", "text", "typed"]


def number(value: int) -> bytes:
    """An unsigned number as Yjs writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """A text as Yjs writes it: its length in bytes first."""
    encoded = value.encode()
    return number(len(encoded)) + encoded


def typed(client: int, value: str, *, at: int = 0, field: str = "notes") -> bytes:
    """The update of a client that types `value`, of ASCII, behind the `at` characters it has typed before."""
    place = b"\x04\x01" + text(field) if at == 0 else b"\x84" + number(client) + number(at - 1)
    return b"\x01\x01" + number(client) + number(at) + place + text(value) + b"\x00"
