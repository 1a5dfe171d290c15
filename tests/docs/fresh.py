"""What a fresh environment is given in tests: this checkout's dependencies in place of a network, and a free port."""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
from pathlib import Path
from typing import Final

__all__ = ["DEPENDENCIES", "PATH", "WITHOUT_NETWORK", "free_port"]

DEPENDENCIES: Final = {"PYTHONPATH": sysconfig.get_path("purelib")}
"""Path configuration files are not read from there, so syncd itself comes from what was installed."""

PATH: Final = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

WITHOUT_NETWORK: Final = {
    **DEPENDENCIES,
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    # Means --no-build-isolation; pip reads the variable the other way round.
    "PIP_NO_BUILD_ISOLATION": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
"""Makes pip install what lies on this machine."""


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
