"""How long it takes until an edit of a document shows on another device: relayed with its delta, or fetched behind it.

    python benchmarks/shown_elsewhere.py [--edits 25] [--rounds 8]

One server process; here a device that edits and one that has the same document open, by turns one that asks for updates
with the deltas, one that does not and fetches them, and, as the raw ceiling, one that is told of an ordinary field. Two
times for each edit, one edit after the other: from its beginning until it shows, and, of that, from the moment at which
the other device has the delta. Over local HTTP: in a real network, a fetch takes a round trip more. Checks that both
devices show the same text, and who has fetched anything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from client_sdk import Client, Document  # noqa: E402
from client_sdk.messages import DocumentAnswer  # noqa: E402
from client_sdk.transport import LiveSocket, Transport  # noqa: E402
from conflict_rules import JsonValue  # noqa: E402
from tests.client_sdk.club_notes import Note, club_notes  # noqa: E402
from tests.support.server import running_server  # noqa: E402

SCOPE: Final = "club:a"
FIELD: Final = "ordinary field"
RELAYED: Final = "document, relayed"
FETCHED: Final = "document, fetched"


class Line:
    """What goes over the line of a device. `arrived`: when the newest message came. `fetches`: of documents."""

    def __init__(self) -> None:
        self.sockets: set[LiveSocket] = set()
        self.arrived = 0.0
        self.fetches = 0


@contextmanager
def tapped(*, relays: bool) -> Iterator[Line]:
    """A look at the line of the device that connects within, which asks for updates with deltas or does not."""
    line = Line()
    subscribe, receive, fetch = LiveSocket.subscribe, LiveSocket.receive, Transport.documents

    async def asking(socket: LiveSocket, cursors: Mapping[str, str | None]) -> None:
        line.sockets.add(socket)
        if not relays:
            socket.welcome = {**socket.welcome, "limits": {}}
        await subscribe(socket, cursors)

    async def receiving(socket: LiveSocket) -> Mapping[str, JsonValue]:
        message = await receive(socket)
        if socket in line.sockets:
            line.arrived = time.perf_counter()
        return message

    async def counting(transport: Transport, requests: Sequence[Mapping[str, JsonValue]]) -> list[DocumentAnswer]:
        line.fetches += 1
        return await fetch(transport, requests)

    LiveSocket.subscribe, LiveSocket.receive = asking, receiving  # type: ignore[method-assign, assignment]
    Transport.documents = counting  # type: ignore[method-assign, assignment]
    try:
        yield line
    finally:
        LiveSocket.subscribe, LiveSocket.receive = subscribe, receive  # type: ignore[method-assign]
        Transport.documents = fetch  # type: ignore[method-assign]


@asynccontextmanager
async def device(folder: Path, name: str, url: str) -> AsyncIterator[Client]:
    async with Client(url, replica=folder / f"{name}.db", app=club_notes, scopes=[SCOPE]) as client:
        await client.synced(30)
        while client.status.state != "live":  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(0.01)
        yield client


class Times:
    """In ms, of one kind of edit. `fetches`: how many there were."""

    def __init__(self) -> None:
        self.whole: list[float] = []
        self.behind_the_delta: list[float] = []
        self.fetches = 0

    async def take(
        self, edits: int, line: Line, shown: asyncio.Event, edit: Callable[[int], Awaitable[object]]
    ) -> None:
        """How long each edit takes until `shown` is set."""
        line.fetches = 0
        for number in range(edits):
            shown.clear()
            started = time.perf_counter()
            await edit(number)
            async with asyncio.timeout(30):
                await shown.wait()
            ended = time.perf_counter()
            self.whole.append((ended - started) * 1000)
            self.behind_the_delta.append((ended - line.arrived) * 1000)
        self.fetches += line.fetches

    async def of_a_document(self, edits: int, line: Line, mine: Document, other: Client) -> None:
        theirs = await other.document(Note, "n1", field="body")
        shown = asyncio.Event()

        def look(_: object) -> None:
            if str(theirs) == str(mine):
                shown.set()

        theirs.on_change(look)
        await self.take(edits, line, shown, lambda number: mine.edit(lambda text: text.append("abc "[number % 4])))
        assert str(theirs) == str(mine)
        await theirs.close()

    async def of_a_field(self, edits: int, line: Line, phone: Client, other: Client) -> None:
        shown = asyncio.Event()

        async def watch() -> None:
            async for _ in other.watch(SCOPE):
                shown.set()

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        notes = phone.collection(Note)
        try:
            await self.take(edits, line, shown, lambda number: notes.update("n1", title=f"title {number}"))
        finally:
            watching.cancel()
            await asyncio.wait([watching])


async def measure(edits: int, rounds: int) -> None:
    kinds = {FIELD: Times(), RELAYED: Times(), FETCHED: Times()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            running_server(folder / "server.db", app="tests.client_sdk.club_notes:club_notes") as server,
            device(folder, "phone", server.url) as phone,
        ):
            await phone.collection(Note).put(Note(id="n1", club="a"))
            mine = await phone.document(Note, "n1", field="body")
            await mine.edit(lambda text: text.append("-"))
            await phone.synced(30)
            for turn in range(rounds):
                for what, times in kinds.items():
                    with tapped(relays=what != FETCHED) as line:
                        async with device(folder, f"laptop-{turn}-{what}", server.url) as laptop:
                            if what == FIELD:
                                await times.of_a_field(edits, line, phone, laptop)
                            else:
                                await times.of_a_document(edits, line, mine, laptop)
    assert kinds[RELAYED].fetches == 0 < kinds[FETCHED].fetches
    sys.stdout.write("\n".join(table(kinds, edits, rounds)) + "\n")


def table(kinds: Mapping[str, Times], edits: int, rounds: int) -> list[str]:
    ceiling = statistics.median(kinds[FIELD].behind_the_delta)
    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        f"{rounds} rounds of {edits} edits each; medians in ms, which a busy machine doubles",
        "",
        "| an edit of | until it shows | of that, behind the delta | to an ordinary field's | fetches |",
        "| --- | --- | --- | --- | --- |",
    ]
    for what, times in kinds.items():
        whole, behind = statistics.median(times.whole), statistics.median(times.behind_the_delta)
        lines.append(f"| {what} | {whole:.1f} | {behind:.1f} | {behind / ceiling:.2f} | {times.fetches} |")
    relayed, fetched = (statistics.median(kinds[what].behind_the_delta) for what in (RELAYED, FETCHED))
    return [*lines, "", f"behind the delta, fetching takes {fetched / relayed:.2f} times as long as what is relayed"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    asyncio.run(measure(given.edits, given.rounds))
