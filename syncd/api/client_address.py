"""Where a request comes from: the peer of the connection, or what a trusted proxy says of it.

Anybody can write `X-Forwarded-For`. Each proxy adds the address it was asked from at the right end, so that the list is
read from there, and only as far as the proxies are ours. One header is read and no other: a proxy that writes the one
passes the other on as a stranger sent it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from aiohttp import web

__all__ = ["ClientAddress", "TrustedProxies", "address_key"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ForwardedHeader = Literal["x-forwarded-for", "forwarded"]

_PEER_UNKNOWN: Final = "unknown"
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";,]+))\s*')
"""RFC 7239, section 4."""
# Possessive, so that no header takes longer than its length.
_BETWEEN_COMMAS: Final = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+"?+)++')
_BETWEEN_SEMICOLONS: Final = re.compile(r'(?:[^";]++|"(?:[^"\\]++|\\.)*+"?+)++')
_LONGEST: Final = 64
"""Of what may be an address with its port, in characters."""
_SITE_BITS: Final = 64
"""Of an IPv6 address: one customer has at least that much, and may come from any address in it."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """`count`: how many stand in front of the server; or `networks`: where they are. Neither: there are none."""

    count: int = 0
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """`1`, or `127.0.0.1, 10.0.0.0/8`. Raises `ValueError`."""
        text = text.strip()
        if text.isascii() and text.isdigit():
            return cls(count=int(text))
        return cls(networks=tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()))

    def __bool__(self) -> bool:
        return bool(self.count or self.networks)

    def has(self, address: str) -> bool:
        """Whether a proxy of ours is at `address`."""
        known = _parsed(address)
        return known is not None and any(known in network for network in self.networks)


class ClientAddress:
    """Finds out who asks, behind `proxies` that write `header`."""

    def __init__(self, proxies: TrustedProxies | None = None, header: ForwardedHeader = "x-forwarded-for") -> None:
        self._proxies = proxies or TrustedProxies()
        self._header = header

    def of(self, request: web.BaseRequest) -> str:
        """The address that the request came from, as text; `unknown` for a socket without one."""
        peer = _peer(request)
        if not self._proxies:
            return peer
        if self._header == "forwarded":
            hops = [element.get("for", "") for element in _elements(request.headers.getall("Forwarded", ()))]
        else:
            hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        return self._outermost(peer, [_without_port(hop.strip()) for hop in hops])

    def key(self, request: web.BaseRequest) -> str:
        """What counts as one place: an IPv4 address, or the /64 of an IPv6 one."""
        return address_key(self.of(request))

    def secure(self, request: web.BaseRequest) -> bool:
        """Whether the caller spoke https, to this server or to the proxy next to it."""
        if request.secure:
            return True
        if not self._from_proxy(_peer(request)):
            return False
        if self._header == "forwarded":
            elements = _elements(request.headers.getall("Forwarded", ()))
            proto = elements[-1].get("proto", "") if elements else ""
        else:
            proto = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2]
        return proto.strip().lower() in ("https", "wss")

    def _from_proxy(self, peer: str) -> bool:
        return self._proxies.count > 0 or self._proxies.has(peer)

    def _outermost(self, peer: str, hops: Sequence[str]) -> str:
        """The last address that one of our proxies vouches for. `hops`: the farthest first."""
        if not self._from_proxy(peer):
            return peer
        client = peer
        for place, hop in enumerate(reversed(hops), 1):
            if _parsed(hop) is None:
                # Not an address, such as `unknown`: whoever told it is as far as can be seen.
                return client
            client = hop
            if place == self._proxies.count or (not self._proxies.count and not self._proxies.has(hop)):
                break
        return client


@lru_cache(maxsize=4096)
def address_key(address: str) -> str:
    """`address` as one place, for counting; what is no address stays as it is."""
    known = _parsed(address)
    if known is None:
        return address[:64]
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(known) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))
    return str(known)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # An IPv4 caller of a socket that takes both.
    return getattr(known, "ipv4_mapped", None) or known


def _peer(request: web.BaseRequest) -> str:
    # Not `remote`, which the middleware of somebody else may have rewritten.
    name = request.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else _PEER_UNKNOWN


def _without_port(hop: str) -> str:
    """`192.0.2.1` of `192.0.2.1:80`, and `2001:db8::1` of `[2001:db8::1]:80`."""
    hop = hop[:_LONGEST]
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _elements(lines: Sequence[str]) -> list[dict[str, str]]:
    """The elements of `Forwarded`, the farthest first; a part that cannot be read makes its element empty."""
    elements: list[dict[str, str]] = []
    for element in _BETWEEN_COMMAS.findall(",".join(lines)):
        pairs: dict[str, str] = {}
        for part in _BETWEEN_SEMICOLONS.findall(element):
            match = _PAIR.fullmatch(part)
            if match is None:
                pairs = {}
                break
            name, quoted, plain = match.groups()
            pairs[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        elements.append(pairs)
    return elements
