"""The recorded matches: in the source tree under `fixtures/`, in the wheel under `syncd/_fixtures/`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncd.errors import SettingsError

__all__ = ["load_match", "match_ids"]

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_fixtures" / "football-worldcup", _PACKAGE.parent / "fixtures" / "football-worldcup")


def load_match(match_id: str) -> dict[str, Any]:
    """The line of that match, as `fixtures/football-worldcup/README.md` describes it; raises `SettingsError`."""
    for line in _lines():
        if line["match_id"] == match_id:
            return line
    near = difflib.get_close_matches(match_id, match_ids(), n=3, cutoff=0.5)
    raise SettingsError(
        f"there is no match {match_id!r} in the fixtures",
        hint=f"Try {', '.join(near) or 'wc2022-64'}; the fixtures hold wc2018-01 to -64 and wc2022-01 to -64.",
    )


def match_ids(beginning: str = "") -> list[str]:
    """Every match there is whose id begins so, in the order of play."""
    return [line["match_id"] for line in _lines() if line["match_id"].startswith(beginning)]


def _lines() -> Iterator[dict[str, Any]]:
    for place in _PLACES:
        if place.is_dir():
            for path in sorted(place.glob("*.jsonl")):
                for line in path.read_text(encoding="utf-8").splitlines():
                    yield json.loads(line)
            return
    raise SettingsError(
        f"the recorded matches are missing; they should be in {_PLACES[0]}",
        hint="Install syncd again: its wheel carries them.",
    )
