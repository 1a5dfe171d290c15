"""What every test shares: the profile of sizes, shown in the header, hypothesis set up from it, and what was played."""

from __future__ import annotations

import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog._config import BoundLoggerLazyProxy

from tests.sizes import FULL, QUICK, SIZES

for _sizes in (QUICK, FULL):
    # No deadline: the machine that runs the tests also runs servers. Not derandomized: every run tries other examples,
    # and print_blob tells how to play a failing one again.
    settings.register_profile(
        _sizes.name,
        max_examples=_sizes.property_examples,
        deadline=None,
        derandomize=False,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(SIZES.name)

# A shell starts what runs in the background deaf to Ctrl-C, and so would be every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which sizes this run uses, so that a log tells what it has shown."""
    return f"sizes: {SIZES.name} ({SIZES.property_examples} examples a property; SYNCD_TEST_SIZES=full for more)"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name their argument: what is compressed carries the time, and both workers must collect the same names."""
    return argname if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how concurrent the histories were, over all workers."""
    totals: dict[str, Counter[str]] = {"replica_histories": Counter(), "document_histories": Counter()}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name in totals:
                totals[name].update(value)
    for name, total in totals.items():
        if total["changes"]:
            share = total["concurrent"] / total["changes"]
            terminalreporter.write_line(
                f"{name.replace('_', ' ')}: {total['histories']}, {total['changes']} changes, "
                f"{share:.0%} truly concurrent"
            )


@pytest.fixture(autouse=True)
def _restored_loggers() -> Iterator[None]:
    """What a test sets up for logging ends with it, together with the stream it wrote to."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if root.handlers != handlers:
        structlog.reset_defaults()
        # Loggers remember how they were set up when they first wrote.
        for module in tuple(sys.modules.values()):
            logger = getattr(module, "log", None)
            if isinstance(logger, BoundLoggerLazyProxy):
                vars(logger).pop("bind", None)
        logging.captureWarnings(False)
        root.handlers[:] = handlers
    root.setLevel(level)
