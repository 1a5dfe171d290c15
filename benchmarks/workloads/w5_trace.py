"""W5: real writing, keystroke by keystroke, from a writer through the server to a reader.

50,000 edits of one text (`harness/documents.py`), one update each, 256 on their way at most, and the text at the
reader held against what was typed. syncd is durable: the writer pushes changes of a document's field, one push at a
time, and the reader, subscribed to the updates, takes what the deltas bring. As in the SDK, edits that are made while a
push is under way are joined to one change of the next (the driver joins 256 at a time while the clock runs); "syncd,
unjoined" sends each as a change of its own. The Yjs servers get each update as a message, and those with a database
write to it behind what they have broadcast. The readers take the updates out of the frames and apply them when the
clock has stopped, but for that of Hocuspocus, which merges them.

pycrdt-websocket with SQLite takes so long that it gets 5,000 edits, in a case of its own, once.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.ceilings import pycrdt_alone, relay
from benchmarks.harness import ceiling, syncd_driver
from benchmarks.harness.documents import Typing, Typist, typed, write_updates
from benchmarks.harness.http_driver import connections
from benchmarks.harness.keystrokes import IN_FLIGHT, Flow, MergedReader, PlainReader
from benchmarks.harness.processes import Meter
from benchmarks.harness.sample import Sample
from benchmarks.harness.socket_driver import Socket, opened, until_quiet
from benchmarks.harness.standing import Standing, Starter
from benchmarks.harness.syncd_reader import Reader
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup
from benchmarks.peers import hocuspocus, pycrdt_websocket, y_websocket
from benchmarks.peers.yjs_protocol import HOCUSPOCUS, Y_WEBSOCKET, Dialect

__all__ = ["NOTES", "Trace"]

NOTES: Final = "benchmarks.apps.notes:app"

_EDITS: Final = 50_000
_FEW_EDITS: Final = 5_000
_QUICK_EDITS: Final = 1_000
_RELAY: Final = "opaque relay"
_APPLY: Final = "pycrdt alone"
_BOTH: Final = "relay + apply"
_UNJOINED: Final = "syncd, unjoined"
_LEVELDB: Final = "y-websocket (LevelDB)"
_STORED: Final = "pycrdt-websocket (SQLite)"
_CASE: Final = "keystroke by keystroke"
_SHORT_CASE: Final = "keystroke by keystroke, the first 5,000"


class Trace:
    """See the module."""

    name = "W5"
    title = "typing, from a writer to a reader"
    goals: Sequence[Goal] = (
        Goal(_CASE, _LEVELDB, 1.2, 2),
        Goal(_SHORT_CASE, _STORED, 5, 8),
        Goal(_CASE, _BOTH, 0.4),
    )

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """See `Workload`."""
        setup.note("typing the text")
        edits, few = (_FEW_EDITS, _QUICK_EDITS) if setup.quick else (_EDITS, _FEW_EDITS)
        whole, short = await asyncio.to_thread(typed, edits), await asyncio.to_thread(typed, few)
        file = setup.folder / "updates"
        write_updates(file, whole.updates)
        async with AsyncExitStack() as stack:
            standing = Standing(stack, _starters(setup.folder))
            names = (f"w5-{number}" for number in itertools.count())
            run = _Run(standing, names, whole)
            brief = _Run(standing, names, short)
            measures: dict[str, Measure] = {
                SYNCD: run.syncd,
                _UNJOINED: partial(run.syncd, joins=False),
                **{name: partial(run.yjs, name, dialect) for name, dialect in _DIALECTS.items() if name != _STORED},
                _RELAY: run.relay,
                _APPLY: partial(pycrdt_alone.apply, file, whole.text),
                _BOTH: partial(_one_after_the_other, run, file),
            }
            stored: dict[str, Measure] = {SYNCD: brief.syncd, _STORED: partial(brief.yjs, _STORED, Y_WEBSOCKET)}
            shown = {"rate": "edits/s", "cpu_us": "µs CPU"}
            yield [
                Case(_CASE, {name: measure for name, measure in measures.items() if setup.wants(name)}, shown),
                Case(_SHORT_CASE, {name: measure for name, measure in stored.items() if setup.wants(name)}, shown, 1),
            ]


_DIALECTS: Mapping[str, Dialect] = {
    "y-websocket": Y_WEBSOCKET,
    _LEVELDB: Y_WEBSOCKET,
    "hocuspocus": HOCUSPOCUS,
    "hocuspocus (SQLite)": HOCUSPOCUS,
    "pycrdt-websocket": Y_WEBSOCKET,
    _STORED: Y_WEBSOCKET,
}


def _starters(folder: Path) -> dict[str, Starter]:
    return {
        SYNCD: partial(serving, folder, app=NOTES),
        "y-websocket": partial(y_websocket.running, folder),
        _LEVELDB: partial(y_websocket.running, folder, persistent=True),
        "hocuspocus": partial(hocuspocus.running, folder),
        "hocuspocus (SQLite)": partial(hocuspocus.running, folder, persistent=True),
        "pycrdt-websocket": partial(pycrdt_websocket.running, folder),
        _STORED: partial(pycrdt_websocket.running, folder, persistent=True),
        _RELAY: partial(ceiling.running, "relay", folder),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """The text, typed into the next of `names`."""

    standing: Standing
    names: Iterator[str]
    typing: Typing

    async def yjs(self, contender: str, dialect: Dialect) -> Sample:
        """By the sync protocol of Yjs."""
        server = await self.standing.server(contender)
        name = next(self.names)
        entrance = dialect.entrance(server.port, name)
        messages = [dialect.update(name, update) for update in self.typing.updates]
        writer = Socket(entrance)
        flow = Flow(len(messages), lambda number: writer.send(messages[number]))
        merges = dialect.named
        reader = MergedReader(flow, self.typing, dialect) if merges else PlainReader(flow, dialect.updated)
        async with opened([Socket(entrance, reader.received), writer]):
            with Meter(server) as meter:
                flow.begin()
                await flow.finished()
            self._check(reader.text())
        # What is still being stored, also when the last socket has gone, would disturb whoever is measured next.
        await until_quiet(server)
        return meter.sample(len(messages))

    async def relay(self) -> Sample:
        """Through a server that only passes on."""
        server = await self.standing.server(_RELAY)
        entrance = relay.entrance(server.port, next(self.names))
        updates = self.typing.updates
        writer = Socket(entrance)
        flow = Flow(len(updates), lambda number: writer.send(updates[number]))
        reader = PlainReader(flow, bytes)
        async with opened([Socket(entrance, reader.received), writer]):
            with Meter(server) as meter:
                flow.begin()
                await flow.finished()
        self._check(reader.text())
        return meter.sample(len(updates))

    async def syncd(self, *, joins: bool = True) -> Sample:
        """By pushes and deltas; `joins`: what waits, into one change."""
        server = await self.standing.server(SYNCD)
        name = next(self.names)
        scope = f"notebook:{name}"
        before = f'"type":"note","id":"{name}","op":"update","base":0,"fields":{{"text":{{"update":"'
        updates = self.typing.updates
        flow = Flow(len(updates))
        typist = Typist(self.typing)
        reach = [0]
        entrance = syncd_driver.entrance(server.port, [scope], documents=True)
        async with connections(server.port, 2) as (pushes, fetches):
            writer = syncd_driver.ConnectedReplica(server.port, name, pushes)
            await writer.push([f'"type":"note","id":"{name}","op":"create","base":0,"fields":{{"notebook":"{name}"}}'])
            reader = Reader(flow, server.port, fetches, name, reach)
            async with opened([Socket(entrance, reader.received)]), reader.fetching():
                with Meter(server) as meter:
                    async with flow.bounded():
                        part = typist.joined(0, min(IN_FLIGHT, len(updates))) if joins else b""
                        while flow.sent < len(updates):
                            upto = min(flow.sent + IN_FLIGHT, len(updates))
                            await flow.room_for(upto - flow.sent)
                            told = [part] if joins else updates[flow.sent : upto]
                            reach += [upto] if joins else range(flow.sent + 1, upto + 1)
                            flow.sent = upto
                            changes = [f'{before}{base64.b64encode(one).decode()}"}}}}' for one in told]
                            push = asyncio.ensure_future(writer.push(changes))
                            await asyncio.sleep(0)
                            if joins:
                                # As the SDK does, which does it at each keystroke.
                                part = typist.joined(upto, min(upto + IN_FLIGHT, len(updates)))
                            await push
                        await flow.finished()
                self._check(reader.text())
        await until_quiet(server)
        return meter.sample(len(updates), fetched=reader.fetched, pushed=writer.pushed)

    def _check(self, text: str) -> None:
        if text != self.typing.text:
            raise RuntimeError("the text at the reader is not the one that was typed")


async def _one_after_the_other(run: _Run, file: Path) -> Sample:
    """What a server could do at best that passes each edit on and applies it: the times of both, added up."""
    passed = await run.relay()
    applied = await pycrdt_alone.apply(file, run.typing.text)
    return Sample(
        passed.units,
        passed.seconds + applied.seconds,
        passed.server_cpu_s + applied.server_cpu_s,
        passed.driver_cpu_s,
    )
