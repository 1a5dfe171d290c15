"""Logging for the whole process: structlog over the standard library's loggers, one line per event, to standard error.

Levels mean an action: error, a developer should look; warning, an operator may want to; info, a state changed; debug,
the rest. Tokens and the contents of changes are never logged. What strangers sent may be in a line, and never makes
another one, nor colours, nor text that runs backwards: JSON escapes all of that, and so do we for the console.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from syncd.request_context import add_request

__all__ = ["configure_logging"]

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    add_request,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# Controls, line ends beyond ASCII, marks of direction, and halves of surrogate pairs.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# aiosqlite's debug lines hold every statement with its values; two others tell at info what they are made of.
_QUIETER = {"aiosqlite": logging.INFO, "alembic": logging.WARNING, "apscheduler": logging.WARNING}


def configure_logging(level: str = "info", *, json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send everything at `level` and above to `stream` (standard error).

    `json`: one object per line; None decides by whether somebody looks on: colours on a terminal, JSON elsewhere.
    """
    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    renderer: tuple[Processor, ...] = (
        (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
        if as_json
        # Without local variables: they hold what is never logged.
        else (
            _one_line,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback),
        )
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, lowest in _QUIETER.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.captureWarnings(True)


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what would end the line, or change how a terminal shows it; a traceback keeps its lines."""
    return {str(_escaped(name)): value if name == "exc_info" else _escaped(value) for name, value in event.items()}


def _escaped(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", value if isinstance(value, str) else repr(value))
