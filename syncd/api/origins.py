"""Which web pages may ask: one list for requests, sockets and streams alike.

An origin is a scheme, a host and a port, as browsers send it (RFC 6454, section 6.2). `null` is what a sandboxed frame,
a file or a redirect says of itself: anybody can have it, so that it is never on the list.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from multidict import CIMultiDictProxy

__all__ = ["ANY", "Origins", "check_origin_text", "is_own", "origin_in"]

ANY: Final = "*"
_WRITTEN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII)


def check_origin_text(text: str) -> str:
    """`text` as it is compared, or `*`. Raises `ValueError` for what no browser would send, and for `null`."""
    origin = text.strip().rstrip("/").lower()
    if origin == ANY or _WRITTEN.fullmatch(origin):
        return origin
    raise ValueError(f"{text[:80]!r} is no origin; write it as https://club.example, without a path")


class Origins:
    """The pages that may ask besides the server's own. `origins`: theirs, or `*` for any."""

    def __init__(self, origins: Collection[str] = ()) -> None:
        listed = {origin.rstrip("/").lower() for origin in origins}
        self._any = ANY in listed
        self._listed = frozenset(listed - {ANY, "null"})

    def lists(self, origin: str) -> bool:
        """Whether this origin is on the list by its own name: such a page may also use cookies."""
        return origin.rstrip("/").lower() in self._listed

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may ask."""
        return self.lists(origin) or (self._any and origin.lower() != "null" and origin != "")


def origin_in(headers: CIMultiDictProxy[str]) -> str | None:
    """The header `Origin`, None for a caller that is no web page. Of several, which no browser
    sends, it is all of them, and on no list."""
    lines = headers.getall("Origin", ())
    return ", ".join(lines) if lines else None


def is_own(origin: str, host: str | None) -> bool:
    """Whether a page of `origin` came from `host`, the header of the same request."""
    try:
        authority = urlsplit(origin.rstrip("/").lower()).netloc
    except ValueError:
        return False
    return bool(authority) and authority == (host or "").lower()
