"""A way for threads that block into an event loop of its own thread, and descriptors that forward through it.

The facade in `client_sdk.blocking` is a table of these: what a method does, takes and returns is said once, in the
class that it stands for.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from client_sdk.errors import Closed, Unfit

__all__ = ["Calls", "Facade", "Portal", "Reads", "Waits"]

P = ParamSpec("P")
T = TypeVar("T")


class Portal:
    """One event loop in a thread of its own, from `open` to `close`. Any thread may call, several at a time."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        # What is set inside the block, such as the open group, is seen by each call of it.
        self._block: ContextVar[Context | None] = ContextVar("block", default=None)

    def open(self) -> None:
        """Start the thread; returns once its loop runs."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()

        async def live() -> None:
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            ready.set_result(None)
            await self._end.wait()

        # A daemon: a script that forgets to close ends all the same, and what was put is in the file.
        self._thread = threading.Thread(target=lambda: asyncio.run(live()), name="client-sdk", daemon=True)
        self._thread.start()
        ready.result()

    def close(self) -> None:
        """End the loop and its thread; may be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            thread.join()

    @property
    def opened(self) -> bool:
        """Whether there is a loop to call into."""
        return self._thread is not None

    def wait(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end, and return what it returns or raise what it raises."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            raise Closed
        if threading.get_ident() == thread.ident:
            raise Unfit(
                "a callback runs in the thread that syncs and cannot wait here; hand the work to another thread"
            )
        context = self._block.get() or copy_context()

        async def inside() -> T:
            return await loop.create_task(make(), context=context)

        future = asyncio.run_coroutine_threadsafe(inside(), loop)
        try:
            return future.result()
        except BaseException:
            # Such as Ctrl-C while it waits; over already, it stays as it is.
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the loop's thread, between the steps of whatever else goes on there."""
        if self._thread is None or threading.get_ident() == self._thread.ident:
            return function()

        async def once() -> T:
            return function()

        return self.wait(once)

    @contextmanager
    def within(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """An asynchronous block as one of this thread."""
        context = copy_context()
        reset = self._block.set(context)
        try:
            entered = self.wait(block.__aenter__)
            try:
                yield entered
            except BaseException as failure:
                caught = failure
                if not self.wait(lambda: _exit(block, caught)):
                    raise
            else:
                self.wait(lambda: _exit(block, None))
        finally:
            self._block.reset(reset)


async def _exit(block: AbstractAsyncContextManager[Any], failure: BaseException | None) -> bool:
    if failure is None:
        return bool(await block.__aexit__(None, None, None))
    return bool(await block.__aexit__(type(failure), failure, failure.__traceback__))


class Facade:
    """Stands for `_inner`, whose methods run in the loop of `_portal`."""

    def __init__(self, portal: Portal, inner: Any) -> None:
        self._portal = portal
        self._inner = inner


class _Forwarded:
    def __init__(self, member: Any) -> None:
        function: Any = member.fget if isinstance(member, property) else member
        self._name: str = function.__name__
        self.__doc__ = function.__doc__


class Waits(_Forwarded, Generic[P, T]):
    """The coroutine method of the same name, as one that blocks until it has returned."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, T]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | Callable[P, T]:
        if facade is None:
            return self
        method: Callable[P, Coroutine[Any, Any, T]] = getattr(facade._inner, self._name)

        @functools.wraps(method)
        def forward(*args: P.args, **kwargs: P.kwargs) -> T:
            return facade._portal.wait(lambda: method(*args, **kwargs))

        return forward


class Calls(_Forwarded, Generic[P, T]):
    """The plain method of the same name, called in the loop's thread."""

    def __init__(self, method: Callable[Concatenate[Any, P], T]) -> None:
        super().__init__(method)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, T]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | Callable[P, T]:
        if facade is None:
            return self
        method: Callable[P, T] = getattr(facade._inner, self._name)

        @functools.wraps(method)
        def forward(*args: P.args, **kwargs: P.kwargs) -> T:
            return facade._portal.call(lambda: method(*args, **kwargs))

        return forward


class Reads(_Forwarded, Generic[T]):
    """The property of the same name, read in the loop's thread."""

    def __init__(self, prop: Callable[[Any], T]) -> None:
        super().__init__(prop)

    @overload
    def __get__(self, facade: None, owner: type) -> Self: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> T: ...
    def __get__(self, facade: Facade | None, owner: type) -> Self | T:
        if facade is None:
            return self
        value: T = facade._portal.call(lambda: getattr(facade._inner, self._name))
        return value
