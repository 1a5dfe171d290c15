"""The checks of `syncd doctor`, each by itself: of a database at rest or in use, and of a server that is asked.

Those of the database read one moment of it, so that what a server commits meanwhile confuses none of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from conflict_rules import MAX_DRIFT_MS, State
from conflict_rules.digest import scope_digest
from conflict_rules.wire import decode_state
from syncd.commands.figures import age_text, counted, duration_text, size_text
from syncd.commands.findings import Finding, Level
from syncd.commands.output import Progress
from syncd.commands.remote import RemoteServer
from syncd.store.migrate import REVISIONS, head_revision
from syncd.store.protocol import StateRow
from syncd.store.quarantine_file import quarantine_file
from syncd.store.sqlite_checks import (
    DocumentFault,
    journal_mode,
    quick_check,
    read_document_faults,
    read_number_faults,
    read_stored_digests,
    read_unsquashed,
    read_version_faults,
)
from syncd.store.sqlite_export import count_states, iterate_scope
from syncd.store.sqlite_in_use import InUse
from syncd.store.sqlite_readonly import Moment
from syncd.store.sqlite_summary import read_counts, read_replicas

__all__ = ["CHECKS", "Database", "check_lock", "check_schema", "check_server"]

_LEAST_FREE_BYTES: Final = 100 * 1000 * 1000
_LARGE_LOG_BYTES: Final = 256 * 1024 * 1024
_EARLIEST_MS: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""No right clock shows less: this program was not written then."""
_STUCK_AFTER: Final = 3
"""Rejected changes in a row, and none taken since."""
_LATELY_MS: Final = 7 * 86_400_000
_NAMED: Final = 5

_DOCUMENT_FAULTS: Final = {
    DocumentFault.MISSING: "it is gone",
    DocumentFault.GAP: "updates are missing",
    DocumentFault.SNAPSHOT: "its snapshot is missing, or one too many",
    DocumentFault.MARKER: "its resource is gone, or says that it is elsewhere",
    DocumentFault.STRAY: "updates or a snapshot without a document",
    DocumentFault.COUNTS: "its log has more or less than it says",
}


@dataclass(slots=True)
class Database:
    """One moment of a database, and what is known around it.

    `digests`: what the check of digests has found to be right where something else is stored.
    """

    path: Path
    user: InUse | None
    now_ms: int
    connection: Moment
    progress: Progress
    digests: dict[str, bytes] = field(default_factory=dict)


def check_schema(path: Path, revision: str) -> Finding:
    """Whether this syncd can work with it."""
    if revision == head_revision():
        return _ok("schema", f"The schema is {revision}, the newest.")
    if revision in REVISIONS:
        return Finding(
            "schema",
            Level.WARNING,
            f"The schema is {revision}; the next start brings it to {head_revision()}.",
            f"syncd migrate --database {path}",
        )
    return Finding(
        "schema",
        Level.FAULT,
        f"The schema is {revision!r}, and this syncd knows only {head_revision()}: a newer one has written it.",
        "pip install --upgrade syncd",
    )


def check_lock(path: Path, user: InUse | None, server: RemoteServer | None, asked: str | None) -> Finding:
    """Who is using it; whether that is more than a process that hangs. `asked`: the URL that was to answer."""
    if user is None:
        return _ok("lock", "No server is using the database.")
    who = "A process" if user.pid is None else f"The process {user.pid}"
    if asked is not None and server is None:
        return Finding(
            "lock",
            Level.WARNING,
            f"{who} is using the database, but nothing answers at {asked}: it hangs, or listens elsewhere.",
            f"fuser --verbose {path}-lock" if user.pid is None else f"kill {user.pid}",
        )
    return _ok("lock", f"{who} is using the database.")


def check_integrity(database: Database) -> Finding:
    """Whether SQLite finds its own pages in order."""
    found = quick_check(database.connection)
    if not found:
        return _ok("integrity", "SQLite finds the file sound.")
    return Finding("integrity", Level.FAULT, f"The file is damaged: {'; '.join(found[:3])}.", _restore(database.path))


def check_disk(database: Database) -> Finding:
    """Whether there is room to go on, and for the file to be written once more."""
    free = shutil.disk_usage(database.path.parent).free
    size = database.path.stat().st_size
    text = f"{size_text(free)} are free where the database is, which has {size_text(size)}"
    fix = f"df --human-readable {database.path.parent}"
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", Level.FAULT, f"{text}: soon nothing can be written.", fix)
    if free < size:
        return Finding("disk", Level.WARNING, f"{text}: there is no room for a backup beside it.", fix)
    return _ok("disk", f"{text}.")


