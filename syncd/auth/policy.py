"""What one issuer's tokens must be like. Pure configuration: nothing of it is ever taken from a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncd.auth.keys import ALGORITHMS, KeySource

__all__ = ["OWN_KIND", "REQUIRED", "Policy"]

REQUIRED: Final = frozenset({"exp", "sub", "aud", "iss"})
"""Claims that no token does without, besides those of its policy."""

OWN_KIND: Final = "at+jwt"
"""The `typ` of the server's own access tokens (RFC 9068, section 2.1): no other JWT can stand for one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`audiences`: of which a token must name one. `algorithms`: what its keys may be for.

    `required`: claims that must be there, besides `REQUIRED`. `roles_claim`: see `claims_of`. `own_ids`: subjects are
    ids of ours. `kind`: the `typ` that the header must have (RFC 8725, section 3.11), "" for any. `lifetime_s`: when a
    token ends at the latest, in seconds after its `iat`; None: when it says.

    Raises `ValueError` for what could never be satisfied, or too easily.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    keys: KeySource
    required: frozenset[str] = frozenset({"iat"})
    roles_claim: str = "roles"
    own_ids: bool = False
    kind: str = ""
    lifetime_s: int | None = None

    def __post_init__(self) -> None:
        if not self.issuer or not self.audiences or not self.algorithms:
            raise ValueError("a policy has an issuer, an audience and an algorithm")
        if not self.algorithms <= ALGORITHMS:
            raise ValueError(f"an algorithm is one of {', '.join(sorted(ALGORITHMS))}")
