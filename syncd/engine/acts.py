"""Acts: changes that the server makes by itself, for somebody who has no replica (law 11).

They go the way of every push: numbered, stamped, merged by the same rules, kept in the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from conflict_rules import Clock
from conflict_rules.values import JsonValue
from syncd.engine.principal import Principal

__all__ = ["Acts"]


class Acts:
    """Numbers what is acted under replicas of its own, `{name}-1` and so on.

    `push(replica, changes, principal, commanded)` settles wire-form changes and returns (highest settled number,
    outcomes). A push that fails may have been committed all the same; its numbers are left alone, and the next act has
    another replica.
    """

    def __init__(
        self,
        name: str,
        now_ms: Callable[[], int],
        push: Callable[
            [str, Sequence[object], Principal, bool], Awaitable[tuple[int | None, Sequence[dict[str, JsonValue]]]]
        ],
    ) -> None:
        self._name = name
        self._now_ms = now_ms
        self._push = push
        self._turn = asyncio.Lock()
        self._life = 0
        self._begin()

    def _begin(self) -> None:
        self._life += 1
        self._replica = f"{self._name}-{self._life}"
        self._clock = Clock(self._replica, self._now_ms)
        self._settled = 0

    async def act(
        self, drafts: Sequence[Mapping[str, JsonValue]], principal: Principal, *, commanded: bool = False
    ) -> list[dict[str, JsonValue]]:
        """Make changes of `drafts` (wire form, without `n` and `stamp`), and return an outcome for each.

        Raises what the push raises.
        """
        async with self._turn:
            changes = [
                {**draft, "n": self._settled + place, "stamp": str(self._clock.tick())}
                for place, draft in enumerate(drafts, 1)
            ]
            try:
                settled, outcomes = await self._push(self._replica, changes, principal, commanded)
            except BaseException:
                self._begin()
                raise
            if settled != self._settled + len(changes):
                self._begin()
            else:
                self._settled = settled
            return list(outcomes)
