"""`syncd doctor`: names what is wrong with a database or a server, and the command that mends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.table import Table
from rich.text import Text

from syncd.commands.checks import CHECKS, Database, check_lock, check_schema, check_server
from syncd.commands.database import locked
from syncd.commands.figures import counted
from syncd.commands.findings import Finding, Level
from syncd.commands.output import Output
from syncd.commands.remote import RemoteServer, look_at
from syncd.errors import CommandError, SettingsError, StoreError
from syncd.store.migrate import head_revision
from syncd.store.sqlite_checks import write_digests
from syncd.store.sqlite_errors import translated_errors
from syncd.store.sqlite_in_use import in_use
from syncd.store.sqlite_readonly import database_revision, one_moment

__all__ = ["examine"]

_STYLES = {Level.OK: "green", Level.MENDED: "cyan", Level.WARNING: "yellow", Level.FAULT: "bold white on red"}


def examine(database: Path | None, url: str | None, token: str | None, output: Output, *, repair: bool) -> int:
    """Check a database, a server, or both; 0, or 1 if any check found a fault.

    `repair`: write the right digests where they are wrong. Raises `CommandError` if a server keeps that from being
    done, `SettingsError` if there is no database.
    """
    findings: list[Finding] = []
    server: RemoteServer | None = None
    if url is not None:
        try:
            server = asyncio.run(look_at(url, token))
            findings.extend(check_server(server))
        except CommandError as failure:
            findings.append(Finding("server", Level.FAULT, failure.message, failure.hint))
    if database is not None:
        findings.extend(_examine_database(database.resolve(), url, server, output, repair=repair))
    return _report(findings, output)


def _examine_database(
    path: Path, url: str | None, server: RemoteServer | None, output: Output, *, repair: bool
) -> Iterator[Finding]:
    try:
        revision = database_revision(path)
    except SettingsError:
        raise
    except StoreError as failure:
        yield _unreadable("integrity", path, failure)
        return
    user = in_use(path)
    yield check_schema(path, revision)
    yield check_lock(path, user, server, url)
    if revision != head_revision():
        return
    digests: dict[str, bytes] = {}
    with ExitStack() as kept:
        if repair:
            kept.enter_context(locked(path, hint="Stop it first: digests are repaired only while nobody writes."))
        with one_moment(path) as connection, output.progress("Examining") as progress:
            moment = Database(path, user, time.time_ns() // 1_000_000, connection, progress)
            for name, check in CHECKS.items():
                try:
                    with translated_errors():
                        finding = check(moment)
                except StoreError as failure:
                    finding = _unreadable(name, path, failure)
                if not (repair and name == "digests" and moment.digests):
                    yield finding
            digests = moment.digests
        if repair and digests:
            write_digests(path, digests)
            message = f"The digests of {counted(len(digests), 'scope')} were wrong, and are right now."
            yield Finding("digests", Level.MENDED, message)


def _unreadable(check: str, path: Path, failure: StoreError) -> Finding:
    return Finding(check, Level.FAULT, failure.message, f"syncd restore BACKUP --database {path}")


def _report(findings: list[Finding], output: Output) -> int:
    faults = sum(finding.level is Level.FAULT for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    for finding in findings:
        output.fact("check", check=finding.check, level=finding.level.value, message=finding.message, fix=finding.fix)
    output.fact("examined", ok=faults == 0, faults=faults, warnings=warnings)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in findings:
        says = Text(finding.message)
        if finding.fix is not None:
            says.append("\n→ ").append(finding.fix, "cyan")
        table.add_row(Text(f" {finding.level.value} ", _STYLES[finding.level]), finding.check, says)
    output.show(table)
    output.show(
        f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}." if faults or warnings else "All is well."
    )
    return 1 if faults else 0
