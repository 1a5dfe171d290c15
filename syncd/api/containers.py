"""How many arrays and objects a body may hold, told from its bytes before anything is built of them.

A megabyte of brackets is a megabyte of containers: it takes a hundred times as long to read as a megabyte of text, and
compressed it is a hundred bytes. Depth is the readers' own business: they cut what lies too deep.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MANY", "json_containers", "msgpack_containers"]

MANY: Final = 20_000
"""A push of a thousand changes holds a quarter of it; from here on a body is read beside the event loop."""

# Each opens one in MessagePack: fixmap, fixarray, array 16 and 32, map 16 and 32.
_OPENING: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])


def json_containers(body: bytes) -> int:
    """At most so many arrays and objects: brackets within texts count too."""
    return body.count(b"[") + body.count(b"{")


def msgpack_containers(body: bytes) -> int:
    """At most so many: bytes within texts and numbers count too."""
    return len(body) - len(body.translate(None, _OPENING))
