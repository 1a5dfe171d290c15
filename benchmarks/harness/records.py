"""The records of W1, W3, W6 and W7: a user's note as an app would keep it, 182 bytes of JSON each, in any number."""

from __future__ import annotations

import json
import random
import uuid
from typing import Final

__all__ = ["RECORD_BYTES", "encoded", "new_id", "record"]

RECORD_BYTES: Final = 182
"""As in the peers' figures that we compare with; with its id."""

_TEXT: Final = (
    "kit goal pitch corner keeper whistle training transport ball line winger header pass half substitute referee "
    "captain save bench parent lift sunday morning ground bib cone drill water rain derby"
)
_WORDS: Final = tuple(_TEXT.split())


def new_id(dice: random.Random) -> str:
    """A random UUID (version 4)."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def record(dice: random.Random, id: str | None = None) -> dict[str, object]:
    """One record: an id, three short fields and a text that fills it up to `RECORD_BYTES`."""
    found: dict[str, object] = {"id": id or new_id(dice), "rank": dice.randrange(10_000), "done": False}
    found["tag"] = dice.choice(_WORDS)
    found["text"] = ""
    missing = RECORD_BYTES - len(encoded(found))
    text = " ".join(dice.choice(_WORDS) for _ in range(1 + missing // 4))
    found["text"] = text[:missing]
    return found


def encoded(value: object) -> bytes:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()
