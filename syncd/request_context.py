"""Which request the code at hand works for, so that its log lines and its problem document can say so.

Tasks that a request starts inherit its context and may outlive it: a worker that the first push of a day begins goes on
for all others. Hence a request that has ended is not named any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from structlog.typing import EventDict, WrappedLogger

__all__ = ["add_request", "current_request_id", "request_context"]


class _Request:
    __slots__ = ("ended", "id")

    def __init__(self, id: str) -> None:
        self.id = id
        self.ended = False


_CURRENT: Final[ContextVar[_Request | None]] = ContextVar("request", default=None)


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Work for this request, for the length of the block."""
    request = _Request(request_id)
    token = _CURRENT.set(request)
    try:
        yield
    finally:
        request.ended = True
        _CURRENT.reset(token)


def current_request_id() -> str | None:
    """The id of the request at hand, None outside of any."""
    request = _CURRENT.get()
    return None if request is None or request.ended else request.id


def add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor of structlog: `request_id` in the lines of a request."""
    request_id = current_request_id()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event
