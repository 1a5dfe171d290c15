"""History, explain and undo over HTTP: what they answer, and how a question that cannot be read is turned away."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from tests.api.conftest import Api, OpenApi, create, problem_of

URLS = ["/sync/v1/history", "/sync/v1/explain", "/sync/v1/undo"]


async def get(api: Api, url: str, **query: str | int) -> dict[str, Any]:
    response = await api.http.get(url, params=query)
    assert response.status == 200, await response.text()
    value: dict[str, Any] = await response.json()
    return value


def update(n: int, id: str, base: int, **fields: object) -> dict[str, object]:
    return {"n": n, "scope": "main", "type": "note", "id": id, "op": "update", "base": base, "fields": fields}


async def test_the_history_of_a_resource(api: Api) -> None:
    await api.push(create(1, "a", text="one"), update(2, "a", 1, text="two"))
    told = await get(api, "/sync/v1/history", type="note", id="a")
    assert [(line["n"], line["fields"]) for line in told["changes"]] == [(1, {"text": "one"}), (2, {"text": "two"})]
    assert (told["type"], told["id"], told["next"]) == ("note", "a", None)
    first = await get(api, "/sync/v1/history", type="note", id="a", limit=1)
    rest = await get(api, "/sync/v1/history", type="note", id="a", after=first["next"], field="text")
    assert first["changes"] + rest["changes"] == told["changes"]


async def test_why_it_says_so(api: Api) -> None:
    await api.push(create(1, "a", text="one", minute=4))
    told = await get(api, "/sync/v1/explain", type="note", id="a", field="text")
    assert [(each["field"], each["value"], each["because"]) for each in told["fields"]] == [
        ("text", "one", "it came with the resource")
    ]


async def test_the_change_that_takes_it_back_is_pushed_like_any_other(api: Api) -> None:
    await api.push(create(1, "a", text="one"), update(2, "a", 1, text="two"))
    for to in ({"version": 1}, {"change": "r1.2"}):
        told = await get(api, "/sync/v1/undo", type="note", id="a", **to)
        assert told["change"]["fields"] == {"text": "one"}
    reply = await api.push({**told["change"], "n": 1}, replica="r2")
    assert reply["outcomes"][0]["outcome"] == "applied"
    page = (await api.pull({"main": None}))["scopes"]["main"]
    assert page["resources"][0]["fields"] == {"text": "one"}


async def test_they_answer_in_messagepack_too(api: Api) -> None:
    await api.push(create(1, "a", text="one"))
    response = await api.http.get(
        "/sync/v1/history", params={"type": "note", "id": "a"}, headers={"Accept": "application/msgpack"}
    )
    assert response.content_type == "application/msgpack"
    assert msgpack.unpackb(await response.read())["changes"][0]["fields"] == {"text": "one"}


@pytest.mark.parametrize("url", URLS)
async def test_they_need_the_token_as_a_pull_does(open_api: OpenApi, url: str) -> None:
    api = await open_api(token="a-long-enough-token")
    await problem_of(await api.http.get(url, params={"type": "note", "id": "a"}), 401, "unauthenticated")


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("", "invalid_message", "type"),
        ("type=note", "invalid_message", "id"),
        ("type=note&id=a&sort=up", "invalid_message", "sort"),
        ("type=note&id=a&id=b", "repeated_key", "id"),
        ("type=No%20type&id=a&version=1", "invalid_message", None),
        ("type=note&id=%00&version=1", "invalid_message", None),
        ("type=note&id=a&field=", "invalid_message", "field"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    api: Api, url: str, query: str, code: str, field: str | None
) -> None:
    problem = await problem_of(await api.http.get(f"{url}?{query}"), 400, code)
    assert field in (None, problem["field"])


@pytest.mark.parametrize("query", ["after=-1", "after=one", "limit=0", "limit=501"])
async def test_places_and_sizes_are_numbers_within_bounds(api: Api, query: str) -> None:
    problem = await problem_of(await api.http.get(f"/sync/v1/history?type=note&id=a&{query}"), 400, "invalid_message")
    assert problem["field"] == query.partition("=")[0]


@pytest.mark.parametrize("query", ["", "version=1&change=r1.1", "change=r1", "change=.1", "change=r1.0", "version=x"])
async def test_an_undo_says_where_to(api: Api, query: str) -> None:
    await problem_of(await api.http.get(f"/sync/v1/undo?type=note&id=a&{query}"), 400, "invalid_message")


async def test_what_is_not_in_the_history_or_says_the_same_is_a_problem(api: Api) -> None:
    await api.push(create(1, "a", text="one"))
    query = {"type": "note", "id": "a"}
    await problem_of(await api.http.get("/sync/v1/undo", params={**query, "change": "r9.1"}), 400, "not_in_history")
    await problem_of(await api.http.get("/sync/v1/undo", params={**query, "version": "1"}), 400, "nothing_to_undo")
