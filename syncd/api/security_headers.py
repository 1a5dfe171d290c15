"""The headers that keep a browser from making more of an answer than it is; on every answer, refusals included.

A handler that serves pages sets its own `Content-Security-Policy`; what is set already stays.
"""

from __future__ import annotations

from typing import Final

from multidict import CIMultiDict, istr

__all__ = ["SERVER", "add_security_headers"]

SERVER: Final = "syncd"
"""No version: it would tell a stranger which holes to try."""

_HEADERS: Final = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("Referrer-Policy"): "no-referrer",
    # Answers are data: should one be shown as a page, nothing in it runs or loads, and no other page frames it.
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    # For what CORS does not cover: pages of other sites cannot take an answer in as an image or a script.
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Cache-Control"): "no-store",
}
_SERVER: Final = istr("Server")
_STRICT_TRANSPORT_SECURITY: Final = istr("Strict-Transport-Security")
_HSTS: Final = "max-age=31536000"
"""A year (RFC 6797). Only over https, since browsers ignore it over http; and of other hosts below this name nothing is
known."""


def add_security_headers(headers: CIMultiDict[str], *, secure: bool) -> None:
    """Add what is not there yet. `secure`: whether the caller spoke https."""
    headers[_SERVER] = SERVER
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if secure:
        headers.setdefault(_STRICT_TRANSPORT_SECURITY, _HSTS)
