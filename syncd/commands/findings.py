"""What a check finds: how bad it is, a sentence, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    """`fault`: data is or will be wrong, or the server cannot work; only these make `syncd doctor` fail."""

    OK = "ok"
    MENDED = "mended"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is stable text. `fix`: a command where there is one, else what to do; None where all is well."""

    check: str
    level: Level
    message: str
    fix: str | None = None
