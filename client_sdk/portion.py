"""How many bytes one message may have on this connection: halved when an answer comes too late, doubled when it comes.

On one bar of signal a megabyte never arrives, but a few kilobytes do. Pure.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Portion"]

_LEAST_BYTES: Final = 4 * 1024


class Portion:
    """Starts without a bound of its own; what the server takes is bound enough on a good connection."""

    def __init__(self) -> None:
        self._bytes: int | None = None

    def within(self, most_bytes: int) -> int:
        """The size of the next message, where `most_bytes` is what the server takes."""
        return most_bytes if self._bytes is None else min(self._bytes, most_bytes)

    def came_late(self, sent_bytes: int) -> None:
        """A message of that bound was not answered in time."""
        self._bytes = max(_LEAST_BYTES, self.within(sent_bytes) // 2)

    def came(self, most_bytes: int) -> None:
        """A message was answered in time."""
        if self._bytes is not None:
            self._bytes *= 2
            if self._bytes >= most_bytes:
                self._bytes = None
