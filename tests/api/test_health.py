"""Probes, and the page that says what this is."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from syncd import __version__
from syncd.api.health import HealthRoutes
from syncd.app import open_app
from syncd.errors import StoreUnavailable
from tests.api.conftest import Api, problem_of


async def test_a_living_server_says_so(api: Api) -> None:
    response = await api.http.get("/health/live")
    assert (response.status, await response.json()) == (200, {"status": "alive"})


async def test_a_ready_server_says_so_with_the_schema_of_its_app(api: Api) -> None:
    response = await api.http.get("/health/ready")
    assert (response.status, await response.json()) == (200, {"status": "ready", "schema": 1})


async def test_a_server_whose_database_does_not_answer_is_alive_but_not_ready(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> Any:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(api.server.store, "check", check)
    response = await api.http.get("/health/ready")
    assert (await problem_of(response, 503, "store_unavailable"))["detail"] == "the disk is gone"
    assert response.headers["Retry-After"]
    assert (await api.http.get("/health/live")).status == 200


class Database:
    """Answers, or not, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.there = True

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.there:
            raise StoreUnavailable("the disk is gone")


async def test_however_many_ask_the_database_is_asked_once_a_second() -> None:
    database, now_s = Database(), [1000.0]
    routes = HealthRoutes(store=database, app=open_app(), monotonic_s=lambda: now_s[0])  # type: ignore[arg-type]

    async def ready() -> bool:
        try:
            return (await routes.ready(make_mocked_request("GET", "/health/ready"))).status == 200
        except StoreUnavailable:
            return False

    assert await asyncio.gather(*(ready() for _ in range(20))) == [True] * 20
    assert database.asked == 1
    database.there = False
    now_s[0] += 0.9
    assert (await ready(), database.asked) == (True, 1)
    now_s[0] += 0.1
    assert await asyncio.gather(*(ready() for _ in range(20))) == [False] * 20
    assert database.asked == 2
    database.there = True
    now_s[0] += 1
    assert (await ready(), database.asked) == (True, 3)


async def test_the_root_says_what_this_is_and_every_url_it_names_is_there(api: Api) -> None:
    about = await (await api.http.get("/")).json()
    assert about["syncd"] == __version__
    for line in [about["push"], about["pull"], about["live"].removesuffix(" (WebSocket)"), *about["health"]]:
        method, path = line.split()
        response = await api.http.request(method, path)
        assert response.status not in (404, 405), line
