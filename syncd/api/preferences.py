"""What a caller prefers: the headers `Accept` and `Accept-Encoding`, with their weights (RFC 9110, section 12.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

__all__ = ["preferences"]

_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def preferences(headers: Iterable[str]) -> Mapping[str, float]:
    """The weight, 0 to 1, of each choice in the lines of a header, in order; what cannot be read is left out."""
    return _weights(",".join(headers))


@lru_cache(maxsize=256)
def _weights(line: str) -> Mapping[str, float]:
    """Callers say the same again and again."""
    weights: dict[str, float] = {}
    for choice in line.split(","):
        name, *parameters = (part.strip().lower() for part in choice.split(";"))
        weight = next((text[2:].strip() for text in parameters if text.startswith("q=")), "1")
        if name and _WEIGHT.fullmatch(weight):
            weights[name] = float(weight)
    return MappingProxyType(weights)
