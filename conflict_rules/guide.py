"""Guides: what a field rule says of itself to whoever chooses among rules. docs/rules.md is made of these."""

from __future__ import annotations

from dataclasses import dataclass

from conflict_rules.values import JsonValue

__all__ = ["Guide"]


@dataclass(frozen=True, slots=True)
class Guide:
    """Each text is a sentence, or a few. `example`: an offer that any change may bring.

    `in_sight`: what an edit does whose author was shown what the field holds. `concurrently`: what it does otherwise.
    `codes`: those of outcomes and refusals that only this rule gives.
    """

    good_for: str
    offers: str
    example: JsonValue
    in_sight: str
    concurrently: str
    codes: tuple[str, ...] = ()
