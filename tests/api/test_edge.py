"""What every answer carries, whoever made it; which pages may ask; and what is logged of a request."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse

from syncd.logs import configure_logging
from tests.api.conftest import OpenApi, problem_of
from tests.support.edge import Behind, behind_the_edge
from tests.support.raw_http import send_raw

CLUB, EVIL = "https://club.example", "https://evil.example"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "syncd",
}


def assert_safe(response: ClientResponse) -> None:
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "Origin" in response.headers["Vary"]
    assert response.headers["X-Request-ID"]


class TestHeaders:
    """On every answer."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 200),
            ("GET", "/health/live", 200),
            ("GET", "/nothing", 404),
            ("PATCH", "/sync/v1/push", 405),
            ("POST", "/sync/v1/push", 401),
            ("GET", "/sync/v1/live", 400 + 26),
            ("GET", "/sync/v1/stream", 401),
        ],
    )
    async def test_refusals_have_them_too(self, open_api: OpenApi, method: str, path: str, status: int) -> None:
        api = await open_api(token="a-long-shared-secret")
        async with api.http.request(method, path) as response:
            assert response.status in (status, 401)
            assert_safe(response)

    async def test_so_do_sockets_and_streams(self, open_api: OpenApi) -> None:
        api = await open_api()
        async with api.http.ws_connect("/sync/v1/live") as socket:
            assert_safe(socket._response)
        async with api.http.get("/sync/v1/stream?scope=main") as stream:
            assert_safe(stream)

    async def test_so_does_the_answer_to_what_is_not_http(self, open_api: OpenApi) -> None:
        api = await open_api()
        port = int(api.url.rsplit(":", 1)[1])
        answer = await send_raw(("127.0.0.1", port), b"nonsense\r\n\r\n")
        assert answer.status == 400
        assert [name for name, value in ALWAYS.items() if f"{name}: {value}" not in answer.head] == []

    async def test_so_does_the_answer_to_an_expectation(self, open_api: OpenApi) -> None:
        api = await open_api()
        async with api.http.get("/", headers={"Expect": "the-unexpected"}) as response:
            assert response.status == 417
            assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS

    async def test_so_does_a_fault_of_the_server(self) -> None:
        def fail(_: object) -> None:
            raise ZeroDivisionError

        async with behind_the_edge(handler=fail) as edge, edge.http.get("/things") as response:
            assert_safe(response)
            problem = await problem_of(response, 500, "internal_error")
            assert problem["request_id"] == response.headers["X-Request-ID"]

    async def test_only_who_came_by_https_is_told_to_stay_with_it(self) -> None:
        async with behind_the_edge() as edge:
            for proto, told in (("https", True), ("http", False)):
                async with edge.http.get("/things", headers={"X-Forwarded-Proto": proto}) as response:
                    assert ("Strict-Transport-Security" in response.headers) is told
        async with (
            behind_the_edge(proxies="") as edge,
            edge.http.get("/things", headers={"X-Forwarded-Proto": "https"}) as response,
        ):
            assert "Strict-Transport-Security" not in response.headers


