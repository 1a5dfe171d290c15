"""Probes, and the page that says what this is."""

from typing import Any

import pytest

from syncd import __version__
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


async def test_the_root_says_what_this_is_and_every_url_it_names_is_there(api: Api) -> None:
    about = await (await api.http.get("/")).json()
    assert about["syncd"] == __version__
    for line in [about["push"], about["pull"], about["live"].removesuffix(" (WebSocket)"), *about["health"]]:
        method, path = line.split()
        response = await api.http.request(method, path)
        assert response.status not in (404, 405), line
