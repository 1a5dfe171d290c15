"""Request ids: what a caller, a proxy, the answer and the log call one request.

One that comes in is kept if it is harmless, since it ends up in log lines and headers of others too.
"""

from __future__ import annotations

import random
import re
from typing import Final

__all__ = ["HEADER", "request_id_of"]

HEADER: Final = "X-Request-ID"
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def request_id_of(given: str | None) -> str:
    """`given`, the header, if it is 1 to 64 of `A-Z a-z 0-9 _ . -`; a new id otherwise."""
    if given is not None and _HARMLESS.fullmatch(given):
        return given
    # It names a request and opens nothing: it need not be hard to guess.
    return f"{random.getrandbits(64):016x}"
