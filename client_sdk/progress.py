"""Progress of long syncs: how much of the queue is settled, how much of a scope has come.

with progress_bar(client):
    await client.synced()
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from client_sdk.errors import Unfit

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Phase", "Progress", "ProgressCallbacks", "Reports", "progress_bar"]

log = logging.getLogger(__name__)


class Phase(StrEnum):
    """What is going on."""

    PUSH = "push"
    """The queue is sent and settled."""
    PULL = "pull"
    """A scope is brought, page by page."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `scope`: which one is pulled, None for a push. `done`: changes settled or resources brought, and
    `bytes` of these, since this push or pull began. `total`: what `done` will be at the end, as far as is known: of a
    pull only at its end, where it equals `done`.
    """

    phase: Phase
    scope: str | None
    done: int
    total: int | None
    bytes: int

    @property
    def complete(self) -> bool:
        """Whether this is its last report."""
        return self.done == self.total


ProgressCallback = Callable[[Progress], object]


class ProgressCallbacks:
    """Whoever wants to know. A callback that fails is logged and holds up nothing."""

    def __init__(self) -> None:
        self._callbacks: dict[object, ProgressCallback] = {}

    def add(self, callback: ProgressCallback) -> Callable[[], None]:
        """Call it from now on; returns what ends that."""
        key = object()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def tell(self, progress: Progress) -> None:
        """It got this far."""
        for callback in list(self._callbacks.values()):
            try:
                callback(progress)
            except Exception:
                log.exception("a progress callback failed")


@dataclass(slots=True)
class _Count:
    done: int = 0
    bytes: int = 0


class Reports:
    """Counts what comes and goes, and tells it."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._pushed = _Count()
        self._pulled: dict[str, _Count] = {}

    def pushed(self, settled: int, size: int, waiting: int) -> None:
        """`settled` changes more, of `size` bytes, have an outcome; `waiting` have none."""
        count = self._pushed
        count.done += settled
        count.bytes += size
        progress = Progress(Phase.PUSH, None, count.done, count.done + waiting, count.bytes)
        if not waiting:
            self._pushed = _Count()
        self._tell(progress)

    def pulled(self, scope: str, resources: int, size: int, *, more: bool) -> None:
        """`resources` more, of `size` bytes, have come; nothing is told of a scope that had nothing new."""
        if not more and not resources and scope not in self._pulled:
            return
        count = self._pulled.setdefault(scope, _Count())
        count.done += resources
        count.bytes += size
        if not more:
            del self._pulled[scope]
        self._tell(Progress(Phase.PULL, scope, count.done, None if more else count.done, count.bytes))


class TellsProgress(Protocol):
    """A client, asynchronous or blocking."""

    def on_progress(self, callback: ProgressCallback, /) -> Callable[[], None]:
        """Call it with each report; returns what ends that."""


@contextmanager
def progress_bar(client: TellsProgress, console: Console | None = None) -> Iterator[None]:
    """Show bars in the terminal while the block runs: one for the queue, one for each scope that is brought.

    Raises `Unfit`, with a sentence, if `rich` is not installed.
    """
    try:
        from rich import progress as bars
    except ImportError as missing:
        raise Unfit("a progress bar needs the package rich: pip install rich") from missing
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[size]}"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=console) as shown:
        tasks: dict[tuple[Phase, str | None], bars.TaskID] = {}

        def show(progress: Progress) -> None:
            key = (progress.phase, progress.scope)
            if key not in tasks:
                what = "sending" if progress.phase is Phase.PUSH else f"bringing {progress.scope}"
                tasks[key] = shown.add_task(what, total=None, size="")
            size = f"{progress.bytes / 1024:,.0f} KiB"
            shown.update(tasks[key], completed=progress.done, total=progress.total, size=size)

        forget = client.on_progress(show)
        try:
            yield
        finally:
            forget()
