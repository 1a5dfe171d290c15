"""`syncd status`: what a database holds, or what a running server says of itself. Changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from syncd.commands.database import current_database
from syncd.commands.figures import age_text, counted, duration_text, printable, size_text
from syncd.commands.inboxes import ServerInbox, Which
from syncd.commands.output import Output
from syncd.commands.remote import Refusal, RemoteServer, look_at
from syncd.store.migrate import head_revision
from syncd.store.quarantine_file import quarantine_file
from syncd.store.sqlite_in_use import InUse, in_use
from syncd.store.sqlite_readonly import one_moment
from syncd.store.sqlite_summary import (
    Counts,
    RejectedChange,
    ReplicaSummary,
    ScopeSummary,
    read_counts,
    read_rejected,
    read_replicas,
    read_scopes,
)

__all__ = ["status_of_database", "status_of_server"]


@dataclass(frozen=True, slots=True)
class _Status:
    """All that is told of a database, as of one moment."""

    database: Path
    schema: str
    file_bytes: int
    log_bytes: int
    user: InUse | None
    quarantine_file: Path | None
    counts: Counts
    scopes: list[ScopeSummary]
    replicas: list[ReplicaSummary]
    rejected: list[RejectedChange]


def status_of_database(database: Path, output: Output, *, top: int, rejected: int) -> int:
    """Tell what is in the file, whether a server is using it or not; 0.

    `top`: how many scopes and replicas to list, 0 for all. `rejected`: how many of the newest rejected changes.
    """
    status = _read(database, top or -1, rejected)
    if output.as_json:
        output.fact("status", **_facts(status))
    else:
        output.show(*_picture(status, time.time_ns() // 1_000_000))
    return 0


async def status_of_server(url: str, token: str | None, output: Output) -> int:
    """Tell what the server at `url` says of itself; 0, or 1 if it is not ready."""
    server = await look_at(url, token)
    open_conflicts = await _open_conflicts(server, token)
    if output.as_json:
        output.fact("status", ready=server.trouble is None, **asdict(server), open_conflicts=open_conflicts)
    else:
        output.show(_server_picture(server, open_conflicts))
    return 0 if server.trouble is None else 1


async def _open_conflicts(server: RemoteServer, token: str | None) -> int | None:
    """How many wait for a person; None if the server is not ready, or too old to have any."""
    if server.trouble is not None:
        return None
    try:
        return sum([1 async for _ in ServerInbox(server.url, token).conflicts(Which())])
    except Refusal:
        return None


def _read(database: Path, top: int, rejected: int) -> _Status:
    database = current_database(database)
    with one_moment(database) as connection:
        log = Path(f"{database}-wal")
        exported = quarantine_file(database)
        return _Status(
            database,
            head_revision(),
            database.stat().st_size,
            log.stat().st_size if log.exists() else 0,
            in_use(database),
            exported if exported.exists() else None,
            read_counts(connection),
            list(read_scopes(connection, top)),
            list(read_replicas(connection, top)),
            list(read_rejected(connection, rejected)) if rejected else [],
        )


def _facts(status: _Status) -> dict[str, object]:
    return {
        "database": str(status.database),
        "schema": status.schema,
        "file_bytes": status.file_bytes,
        "log_bytes": status.log_bytes,
        "in_use": status.user is not None,
        "pid": None if status.user is None else status.user.pid,
        "quarantine_file": None if status.quarantine_file is None else str(status.quarantine_file),
        "incarnation": status.counts.incarnation,
        "counts": {name: value for name, value in asdict(status.counts).items() if name != "incarnation"},
        "scopes": [asdict(scope) for scope in status.scopes],
        "replicas": [asdict(replica) for replica in status.replicas],
        "rejected": [_rejected_facts(change) for change in status.rejected],
    }


def _rejected_facts(change: RejectedChange) -> dict[str, object]:
    return {**asdict(change), "change": json.loads(change.change), "outcome": json.loads(change.outcome)}


def _picture(status: _Status, now_ms: int) -> list[RenderableType]:
    counts = status.counts
    facts = {
        "database": f"{status.database}, {size_text(status.file_bytes)} and {size_text(status.log_bytes)} of log",
        "server": _user(status.user),
        "schema": status.schema,
        "incarnation": f"{counts.incarnation}, {age_text(counts.incarnation_since_ms, now_ms)}, "
        f"of {counted(counts.incarnations, 'start')}",
        "resources": f"{counts.resources:,}, and {counted(counts.tombstones, 'tombstone')}, "
        f"in {counted(counts.scopes, 'scope')}",
        "changes": f"{counts.changes:,} settled, {counts.rejected:,} of them rejected, "
        f"the last {age_text(counts.last_change_at_ms, now_ms)}",
        "conflicts": _conflicts(counts.open_conflicts, f" --database {status.database}"),
        "documents": _documents(counts),
        "quarantine": _quarantine(status),
        "replicas": f"{counts.replicas:,}",
    }
    parts: list[RenderableType] = [_grid(facts)]
    if status.scopes:
        parts.append(_scopes_table(status))
    if status.replicas:
        parts.append(_replicas_table(status, now_ms))
    parts.extend(_rejected_line(change, now_ms) for change in status.rejected)
    return parts


def _conflicts(open_ones: int | None, where: str) -> str:
    if open_ones is None:
        return "not known"
    return f"{open_ones:,} open: syncd conflicts list{where}" if open_ones else "none is open"


def _documents(counts: Counts) -> str:
    if not counts.documents:
        return "none"
    return (
        f"{counts.documents:,}, {size_text(counts.document_snapshot_bytes)} of snapshots and "
        f"{counted(counts.document_updates, 'update')} beside them, {size_text(counts.document_update_bytes)}"
    )


def _quarantine(status: _Status) -> str:
    counts = status.counts
    waiting = f"{counted(counts.quarantined, 'change')}, {size_text(counts.quarantined_bytes)}"
    if not counts.exported:
        return f"{waiting}: syncd quarantine list" if counts.quarantined else "empty"
    where = "a file that is not there any more" if status.quarantine_file is None else str(status.quarantine_file)
    return f"{waiting}; {counts.exported:,} for which there was no room are in {where}"


def _scopes_table(status: _Status) -> Table:
    table = _table(f"Scopes, the largest {len(status.scopes):,} of {status.counts.scopes:,}")
    for name in ("scope", "version", "resources", "tombstones", "size"):
        table.add_column(name, justify="left" if name == "scope" else "right", overflow="fold")
    for scope in status.scopes:
        table.add_row(
            scope.name,
            f"{scope.version:,}",
            f"{scope.resources:,}",
            f"{scope.tombstones:,}",
            size_text(scope.bytes),
        )
    return table


def _replicas_table(status: _Status, now_ms: int) -> Table:
    table = _table(f"Replicas, the last seen {len(status.replicas):,} of {status.counts.replicas:,}")
    for name in ("replica", "settled", "rejected", "last seen", "marks"):
        table.add_column(name, justify="right" if name in ("settled", "rejected") else "left", overflow="fold")
    for replica in status.replicas:
        table.add_row(
            replica.id,
            f"{replica.settled:,}",
            f"{replica.rejected:,}",
            age_text(replica.seen_at_ms, now_ms),
            Text(", ".join(_marks(replica, now_ms)), "yellow"),
        )
    return table


def _marks(replica: ReplicaSummary, now_ms: int) -> Iterator[str]:
    if replica.clock_ahead_ms:
        yield f"clock {duration_text(replica.clock_ahead_ms)} ahead"
    if replica.failed_updates:
        failed = counted(replica.failed_updates, "update of a document", "updates of documents")
        yield f"{failed} failed, the last {age_text(replica.failed_at_ms, now_ms)}"


def _rejected_line(change: RejectedChange, now_ms: int) -> Text:
    outcome = json.loads(change.outcome)
    what = f"{change.type} {change.id} in {change.scope}" if change.type else "a change that cannot be read"
    line = Text(f"rejected {age_text(change.at_ms, now_ms)}: ", "yellow")
    line.append(f"{change.replica} #{change.n}, {what}: ")
    return line.append(printable(f"{outcome.get('message', '')} ({outcome.get('code', 'no code')})"))


def _server_picture(server: RemoteServer, open_conflicts: int | None) -> RenderableType:
    return _grid(
        {
            "server": f"{server.url}, syncd {server.version}, answers in {server.round_trip_ms} ms",
            "app": f"{server.app}, version {server.app_version}",
            "health": "ready" if server.trouble is None else f"not ready: {server.trouble}",
            "conflicts": _conflicts(open_conflicts, f" --url {server.url}"),
            "clock": _offset(server.clock_offset_ms, server.round_trip_ms),
            "limits": ", ".join(f"{name} {value:,}" for name, value in server.limits.items()),
        }
    )


def _offset(offset_ms: int, round_trip_ms: int) -> str:
    if abs(offset_ms) <= max(1000, round_trip_ms):
        return "as this machine's"
    return f"{duration_text(abs(offset_ms))} {'ahead of' if offset_ms > 0 else 'behind'} this machine's"


def _user(user: InUse | None) -> str:
    if user is None:
        return "none is using it"
    return "one is using it" if user.pid is None else f"process {user.pid} is using it"


def _grid(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in facts.items():
        table.add_row(name, Text(text))
    return table


def _table(title: str) -> Table:
    from rich import box

    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
