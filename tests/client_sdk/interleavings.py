"""One phone and one engine, with every message between them in the test's hand: what is sent, taken, answered, lost.

The phone is the SDK without its timers: a replica on a file, `Push`, `Pull` and `Feed`. The engine is the real one. In
between stands a `Wire` instead of HTTP, whose exchanges stop twice: before the server takes the request, and before
the phone gets the answer. Whatever order the network may bring about can so be played step by step.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client_sdk.comparison import Comparison
from client_sdk.edits import Edits
from client_sdk.errors import Busy, TransportError, Unreachable
from client_sdk.feed import Feed
from client_sdk.intake import Intake
from client_sdk.messages import Limits, PullReply, PushReply, decode_delta, decode_pull_reply, decode_push_reply
from client_sdk.numbering import Numbering
from client_sdk.progress import Reports
from client_sdk.pull import Pull
from client_sdk.pulse import Pulse
from client_sdk.push import Push
from client_sdk.replica import Replica
from client_sdk.settlement import Settlement
from client_sdk.shown_changes import ShownChanges
from conflict_rules import Change, Clock, JsonValue, Kind, Outcome, Rule, State
from conflict_rules.wire import decode_state
from syncd.app import App, ResourceType, Veto, open_app
from syncd.engine.connection import Connection
from tests.support.engine import Engine

__all__ = ["Other", "Phone", "Wire", "app_with"]

TYPE = "thing"


class _Ruled(App):
    """Any scope, one type, one rule; refuses the changes that `refuses` picks."""

    open = True

    def __init__(self, rule: Rule, refuses: Callable[[Change], bool]) -> None:
        super().__init__("ruled")
        found = open_app().type(TYPE)
        assert found is not None
        found.rule = rule
        self._type, self._refuses = found, refuses

    def type(self, name: str) -> ResourceType | None:
        return self._type if name == TYPE else super().type(name)

    def hooks(self, type_name: str) -> Sequence[Any]:
        async def refuse(tx: object, change: Change) -> None:
            if self._refuses(change):
                raise Veto("not this one")

        return [refuse] if type_name == TYPE else []


def app_with(rule: Rule, refuses: Callable[[Change], bool] = lambda change: False) -> App:
    """An app whose one type has this rule."""
    return _Ruled(rule, refuses)


@dataclass
class Exchange:
    """A request under way: taken by the server once `answer` is there, over once `ended` is set."""

    ask: Callable[[int | None], Awaitable[Any]]
    ended: asyncio.Future[Any]
    answer: Any = None


class Wire:
    """Stands where `Transport` does. `exchanges`: under way, by what they are, "push" or "pull"; `pulse` beats when one
    begins. `ghosts`: pushes that are over. `fates`: what the server has made of each change, whether the phone knows or
    not.
    """

    def __init__(self, engine: Engine, max_changes: int) -> None:
        self.limits = Limits(max_changes=max_changes)
        self.exchanges: dict[str, Exchange] = {}
        self.ghosts: list[Exchange] = []
        self.fates: dict[tuple[str, int], Outcome] = {}
        self.pulse = Pulse()
        self._engine = engine

    async def push(self, replica: str, schema: int, bodies: Sequence[str]) -> tuple[PushReply, int]:
        changes = [json.loads(body) for body in bodies]

        async def ask(limit: int | None) -> PushReply:
            reply = await self._engine.pusher.push(replica, schema, changes)
            raw = {
                "replica": replica,
                "settled": reply.settled,
                "server_time_ms": self._engine.clock(),
                "outcomes": json.loads(json.dumps(list(reply.outcomes))),
            }
            decoded = decode_push_reply(raw, replica)
            self.fates |= {(replica, answer.n): answer.outcome for answer in decoded.answers}
            return decoded

        return await self._exchange("push", ask), 0

    async def pull(
        self, replica: str, cursors: Mapping[str, str | None], limit_bytes: int | None, *, digest: bool = False
    ) -> tuple[PullReply, int]:
        async def ask(limit: int | None) -> PullReply:
            pages = await self._engine.puller.pull(replica, cursors, limit, digest=digest)
            scopes = {
                scope: {
                    "resources": [json.loads(body) for body in page.bodies],
                    "cursor": page.cursor,
                    "settled": page.settled,
                    "more": page.more,
                    "reset": page.reset,
                    "digest": page.digest,
                }
                for scope, page in pages.items()
            }
            return decode_pull_reply({"server_time_ms": self._engine.clock(), "scopes": scopes})

        return await self._exchange("pull", ask), 0

    async def take(self, what: str, limit: int | None = None) -> None:
        """The server takes the request; its answer is on the way."""
        exchange = self.exchanges[what]
        exchange.answer = await exchange.ask(limit)
        # The news of it go out before anything else happens.
        for _ in range(3):
            await asyncio.sleep(0)

    async def haunt(self, number: int) -> None:
        """The server takes a request once more that was sent long ago."""
        await self.ghosts[number % len(self.ghosts)].ask(None)

    def came_to_nothing(self, number: tuple[str, int]) -> bool:
        """Whether the server has refused this change, or done without it for the sake of another one of its group."""
        fate = self.fates.get(number)
        return fate is not None and (fate.kind is Kind.REJECTED or (fate.code or "").startswith("group_"))

    async def _exchange(self, what: str, ask: Callable[[int | None], Awaitable[Any]]) -> Any:
        exchange = Exchange(ask, asyncio.get_running_loop().create_future())
        self.exchanges[what] = exchange
        self.pulse.beat()
        try:
            return await exchange.ended
        finally:
            del self.exchanges[what]
            if what == "push":
                self.ghosts.append(exchange)


class Phone:
    """The SDK on a file, from start to start. `on_told`: takes what an observer of its collection is told."""

    def __init__(
        self,
        engine: Engine,
        app: App,
        path: Path,
        scope: str,
        *,
        ahead_ms: int = 0,
        max_changes: int = 2,
        on_told: Callable[[tuple[str, State | None]], None] = lambda told: None,
    ) -> None:
        self.engine, self.app, self.path, self.scope = engine, app, path, scope
        self.wire = Wire(engine, max_changes)
        self.outcomes: dict[int, Outcome] = {}
        self._ahead_ms = ahead_ms
        self._on_told = on_told
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.connection: Connection | None = None
        self.frames: deque[Mapping[str, Any]] = deque()

    async def start(self) -> None:
        """Open the file, and want what is new."""
        self.replica = replica = await Replica.open(
            self.path, self.app, lambda: self.engine.clock() + self._ahead_ms, lambda: None
        )
        await replica.follow([self.scope])
        replica.observers.add(TYPE, lambda pair: self._told(*pair))
        shown = ShownChanges(replica, tuple, lambda scope, states: None)
        numbering = Numbering(replica)
        self.intake = Intake(replica, numbering, shown)
        settlement = Settlement(replica, numbering, shown, self.outcomes.__setitem__)
        self.edits = Edits(replica)
        self.comparison = Comparison(replica, self.intake, 1e9)
        reports = Reports(lambda progress: None)
        wire: Any = self.wire
        self.feed = Feed(replica, self.intake, lambda scopes: self.pull.want(scopes))
        self.pull = Pull(replica, self.intake, wire, self.feed, self.comparison, reports, lambda: None)
        self.push = Push(
            replica,
            self.intake,
            settlement,
            wire,
            self.feed,
            self.pull.want,
            lambda: self.connection is not None,
            reports,
        )
        self.pull.want([self.scope])

    async def stop(self) -> None:
        """End at once, whatever is under way."""
        self.break_live()
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
        await self.replica.close()

    def _told(self, before: State | None, after: State | None) -> None:
        shown = after or before
        assert shown is not None
        self._on_told((shown.id, None if after is None or after.deleted is not None else after))

    # The exchanges

    async def begin(self, what: str) -> None:
        """Send what is due; stops before the server takes it."""
        if what == "pull" and not self.pull.due():
            self.pull.check([self.scope])
        task = self._once(what)
        await self.wire.pulse.until(lambda: what in self.wire.exchanges or task.done())
        if task.done():
            await self._over(what)

    def _once(self, what: str) -> asyncio.Task[None]:
        once = self.push.once if what == "push" else self.pull.once
        task = self.tasks[what] = asyncio.create_task(once())
        task.add_done_callback(lambda _: self.wire.pulse.beat())
        return task

    async def end(self, what: str, *, lost: bool = False) -> None:
        """The answer arrives, or never does."""
        exchange = self.wire.exchanges[what]
        if lost:
            exchange.ended.set_exception(Unreachable("lost"))
        else:
            exchange.ended.set_result(exchange.answer)
        await self._over(what)

    async def _over(self, what: str) -> None:
        with suppress(TransportError, Busy):
            await self.tasks.pop(what)
        if what in self.wire.exchanges:
            # It was sent ahead, while the answer was taken in; its own is waited for at once.
            self._once(what)

    # The live connection

    async def connect_live(self) -> None:
        """Connect and subscribe; the answer waits among the frames."""
        self.connection = self.engine.watcher.connect()
        asked = self.replica.scopes[self.scope].cursor
        standings = await self.engine.watcher.subscribe(self.connection, {self.scope: asked})
        self.frames.append({"type": "subscribed", "asked": asked, "cursor": standings[self.scope].cursor})

    def break_live(self) -> None:
        """The connection is gone, with what waits in it."""
        if self.connection is not None:
            self.engine.watcher.disconnect(self.connection)
            self.connection = None
            self.frames.clear()
            self.feed.forget()

    async def next_frame(self) -> bool:
        """Take the next frame; False if there is none."""
        connection = self.connection
        if connection is None:
            return False
        if not self.frames:
            with suppress(TimeoutError):
                async with asyncio.timeout(0):
                    taken = await connection.take()
                    if taken is not None:
                        self.frames.append(json.loads(taken.body))
        if not self.frames:
            return False
        frame = self.frames.popleft()
        match frame["type"]:
            case "subscribed":
                cursor = frame["cursor"]
                if cursor is None or not await self.intake.adopt_cursor(self.scope, frame["asked"], cursor):
                    self.pull.want([self.scope])
                else:
                    self.pull.check([self.scope])
            case "delta":
                await self.feed.offer(decode_delta(frame))
            case "pull":
                self.pull.want([self.scope])
        return True

    # What is seen

    async def shown(self) -> dict[str, State]:
        """The living resources as they are shown, by id."""
        return {state.id: state for state in await self.replica.states(TYPE, self.scope)}

    async def catch_up(self) -> None:
        """Let everything arrive."""
        for what in ("push", "pull"):
            if what in self.wire.exchanges:
                await self.end(what, lost=True)
        for _ in range(200):
            if not self.push.due():
                break
            await self._whole("push")
        assert not self.push.due(), "the queue does not drain"
        self.pull.check([self.scope])
        for _ in range(200):
            if not self.pull.due():
                break
            await self._whole("pull")
        assert not self.pull.due(), "the scope is never brought to its end"

    async def _whole(self, what: str) -> None:
        if what not in self.tasks:
            await self.begin(what)
        if what in self.wire.exchanges:
            await self.wire.take(what)
            await self.end(what)


@dataclass
class Other:
    """Another replica: sees what it looks at, and sends what it makes now or later."""

    engine: Engine
    id: str
    scope: str
    rule: Rule
    ahead_ms: int = 0
    seen: dict[str, State] = field(default_factory=dict)
    queue: list[dict[str, Any]] = field(default_factory=list)
    n: int = 0

    def __post_init__(self) -> None:
        self.clock = Clock(self.id, lambda: self.engine.clock() + self.ahead_ms)

    async def look(self) -> None:
        """See how things stand."""
        self.seen = {name: decode_state(raw, self.scope) for name, raw in (await self._states()).items()}
        for state in self.seen.values():
            for mark in state.marks.values():
                self.clock.receive(mark.stamp)

    async def _states(self) -> dict[str, dict[str, Any]]:
        return await self.engine.states(self.scope)

    def make(self, id: str, fields: dict[str, JsonValue], op: str) -> None:
        """A change of what it saw last."""
        self.n += 1
        state = self.seen.get(id)
        if op == "update" and self.rule.whole_record and state is not None:
            fields = {**state.fields, **fields}
        change: dict[str, Any] = {
            "n": self.n,
            "scope": self.scope,
            "type": TYPE,
            "id": id,
            "op": op,
            "base": 0 if state is None else state.version,
            "stamp": str(self.clock.tick()),
        }
        if fields:
            change["fields"] = fields
        self.queue.append(change)

    async def send(self) -> None:
        """What it made arrives."""
        changes, self.queue = self.queue, []
        await self.engine.pusher.push(self.id, 1, changes)
        for _ in range(3):
            await asyncio.sleep(0)
