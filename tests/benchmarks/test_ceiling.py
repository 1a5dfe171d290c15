"""Ceilings that are programs tell what they found, or why they failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness import ceiling


async def test_what_a_program_prints_comes_back(tmp_path: Path) -> None:
    told = await ceiling.output("raw_sqlite", "--database", tmp_path / "raw.db", "--batch", 5, "--seconds", 0.01)

    assert told["records"] == 5 * len(told["latencies_ms"]) > 0


async def test_why_a_program_failed_is_said() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)^pycrdt_alone failed: .*No such file"):
        await ceiling.output("pycrdt_alone", "load", "/no/such/file")
