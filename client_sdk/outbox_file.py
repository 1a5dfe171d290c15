"""The outbox as a file of JSON lines: out of a device that is about to be given up, into another replica.

The first line is a header; each line after it one change, in the order made, with what became of it so far. Imported,
the changes are made anew under the importing replica, with the time and base of the original. If the original sends
them as well, creates meet a resource that is there with the same content, and edits set the same values: harmless for
`append`, `merge` and `lww`, while a rule that counts would count twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from client_sdk.errors import FileUnusable, Unfit
from client_sdk.observers import changed_pairs
from client_sdk.outbox import Entry, decode_row
from client_sdk.replica import Replica
from conflict_rules import Change
from conflict_rules.values import canonical_json, valid_scope
from conflict_rules.wire import MalformedChange, decode_change

__all__ = ["Imported", "export_outbox", "import_outbox"]

_FORMAT: Final = "syncd-outbox"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Imported:
    """`made`: changes made anew here. `known`: those that were here already. `rejected`: those left out, since the
    server had refused them.
    """

    made: int
    known: int
    rejected: int


async def export_outbox(replica: Replica, path: Path | str) -> int:
    """Write what waits and what was rejected to a file, which is complete or not there; returns how many."""
    async with replica.reading():
        waiting = replica.outbox.waiting()
        rejected = [decode_row(row) for row in await replica.store.rejected()]
    entries = sorted([*waiting, *rejected], key=lambda entry: entry.seq)
    header = {"format": _FORMAT, "version": _VERSION, "replica": replica.id, "app": replica.app.name}
    lines = [json.dumps(header), *(json.dumps(_encode(entry), ensure_ascii=False) for entry in entries)]
    await asyncio.to_thread(_write, Path(path), lines)
    return len(entries)


async def import_outbox(replica: Replica, path: Path | str, *, rejected: bool = False) -> Imported:
    """Make the changes of such a file anew here, all in one local commit; again, it changes nothing.

    `rejected`: also those that the server had refused, to try them once more. Raises `FileUnusable` or `Unfit`, with
    the line, before anything is made.
    """
    exported = await asyncio.to_thread(_read, Path(path))
    result = Imported(0, 0, 0)

    async def commit() -> None:
        nonlocal result
        known = await replica.store.imported()
        known |= {_identity(entry.change) for entry in replica.outbox}
        fresh: list[Change] = []
        left_out = skipped = 0
        for change, was_rejected in exported:
            identity = _identity(change)
            if identity in known or await replica.store.change(change.replica, change.n) is not None:
                skipped += 1
            elif was_rejected and not rejected:
                left_out += 1
            else:
                known.add(identity)
                fresh.append(change)
        await _make(replica, fresh)
        result = Imported(len(fresh), skipped, left_out)

    await replica.write(commit)
    return result


async def _make(replica: Replica, changes: Sequence[Change]) -> None:
    if not changes:
        return
    entries = [
        Entry.of(
            replica.next_seq + index,
            replace(
                change,
                replica=replica.id,
                n=replica.row.next_n + index,
                # Its time stays: it was made when it was made (law 2).
                stamp=change.stamp._replace(replica=replica.id),
            ),
            replica.clock.device_ms(),
            replica.lift,
        )
        for index, change in enumerate(changes)
    ]
    observed = replica.observers.types
    before = await replica.look_at({entry.key for entry in entries if entry.key[0] in observed})
    replica.clock.take_note(entry.change.stamp for entry in entries)
    row = replica.with_clock(replace(replica.row, next_n=replica.row.next_n + len(entries)))
    scopes = replica.to_follow({change.scope for change in changes})
    async with replica.store.transaction():
        await replica.store.add_changes(entry.row() for entry in entries)
        await replica.store.add_imported(map(_identity, changes))
        await replica.store.save_replica(row)
        for scope in scopes:
            await replica.store.save_scope(scope)
    replica.row = row
    replica.next_seq += len(entries)
    replica.scopes.update({scope.name: scope for scope in scopes})
    for entry in entries:
        replica.outbox.add(entry)
    await replica.open_conflicts.look_again(entry.key for entry in entries)
    await replica.documents.look_again(entry.key for entry in entries)
    if before:
        replica.observers.tell(changed_pairs(before, await replica.look_at(before)))


def _identity(change: Change) -> str:
    """What tells a change from others also after it was given other numbers: its content, and when it was made."""
    content = [
        change.scope,
        change.type,
        change.id,
        change.op.value,
        dict(change.fields),
        change.stamp.wall_ms,
        change.stamp.count,
    ]
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _encode(entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {
        "replica": entry.change.replica,
        "made_ms": entry.made_ms,
        "change": json.loads(entry.body),
        "state": "waiting" if entry.outcome is None else "rejected",
    }
    if entry.outcome is not None:
        line |= {"code": entry.outcome.code, "message": entry.outcome.message}
    return line


def _write(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as failure:
        raise FileUnusable(f"{path} cannot be written: {failure.strerror or failure}") from failure


def _read(path: Path) -> list[tuple[Change, bool]]:
    """Each change, and whether it had been rejected."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise FileUnusable(f"{path} cannot be read: {failure}") from failure
    lines = text.split("\n")
    header = _parse(path, 1, lines[0])
    if header.get("format") != _FORMAT:
        raise Unfit(f"{path} is no exported outbox")
    if header.get("version") != _VERSION:
        raise Unfit(
            f"{path} was written by a newer version of the SDK (version {header.get('version')}); upgrade syncd"
        )
    return [_decode(path, number, line) for number, line in enumerate(lines[1:], 2) if line]


def _decode(path: Path, number: int, line: str) -> tuple[Change, bool]:
    raw = _parse(path, number, line)
    change = decode_change(raw.get("change"), str(raw.get("replica")))
    if isinstance(change, MalformedChange):
        raise Unfit(f"{path}, line {number}: {change.message}")
    if not valid_scope(change.scope):
        raise Unfit(f"{path}, line {number}: it does not say in which scope")
    return change, raw.get("state") == "rejected"


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as failure:
        raise Unfit(f"{path}, line {number}: this is not JSON ({failure})") from failure
    if not isinstance(raw, dict):
        raise Unfit(f"{path}, line {number}: an object was expected")
    return raw
