"""The quarantine over HTTP: list, replay, dismiss, and its bounds on a server that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.store.quarantine_file import quarantine_file
from tests.api.conftest import Api, OpenApi, create, problem_of


def refused(n: int, id: str = "gone") -> dict[str, object]:
    """A change that no server takes: of what never was."""
    return {**create(n, id, text="typed by hand"), "op": "update", "base": 0}


async def listed(api: Api, **query: str | int) -> dict[str, Any]:
    response = await api.http.get("/sync/v1/quarantine", params=query)
    assert response.status == 200, await response.text()
    value: dict[str, Any] = await response.json()
    return value


async def deal(api: Api, what: str, *items: tuple[str, int]) -> list[dict[str, Any]]:
    response = await api.http.post(
        f"/sync/v1/quarantine/{what}", json={"items": [{"replica": replica, "n": n} for replica, n in items]}
    )
    assert response.status == 200, await response.text()
    return list((await response.json())["results"])


async def test_what_was_rejected_is_listed_with_what_was_sent_and_why(api: Api) -> None:
    await api.push(create(1, "a"), refused(2))
    told = await listed(api)
    (change,) = told["changes"]
    assert (change["replica"], change["n"], change["code"]) == ("r1", 2, "unknown_resource")
    assert change["change"] == refused(2)
    assert told["next"] is None
    assert [(total["replica"], total["changes"]) for total in told["totals"]] == [("r1", 1)]
    assert (await listed(api, replica="r2"))["changes"] == []


async def test_what_was_missing_is_made_and_the_change_is_settled_anew(api: Api) -> None:
    await api.push(refused(1, "a"), refused(2, "b"))
    await api.push(create(1, "a"), replica="r2")
    results = await deal(api, "replay", ("r1", 1), ("r1", 2), ("r1", 3))
    assert [result["result"] for result in results] == ["replayed", "rejected", "unknown"]
    assert results[0]["outcome"]["outcome"] == "applied"
    page = (await api.pull({"main": None}))["scopes"]["main"]
    assert [state["fields"] for state in page["resources"]] == [{"text": "typed by hand"}]
    assert [change["n"] for change in (await listed(api))["changes"]] == [2]


async def test_it_is_dismissed(api: Api) -> None:
    await api.push(refused(1))
    assert await deal(api, "dismiss", ("r1", 1)) == [{"replica": "r1", "n": 1, "result": "dismissed"}]
    assert (await listed(api))["changes"] == []


async def test_a_server_keeps_its_bounds(open_api: OpenApi, tmp_path: Path) -> None:
    api = await open_api(quarantine_changes=5)
    await api.push(*(refused(n, f"x{n}") for n in range(1, 13)))
    file = quarantine_file(tmp_path / "club.db")
    # It goes on in the background; this waits for what was begun.
    await api.server.quarantine.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    waiting = [change["n"] for change in (await listed(api))["changes"]]
    assert len(waiting) <= 5
    assert [line["n"] for line in lines] + waiting == list(range(1, 13))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": [{"replica": "r1"}]}, "items.0.n"),
        ({"items": [{"replica": "r1", "n": 0}]}, "items.0.n"),
        ({"items": [{"replica": "r1", "n": "1"}]}, "items.0.n"),
        ({"items": [], "all": True}, "all"),
        ({"items": [{"replica": "r1", "n": 1}] * 501}, "items"),
    ],
)
@pytest.mark.parametrize("what", ["replay", "dismiss"])
async def test_a_message_that_is_none_is_a_problem(api: Api, what: str, body: object, field: str) -> None:
    problem = await problem_of(await api.http.post(f"/sync/v1/quarantine/{what}", json=body), 400, "invalid_message")
    assert problem["field"] == field


async def test_all_of_it_needs_the_token_as_a_pull_does(open_api: OpenApi) -> None:
    api = await open_api(token="a-long-enough-token")
    for response in (
        await api.http.get("/sync/v1/quarantine"),
        await api.http.post("/sync/v1/quarantine/replay", json={"items": []}),
        await api.http.post("/sync/v1/quarantine/dismiss", json={"items": []}),
    ):
        await problem_of(response, 401, "unauthenticated")
