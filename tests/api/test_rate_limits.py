"""Rate limits over HTTP: whose request counts where, what a refusal says, and who is never refused."""

from __future__ import annotations

from aiohttp import ClientResponse
from multidict import CIMultiDictProxy

from syncd.api.rate_limits import Limiting
from tests.api.conftest import problem_of
from tests.support.edge import Behind, behind_the_edge

FEW = {"authenticated": "3/minute", "premium": "6/minute", "partner": "9/minute", "anonymous": "2/minute"}
START_S = 1_763_640_000


async def ask(edge: Behind, who: str = "", path: str = "/things", method: str = "GET", at: str = "192.0.2.1") -> int:
    return (await answer(edge, who, path, method, at)).status


async def answer(
    edge: Behind, who: str = "", path: str = "/things", method: str = "GET", at: str = "192.0.2.1", body: bytes = b""
) -> ClientResponse:
    headers = {"As": who, "X-Forwarded-For": at}
    async with edge.http.request(method, path, headers=headers, data=body or None) as response:
        await response.read()
        return response


async def passed(
    edge: Behind, times: int, who: str = "", path: str = "/things", method: str = "GET", at: str = "a"
) -> int:
    statuses = [await ask(edge, who, path, method, "192.0.2.1" if at == "a" else at) for _ in range(times)]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def limits(headers: CIMultiDictProxy[str]) -> dict[str, int]:
    names = [name for name in headers if name.lower().startswith("x-ratelimit") or name == "Retry-After"]
    return {name: int(headers[name]) for name in names}


async def test_each_answer_says_how_much_is_left_and_when_it_is_full_again() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        response = await answer(edge, "asha")
        assert limits(response.headers) == {
            "X-RateLimit-Limit": 3,
            "X-RateLimit-Remaining": 2,
            "X-RateLimit-Reset": START_S + 20,
        }


async def test_a_refusal_is_a_problem_that_says_when_to_come_again_and_then_there_is_room() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 3, "asha") == 3
        async with edge.http.get("/things", headers={"As": "asha"}) as response:
            problem = await problem_of(response, 429, "rate_limited")
            assert limits(response.headers) == {
                "X-RateLimit-Limit": 3,
                "X-RateLimit-Remaining": 0,
                "X-RateLimit-Reset": START_S + 60,
                "X-RateLimit-Retry-After": 20,
                "Retry-After": 20,
            }
            assert "3/minute" in problem["detail"]
        edge.clock.ms += 19_999
        assert await ask(edge, "asha") == 429
        edge.clock.ms += 1
        assert await ask(edge, "asha") == 200


async def test_tiers_go_by_the_role_of_the_account() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 12, "asha") == 3
        assert await passed(edge, 12, "ben/premium") == 6
        assert await passed(edge, 12, "cem/verified") == 6
        assert await passed(edge, 12, "dee/partner") == 9
        assert await passed(edge, 12) == 2


async def test_a_user_is_one_wherever_he_is_and_a_stranger_is_his_address() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 2, "asha", at="192.0.2.1") == 2
        assert await passed(edge, 2, "asha", at="198.51.100.7") == 1
        assert await passed(edge, 9, at="192.0.2.1") == 2
        assert await passed(edge, 9, at="198.51.100.7") == 2
        assert await passed(edge, 9, at="2001:db8:1:2::1") == 2
        assert await passed(edge, 9, at="2001:db8:1:2:ffff::1") == 0
        assert await passed(edge, 9, at="2001:db8:1:3::1") == 2


async def test_holders_of_one_share_link_count_by_where_they_are() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 9, "link", at="192.0.2.1") == 2
        assert await passed(edge, 9, "link", at="198.51.100.7") == 2


async def test_the_queue_of_a_device_does_not_wait_for_the_page_of_the_same_user() -> None:
    async with behind_the_edge(rates=FEW | {"push.device": "4/minute", "push.user": "6/minute"}) as edge:
        assert await passed(edge, 9, "asha//phone") == 3
        assert await passed(edge, 9, "asha//phone", "/sync/v1/push", "POST") == 4
        assert await passed(edge, 9, "asha//laptop", "/sync/v1/push", "POST") == 2


