"""The conflict inbox over HTTP: what waits for an answer is listed, answered one by one or at once, asked again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api, OpenApi, problem_of
from tests.client_sdk.cup import cup


@pytest.fixture
async def api(open_api: OpenApi) -> Api:
    """A server whose scores are asked about."""
    return await open_api(cup)


def game(n: int, op: str, id: str = "g", base: int = 0, **fields: object) -> dict[str, object]:
    return {"n": n, "type": "game", "id": id, "op": op, "scope": "cup", "base": base, "fields": fields}


async def dispute(api: Api, id: str = "g", replica: str = "r") -> str:
    """Two phones disagree on the home score, 1 and 2; the id of the conflict."""
    await api.push(game(1, "create", id), replica=f"{replica}0")
    seen = (await api.pull({"cup": None}))["scopes"]["cup"]["resources"]
    base = max(state["version"] for state in seen)
    await api.push(game(1, "update", id, base, home=1), replica=f"{replica}1")
    reply = await api.push(game(1, "update", id, base, home=2), replica=f"{replica}2")
    [outcome] = reply["outcomes"]
    assert outcome["outcome"] == "conflict"
    return str(outcome["conflicts"][0])


async def listed(api: Api, **query: str | int) -> dict[str, Any]:
    response = await api.http.get("/sync/v1/conflicts", params=query)
    assert response.status == 200, await response.text()
    value: dict[str, Any] = await response.json()
    return value


async def get(api: Api, id: str) -> dict[str, Any]:
    response = await api.http.get(f"/sync/v1/conflicts/{id}")
    assert response.status == 200, await response.text()
    value: dict[str, Any] = await response.json()
    return value


async def settle(api: Api, *settlements: dict[str, object]) -> list[dict[str, Any]]:
    response = await api.http.post("/sync/v1/conflicts/settle", json={"settlements": settlements})
    assert response.status == 200, await response.text()
    return list((await response.json())["results"])


async def home(api: Api, id: str = "g") -> object:
    states = (await api.pull({"cup": None}))["scopes"]["cup"]["resources"]
    return next(state["fields"]["home"] for state in states if state["id"] == id)


async def test_what_waits_is_listed_with_every_candidate(api: Api) -> None:
    conflict = await dispute(api)
    page = await listed(api)
    [shown] = page["conflicts"]
    assert page["next"] is None
    assert (shown["id"], shown["scope"], shown["status"]) == (conflict, "cup", "open")
    assert (shown["about"], shown["field"], shown["accepted"]) == ({"type": "game", "id": "g"}, "home", 1)
    assert [(each["value"], each["replica"]) for each in shown["candidates"]] == [(1, "r1"), (2, "r2")]
    assert await get(api, conflict) == shown


async def test_the_list_is_chosen_by_scope_status_type_and_resource_and_comes_in_pages(api: Api) -> None:
    ids = sorted([await dispute(api, f"g{index}", f"p{index}") for index in range(3)])
    first = await listed(api, limit=2)
    assert [each["id"] for each in first["conflicts"]] == ids[:2]
    rest = await listed(api, limit=2, after=first["next"])
    assert ([each["id"] for each in rest["conflicts"]], rest["next"]) == (ids[2:], None)
    assert len((await listed(api, limit=3))["conflicts"]) == 3
    assert (await listed(api, limit=3))["next"] is None
    await settle(api, {"conflict": ids[0], "value": 5})
    assert [each["id"] for each in (await listed(api))["conflicts"]] == ids[1:]
    assert [each["id"] for each in (await listed(api, status="settled"))["conflicts"]] == ids[:1]
    assert len((await listed(api, status="any", scope="cup", type="game"))["conflicts"]) == 3
    assert [each["about"]["id"] for each in (await listed(api, status="any", id="g1"))["conflicts"]] == ["g1"]
    assert (await listed(api, scope="elsewhere"))["conflicts"] == []


async def test_a_choice_or_a_value_settles_it_for_everybody(api: Api) -> None:
    conflict = await dispute(api)
    key = (await get(api, conflict))["candidates"][1]["key"]
    [result] = await settle(api, {"conflict": conflict, "choice": key})
    assert (result["conflict"], result["outcome"]) == (conflict, "applied")
    shown = await get(api, conflict)
    assert (shown["status"], shown["settlement"]["value"], shown["settlement"]["key"]) == ("settled", 2, key)
    assert await home(api) == 2
    await settle(api, {"conflict": conflict, "value": 9})
    shown = await get(api, conflict)
    assert (shown["settlement"]["value"], [each["value"] for each in shown["settlements"]]) == (9, [2])
    assert await home(api) == 9


async def test_many_are_settled_at_once_and_each_has_its_own_outcome(api: Api) -> None:
    one, two = [await dispute(api, f"g{index}", f"p{index}") for index in range(2)]
    results = await settle(
        api,
        {"conflict": one, "value": 7},
        {"conflict": "c-none", "value": 1},
        {"conflict": two, "choice": "nobody"},
        {"conflict": two, "value": "many"},
        {"conflict": two, "value": None},
        {"conflict": two, "value": 8},
    )
    assert [(each["outcome"], each.get("code")) for each in results] == [
        ("applied", None),
        ("rejected", "no_such_conflict"),
        ("rejected", "unknown_choice"),
        ("rejected", "invalid_field"),
        ("rejected", "invalid_field"),
        ("applied", None),
    ]
    assert [await home(api, f"g{index}") for index in range(2)] == [7, 8]


async def test_a_question_of_a_hook_is_answered_by_one_of_its_options(api: Api) -> None:
    for n, name in enumerate(("a", "b"), 1):
        goal = {"n": n, "type": "goal", "id": name, "op": "create", "scope": "cup", "fields": {"side": "home"}}
        await api.push(goal)
    [question] = (await listed(api, id="a"))["conflicts"]
    assert (question["question"], question["message"]) == ("same_goal", "One goal, or two?")
    [refused, settled] = await settle(
        api, {"conflict": question["id"], "value": "one"}, {"conflict": question["id"], "choice": "one"}
    )
    assert (refused["code"], settled["outcome"]) == ("unknown_choice", "applied")
    assert (await get(api, question["id"]))["settlement"]["value"] == "one"


async def test_what_was_settled_is_asked_again(api: Api) -> None:
    conflict = await dispute(api)
    await settle(api, {"conflict": conflict, "value": 5})
    response = await api.http.post(f"/sync/v1/conflicts/{conflict}/reopen")
    assert response.status == 200
    assert (await response.json())["outcome"] == "applied"
    shown = await get(api, conflict)
    assert (shown["status"], shown["settlement"]) == ("open", None)
    assert [each["value"] for each in shown["settlements"]] == [5]
    [result] = await settle(api, {"conflict": conflict, "value": 6})
    assert result["outcome"] == "applied"


async def test_what_is_not_there_is_a_problem(api: Api) -> None:
    await problem_of(await api.http.get("/sync/v1/conflicts/c-none"), 404, "no_such_conflict")
    await problem_of(await api.http.post("/sync/v1/conflicts/c-none/reopen"), 404, "no_such_conflict")


@pytest.mark.parametrize(
    "settlement", [{}, {"conflict": "c"}, {"conflict": "c", "value": 1, "choice": "k"}, {"conflict": 1, "value": 1}]
)
async def test_a_settlement_says_which_conflict_and_one_answer(api: Api, settlement: dict[str, object]) -> None:
    response = await api.http.post("/sync/v1/conflicts/settle", json={"settlements": [settlement]})
    await problem_of(response, 400, "invalid_message")


async def test_a_query_that_cannot_be_is_refused(api: Api) -> None:
    for query in ({"status": "done"}, {"limit": "0"}, {"colour": "red"}):
        await problem_of(await api.http.get("/sync/v1/conflicts", params=query), 400, "invalid_message")
