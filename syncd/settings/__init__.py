"""Settings of the server, in groups: the edge, tokens, people, limits."""

from syncd.settings.edge import MIN_TOKEN_LENGTH
from syncd.settings.server import Settings

__all__ = ["MIN_TOKEN_LENGTH", "Settings"]
