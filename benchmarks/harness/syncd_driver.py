"""How the driver speaks to syncd: pushes with numbers that count up, and the entrance of a live socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from benchmarks.harness.http_driver import Connection, connections, request_bytes
from benchmarks.harness.socket_driver import ANSWER_S, Entrance
from benchmarks.harness.syncd_wire import settled

__all__ = ["ConnectedReplica", "entrance", "lanes"]


def entrance(port: int, scopes: Sequence[str], *, documents: bool = False) -> Entrance:
    """A live socket that watches `scopes` from the beginning, and gets deltas from then on as JSON."""
    subscribe: dict[str, object] = {"type": "subscribe", "scopes": dict.fromkeys(scopes)}
    if documents:
        subscribe["documents"] = True
    greeting = [json.dumps(message).encode() for message in ({"type": "hello"}, subscribe)]
    return Entrance(
        f"ws://127.0.0.1:{port}/sync/v1/live", greeting, lambda frame: b'"subscribed"' in frame[:40], binary=False
    )


class ConnectedReplica:
    """One replica on one connection, one push at a time, of ready-made changes: JSON that lacks the braces and the
    number, and has no stamp."""

    def __init__(self, port: int, name: str, connection: Connection) -> None:
        self._port = port
        self._connection = connection
        self._head = f'{{"replica":"{name}","schema":1,"changes":['
        self.pushed = 0

    async def push(self, changes: Sequence[str]) -> None:
        """Returns when they are durable. Raises `RuntimeError` if one is not answered `applied`."""
        numbered = ",".join(f'{{"n":{n},{change}}}' for n, change in enumerate(changes, self.pushed + 1))
        body = f"{self._head}{numbered}]}}".encode()
        request = request_bytes("POST", self._port, "/sync/v1/push", body)
        answer = await asyncio.wait_for(self._connection.ask(request), ANSWER_S)
        self.pushed += len(changes)
        settled(answer, len(changes))


@asynccontextmanager
async def lanes(port: int, name: str, count: int) -> AsyncIterator[Callable[[str], None]]:
    """A function that pushes a change without waiting for the answer: by the next of `count` connections that is free,
    each a replica of its own, one change a push. On leaving, all have been answered; raises what went wrong."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def lane(replica: ConnectedReplica) -> None:
        while True:
            change = await queue.get()
            await replica.push([change])
            queue.task_done()

    async with connections(port, count) as made:
        tasks = [
            asyncio.ensure_future(lane(ConnectedReplica(port, f"{name}-{number}", connection)))
            for number, connection in enumerate(made)
        ]
        try:
            yield queue.put_nowait
            answered = asyncio.ensure_future(queue.join())
            await asyncio.wait([answered, *tasks], timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            answered.cancel()
        finally:
            for task in tasks:
                if not task.done():
                    task.cancel()
            failures = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, Exception):
                raise failure