def check_journal(database: Database) -> Finding:
    """Whether commits go to a log that is folded back in time."""
    mode = journal_mode(database.connection)
    log = Path(f"{database.path}-wal")
    size = log.stat().st_size if log.exists() else 0
    if mode != "wal" and database.user is not None:
        message = f"A server is using the file in the journal mode {mode!r}: some other program has changed it."
        return Finding("journal", Level.FAULT, message, "Start the server again; it sets the mode.")
    if mode != "wal":
        return _ok("journal", f"The journal mode is {mode!r}, as in a backup; the next start of a server sets 'wal'.")
    if size > _LARGE_LOG_BYTES:
        message = f"The log has {size_text(size)}: something has been reading the database for long."
        return Finding("journal", Level.WARNING, message, f"fuser --verbose {database.path}")
    return _ok("journal", f"The journal mode is 'wal', with {size_text(size)} of log.")


def check_clock(database: Database) -> Finding:
    """Whether this machine's clock can be right, going by what is in the ledger."""
    counts, now_ms = read_counts(database.connection), database.now_ms
    newest_ms = max(counts.last_change_at_ms, counts.incarnation_since_ms)
    behind_ms = newest_ms - now_ms
    fix = "timedatectl set-ntp true"
    if now_ms < _EARLIEST_MS:
        return Finding("clock", Level.FAULT, f"This machine's clock says {datetime.now(UTC):%Y-%m-%d}.", fix)
    if behind_ms > MAX_DRIFT_MS:
        message = f"This machine's clock is {duration_text(behind_ms)} behind the newest entry of the database."
        return Finding("clock", Level.FAULT, message, fix)
    return _ok("clock", f"The newest entry of the database is from {age_text(newest_ms, now_ms)}.")


def check_devices(database: Database) -> Finding:
    """Devices whose clocks were ahead when they pushed last: their stamps are bounded, so this harms little."""
    ahead = [replica for replica in read_replicas(database.connection) if replica.clock_ahead_ms]
    if not ahead:
        return _ok("devices", "No device's clock is ahead.")
    names = _names([f"{replica.id} ({duration_text(replica.clock_ahead_ms)})" for replica in ahead])
    return Finding(
        "devices",
        Level.WARNING,
        f"{counted(len(ahead), 'device has a clock', 'devices have clocks')} that is ahead: {names}.",
        "Let the device set its clock from the network.",
    )


def check_outboxes(database: Database) -> Finding:
    """Devices that keep sending what is refused: somebody's work does not arrive."""
    replicas = read_replicas(database.connection)
    stuck = [replica for replica in replicas if replica.rejected_in_a_row >= _STUCK_AFTER]
    if not stuck:
        return _ok("outboxes", f"Of {counted(len(replicas), 'replica')}, none has only had changes rejected lately.")
    names = _names(
        [f"{each.id} ({each.rejected_in_a_row:,}, {age_text(each.seen_at_ms, database.now_ms)})" for each in stuck]
    )
    return Finding(
        "outboxes",
        Level.WARNING,
        f"The last changes of {counted(len(stuck), 'replica')} were all rejected: {names}.",
        f"syncd status --database {database.path} --rejected 20",
    )


def check_updates(database: Database) -> Finding:
    """Devices whose updates of documents have failed in a worker lately: broken, or hostile. Each was refused alone."""
    since_ms = database.now_ms - _LATELY_MS
    failed = [replica for replica in read_replicas(database.connection) if replica.failed_at_ms > since_ms]
    if not failed:
        return _ok("updates", "No update of a document has failed in a worker lately.")
    names = _names(
        [f"{each.id} ({each.failed_updates:,}, {age_text(each.failed_at_ms, database.now_ms)})" for each in failed]
    )
    return Finding(
        "updates",
        Level.WARNING,
        f"Updates of documents from {counted(len(failed), 'replica')} ended, hung or spoilt who read them: {names}.",
        f"syncd quarantine list --database {database.path}",
    )


def check_quarantine(database: Database) -> Finding:
    """Rejected changes that wait for somebody; a full quarantine exports its oldest, and then somebody should look."""
    counts = read_counts(database.connection)
    file = quarantine_file(database.path)
    look = f"syncd quarantine list --database {database.path}"
    if counts.exported:
        message = f"The quarantine had no room for {counted(counts.exported, 'change')}; "
        message += f"they are in {file}." if file.exists() else f"the file {file} that held them is gone."
        return Finding("quarantine", Level.WARNING, message, look)
    if counts.quarantined:
        return _ok("quarantine", f"{counted(counts.quarantined, 'rejected change')} in the quarantine: {look}")
    return _ok("quarantine", "The quarantine is empty.")


def check_versions(database: Database) -> Finding:
    """Whether each scope stands where its newest state does."""
    faults = read_version_faults(database.connection)
    if not faults:
        return _ok("versions", "Every scope stands at the version of its newest state.")
    names = _names(
        [f"{each.scope} (at {each.version}, states to {each.newest}, ledger to {each.told})" for each in faults]
    )
    return Finding("versions", Level.FAULT, f"Scopes have gaps: {names}.", _restore(database.path))