async def test_all_callers_behind_one_address_share_a_wide_bucket() -> None:
    async with behind_the_edge(rates={"address": "5/minute"}) as edge:
        counts = [await passed(edge, 2, name) for name in ("asha", "ben", "cem", "dee")]
        assert counts == [2, 2, 1, 0]
        assert await passed(edge, 2, "dee", at="198.51.100.7") == 2


async def test_an_endpoint_may_have_a_row_of_its_own() -> None:
    async with behind_the_edge(rates={"GET /things/{id}": "1/minute"}) as edge:
        assert await passed(edge, 3, "asha", "/things/1") == 1
        assert await ask(edge, "asha", "/things/2") == 429
        assert await passed(edge, 3, "asha", "/things") == 3


async def test_registering_counts_by_address() -> None:
    async with behind_the_edge() as edge:
        assert await passed(edge, 5, "", "/auth/v1/register", "POST") == 3
        assert await passed(edge, 5, "", "/auth/v1/register", "POST", at="198.51.100.7") == 3


async def test_what_does_not_exist_counts_too() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        statuses = [await ask(edge, path=f"/nothing/{n}") for n in range(4)]
        assert statuses == [404, 404, 429, 429]


async def test_probes_are_never_refused_and_say_nothing_of_limits() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 20, "", "/health/live") == 20
        assert limits((await answer(edge, "", "/health/live")).headers) == {}


async def test_whoever_runs_the_server_is_not_limited_unless_the_settings_say_so() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert await passed(edge, 20, "operator") == 20
        assert limits((await answer(edge, "operator")).headers) == {}
    async with behind_the_edge(rates=FEW, limiting=Limiting.ON) as edge:
        assert await passed(edge, 20, "operator") == 9


async def test_switched_off_nobody_is() -> None:
    async with behind_the_edge(rates=FEW, limiting=Limiting.OFF) as edge:
        assert await passed(edge, 20) == 20
        assert {await ask(edge, "wrong") for _ in range(20)} == {401}


async def test_wrong_tokens_are_counted_and_stand_in_nobody_elses_way() -> None:
    async with behind_the_edge(rates=FEW) as edge:
        assert [await ask(edge, "wrong") for _ in range(4)] == [401, 401, 429, 429]
        assert await ask(edge, "asha") == 200
        assert await ask(edge, "wrong", at="198.51.100.7") == 401


async def test_the_bytes_of_a_users_day_are_counted_both_ways() -> None:
    async with behind_the_edge(rates={"bytes": "10000/day"}) as edge:
        body = b"x" * 4000
        assert (await answer(edge, "asha", method="POST", body=body)).status == 200
        assert (await answer(edge, "asha", method="POST", body=body)).status == 200
        refused = await answer(edge, "asha", method="POST", body=body)
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 3600
        assert (await answer(edge, "ben", method="POST", body=body)).status == 200
        # The answers were counted too: a little more than 8000 are gone.
        assert (await answer(edge, "asha", method="POST", body=b"x" * 1990)).status == 429
        assert (await answer(edge, "asha", method="POST", body=b"x" * 1900)).status == 200


async def test_a_body_that_does_not_say_how_long_it_is_counts_all_the_same() -> None:
    async def chunks() -> object:
        for _ in range(9):
            yield b"x" * 1000

    async with behind_the_edge(rates={"bytes": "10000/day"}) as edge:
        headers = {"As": "asha"}
        assert (await edge.http.post("/things", headers=headers, data=chunks())).status == 200
        assert (await answer(edge, "asha", method="POST", body=b"x" * 1000)).status == 429


async def test_and_so_it_does_if_the_request_fails_in_the_end() -> None:
    async def chunks() -> object:
        for _ in range(9):
            yield b"x" * 1000

    def fail(_: object) -> None:
        raise ZeroDivisionError

    async with behind_the_edge(rates={"bytes": "10000/day"}, handler=fail) as edge:
        assert (await edge.http.post("/things", headers={"As": "asha"}, data=chunks())).status == 500
        assert (await answer(edge, "asha", method="POST", body=b"x" * 1000)).status == 429
        assert (await answer(edge, "asha", method="POST", body=b"x" * 900)).status == 500
