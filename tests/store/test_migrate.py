"""A file is brought up to date by itself, all or nothing, and never past what this syncd knows."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from syncd.errors import SchemaTooNew, StoreError
from syncd.store.accounts import AccountCommit, AccountRow
from syncd.store.migrate import (
    REVISIONS,
    head_revision,
    migrate,
    migrations_folder,
    schema_version,
    upgrade,
)
from syncd.store.protocol import Commit, DocumentKey, ReplicaRow
from syncd.store.sqlite import SqliteStore
from tests.conformance.rows import load, note, update_row, versions, write

NEXT = """
from alembic import op
revision = "next"
down_revision = {head!r}
def upgrade():
    for statement in {statements!r}:
        op.execute(statement)
"""

OPEN = """
import asyncio, sys
from syncd.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1])
    await store.check()
    await store.close()

asyncio.run(main())
print(sorted({name.partition(".")[0] for name in sys.modules} & {"alembic", "sqlalchemy", "mako"}))
"""


def schema(path: Path) -> list[tuple[str, str]]:
    """Every table and index, with its SQL."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return rows


def set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to add to."""
    return Path(
        shutil.copytree(migrations_folder(), tmp_path / "revisions", ignore=shutil.ignore_patterns("__pycache__"))
    )


@pytest.fixture
def add_revision(folder: Path) -> Callable[..., None]:
    """Adds a revision after the last one."""

    def add(*statements: str) -> None:
        (folder / "versions" / "next.py").write_text(NEXT.format(head=head_revision(), statements=statements))

    return add


def test_a_new_file_gets_every_revision(path: Path) -> None:
    assert schema_version(path) is None
    assert migrate(path) == list(REVISIONS)
    assert schema_version(path) == head_revision()
    tables = {name for name, _ in schema(path)}
    assert {"scopes", "states", "replicas", "changes", "incarnations", "scope_incarnations"} <= tables
    assert {"documents", "document_snapshots", "document_updates"} <= tables


def test_asking_for_the_version_of_a_missing_file_creates_none(path: Path) -> None:
    assert schema_version(path) is None
    assert not path.exists()


def test_a_file_that_is_up_to_date_is_left_alone(path: Path) -> None:
    migrate(path)
    before = path.read_bytes()
    assert migrate(path) == []
    assert path.read_bytes() == before


def test_an_empty_file_counts_as_new(path: Path) -> None:
    path.touch()
    assert migrate(path) == list(REVISIONS)


def test_the_revisions_known_without_alembic_are_those_of_the_folder() -> None:
    scripts = ScriptDirectory(str(migrations_folder()))
    in_order = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert list(REVISIONS) == in_order
    assert scripts.get_heads() == [head_revision()]


def test_no_revision_knows_a_way_back() -> None:
    """Forward only: the way back is the backup."""
    for script in ScriptDirectory(str(migrations_folder())).walk_revisions():
        assert not hasattr(script.module, "downgrade")


async def test_opening_a_store_creates_the_file_and_brings_it_up_to_date(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.close()
    assert schema_version(path) == head_revision()


async def migrate_in_a_thread(path: Path) -> list[str]:
    return await asyncio.to_thread(migrate, path)


@pytest.mark.parametrize("attempt", [migrate_in_a_thread, SqliteStore.open], ids=["migrate", "open"])
async def test_a_file_written_by_a_newer_syncd_is_refused_in_a_sentence_and_left_alone(
    path: Path, attempt: Callable[[Path], Awaitable[object]]
) -> None:
    migrate(path)
    set_revision(path, "9999")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew) as caught:
        await attempt(path)
    assert str(path) in caught.value.message
    assert "'9999'" in caught.value.message
    assert "newer syncd" in caught.value.message
    assert "Upgrade syncd" in caught.value.hint
    assert path.read_bytes() == before


def test_opening_a_file_that_is_up_to_date_does_not_load_alembic(path: Path) -> None:
    """It takes longer than everything else that a start does."""
    migrate(path)
    done = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_later_revision_is_applied_to_a_file_in_use_before(
    path: Path, folder: Path, add_revision: Callable[..., None]
) -> None:
    upgrade(path, folder)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO scopes (name, version) VALUES ('s', 7)")
    connection.close()
    add_revision("ALTER TABLE scopes ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
    upgrade(path, folder)
    assert schema_version(path) == "next"
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name, version, colour FROM scopes").fetchall() == [("s", 7, "blue")]
    connection.close()


def test_any_place_that_a_file_system_can_name_will_do(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "50% off? #1, naïve"
    place.mkdir()
    upgrade(place / "my data.db", folder.rename(place / "revisions"))
    assert schema_version(place / "my data.db") == head_revision()


def test_a_revision_that_fails_leaves_a_file_in_use_as_it_was(
    path: Path, folder: Path, add_revision: Callable[..., None]
) -> None:
    migrate(path)
    before = schema(path)
    add_revision(
        "CREATE TABLE left_behind (x INTEGER)",
        "INSERT INTO scopes (name) VALUES ('left behind')",
        "DROP TABLE changes",
        "INSERT INTO no_such_table VALUES (1)",
    )
    with pytest.raises(StoreError) as caught:
        upgrade(path, folder)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert "as it was before" in caught.value.message
    assert schema(path) == before
    assert schema_version(path) == head_revision()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM scopes").fetchall() == []
    connection.close()


def test_a_revision_that_fails_leaves_nothing_in_a_new_file(
    path: Path, folder: Path, add_revision: Callable[..., None]
) -> None:
    add_revision("CREATE TABLE left_behind (x INTEGER)", "INSERT INTO no_such_table VALUES (1)")
    with pytest.raises(StoreError):
        upgrade(path, folder)
    assert schema(path) == []
    assert migrate(path) == list(REVISIONS), "and the file can still be made"


def test_a_revision_that_raises_in_python_leaves_nothing_either(path: Path, folder: Path) -> None:
    (folder / "versions" / "next.py").write_text(
        f"from alembic import op\nrevision = 'next'\ndown_revision = {head_revision()!r}\n"
        "def upgrade():\n    op.execute('CREATE TABLE left_behind (x INTEGER)')\n    raise LookupError('oh')\n"
    )
    with pytest.raises(LookupError):
        upgrade(path, folder)
    assert schema(path) == []


def test_the_template_makes_a_revision_that_runs(path: Path, folder: Path) -> None:
    """As the folder's README tells whoever writes the next one."""
    config = Config(str(folder / "alembic.ini"))
    command.revision(config, message="say more", rev_id="next")
    (script,) = (folder / "versions").glob("next_*.py")
    assert script.name == "next_say_more.py"
    text = script.read_text()
    assert text.startswith('"""say more."""\n')
    script.write_text(text.replace('"""\n    """', '"CREATE TABLE more (x INTEGER)"'))
    upgrade(path, folder)
    assert "more" in {name for name, _ in schema(path)}


