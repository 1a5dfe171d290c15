"""A real server process: what it does with bytes that are not HTTP, with silence, and with SIGTERM."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, WSMsgType

from tests.support.raw_http import request_bytes, send_raw
from tests.support.server import ServerProcess, running_server

PUSH = json.dumps({"replica": "r1", "changes": []}).encode()
PROMPTLY_S = 3
"""A restart takes a second; the rest is for a machine that runs other tests and their servers at the same time."""
POST = b"POST /sync/v1/push HTTP/1.1\r\nHost: 127.0.0.1\r\n"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One process for all of them, so that each also meets what the others left behind."""
    path = tmp_path_factory.mktemp("listener") / "club.db"
    async with running_server(path, environment={"SYNCD_IDLE_TIMEOUT_S": "0.5"}) as process:
        pid = process.pid
        yield process
        assert (process.running, process.pid) == (True, pid)
        assert "Traceback" not in process.log_text()
        assert "incident" not in process.log_text()


async def still_answers(server: ServerProcess) -> bool:
    return (await send_raw(server.host_and_port, request_bytes(PUSH))).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n1234",
        POST + b"Content-Length: +4\r\n\r\n1234",
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
async def test_what_is_not_http_gets_a_problem_document_and_the_connection_is_closed(
    server: ServerProcess, data: bytes
) -> None:
    answer = await send_raw(server.host_and_port, data)
    assert answer.status == 400
    assert answer.problem["code"] == "malformed_http"
    assert await still_answers(server)


