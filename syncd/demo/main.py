"""What the command `syncd demo` does: one run, told to a person or as one JSON object, and its exit code."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from rich.console import Console

from syncd.demo.report import Report
from syncd.demo.run import Options, run_match
from syncd.demo.show import ConsoleNarrator, SilentNarrator, show_opening, show_report

__all__ = ["run_demo"]

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def run_demo(options: Options, *, as_json: bool) -> int:
    """Run it; 0 if all is right, 1 if a check failed, 130 if it was interrupted. Leaves no process behind."""
    console = Console(highlight=False)
    try:
        report = asyncio.run(_run(options, console, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not as_json:
            console.print("\nInterrupted; the server and the phones are ended.", style="yellow")
        return INTERRUPTED
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), ensure_ascii=False) + "\n")
    else:
        show_report(console, report)
    return 0 if report.ok else 1


async def _run(options: Options, console: Console, *, as_json: bool) -> Report:
    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C: without this, SIGTERM would leave the server behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if as_json:
        return await run_match(options, SilentNarrator())
    show_opening(console)
    return await run_match(options, ConsoleNarrator(console))
