"""Digests: whether two copies of a scope hold the same, told by sixteen bytes (invariant 13).

A scope's digest is the sum of its resources' digests, so a commit changes it by what it writes, without looking at the
rest, and the order in which resources arrived does not matter. Tombstones do not count: a copy may have trimmed them.

Source: sums of hashes as set digests, Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing:
Incrementality at Reduced Cost", 1997. Modulo 2^128 this finds faults and lost updates; it withstands no forger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from conflict_rules.state import State
from conflict_rules.values import canonical_json

__all__ = ["EMPTY_DIGEST", "digest_text", "resource_digest", "scope_digest", "updated_digest"]

EMPTY_DIGEST: Final = bytes(16)
"""The digest of a scope in which nothing lives."""

_MODULUS: Final = 1 << 128


def resource_digest(state: State | None) -> int:
    """What a resource adds to its scope's digest: nothing if it is not there or deleted."""
    if state is None or state.deleted is not None:
        return 0
    content = canonical_json([state.type, state.id, state.version, dict(state.fields)])
    return int.from_bytes(hashlib.sha256(content).digest()[:16], "big")


def scope_digest(states: Iterable[State]) -> bytes:
    """The digest of a scope that holds these states, each resource once; 16 bytes."""
    return (sum(map(resource_digest, states)) % _MODULUS).to_bytes(16, "big")


def updated_digest(digest: bytes, before: State | None, after: State) -> bytes:
    """The digest of a scope in which `after` has taken the place of `before`."""
    changed = int.from_bytes(digest, "big") - resource_digest(before) + resource_digest(after)
    return (changed % _MODULUS).to_bytes(16, "big")


def digest_text(digest: bytes) -> str:
    """As it goes over the wire: 32 hexadecimal digits."""
    return digest.hex()
