"""What a process takes up, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["peak_bytes", "resident_bytes"]


def resident_bytes(pid: int) -> int:
    """Now."""
    return _kilobytes(pid, "VmRSS") * 1024


def peak_bytes(pid: int) -> int:
    """At most so far."""
    return _kilobytes(pid, "VmHWM") * 1024


def _kilobytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
