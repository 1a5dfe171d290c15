"""`syncd import`: the resources of an export into a server, through push, as an ordinary replica.

What is there already as the line says is left alone, so that the same file twice changes nothing. A line that cannot
be imported is reported with its number, and the rest goes on. The updates of a document are merged into what is there:
whether it has them is known only where they come from, and to merge them once more does no harm.
"""

from __future__ import annotations

import base64
import json
import sys
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from conflict_rules import Op, Outcome
from conflict_rules.crdt import Marker, marker_of
from conflict_rules.documents.yjs_parts import parts_of
from conflict_rules.documents.yjs_update import MalformedUpdate
from conflict_rules.values import Fields, JsonValue, same_value
from syncd.commands.export_format import BadLine, ResourceLine, read_header, read_line
from syncd.commands.figures import counted
from syncd.commands.output import Output, Progress
from syncd.commands.peer import Peer
from syncd.errors import CommandError

__all__ = ["import_file"]

_MOST_LINE_BYTES: Final = 64 * 1024 * 1024
_MOST_CHANGES: Final = 500
"""In one push: a server that others use too is not kept busy for long."""
_ENVELOPE_BYTES: Final = 1024
_MOST_UPDATE_BYTES: Final = 128 * 1024
"""Of one update of a document: a server takes up to twice as much. The snapshot of a large document goes in parts."""
_MOST_KNOWN: Final = 200_000
"""Resources kept in memory to compare lines with; beyond, the scope that was not looked at for longest is dropped."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the server has of a resource; `fields` is None for a tombstone."""

    version: int
    fields: Fields | None


@dataclass(frozen=True, slots=True)
class _Intent:
    """A change that a line asks for. `part`: not the first of its line, but more of a document."""

    line: int
    resource: ResourceLine
    op: Op
    base: int = 0
    fields: Fields | None = None
    part: bool = False


async def import_file(file: Path | None, peer: Peer, output: Output) -> int:
    """Import `file`, None for standard input; 0, or 1 if any line could not be imported or the file is not whole."""
    source, size = _open(file)
    with source, output.progress("Importing") as progress:
        run = _Import(peer, output)
        await run.read(source, size, progress)
    return run.report(file)