async def test_a_file_from_before_documents_keeps_what_it_holds_and_takes_documents(path: Path, folder: Path) -> None:
    for later in (folder / "versions").glob("000[2-9]_*.py"):
        later.unlink()
    upgrade(path, folder)
    assert schema_version(path) == "0001"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO scopes (no, name, version) VALUES (7, 's', 1)")
        connection.execute("INSERT INTO states VALUES (1, 7, 1, 'note', 'x', 0, CAST('x@1' AS BLOB))")
    connection.close()
    store = await SqliteStore.open(path)
    assert schema_version(path) == head_revision()
    await write(store, Commit([note("s", "y", 2)], {"s": 2}, updates=[update_row(DocumentKey("note", "y", "f"), 2, 1)]))
    assert await versions(store, "s") == ["x@1", "y@2"]
    async with store.snapshot() as snapshot:
        assert await snapshot.document(DocumentKey("note", "x", "f")) is None
        document = await snapshot.document(DocumentKey("note", "y", "f"))
    assert document is not None
    assert document.updates == [(1, b"2.1")]
    await store.close()


async def test_a_file_from_before_replicas_were_marked_keeps_what_it_knows_of_them(path: Path, folder: Path) -> None:
    for later in (folder / "versions").glob("000[3-9]_*.py"):
        later.unlink()
    upgrade(path, folder)
    assert schema_version(path) == "0002"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO replicas (id, settled, last_stamp, seen_at_ms) VALUES ('phone', 7, 'then', 9)")
    connection.close()
    store = await SqliteStore.open(path)
    found = await load(store, replicas=("phone",))
    assert found.replicas == {"phone": ReplicaRow("phone", 7, "then", 0, 9, failed_updates=0, failed_at_ms=0)}
    await store.close()


async def test_a_file_from_before_accounts_keeps_what_it_holds_and_takes_accounts(path: Path, folder: Path) -> None:
    for later in (folder / "versions").glob("000[5-9]_*.py"):
        later.unlink()
    upgrade(path, folder)
    assert schema_version(path) == "0004"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO scopes (no, name, version) VALUES (7, 's', 1)")
        connection.execute("INSERT INTO states VALUES (1, 7, 1, 'note', 'x', 0, CAST('x@1' AS BLOB))")
    connection.close()
    store = await SqliteStore.open(path)
    assert await store.accounts.accounts(limit=1) == []
    async with store.accounts.transaction() as transaction:
        await transaction.commit(AccountCommit(accounts=[AccountRow("a", 1, "a@club.example")]))
    assert await store.accounts.account_by_email("a@club.example") == AccountRow("a", 1, "a@club.example")
    assert await versions(store, "s") == ["x@1"]
    await store.close()


def test_revisions_cannot_be_run_around_the_lock(folder: Path) -> None:
    with pytest.raises(SystemExit, match="syncd migrate"):
        command.upgrade(Config(str(folder / "alembic.ini")), "head")