@pytest.mark.parametrize("host", ["", "Host: rebound.example\r\n", "Host: 127.0.0.1.rebound.example:80\r\n"])
async def test_no_host_or_a_foreign_one_is_not_answered(server: ServerProcess, host: str) -> None:
    answer = await send_raw(server.host_and_port, f"GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
    assert answer.problem["code"] in ("wrong_host", "malformed_http")


@pytest.mark.parametrize("encoding", ["deflate", "br", "nonsense"])
@pytest.mark.parametrize("body", [b"not compressed at all", gzip.compress(PUSH)], ids=["garbage", "gzip"])
async def test_a_body_said_to_be_compressed_in_another_way_is_refused_before_it_is_looked_at(
    server: ServerProcess, encoding: str, body: bytes
) -> None:
    answer = await send_raw(server.host_and_port, request_bytes(body, headers=[f"Content-Encoding: {encoding}"]))
    assert (answer.status, answer.problem["code"]) == (415, "unsupported_media_type")
    assert await still_answers(server)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_body_that_is_not_compressed_as_it_says_is_refused(server: ServerProcess, encoding: str) -> None:
    answer = await send_raw(server.host_and_port, request_bytes(PUSH, headers=[f"Content-Encoding: {encoding}"]))
    assert (answer.status, answer.problem["code"]) == (400, "invalid_encoding")
    assert await still_answers(server)


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n"])
async def test_broken_chunks_are_refused(server: ServerProcess, chunks: bytes) -> None:
    head = b"Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await send_raw(server.host_and_port, POST + head + chunks)
    assert (answer.status, answer.problem["code"]) in ((400, "invalid_body"), (400, "malformed_http"))
    assert await still_answers(server)


@pytest.mark.parametrize("sent", [request_bytes(PUSH)[:-5], POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{"])
@pytest.mark.parametrize("rude", [True, False])
async def test_who_goes_in_the_middle_of_a_body_is_no_fault_of_the_server(
    server: ServerProcess, sent: bytes, rude: bool
) -> None:
    _, writer = await asyncio.open_connection(*server.host_and_port)
    writer.write(sent)
    await writer.drain()
    if rude:
        writer.transport.abort()
    else:
        writer.close()
        await writer.wait_closed()
    assert await still_answers(server)


async def test_watchers_that_go_without_a_word_are_no_fault_of_the_server(server: ServerProcess) -> None:
    async with ClientSession(server.url) as http:
        sockets = [await http.ws_connect("/sync/v1/live") for _ in range(10)]
        for socket in sockets:
            await socket.send_json({"type": "hello"})
            await socket.send_json({"type": "subscribe", "scopes": {"watched": None}})
            assert [(await socket.receive_json())["type"] for _ in range(2)] == ["welcome", "subscribed"]
        for n in range(1, 21):
            change = {"n": n, "scope": "watched", "type": "note", "id": f"w{n}", "op": "create", "fields": {"n": n}}
            async with http.post("/sync/v1/push", json={"replica": "rude", "changes": [change]}) as reply:
                assert (await reply.json())["outcomes"][0]["outcome"] == "applied"
            if n % 2 == 0:
                connection = sockets[n // 2 - 1]._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()
    assert await still_answers(server)


@pytest.mark.parametrize("sent", [b"", b"POST /sync/v1/push HTTP/1.1\r\nHost: 127"], ids=["silence", "half a head"])
async def test_a_connection_that_keeps_silent_is_closed(server: ServerProcess, sent: bytes) -> None:
    started = time.monotonic()
    await send_raw(server.host_and_port, sent)
    assert time.monotonic() - started < 5


async def test_an_idle_kept_connection_is_closed(server: ServerProcess) -> None:
    answer = await send_raw(server.host_and_port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", timeout_s=5)
    assert answer.status == 200


async def test_the_port_answers_only_on_the_address_it_was_given(server: ServerProcess) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # whichever way the machine says that nobody listens
        await asyncio.open_connection("127.0.0.2", server.host_and_port[1])


class TestShutdown:
    """SIGTERM: everybody is told, nothing taken is lost, and a restart takes a second."""

    async def test_open_sockets_are_closed_with_1001_and_the_process_ends_at_once(self, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server, ClientSession(server.url) as http:
            sockets = [await http.ws_connect("/sync/v1/live") for _ in range(50)]
            for socket in sockets[:40]:
                await socket.send_json({"type": "hello"})
                await socket.receive()
            # One that reads nothing any more, not even the close.
            assert sockets[0]._response.connection is not None
            transport = sockets[0]._response.connection.transport
            assert transport is not None
            transport.pause_reading()
            started = time.monotonic()
            codes = asyncio.gather(*(_close_code(socket) for socket in sockets[1:]))
            assert await server.stop() == 0
            assert time.monotonic() - started < PROMPTLY_S
            assert set(await codes) == {1001}
            assert "Traceback" not in server.log_text()

    async def test_kept_connections_and_half_sent_bodies_do_not_hold_it_up(self, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server:
            idle = await asyncio.open_connection(*server.host_and_port)
            idle[1].write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await idle[0].readuntil(b"\r\n\r\n")
            half = await asyncio.open_connection(*server.host_and_port)
            half[1].write(request_bytes(PUSH)[:-5])
            await half[1].drain()
            started = time.monotonic()
            assert await server.stop() == 0
            assert time.monotonic() - started < PROMPTLY_S
            assert "Traceback" not in server.log_text()
            for _, writer in (idle, half):
                writer.transport.abort()

    async def test_what_was_acknowledged_before_it_is_there_after_a_restart(self, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server:
            url, pid = server.url, server.pid
            changes = [{"n": 1, "scope": "main", "type": "note", "id": "a", "op": "create", "fields": {"text": "kept"}}]
            async with ClientSession(url) as http:
                reply = await http.post("/sync/v1/push", json={"replica": "r1", "changes": changes})
                assert (await reply.json())["outcomes"][0]["outcome"] == "applied"
            assert await server.stop() == 0
            await server.start()
            assert (server.url, server.pid != pid) == (url, True)
            async with ClientSession(url) as http:
                pulled = await (await http.post("/sync/v1/pull", json={"scopes": {"main": None}})).json()
            assert [state["fields"] for state in pulled["scopes"]["main"]["resources"]] == [{"text": "kept"}]


async def _close_code(socket: Any) -> int | None:
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE
    code: int | None = message.data
    return code
