"""A file that is up to date: what each start on a new one would do first is done once for all tests of a process.

That a server makes its file by itself is held by tests/store/test_migrate.py and tests/test_cli.py.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from syncd.store.migrate import migrate

__all__ = ["prepare_database"]


def prepare_database(path: Path) -> None:
    """Put it at `path`, if nothing is there."""
    if not path.exists():
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        migrate(path)
        return path.read_bytes()