class TestOtherSites:
    """Cross-origin requests, as a browser makes them."""

    async def preflight(self, edge: Behind, origin: str, **headers: str) -> ClientResponse:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", **headers}
        async with edge.http.options("/things", headers=asked) as response:
            await response.read()
            return response

    async def test_a_preflight_of_a_listed_page_is_answered_without_a_token_and_remembered(self) -> None:
        async with behind_the_edge(origins=(CLUB,)) as edge:
            response = await self.preflight(
                edge, CLUB, **{"Access-Control-Request-Headers": "authorization,content-type", "As": "wrong"}
            )
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == CLUB
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert int(response.headers["Access-Control-Max-Age"]) >= 600
            allowed = {name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")}
            assert {"authorization", "content-type", "x-request-id", "if-match"} <= allowed
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
            vary = response.headers["Vary"].lower()
            assert all(name in vary for name in ("origin", "access-control-request-headers"))
            assert_safe(response)

    @pytest.mark.parametrize("origin", [EVIL, "null", "https://club.example.evil.example", "", "file://"])
    async def test_a_preflight_of_any_other_is_not(self, origin: str) -> None:
        async with (
            behind_the_edge(origins=(CLUB,)) as edge,
            edge.http.options(
                "/things", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            ) as response,
        ):
            await problem_of(response, 403, "wrong_origin")
            assert "Access-Control-Allow-Origin" not in response.headers

    async def test_a_listed_page_may_read_answers_and_what_they_say_of_limits(self) -> None:
        async with behind_the_edge(origins=(CLUB,)) as edge:
            for path in ("/things", "/nothing"):
                async with edge.http.get(path, headers={"Origin": CLUB}) as response:
                    assert response.headers["Access-Control-Allow-Origin"] == CLUB
                    exposed = response.headers["Access-Control-Expose-Headers"]
                    named = {"ETag", "Retry-After", "X-Request-ID", "X-RateLimit-Remaining"}
                    assert named <= set(exposed.split(", "))

    async def test_what_another_page_reads_no_browser_shows_it(self) -> None:
        async with behind_the_edge(origins=(CLUB,)) as edge:
            for origin in (EVIL, "null"):
                async with edge.http.get("/things", headers={"Origin": origin}) as response:
                    assert response.status == 200
                    assert not [name for name in response.headers if name.startswith("Access-Control")]
                    assert "Origin" in response.headers["Vary"]

    @pytest.mark.parametrize("origin", [EVIL, "null"])
    async def test_another_page_changes_nothing_even_without_a_preflight(self, origin: str) -> None:
        seen: list[object] = []
        async with behind_the_edge(origins=(CLUB,), handler=seen.append) as edge:
            headers = {"Origin": origin, "Content-Type": "text/plain"}
            async with edge.http.post("/things", headers=headers, data=b"{}") as response:
                await problem_of(response, 403, "wrong_origin")
        assert seen == []

    async def test_the_servers_own_pages_and_programs_need_no_list(self) -> None:
        async with behind_the_edge() as edge:
            assert (await edge.http.post("/things", headers={"Origin": edge.url})).status == 200
            assert (await edge.http.post("/things")).status == 200

    async def test_with_a_star_any_page_may_ask_and_none_with_cookies(self) -> None:
        async with behind_the_edge(origins=("*", CLUB)) as edge:
            response = await self.preflight(edge, EVIL)
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
            assert "Access-Control-Allow-Credentials" not in response.headers
            assert (await self.preflight(edge, "null")).status == 403
            assert (await self.preflight(edge, CLUB)).headers["Access-Control-Allow-Credentials"] == "true"

    async def test_a_preflight_counts_as_nothing(self) -> None:
        async with behind_the_edge(origins=(CLUB,), rates={"anonymous": "1/minute"}) as edge:
            assert {(await self.preflight(edge, CLUB)).status for _ in range(5)} == {204}

    async def test_options_that_are_no_preflight_are_a_request_like_any_other(self) -> None:
        async with behind_the_edge(origins=(CLUB,)) as edge, edge.http.options("/things") as response:
            await problem_of(response, 405, "method_not_allowed")


class TestListedPages:
    """The settings' lists reach requests, sockets and streams."""

    async def test_who_may_ask_may_listen_and_who_may_listen_may_not_ask(self, open_api: OpenApi) -> None:
        api = await open_api(cors_origins=(CLUB,), websocket_origins=("https://board.example",))
        for origin in (CLUB, "https://board.example"):
            async with api.http.ws_connect("/sync/v1/live", headers={"Origin": origin}) as socket:
                await socket.send_json({"type": "hello"})
                assert (await socket.receive_json())["type"] == "welcome"
            async with api.http.get("/sync/v1/stream?scope=main", headers={"Origin": origin}) as stream:
                assert stream.headers["Access-Control-Allow-Origin"] == origin
        body = {"replica": "r1", "changes": []}
        async with api.http.post("/sync/v1/push", json=body, headers={"Origin": CLUB}) as response:
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, CLUB)
        async with api.http.post("/sync/v1/push", json=body, headers={"Origin": "https://board.example"}) as response:
            await problem_of(response, 403, "wrong_origin")