class _Import:
    """One run. Its replica is made up for it: numbers start at 1, and are used up by what is pushed only."""

    def __init__(self, peer: Peer, output: Output) -> None:
        self._peer = peer
        self._output = output
        self._replica = f"import-{uuid.uuid4().hex[:12]}"
        self._next_n = 1
        self._known: OrderedDict[str, dict[tuple[str, str], _Known]] = OrderedDict()
        self._waiting: list[tuple[_Intent, dict[str, JsonValue]]] = []
        self._waiting_keys: set[tuple[str, str]] = set()
        self._waiting_bytes = 0
        self._counts: Counter[str] = Counter()
        self._lines = 0
        self._refused_line = 0
        self._ended = False

    async def read(self, source: IO[bytes], size: int, progress: Progress) -> None:
        """Take every line; raises `CommandError` if this is no export or the server is gone."""
        begun = False
        done = number = 0
        for number, line in _lines(source):
            done += len(line)
            progress(done, size)
            if not begun:
                _check_header(line)
                begun = True
                continue
            try:
                await self._take_line(number, line)
            except BadLine as bad:
                self._refuse(number, bad.code, str(bad))
        await self._flush()
        if not begun:
            raise _no_export("it is empty")
        if not self._ended:
            self._refuse(number, "not_whole", "the file breaks off here: the last line of an export is its end line")

    async def _take_line(self, number: int, line: bytes) -> None:
        if self._ended:
            raise BadLine("not_an_export", "it stands behind the end of the export")
        self._lines += 1
        read = read_line(_whole(line))
        if isinstance(read, ResourceLine):
            await self._take(number, read)
            return
        self._ended = True
        before = self._lines - 1
        if read.lines != before:
            raise BadLine("not_whole", f"the end counts {read.lines:,} lines before it, but there are {before:,}")

    def report(self, file: Path | None) -> int:
        """Say what was done; the exit code."""
        counts = self._counts
        name = "standard input" if file is None else str(file)
        self._output.fact(
            "imported",
            file=None if file is None else str(file.absolute()),
            **{what: counts[what] for what in ("created", "updated", "deleted", "unchanged", "refused")},
        )
        done = ", ".join(f"{counts[what]:,} {what}" for what in ("created", "updated", "deleted", "unchanged"))
        self._output.show(f"Imported {name}: {done}.")
        if counts["refused"]:
            self._output.show(f"{counted(counts['refused'], 'line was', 'lines were')} not imported, see above.")
        return 1 if counts["refused"] else 0

    async def _take(self, number: int, resource: ResourceLine) -> None:
        key = (resource.type, resource.id)
        if key in self._waiting_keys:
            # The same resource once more: what it is compared with must be settled first.
            await self._flush()
        known = (await self._scope(resource.scope)).get(key)
        changes = [
            (intent, change, len(json.dumps(change, ensure_ascii=False).encode()))
            for intent in _intents(
                number,
                resource,
                known,
                whole=self._peer.whole_record(resource.type),
                # In base64 it is a third longer.
                most_bytes=max(1, min(_MOST_UPDATE_BYTES, (self._peer.max_bytes - 2 * _ENVELOPE_BYTES) * 3 // 4)),
            )
            for change in [_encode(intent)]
        ]
        if not changes:
            self._counts["unchanged"] += 1
            return
        largest = max(size for _, _, size in changes)
        if largest + _ENVELOPE_BYTES > self._peer.max_bytes:
            message = f"the server takes {self._peer.max_bytes:,} bytes at most, and this is {largest:,}"
            raise BadLine("too_large", message)
        for intent, change, size in changes:
            if self._waiting_bytes + size + _ENVELOPE_BYTES > self._peer.max_bytes:
                await self._flush()
            self._waiting.append((intent, change))
            self._waiting_keys.add(key)
            self._waiting_bytes += size
            if len(self._waiting) >= min(_MOST_CHANGES, self._peer.max_changes):
                await self._flush()

    async def _scope(self, name: str) -> dict[tuple[str, str], _Known]:
        """What the server has in a scope, asked for once."""
        if name not in self._known:
            known: dict[tuple[str, str], _Known] = {}
            async for state in self._peer.states(name):
                fields = None if state.deleted is not None else state.fields
                known[state.type, state.id] = _Known(state.version, fields)
            self._known[name] = known
            while len(self._known) > 1 and sum(map(len, self._known.values())) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        return self._known[name]

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._waiting_keys.clear()
        self._waiting_bytes = 0
        if not waiting:
            return
        for place, (_, change) in enumerate(waiting):
            change["n"] = self._next_n + place
        outcomes = await self._peer.push(self._replica, [change for _, change in waiting])
        self._next_n += len(waiting)
        for (intent, _), outcome in zip(waiting, outcomes, strict=True):
            self._settle(intent, outcome)

    def _settle(self, intent: _Intent, outcome: Outcome) -> None:
        if not outcome.kind.took_effect:
            if self._refused_line != intent.line:
                self._refuse(intent.line, outcome.code or outcome.kind.value, outcome.message or outcome.kind.value)
            self._refused_line = intent.line
            return
        if intent.part:
            return
        self._counts[f"{intent.op.value}d"] += 1
        resource = intent.resource
        scope = self._known.get(resource.scope)
        if scope is not None:
            before = scope.get((resource.type, resource.id))
            fields = intent.fields
            if fields is not None:
                # How far a document is now, nobody has said; it is asked only once.
                fields = {name: value for name, value in fields.items() if name not in resource.documents}
            if fields is not None and before is not None and before.fields is not None:
                fields = {**before.fields, **fields}
            scope[resource.type, resource.id] = _Known(outcome.version, fields)

    def _refuse(self, line: int, code: str, message: str) -> None:
        self._counts["refused"] += 1
        self._output.fact("refused", line=line, code=code, message=message)
        self._output.note(f"line {line}: {message}")


def _intents(number: int, line: ResourceLine, known: _Known | None, *, whole: bool, most_bytes: int) -> list[_Intent]:
    """What is to be done for a line, nothing if the server has it so already: a change of the resource that brings the
    oldest part of each document, and one for each further part. `most_bytes`: of a part.
    """
    here = {} if known is None or known.fields is None else known.fields
    documents = {
        name: [{"update": part} for update in document.updates for part in _parts(update, most_bytes)]
        for name, document in line.documents.items()
        if marker_of(here.get(name)) != Marker(document.since, document.seq)
    }
    first = _intent(number, line, known, whole=whole)
    opening: Fields = {name: parts[0] for name, parts in documents.items()}
    intents: list[_Intent] = []
    if first is not None:
        intents = [replace(first, fields={**first.fields, **opening} if first.fields is not None else None)]
    elif opening:
        intents = [_Intent(number, line, Op.UPDATE, known.version if known else 0, opening)]
    further = [(name, part) for name, parts in documents.items() for part in parts[1:]]
    return intents + [_Intent(number, line, Op.UPDATE, fields={name: part}, part=True) for name, part in further]


def _intent(number: int, line: ResourceLine, known: _Known | None, *, whole: bool) -> _Intent | None:
    """What is to be done about the fields; None if the server has them so already. `whole`: an update carries all."""
    if line.fields is None:
        # What never was here needs no tombstone.
        gone = known is None or known.fields is None
        return None if gone else _Intent(number, line, Op.DELETE, known.version if known else 0)
    if known is None:
        return _Intent(number, line, Op.CREATE, fields=line.fields)
    if known.fields is None:
        raise BadLine("deleted", f"this {line.type} was deleted on the server, and a delete is for good")
    there = known.fields
    other = {
        name: value for name, value in line.fields.items() if name not in there or not same_value(there[name], value)
    }
    # A document is no value that could be brought again.
    rest = {name: value for name, value in there.items() if marker_of(value) is None} if whole else {}
    # No more than what differs, so that it stands in the way of nobody who is changing the rest just now.
    return _Intent(number, line, Op.UPDATE, known.version, {**rest, **other}) if other else None


def _parts(update: str, most_bytes: int) -> list[str]:
    """An update in base64 as several, if it is too large for one; what cannot be read is left for the server to
    refuse."""
    written = base64.b64decode(update)
    if len(written) <= most_bytes:
        return [update]
    try:
        return [base64.b64encode(part).decode() for part in parts_of(written, most_bytes)]
    except MalformedUpdate:
        return [update]


def _encode(intent: _Intent) -> dict[str, JsonValue]:
    """The change in its wire form; its number comes last. No stamp: the server's clock is as good as any here."""
    line = intent.resource
    head: dict[str, JsonValue] = {"n": 0, "scope": line.scope, "type": line.type, "id": line.id}
    change = {**head, "op": intent.op.value, "base": intent.base}
    return change if intent.fields is None else {**change, "fields": dict(intent.fields)}


def _open(file: Path | None) -> tuple[IO[bytes], int]:
    """The file, and how large it is, 0 where nobody knows."""
    if file is None:
        return sys.stdin.buffer, 0
    try:
        return file.open("rb"), file.stat().st_size
    except OSError as failure:
        raise CommandError(
            f"The file {file} cannot be read: {failure.strerror or failure}.", hint="Name another one, or - for a pipe."
        ) from failure


def _lines(source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with its number; of one that is too long only the beginning, longer than `_MOST_LINE_BYTES`."""
    number = 0
    while line := source.readline(_MOST_LINE_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > _MOST_LINE_BYTES and not rest.endswith(b"\n"):
            rest = source.readline(_MOST_LINE_BYTES + 1)
        if line.strip():
            yield number, line


def _check_header(line: bytes) -> None:
    try:
        read_header(_whole(line))
    except BadLine as bad:
        raise _no_export(str(bad)) from None


def _whole(line: bytes) -> bytes:
    if len(line) > _MOST_LINE_BYTES:
        raise BadLine("too_large", f"the line is longer than {_MOST_LINE_BYTES:,} bytes")
    return line


def _no_export(reason: str) -> CommandError:
    return CommandError(
        f"This is not an export: {reason}.", hint="Make one with: syncd export --output FILE", code="not_an_export"
    )
