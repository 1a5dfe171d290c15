"""Whom W1 measures: how each is started, and what its clients send."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from benchmarks.harness import ceiling
from benchmarks.harness.http_driver import Answer, connections, request_bytes
from benchmarks.harness.processes import Server
from benchmarks.harness.pushes import Changes, Matches, NewNotes, Notes, Replica
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.syncd_wire import settled
from benchmarks.harness.workload import SYNCD, Unavailable
from benchmarks.peers import kinto, pouchdb, rxdb

__all__ = ["CONTENDERS", "FOOTBALL", "MOST_CLIENTS", "Client", "Contender", "FreshServer", "Kept"]

MOST_CLIENTS: Final = 16
_FOOTBALL_APP: Final = "syncd.apps.grassroots:app"


Kept = tuple[bytes, Callable[[bytes], bool]]
"""A request that reads the last record back, and whether it is in the body of the answer."""


class Client(Protocol):
    """One of those that push at the same time."""

    def push(self, batch: int) -> bytes:
        """A whole request with the next `batch` records."""
        ...

    def check(self, answer: Answer, batch: int) -> None:
        """Raise `RuntimeError` unless all of them were taken."""
        ...

    def kept(self) -> Kept | None:
        """How to see that the last record is there; None if the server cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """`start`: its server, in a folder of its own. `client`: one with a number, from 0, and a name that no other has.

    `prepare`: what must be there first. `most_in_batch`: larger ones are not measured. `most_in_flight`: records that
    are under way at once; with a large batch, that takes fewer clients. `keeps`: the same server for all cases.
    """

    start: Callable[[Path], AbstractAsyncContextManager[Server]]
    client: Callable[[Server, int, str], Client]
    prepare: Callable[[Server], Awaitable[None]] | None = None
    most_in_batch: int = 500
    most_in_flight: int = MOST_CLIENTS * 500
    keeps: bool = False


