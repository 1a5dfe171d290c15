"""Settings to a server: the one place that names concrete classes."""

from syncd.wiring.parts import Server
from syncd.wiring.start import STEPS, open_server, wall_clock_ms

__all__ = ["STEPS", "Server", "open_server", "wall_clock_ms"]
