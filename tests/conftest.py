"""What every test shares: the profile of sizes, shown in the header, and hypothesis set up from it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def _restored_loggers() -> Iterator[None]:
    """What a test sets up for logging ends with it, together with the stream it wrote to."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if root.handlers != handlers:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers[:] = handlers
    root.setLevel(level)
