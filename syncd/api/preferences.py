"""What a caller prefers: the headers `Accept` and `Accept-Encoding`, with their weights (RFC 9110, section 12.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

__all__ = ["preferences"]

_USUAL: Final = 512
"""Characters; what is longer is not worth remembering, and could be very long."""
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def preferences(headers: Iterable[str]) -> Mapping[str, float]:
    """The weight, 0 to 1, of each choice in the lines of a header, in order; what cannot be read is left out."""
    line = ",".join(headers)
    return _known(line) if len(line) <= _USUAL else _weights(line)


@lru_cache(maxsize=256)
def _known(line: str) -> Mapping[str, float]:
    """Callers say the same again and again."""
    return _weights(line)


def _weights(line: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for choice in line.split(","):
        name, *parameters = (part.strip().lower() for part in choice.split(";"))
        weight = next((text[2:].strip() for text in parameters if text.startswith("q=")), "1")
        if name and _WEIGHT.fullmatch(weight):
            weights[name] = float(weight)
    return MappingProxyType(weights)
