"""The file that a command is about: whether it is there, can be read by this syncd, and is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from syncd.errors import CommandError, SchemaTooNew
from syncd.store.migrate import REVISIONS, head_revision
from syncd.store.sqlite_in_use import InUse, in_use
from syncd.store.sqlite_lock import lock_database
from syncd.store.sqlite_readonly import database_revision

__all__ = ["current_database", "known_database", "locked", "user_text"]


def known_database(path: Path) -> Path:
    """The resolved path of a database that some syncd has made.

    Raises `SettingsError` if there is none, `StoreError` if it cannot be read.
    """
    path = path.resolve()
    database_revision(path)
    return path


def current_database(path: Path) -> Path:
    """The resolved path of a database at the schema of this syncd; raises `SchemaTooNew` or `CommandError` if not."""
    path = path.resolve()
    revision = database_revision(path)
    if revision not in REVISIONS:
        raise SchemaTooNew(f"The database {path} has the schema {revision!r}, which this syncd does not know.")
    if revision != head_revision():
        raise CommandError(
            f"The database {path} has the schema {revision!r}, older than {head_revision()!r}, which this syncd reads.",
            hint=f"Run 'syncd migrate --database {path}' first, with the server stopped.",
        )
    return path


@contextmanager
def locked(path: Path, hint: str) -> Iterator[None]:
    """Keep servers off the database for the length of the block.

    Raises `CommandError` with this hint if somebody is using it, `SettingsError` if its folder cannot be written to.
    """
    user = in_use(path)
    if user is not None:
        raise CommandError(f"{user_text(path, user)}.", hint=hint, code="database_in_use")
    with closing(lock_database(path)):
        yield


def user_text(path: Path, user: InUse) -> str:
    """Who is using the database, as a sentence without its full stop."""
    who = "a server" if user.pid is None else f"a server (process {user.pid})"
    return f"The database {path} is in use by {who}"
