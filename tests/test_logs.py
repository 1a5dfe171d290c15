"""Logging: one line per event, JSON for programs, and the libraries' loggers along with ours."""

import io
import json
import logging

import pytest
import structlog

from syncd.logs import configure_logging


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_where_nobody_looks_on() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger("syncd.engine").warning("id_reuse", replica="r\n1\x1b[31m")
    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line == {"event": "id_reuse", "replica": "r\n1\x1b[31m", "level": "warning", "logger": "syncd.engine"}


def test_the_libraries_loggers_speak_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("aiohttp.server").error("it failed: %s", 7)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("it failed: 7", "error", "aiohttp.server")


def test_an_exception_stays_within_its_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        structlog.get_logger("syncd").exception("unexpected_failure", incident="cafe")
    (line,) = lines(stream)
    assert "ZeroDivisionError" in str(line["exception"])


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_shows_no_local_variables(as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=as_json)

    def fail(token: str) -> None:
        raise ZeroDivisionError

    try:
        fail("the-" + "token")
    except ZeroDivisionError:
        structlog.get_logger("syncd").exception("unexpected_failure")
    assert "ZeroDivisionError" in stream.getvalue()
    assert "the-token" not in stream.getvalue()


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure_logging("warning", stream=stream)
    structlog.get_logger("syncd").info("started")
    logging.getLogger("anything").info("chatter")
    assert lines(stream) == []


def test_statements_with_their_values_are_logged_at_no_level() -> None:
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    logging.getLogger("aiosqlite").debug("INSERT … ('a secret')")
    assert lines(stream) == []


def test_configuring_twice_does_not_double_the_lines() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    configure_logging(stream=stream)
    structlog.get_logger("syncd").warning("once")
    assert len(lines(stream)) == 1


FORGED = [
    "a\r\n2026-01-01 [info     ] all is well",
    "a\x1b[2J\x1b[31mred",
    "a\u2028b\u2029c\x85d",
    "a\x9b31m\x07\x08\x7f",
    "\u202egnp.exe",
    "\ud800",
    "\x00",
]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("text", FORGED, ids=ascii)
def test_what_a_stranger_sent_makes_no_line_and_no_colour_of_its_own(text: str, as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging("debug", json=as_json, stream=stream)
    structlog.get_logger("a").info("request", where=text, inside={"deep": [text]}, **{text: 1})
    structlog.get_logger("a").info(text)
    logging.getLogger("of.a.library").warning("%s", text)
    written = stream.getvalue()
    assert len(written.splitlines()) == 3
    assert [character for character in written if not character.isprintable() and character != "\n"] == []


def test_a_traceback_on_the_console_keeps_its_lines() -> None:
    stream = io.StringIO()
    configure_logging("debug", json=False, stream=stream)
    try:
        int("the reason")
    except ValueError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("of.a.library").exception("failed too")
    assert stream.getvalue().count("\nValueError: invalid literal") == 2