class TestRequestIds:
    """One name for a request: in the answer, in a problem, in the log."""

    async def test_a_callers_own_comes_back(self) -> None:
        async with behind_the_edge() as edge:
            async with edge.http.get("/things", headers={"X-Request-ID": "req_1.a-Z"}) as response:
                assert response.headers["X-Request-ID"] == "req_1.a-Z"
            async with edge.http.get("/nothing", headers={"X-Request-ID": "req_2"}) as response:
                assert (await response.json(content_type=None))["request_id"] == "req_2"

    @pytest.mark.parametrize("given", ["a b", "x" * 65, "\x1b[31mred", "caf\u00e9", "a;b", "../../etc"])
    async def test_another_one_is_replaced(self, given: str) -> None:
        async with behind_the_edge() as edge:
            port = int(edge.url.rsplit(":", 1)[1])
            request = f"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Request-ID: {given}\r\n\r\n"
            answer = await send_raw(("127.0.0.1", port), request.encode())
            assert given not in answer.head
            if answer.status == 404:
                assert f"X-Request-ID: {answer.problem['request_id']}" in answer.head


class TestLog:
    """One line for each request, with nothing in it that is secret or made up by a stranger."""

    @pytest.fixture
    def lines(self) -> io.StringIO:
        stream = io.StringIO()
        configure_logging("debug", json=True, stream=stream)
        # Else the server's loggers would keep this stream for the tests that follow.
        structlog.configure(cache_logger_on_first_use=False)
        return stream

    def requests(self, stream: io.StringIO) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == "request"]

    async def test_it_says_who_asked_for_what_and_how_it_ended(self, lines: io.StringIO) -> None:
        async with behind_the_edge() as edge:
            headers = {"As": "asha", "X-Request-ID": "req_1"}
            await edge.http.get("/things/secret-id?token=secret-query", headers=headers)
            await edge.http.get("/secret-path?token=secret-query", headers={"Authorization": "Bearer secret-token"})
            await edge.http.request("PROPFIND", "/things", data=b"secret-body")
        first, second, third = self.requests(lines)
        assert {**first, "ms": 0, "timestamp": 0} == {
            "event": "request",
            "level": "info",
            "logger": "syncd.api.request_log",
            "timestamp": 0,
            "request_id": "req_1",
            "method": "GET",
            "route": "/things/{id}",
            "status": 200,
            "ms": 0,
            "caller": "user",
            "user": "asha",
        }
        assert first["ms"] >= 0
        assert (second["route"], second["status"], second["caller"]) == ("none", 404, "nobody")
        assert (third["method"], third["status"]) == ("other", 405)
        assert "secret" not in lines.getvalue()

    async def test_of_whoever_is_refused_it_says_nobody(self, lines: io.StringIO) -> None:
        async with behind_the_edge() as edge:
            await edge.http.get("/things", headers={"As": "wrong"})
            asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
            await edge.http.options("/things", headers=asks)
            await edge.http.post("/things", headers={"As": "operator", "Origin": "https://evil.example"})
            await edge.http.get("/things", headers={"As": "operator"})
        told = [(line["status"], line["caller"]) for line in self.requests(lines)]
        assert told == [(401, "nobody"), (403, "nobody"), (403, "nobody"), (200, "operator")]

    async def test_of_what_fails_it_says_the_route_and_not_the_url(self, lines: io.StringIO) -> None:
        def fail(_: object) -> None:
            raise ZeroDivisionError

        async with behind_the_edge(handler=fail) as edge:
            assert (await edge.http.get("/things/secret-id?token=secret-query")).status == 500
        failed = next(json.loads(line) for line in lines.getvalue().splitlines() if "unexpected_failure" in line)
        assert failed["where"] == "GET /things/{id}"
        assert "secret" not in lines.getvalue()

    async def test_what_the_handlers_log_has_the_id_of_the_request(self, lines: io.StringIO) -> None:
        def fail(_: object) -> None:
            raise ZeroDivisionError

        async with behind_the_edge(handler=fail) as edge:
            await edge.http.get("/things", headers={"X-Request-ID": "req_9"})
        failed = next(json.loads(line) for line in lines.getvalue().splitlines() if "unexpected_failure" in line)
        assert failed["request_id"] == "req_9"
