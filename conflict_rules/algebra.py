"""Algebra: what a rule declares of concurrent changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Algebra", "of_all"]


@dataclass(frozen=True, slots=True)
class Algebra:
    """What a rule promises about concurrent changes; property tests hold it to each promise.

    `commutative`: the order of arrival does not matter. `associative`: nor does how they are split over batches
    and replicas. `idempotent`: nor does a repeat. `arbitrated`: arrival decides, so none of these is promised.
    """

    commutative: bool
    associative: bool
    idempotent: bool
    arbitrated: bool = False


def of_all(algebras: Iterable[Algebra]) -> Algebra:
    """What is promised where each of these has a part."""
    parts = list(algebras)
    return Algebra(
        commutative=all(part.commutative for part in parts),
        associative=all(part.associative for part in parts),
        idempotent=all(part.idempotent for part in parts),
        arbitrated=any(part.arbitrated for part in parts),
    )
