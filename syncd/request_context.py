"""Which request the code at hand works for, so that its log lines and its problem document can say so.

Tasks that a request starts inherit its context and may outlive it: a worker that the first push of a day begins goes on
for all others. Hence a request that has ended is not named any more.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from structlog.typing import EventDict, WrappedLogger

__all__ = ["add_request", "current_request_id", "request_context"]


class request_context:  # noqa: N801  # it is used like a function
    """Work for the request of this id, for the length of the block.

    A class, since there is one for each open socket, and a generator with its frame takes several times as much.
    """

    __slots__ = ("_token", "ended", "id")

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.ended = False

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self)

    def __exit__(self, *_: object) -> None:
        self.ended = True
        _CURRENT.reset(self._token)


_CURRENT: Final[ContextVar[request_context | None]] = ContextVar("request", default=None)


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
