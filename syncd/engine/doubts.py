"""Doubts: whose rights may be others by now. Until that was looked at, nothing goes out by those of before. Pure."""

from __future__ import annotations

from syncd.engine.connection import Connection

__all__ = ["Doubt", "Doubts"]

Doubt = set[str]
"""The scopes of which something was not shown since it began."""


class Doubts:
    """Of one watcher. `open`: by connection; nobody is in doubt for longer than a look into the database takes."""

    def __init__(self) -> None:
        self.open: dict[Connection, Doubt] = {}

    def begin(self, connection: Connection) -> None:
        """Its rights may have changed just now. Who looks already may not have seen that, and does not end this one."""
        self.open[connection] = set(self.open.get(connection, ()))

    def end(self, connection: Connection, doubt: Doubt | None) -> Doubt:
        """It was looked at what `doubt` was about; what was not shown meanwhile, nothing if another one has begun."""
        if doubt is None or self.open.get(connection) is not doubt:
            return set()
        return self.open.pop(connection)

    def forget(self, connection: Connection) -> None:
        """It is closed; may be called twice."""
        self.open.pop(connection, None)
