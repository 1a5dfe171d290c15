"""Push and pull over HTTP: what a device sends and gets, and every way in which a request is turned away."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.values import MAX_DEPTH
from conflict_rules.wire import decode_state
from syncd.engine.limits import Limits
from tests.api.conftest import Api, OpenApi, create, problem_of
from tests.support.people import People
from tests.support.served import served

JSON = {"Content-Type": "application/json"}
URLS = ["/sync/v1/push", "/sync/v1/pull"]
ENOUGH = {"/sync/v1/push": {"replica": "r1", "changes": []}, "/sync/v1/pull": {"scopes": {}}}


async def test_a_push_is_answered_with_an_outcome_for_each_change(api: Api) -> None:
    reply = await api.push(create(1, "a", text="one"), create(2, "b", text="two"))
    assert [(outcome["n"], outcome["outcome"]) for outcome in reply["outcomes"]] == [(1, "applied"), (2, "applied")]
    assert (reply["replica"], reply["settled"]) == ("r1", 2)
    assert reply["limits"] == Limits().as_dict()
    assert reply["server_time_ms"] > 1_700_000_000_000


async def test_a_repeated_push_gets_the_stored_outcomes(api: Api) -> None:
    first = await api.push(create(1, "a", text="one"))
    again = await api.push(create(1, "a", text="one"))
    assert again["outcomes"][0].pop("repeat") is True
    assert again["outcomes"] == first["outcomes"]


async def test_a_pull_gives_what_was_pushed_and_how_far_the_replica_is_settled(api: Api) -> None:
    await api.push(create(1, "a", text="grüße", minute=45), create(2, "b"), create(3, "c", scope="other"))
    page = (await api.pull({"main": None}, replica="r1"))["scopes"]["main"]
    assert [(state["id"], state["fields"]) for state in page["resources"]] == [
        ("a", {"text": "grüße", "minute": 45}),
        ("b", {}),
    ]
    assert (page["settled"], page["more"]) == (2, False)
    assert "reset" not in page


async def test_a_pull_from_a_cursor_gives_only_what_is_new(api: Api) -> None:
    await api.push(create(1, "a"))
    cursor = (await api.pull({"main": None}))["scopes"]["main"]["cursor"]
    await api.push(create(2, "b"))
    page = (await api.pull({"main": cursor}))["scopes"]["main"]
    assert [state["id"] for state in page["resources"]] == ["b"]
    assert page["cursor"] != cursor


async def test_a_pull_of_nothing_new_keeps_the_cursor(api: Api) -> None:
    await api.push(create(1, "a"))
    cursor = (await api.pull({"main": None}))["scopes"]["main"]["cursor"]
    page = (await api.pull({"main": cursor}))["scopes"]["main"]
    assert (page["resources"], page["cursor"], page["more"]) == ([], cursor, False)


async def test_a_cursor_that_this_server_never_gave_is_reset(api: Api) -> None:
    await api.push(create(1, "a"))
    page = (await api.pull({"main": "someone-elses.7"}))["scopes"]["main"]
    assert page["reset"] is True
    assert [state["id"] for state in page["resources"]] == ["a"]


async def test_pages_are_cut_by_bytes_and_together_give_everything_once(api: Api) -> None:
    await api.push(*(create(n, f"note-{n}", text="x" * 500) for n in range(1, 41)))
    cursor, seen, pages = None, [], 0
    more = True
    while more:
        page = (await api.pull({"main": cursor}, limit_bytes=4096))["scopes"]["main"]
        seen += [state["id"] for state in page["resources"]]
        cursor, more = page["cursor"], page["more"]
        pages += 1
    assert seen == [f"note-{n}" for n in range(1, 41)]
    assert pages > 4


async def test_one_bad_change_is_refused_by_itself(api: Api) -> None:
    bad = {"n": 2, "type": "note", "id": "b", "op": "create", "scope": "main", "fields": {"big": 2**70}}
    reply = await api.push(create(1, "a"), bad, create(3, "c"))
    assert [outcome["outcome"] for outcome in reply["outcomes"]] == ["applied", "rejected", "applied"]
    assert (reply["outcomes"][1]["code"], reply["outcomes"][1]["field"]) == ("integer_too_large", "big")
    assert reply["outcomes"][1]["message"]


async def test_a_change_that_names_a_key_twice_is_settled_as_refused_and_the_queue_goes_on(api: Api) -> None:
    good = json.dumps(create(2, "b"))
    text = f'{{"replica": "r1", "changes": [{{"n": 1, "type": "note", "id": "a", "id": "z", "op": "create"}}, {good}]}}'
    response = await api.http.post("/sync/v1/push", data=text, headers=JSON)
    outcomes = (await response.json())["outcomes"]
    assert [(outcome["outcome"], outcome.get("code")) for outcome in outcomes] == [
        ("rejected", "repeated_key"),
        ("applied", None),
    ]


@pytest.mark.parametrize(
    "half", ['"\\ud800"', '"\\u0000"', "9" * 5000, "1e999", "[" * 500 + "]" * 500, '{"a": 1, "a": 2}']
)
@pytest.mark.parametrize(
    "place", ["n", "id", "type", "scope", "op", "stamp", "base", "group", "schema", "fields", "x", "in"]
)
async def test_what_no_store_could_hold_is_refused_by_itself_wherever_in_a_change_it_stands(
    api: Api, place: str, half: str
) -> None:
    bad = create(1, "a", inside="HERE") if place == "in" else {**create(1, "a"), place: "HERE"}
    text = json.dumps({"replica": "r1", "changes": [bad, create(1 if place == "n" else 2, "b")]})
    response = await api.http.post("/sync/v1/push", data=text.replace('"HERE"', half), headers=JSON)
    assert response.status == 200, await response.text()
    first, second = (await response.json())["outcomes"]
    assert first["outcome"] == "rejected"
    assert first["code"]
    assert first["message"]
    assert second["outcome"] == "applied"


async def test_however_deep_a_field_nests_it_is_kept_or_refused_by_itself(api: Api) -> None:
    n = 1
    for depth in [30, 32, 33, 64, 65, 100, 500, *range(900, 1010, 5), 50_000]:
        text = json.dumps({"replica": "r1", "changes": [create(n, f"a{n}", deep="HERE"), create(n + 1, f"b{n}")]})
        response = await api.http.post(
            "/sync/v1/push", data=text.replace('"HERE"', "[" * depth + "]" * depth), headers=JSON
        )
        assert response.status == 200, (depth, await response.text())
        first, second = (await response.json())["outcomes"]
        assert (first["outcome"], first.get("code")) == (
            ("applied", None) if depth <= MAX_DEPTH else ("rejected", "too_deep")
        ), depth
        assert second["outcome"] == "applied"
        n += 2


@pytest.mark.parametrize("place", ["a key", "a field's name", "a key in a field", "a key given twice"])
async def test_half_a_surrogate_pair_as_a_name_is_refused_by_itself(api: Api, place: str) -> None:
    start = '{"n": 1, "type": "note", "id": "a", "op": "create", "scope": "main", '
    bad = start + {
        "a key": "KEY: 1}",
        "a field's name": '"fields": {KEY: 1}}',
        "a key in a field": '"fields": {"f": {KEY: 1}}}',
        "a key given twice": "KEY: 1, KEY: 2}",
    }[place].replace("KEY", '"\\ud800"')
    text = f'{{"replica": "r1", "changes": [{bad}, {json.dumps(create(2, "b"))}]}}'
    for repeat in (False, True):
        response = await api.http.post("/sync/v1/push", data=text, headers=JSON)
        outcomes = (await response.json())["outcomes"]
        assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "applied"]
        assert [outcome.get("repeat", False) for outcome in outcomes] == [repeat, repeat]


async def test_answers_are_not_to_be_cached(api: Api) -> None:
    response = await api.http.post("/sync/v1/pull", json={"scopes": {}})
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/cbor"},
        {"Content-Type": "application/msgpack; charset=latin-1"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json; charset=nope"},
        {"Content-Type": "application/json, text/plain"},
        {**JSON, "Content-Encoding": "br"},
        {**JSON, "Content-Encoding": "deflate"},
        {**JSON, "Content-Encoding": "gzip, gzip"},
        {**JSON, "Content-Encoding": "what, ever"},
    ],
)
async def test_what_is_neither_json_nor_message_pack_is_not_read(api: Api, url: str, headers: dict[str, str]) -> None:
    body = json.dumps(ENOUGH[url]).encode()
    response = await api.http.post(url, data=body, headers=headers, skip_auto_headers=["Content-Type"])
    await problem_of(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "application/json;charset=utf8", "Application/JSON"]
)
async def test_json_may_say_that_it_is_utf_8(api: Api, url: str, content_type: str) -> None:
    response = await api.http.post(url, data=json.dumps(ENOUGH[url]), headers={"Content-Type": content_type})
    assert response.status == 200


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"NaN", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'"\xff"', "invalid_utf8"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"[]", "invalid_message"),
        (b"null", "invalid_message"),
        (b"{}", "invalid_message"),
        (b'{"replica": "r1", "replica": "r2"}', "repeated_key"),
    ],
)
async def test_a_body_that_is_no_message_is_refused_with_the_reason(api: Api, url: str, body: bytes, code: str) -> None:
    await problem_of(await api.http.post(url, data=body, headers=JSON), 400, code)


@pytest.mark.parametrize(
    ("url", "message", "code", "field"),
    [
        ("/sync/v1/push", {"replica": "no spaces", "changes": []}, "invalid_replica", "replica"),
        ("/sync/v1/push", {"replica": "", "changes": []}, "invalid_replica", "replica"),
        ("/sync/v1/push", {"replica": "r1", "changes": [], "limit": 1}, "invalid_message", "limit"),
        ("/sync/v1/pull", {"scopes": {}, "replica": "no spaces"}, "invalid_replica", "replica"),
        ("/sync/v1/pull", {"scopes": {"no spaces": None}}, "invalid_scope", "scopes"),
        ("/sync/v1/pull", {"scopes": {"a": 1}}, "invalid_message", "scopes.a"),
        ("/sync/v1/pull", {"scopes": {}, "limit_bytes": "9"}, "invalid_message", "limit_bytes"),
    ],
)
async def test_a_wrong_envelope_is_refused_with_the_place(
    api: Api, url: str, message: dict[str, Any], code: str, field: str
) -> None:
    problem = await problem_of(await api.http.post(url, json=message), 400, code)
    assert problem["field"] == field


async def test_too_many_changes_are_refused_with_the_limit(open_api: OpenApi) -> None:
    api = await open_api(max_changes=3)
    response = await api.http.post(
        "/sync/v1/push", json={"replica": "r1", "changes": [create(n, f"n{n}") for n in range(1, 5)]}
    )
    problem = await problem_of(response, 413, "too_large")
    assert "3" in problem["detail"]
    assert (await api.push(create(1, "a")))["limits"]["max_changes"] == 3


async def test_too_many_scopes_are_refused_with_the_limit(open_api: OpenApi) -> None:
    api = await open_api(max_scopes=2)
    response = await api.http.post("/sync/v1/pull", json={"scopes": {"a": None, "b": None, "c": None}})
    assert "2" in (await problem_of(response, 413, "too_large"))["detail"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused_with_the_limit(open_api: OpenApi, announced: bool) -> None:
    api = await open_api(max_body_bytes=2000)

    async def pieces() -> Any:
        for _ in range(10):
            yield b" " * 1000

    response = await api.http.post("/sync/v1/push", data=b" " * 10_000 if announced else pieces(), headers=JSON)
    assert "2000" in (await problem_of(response, 413, "too_large"))["detail"]
    await api.push(create(1, "a"))


async def test_a_body_that_does_not_arrive_is_given_up(open_api: OpenApi) -> None:
    api = await open_api(body_timeout_s=0.05)
    never = asyncio.Event()

    async def half() -> Any:
        yield b'{"replica": '
        await never.wait()

    problem = await problem_of(await api.http.post("/sync/v1/push", data=half(), headers=JSON), 408, "too_slow")
    assert "0.05 seconds" in problem["detail"]
    await api.push(create(1, "a"))


@pytest.mark.parametrize(
    ("method", "url"), [("GET", "/sync/v1/push"), ("PUT", "/sync/v1/pull"), ("POST", "/health/live")]
)
async def test_another_method_is_refused_with_those_there_are(api: Api, method: str, url: str) -> None:
    response = await api.http.request(method, url)
    await problem_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"]


@pytest.mark.parametrize("url", ["/sync/v1/nothing", "/sync/v1/push/", "/favicon.ico", "/%00", "/..%2f..%2fetc/passwd"])
async def test_an_unknown_url_is_refused_with_where_to_look(api: Api, url: str) -> None:
    problem = await problem_of(await api.http.get(url), 404, "not_found")
    assert "GET /" in problem["hint"]


async def test_a_failing_store_is_told_with_when_to_come_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.errors import StoreUnavailable

    def broken(**locks: object) -> Any:
        raise StoreUnavailable("the disk is full", retry_after_s=5)

    with monkeypatch.context() as patch:
        patch.setattr(api.server.store, "transaction", broken)
        response = await api.http.post("/sync/v1/push", json={"replica": "r1", "changes": [create(1, "a")]})
        problem = await problem_of(response, 503, "store_unavailable")
    assert problem["detail"] == "the disk is full"
    assert response.headers["Retry-After"] == "5"
    assert (await api.push(create(1, "a")))["outcomes"][0]["outcome"] == "applied"


async def test_the_unexpected_is_logged_once_and_answered_with_its_incident(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from syncd.logs import configure_logging

    def broken(**locks: object) -> Any:
        raise ZeroDivisionError("secret detail")

    configure_logging(json=True)
    monkeypatch.setattr(api.server.store, "snapshot", broken)
    response = await api.http.post("/sync/v1/pull", json={"scopes": {"main": None}})
    problem = await problem_of(response, 500, "internal_error")
    assert "secret" not in json.dumps(problem)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if problem["incident"] in line]
    assert "ZeroDivisionError" in line


class TestWithAToken:
    """A server with SYNCD_TOKEN."""

    @pytest.mark.parametrize("url", URLS)
    async def test_a_request_with_the_token_is_answered(self, open_api: OpenApi, url: str) -> None:
        api = await open_api(token="a-long-shared-secret")
        response = await api.http.post(url, json=ENOUGH[url], headers={"Authorization": "Bearer a-long-shared-secret"})
        assert response.status == 200

    @pytest.mark.parametrize("url", [*URLS, "/sync/v1/anything"])
    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}])
    async def test_a_request_without_it_is_not(self, open_api: OpenApi, url: str, headers: dict[str, str]) -> None:
        api = await open_api(token="a-long-shared-secret")
        response = await api.http.post(url, json=ENOUGH.get(url), headers=headers)
        problem = await problem_of(response, 401, "unauthenticated")
        assert "SYNCD_TOKEN" in problem["hint"]
        assert response.headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("url", ["/", "/health/live", "/health/ready"])
    async def test_probes_need_none(self, open_api: OpenApi, url: str) -> None:
        api = await open_api(token="a-long-shared-secret")
        assert (await api.http.get(url)).status == 200

    async def test_any_host_name_is_answered(self, open_api: OpenApi) -> None:
        api = await open_api(token="a-long-shared-secret")
        headers = {"Host": "club.example", "Authorization": "Bearer a-long-shared-secret"}
        assert (await api.http.post("/sync/v1/pull", json={"scopes": {}}, headers=headers)).status == 200


@pytest.mark.parametrize("url", [*URLS, "/health/live", "/", "/sync/v1/live"])
async def test_without_a_token_a_foreign_host_name_is_not_answered(api: Api, url: str) -> None:
    method = "POST" if url in URLS else "GET"
    response = await api.http.request(method, url, headers={"Host": "rebound.example:8000"}, json={})
    await problem_of(response, 421, "wrong_host")


async def test_a_digest_is_told_on_request_for_each_scope_that_ends_with_its_page(api: Api) -> None:
    await api.push(*(create(n, f"note-{n}", text="x" * 500) for n in range(1, 21)), create(21, "other", scope="other"))
    assert "digest" not in (await api.pull({"main": None}))["scopes"]["main"]
    first = (await api.pull({"other": None, "main": None}, limit_bytes=3000, digest=True))["scopes"]
    assert (first["main"]["more"], "digest" in first["main"]) == (True, False)
    assert first["other"]["more"] is False
    whole = (await api.pull({"main": None}, digest=True))["scopes"]["main"]
    assert whole["digest"] == digest_text(scope_digest(decode_state(state, "main") for state in whole["resources"]))
    assert first["other"]["digest"] not in (whole["digest"], None)
    rest = (await api.pull({"main": first["main"]["cursor"]}, digest=True))["scopes"]["main"]
    assert (rest["more"], rest["digest"]) == (False, whole["digest"])


@pytest.mark.parametrize("digest", ["yes", 1, None])
async def test_a_digest_is_asked_for_with_true(api: Api, digest: object) -> None:
    response = await api.http.post("/sync/v1/pull", json={"scopes": {}, "digest": digest})
    assert (await problem_of(response, 400, "invalid_message"))["field"] == "digest"


@pytest.mark.parametrize(
    ("token", "user", "status"), [("sam", "sam", 200), ("vera", "sam", 403), ("sam", None, 200), ("shared", "sam", 200)]
)
async def test_what_one_account_says_it_has_made_is_taken_with_no_other_ones_token(
    tmp_path: Path, token: str, user: str | None, status: int
) -> None:
    async with served(tmp_path / "club.db", accounts=People(), token="shared") as server, ClientSession() as session:
        message = {"replica": "phone", "changes": [create(1, "a")], **({} if user is None else {"user": user})}
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(f"{server.url}/sync/v1/push", json=message, headers=headers) as response:
            answer = await response.json()
        assert (response.status, answer.get("code")) == (status, None if status == 200 else "foreign_replica")