class FreshServer:
    """The server of one contender: started when it is first asked for, and afresh for each case, on an empty file."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender = contender
        self._folder = folder
        self._case: str | None = None
        self._server: Server | None = None
        self._stack = AsyncExitStack()
        self._why: Unavailable | None = None

    async def server(self, case: str) -> Server:
        """It, for `case`. Raises `Unavailable`, and then each time."""
        if self._why is not None:
            raise self._why
        if self._server is not None and (case == self._case or self.contender.keeps):
            return self._server
        await self.stop()
        try:
            self._server = await self._stack.enter_async_context(self.contender.start(self._folder))
        except Unavailable as why:
            self._why = why
            raise
        self._case = case
        if self.contender.prepare is not None:
            await self.contender.prepare(self._server)
        return self._server

    async def stop(self) -> None:
        """End it, and remove what it has stored."""
        self._server = None
        await self._stack.aclose()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Syncd:
    def __init__(self, port: int, name: str, changes: Changes) -> None:
        self._port = port
        self._replica = Replica(name, port, changes)
        self.push = self._replica.push

    def check(self, answer: Answer, batch: int) -> None:
        settled(answer, batch)

    def kept(self) -> Kept:
        change = self._replica.last()
        path = f"/sync/v1/history?type={change['type']}&id={change['id']}"
        # By value: syncd keeps objects with their keys in an order of its own.
        return request_bytes("GET", self._port, path), lambda body: change["fields"] in _fields(body)


def _fields(history: bytes) -> list[object]:
    """What each change of a resource has set."""
    return [change.get("fields") for change in json.loads(history)["changes"]]


class _Prototype:
    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self._replica = Replica(name, port, Notes(name), "/push")
        self.push = self._replica.push

    def check(self, answer: Answer, batch: int) -> None:
        if answer.status != 200 or json.loads(answer.body)["count"] != batch:
            raise RuntimeError(f"a push of {batch} was answered {answer.status}: {answer.body[:400]!r}")

    def kept(self) -> Kept:
        change = self._replica.last()
        request = request_bytes("GET", self._port, f"/record?id={change['id']}")
        return request, lambda body: bool(json.loads(body) == change["fields"])


class _Null:
    """Sends what syncd is sent."""

    def __init__(self, port: int, name: str) -> None:
        self._replica = Replica(name, port, Notes(name), "/push")
        self._sent = 0

    def push(self, batch: int) -> bytes:
        request = self._replica.push(batch)
        self._sent = len(request) - request.index(b"\r\n\r\n") - 4
        return request

    def check(self, answer: Answer, batch: int) -> None:
        if answer.status != 200 or json.loads(answer.body)["bytes"] != self._sent:
            raise RuntimeError(f"a push of {batch} was answered {answer.status}: {answer.body[:400]!r}")

    def kept(self) -> None:
        return None


class _Kinto:
    def __init__(self, server: Server, number: int, name: str) -> None:
        self._port = server.port
        self._collection = f"client-{number}"
        self._notes = NewNotes(name)

    def push(self, batch: int) -> bytes:
        return kinto.push(self._port, self._notes.take(batch), self._collection)

    def check(self, answer: Answer, batch: int) -> None:
        kinto.check_push(answer, batch)

    def kept(self) -> Kept:
        key, text = self._notes.last()
        return kinto.read(self._port, self._collection, key), lambda body: text.encode() in body


class _PouchDB:
    def __init__(self, server: Server, name: str) -> None:
        self._port = server.port
        self._notes = NewNotes(name)

    def push(self, batch: int) -> bytes:
        return pouchdb.push(self._port, self._notes.take(batch))

    def check(self, answer: Answer, batch: int) -> None:
        pouchdb.check_push(answer, batch)

    def kept(self) -> Kept:
        key, text = self._notes.last()
        return pouchdb.read(self._port, key), lambda body: text.encode() in body


class _RxDB:
    def __init__(self, server: Server, name: str) -> None:
        self._port = server.port
        self._notes = NewNotes(name)

    def push(self, batch: int) -> bytes:
        return rxdb.push(self._port, self._notes.take(batch))

    def check(self, answer: Answer, batch: int) -> None:
        rxdb.check_push(answer, batch)

    def kept(self) -> None:
        return None  # It has no request for one document; W3 counts what it holds.


async def _make_collections(server: Server) -> None:
    async with connections(server.port) as (connection,):
        await kinto.make_collections(connection, server.port, [f"client-{number}" for number in range(MOST_CLIENTS)])


async def _make_database(server: Server) -> None:
    async with connections(server.port) as (connection,):
        await pouchdb.make_database(connection, server.port)


def _prototype(folder: Path) -> AbstractAsyncContextManager[Server]:
    return ceiling.running("prototype", folder, database=folder / "prototype.db")


CONTENDERS: Final[Mapping[str, Contender]] = {
    SYNCD: Contender(serving, lambda server, _, name: _Syncd(server.port, name, Notes(name))),
    # Its cost of a record is the same in every batch, and does not fall with more clients; 500 records take it 4 s.
    "kinto": Contender(kinto.running, _Kinto, _make_collections, most_in_flight=800, keeps=True),
    "pouchdb": Contender(pouchdb.running, lambda server, _, name: _PouchDB(server, name), _make_database),
    "rxdb": Contender(rxdb.running, lambda server, _, name: _RxDB(server, name), most_in_batch=rxdb.MOST_IN_PUSH),
    "prototype": Contender(_prototype, lambda server, _, name: _Prototype(server.port, name)),
    "null handler": Contender(
        partial(ceiling.running, "null_handler"),
        lambda server, _, name: _Null(server.port, name),
    ),
}

FOOTBALL: Final = Contender(
    partial(serving, app=_FOOTBALL_APP), lambda server, _, name: _Syncd(server.port, name, Matches(name))
)
