"""A scorer's phone: one process with one replica, driven by taps on its standard input.

`python -m syncd.demo.phone --url URL --replica FILE --scope NAME …` reads one JSON object per line, does what it says
with the SDK as any app would, and answers with one JSON object per line. A tap is answered when it is safely in the
phone's own file. The process can be killed at any moment; started again on the same file, it goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from client_sdk import Client
from syncd.app import App, Resource, load_app
from syncd.apps.grassroots import ONE, TWO
from syncd.demo.script import same_goal

__all__ = ["Phone", "main"]

Request = dict[str, Any]
Answer = dict[str, Any]

_LOOK_AGAIN_S = 0.02


class Phone:
    """What the phone does on each request. `scope`: of the match on its screen. `clock`: its own, maybe wrong."""

    def __init__(self, client: Client, app: App, scope: str, clock: PhoneClock) -> None:
        self._client = client
        self._app = app
        self._scope = scope
        self._clock = clock
        self._does: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "tap": self._tap,
            "was_tapped": self._was_tapped,
            "see": self._see,
            "set_clock": self._set_clock,
            "notice_signal": self._notice_signal,
            "catch_up": self._catch_up,
            "show_all": self._show_all,
            "answer": self._answer,
            "glance": self._glance,
        }

    async def answer(self, request: Request) -> Answer:
        """Do what is asked; returns when it is done."""
        answer = await self._does[request["do"]](request)
        return {**answer, **await self.screen()}

    async def screen(self) -> Answer:
        """What can be read on the screen: the match as `score`, and how many changes wait and questions are open."""
        return {
            "score": await self._client.view("score", self._scope),
            "pending": self._client.status.pending,
            "questions": len(await self._client.conflicts.all(self._scope)),
        }

    async def _glance(self, request: Request) -> Answer:
        """Only a look at the screen, which comes with every answer."""
        return {}

    async def _tap(self, request: Request) -> Answer:
        """A change, committed to the phone's own file: `op`, `type`, `id`, `fields`."""
        model = self._model(request["type"])
        collection = self._client.collection(model)
        if request["op"] == "create":
            await collection.put(model.from_fields(request["id"], request["fields"]))
        elif request["op"] == "update":
            await collection.update(request["id"], **request["fields"])
        else:
            await collection.delete(request["id"])
        return {}

    async def _was_tapped(self, request: Request) -> Answer:
        """Whether a tap that was never answered is in the phone's file: by its id, and by what it says."""
        return {"done": await self._shows(request)}

    async def _see(self, request: Request) -> Answer:
        """Wait until the screen shows what the change said."""
        while not await self._shows(request):  # noqa: ASYNC110  # it is the view that is asked, not an event
            await asyncio.sleep(_LOOK_AGAIN_S)
        return {}

    async def _set_clock(self, request: Request) -> Answer:
        self._clock.ahead_ms = request["ahead_ms"]
        return {}

    async def _notice_signal(self, request: Request) -> Answer:
        """What the phone's system tells an app when a network is there."""
        self._client.nudge()
        return {}

    async def _catch_up(self, request: Request) -> Answer:
        """Wait until everything is sent, and everything that others sent is here."""
        await self._client.synced()
        return {}

    async def _show_all(self, request: Request) -> Answer:
        """Everything on this phone that belongs to the scope: `resources`; and the `events` as they count."""
        shown = [
            {"type": name, "id": resource.id, "fields": resource.to_fields()}
            for name in self._app.types
            for resource in await self._client.collection(self._model(name)).all(request["scope"])
        ]
        shown += [
            {"type": "conflict", "id": conflict.id, "fields": conflict.to_fields()}
            for conflict in await self._client.conflicts.all(request["scope"], open=None)
        ]
        return {"resources": shown, "events": await self._client.view("match_events", request["scope"])}

    async def _answer(self, request: Request) -> Answer:
        """Answer what is asked, by `goals`: which event is which goal. `answered`: the questions with the answers."""
        answered: list[tuple[str, str]] = []
        for question in await self._client.conflicts.all(self._scope):
            same = same_goal(request["goals"], question.about["id"], [other["id"] for other in question.others])
            choice = ONE if same else TWO
            await self._client.conflicts.settle(question, choice=choice)
            answered.append((question.message or "", choice))
        return {"answered": answered}

    async def _shows(self, request: Request) -> bool:
        resource = await self._client.collection(self._model(request["type"])).get(request["id"])
        if request["op"] == "delete" or resource is None:
            return request["op"] == "delete" and resource is None
        fields = resource.to_fields()
        return all(fields.get(name) == value for name, value in request["fields"].items())

    def _model(self, name: str) -> type[Resource]:
        model = self._app.types[name].model
        assert model is not None, f"{name} is a type that the app declares"
        return model


class PhoneClock:
    """The phone's wall clock: right, but for `ahead_ms`."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970, as this phone believes."""
        return time.time_ns() // 1_000_000 + self.ahead_ms


async def main() -> None:
    """Answer requests until standard input ends: then nobody holds this phone any more."""
    parser = argparse.ArgumentParser(description="a scorer's phone in 'syncd demo'")
    parser.add_argument("--app", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--replica", required=True, type=Path)
    parser.add_argument("--scope", action="append", required=True)
    parser.add_argument("--clock-ahead-ms", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    app = load_app(options.app)
    clock = PhoneClock(options.clock_ahead_ms)
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Client(
        options.url, replica=options.replica, app=app, scopes=tuple(options.scope), now_ms=clock.now_ms
    ) as client:
        phone = Phone(client, app, options.scope[0], clock)
        say({"ready": True, "replica": client.replica_id, **await phone.screen()})
        async for line in reader:
            say(await phone.answer(json.loads(line)))


def say(answer: Answer) -> None:
    """One line to whoever holds the phone."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