def check_numbers(database: Database) -> Finding:
    """Whether each replica is settled up to its last change in the ledger (law 3)."""
    faults = read_number_faults(database.connection)
    if not faults:
        return _ok("numbers", "Every replica's settled number is that of its last change in the ledger.")
    names = _names(
        [
            f"{each.replica} (settled to {each.settled}, {each.changes:,} from {each.first} to {each.last})"
            for each in faults
        ]
    )
    message = f"Settled numbers and ledger disagree: {names}."
    return Finding("numbers", Level.FAULT, message, _restore(database.path))


def check_documents(database: Database) -> Finding:
    """Whether every document is whole, as far as its rows tell; what its bytes mean is not looked at."""
    faults = read_document_faults(database.connection)
    long = read_unsquashed(database.connection)
    if not faults and long:
        names = _names([f"{' '.join(key)} ({behind:,} updates)" for key, behind in long])
        return Finding(
            "documents",
            Level.WARNING,
            f"Nothing is lost, but documents are not squashed, and are slow to open: {names}.",
            "The server's log says why, where it says squash_failed; a document that is made anew is free of it.",
        )
    if not faults:
        documents = read_counts(database.connection).documents
        return _ok("documents", f"{counted(documents, 'document')}, whole." if documents else "There are no documents.")
    texts = ((_DOCUMENT_FAULTS[fault], " ".join(filter(None, key))) for fault, key in faults)
    names = _names([f"{key} ({text})" if key else text for text, key in texts])
    return Finding("documents", Level.FAULT, f"Documents are not whole: {names}.", _restore(database.path))


def check_digests(database: Database) -> Finding:
    """Whether each scope's stored digest is that of what lives in it (invariant 13)."""
    stored = read_stored_digests(database.connection)
    total, seen = count_states(database.connection), 0
    unreadable: list[str] = []

    def states(scope: str) -> Iterator[State]:
        nonlocal seen
        for row in iterate_scope(database.connection, scope):
            seen += 1
            database.progress(seen, total)
            state = _decode(row)
            if state is None:
                unreadable.append(f"{row.type} {row.id} in {scope}")
            else:
                yield state

    for scope, digest in stored.items():
        right = scope_digest(states(scope))
        if right != digest:
            database.digests[scope] = right
    if unreadable:
        database.digests.clear()
        message = f"{counted(len(unreadable), 'state')} cannot be read: {_names(unreadable)}."
        return Finding("digests", Level.FAULT, message, _restore(database.path))
    if database.digests:
        message = f"{counted(len(database.digests), 'scope has', 'scopes have')} another digest than what lives there: "
        return Finding("digests", Level.FAULT, f"{message}{_names(list(database.digests))}.", _repair(database.path))
    return _ok("digests", f"The digests of {counted(len(stored), 'scope')} are right.")


def check_server(server: RemoteServer) -> Sequence[Finding]:
    """What a server says of itself, and its clock beside this machine's."""
    health = (
        _ok("server", f"The server at {server.url} is ready (syncd {server.version}, app {server.app}).")
        if server.trouble is None
        else Finding(
            "server", Level.FAULT, f"The server at {server.url} is not ready: {server.trouble}", "Look into its log."
        )
    )
    offset_ms = abs(server.clock_offset_ms)
    if offset_ms <= MAX_DRIFT_MS + server.round_trip_ms:
        return [health, _ok("server_clock", "The server's clock and this machine's agree.")]
    message = f"The server's clock and this machine's are {duration_text(offset_ms)} apart: one of them is wrong."
    return [health, Finding("server_clock", Level.WARNING, message, "timedatectl set-ntp true")]


CHECKS: Final[Mapping[str, Callable[[Database], Finding]]] = {
    "integrity": check_integrity,
    "disk": check_disk,
    "journal": check_journal,
    "clock": check_clock,
    "devices": check_devices,
    "outboxes": check_outboxes,
    "updates": check_updates,
    "quarantine": check_quarantine,
    "versions": check_versions,
    "numbers": check_numbers,
    "documents": check_documents,
    "digests": check_digests,
}
"""By name, in the order in which they are made; each reads the database."""


def _decode(row: StateRow) -> State | None:
    """The state, None if its bytes are not what its row says."""
    try:
        state = decode_state(json.loads(row.body), row.scope)
    except (ValueError, LookupError, TypeError):
        return None
    told = (row.type, row.id, row.version, row.deleted)
    return state if (state.type, state.id, state.version, state.deleted is not None) == told else None


def _ok(check: str, message: str) -> Finding:
    return Finding(check, Level.OK, message)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _restore(path: Path) -> str:
    return f"syncd restore BACKUP --database {path}"


def _repair(path: Path) -> str:
    return f"syncd doctor --database {path} --repair"
