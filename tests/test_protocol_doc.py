"""docs/protocol.md: its examples are played against a server, and its tables are held to the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from conflict_rules import Kind, Op
from syncd.api.errors import CloseCode, problem_of
from syncd.api.live import MAX_FRAME_BYTES
from syncd.api.live_session import MAX_BAD_FRAMES
from syncd.engine.limits import Limits
from syncd.errors import TooLarge
from tests.client_sdk.cup import cup
from tests.support.served import served
from tests.support.server import running_server

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
PUSH, PUSHED, PULL, PULLED, PROBLEM = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))

REFUSING_CALLS = {"Verdict": 0, "InvalidValue": 0, "InvalidName": 0, "rejected": 0, "MalformedChange": 1, "_problem": 1}
REFUSING_CALLS |= {"Settled": 2, "same_or_lost": 2, "Outcome": 2}
"""Functions that take a code, and where among their arguments."""
MADE_UP = {"invalid_base", "invalid_schema", "group_rejected", "group_overruled", "group_conflict", "vetoed"}
"""Codes that the source puts together from parts, and the one that an author gets who names none."""


def same_shape(shown: Any, real: Any) -> None:
    """Every key that the page shows is there, with the same kind of value."""
    assert type(shown) is type(real), (shown, real)
    if isinstance(shown, dict):
        assert shown.keys() <= real.keys()
        for key, value in shown.items():
            same_shape(value, real[key])
    elif isinstance(shown, list) and shown:
        assert real
        same_shape(shown[0], real[0])


_PACKAGES = (
    "conflict_rules",
    *(
        f"syncd/{room}"
        for room in ("api", "app", "auth", "commands", "documents", "engine", "jobs", "limiting", "store")
    ),
)


def codes_in_the_source() -> set[str]:
    return {
        code
        for package in _PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for code in codes_in(ast.parse(path.read_text(encoding="utf-8")))
    } | set(codes_in(ast.parse((ROOT / "syncd" / "errors.py").read_text(encoding="utf-8"))))


def codes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = REFUSING_CALLS.get(name)
            if place is not None and len(node.args) > place:
                yield from texts(node.args[place])
            yield from (code for keyword in node.keywords if keyword.arg == "code" for code in texts(keyword.value))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "code" for target in targets) and node.value:
                yield from texts(node.value)


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value


async def test_the_push_of_the_page_is_answered_as_it_says(tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server, ClientSession(server.url) as http:
        pushed = await (await http.post("/sync/v1/push", json=PUSH)).json()
        same_shape(PUSHED, pushed)
        assert (pushed["outcomes"], pushed["settled"]) == (PUSHED["outcomes"], PUSHED["settled"])
        pulled = await (await http.post("/sync/v1/pull", json=PULL)).json()
        same_shape(PULLED, pulled)
        shown, real = PULLED["scopes"]["match:9f"], pulled["scopes"]["match:9f"]
        cursor = real.pop("cursor")
        assert real == {key: value for key, value in shown.items() if key != "cursor"}
        socket = await http.ws_connect("/sync/v1/live")
        await the_frames_of_the_page_are_answered(socket, cursor)


async def test_the_stream_of_the_page_begins_as_it_says(tmp_path: Path) -> None:
    (path,) = re.findall(r"`GET (/sync/v1/stream\?.*?)`", PAGE)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE.split("## Stream")[1], re.DOTALL)
    async with running_server(tmp_path / "club.db") as server, ClientSession(server.url) as http:
        await http.post("/sync/v1/push", json=PUSH)
        cursor = (await (await http.post("/sync/v1/pull", json=PULL)).json())["scopes"]["match:9f"]["cursor"]
        async with http.get(f"{path}&cursor={cursor}&cursor=") as stream:
            events = [await stream.content.readuntil(b"\n\n") for _ in range(2)]
            await http.post("/sync/v1/push", json={**PUSH, "changes": [{**PUSH["changes"][1], "n": 3, "base": 2}]})
            events.append(await stream.content.readuntil(b"\n\n"))
    told = b"".join(events).decode().rstrip("\n").split("\n")
    for line, real in zip(shown.replace("3f0c9d", cursor.partition(".")[0]).splitlines(), told, strict=True):
        assert re.fullmatch(".*".join(re.escape(part) for part in re.split("state, …|…", line)), real), (line, real)


async def test_the_presence_of_the_page_is_told_as_it_says(tmp_path: Path) -> None:
    section = PAGE.split("### Presence")[1].split("## Stream")[0]
    frames, editing = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    lines = re.findall(r"^(device|server) +({.*})(?:  .*)?$", frames, re.MULTILINE)
    here, gone = (json.loads(frame) for who, frame in lines if who == "device")
    present, changed, left, counted = (json.loads(frame) for who, frame in lines if who == "server")
    one_shown = {"SYNCD_MAX_PRESENT_REPLICAS": "1"}
    async with (
        running_server(tmp_path / "club.db", environment=one_shown) as server,
        ClientSession(server.url) as http,
    ):

        async def socket_of(replica: str) -> ClientWebSocketResponse:
            socket = await http.ws_connect("/sync/v1/live")
            await socket.send_json({"type": "hello", "replica": replica})
            await socket.send_json({"type": "subscribe", "scopes": {"match:9f": None}})
            assert [(await socket.receive_json())["type"] for _ in range(2)] == ["welcome", "subscribed"]
            return socket

        watcher, *phones = [await socket_of(name) for name in ("watcher", "phone-1", "phone-2")]
        await phones[0].send_json({**here, "state": changed["state"]})
        assert await watcher.receive_json() == changed
        await phones[0].send_json(here)
        assert await watcher.receive_json() == {**changed, "state": here["state"]}
        await phones[1].send_json({**here, "state": json.loads(editing)})
        assert await watcher.receive_json() == {**counted, "more": 1}
        late = await socket_of("late")
        assert await late.receive_json() == {**present, "more": 1}
        await phones[0].send_json(gone)
        assert await watcher.receive_json() == left


async def test_the_requests_of_the_conflict_inbox_are_answered_as_the_page_says(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(GET|POST) (/sync/v1/conflicts\S*?)`(?: with `(.*?)`)? \| (.*?) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    async with served(tmp_path / "club.db", cup) as server, ClientSession(server.url) as http:
        game = {"n": 1, "type": "game", "id": "g", "scope": "cup", "base": 0}
        for replica, change in {
            "r0": {**game, "op": "create", "fields": {"away": 0}},
            "r1": {**game, "op": "update", "fields": {"home": 1}},
            "r2": {**game, "op": "update", "fields": {"home": 2}},
        }.items():
            reply = await (await http.post("/sync/v1/push", json={"replica": replica, "changes": [change]})).json()
        [conflict] = reply["outcomes"][0]["conflicts"]
        for method, path, body, answer in rows:
            sent = json.loads(body.replace("c-5f0f", conflict)) if body else None
            response = await http.request(method, path.replace("c-5f0f", conflict), json=sent)
            told = await response.json()
            assert response.status == 200, told
            told = told.get("conflicts", told.get("results", [told]))[-1]
            assert told.get("outcome", "applied") == "applied"
            named = re.findall(r'"(\w+)"', answer.partition("[")[2] or answer)
            assert set(named) - {"next"} <= told.keys()


async def the_frames_of_the_page_are_answered(socket: ClientWebSocketResponse, cursor: str) -> None:
    rows = re.findall(r'^\| `({"type": "[a-z]+".*?})` \| `({"type": "([a-z]+)".*?})`', PAGE, re.MULTILINE)
    assert [name for _, _, name in rows] == ["welcome", "subscribed", "unsubscribed", "pong"]
    for question, shown, name in rows:
        await socket.send_str(question.replace("3f0c9d.2", cursor))
        answer = await socket.receive_json()
        assert answer["type"] == name
        if "…" not in shown:
            assert answer == json.loads(shown.replace("3f0c9d.2", cursor))


def test_the_problem_of_the_page_is_what_the_server_says() -> None:
    error = TooLarge("1200 changes in one push, more than the 1000 allowed", field="changes")
    body = problem_of(error).body
    assert isinstance(body, bytes)
    assert json.loads(body) == PROBLEM


def test_every_code_is_on_the_page_and_every_code_on_the_page_is_given() -> None:
    tables = PAGE.split("## Refusals")[1]
    listed = {
        code for cell in re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE) for code in re.findall(r"`(\w+)`", cell)
    }
    listed |= set(re.findall(r"`(\w+)`", tables.splitlines()[-1]))
    from_aiohttp = {"not_found", "method_not_allowed", "expectation_failed", "refused"}
    assert codes_in_the_source() | MADE_UP | from_aiohttp == listed


def test_every_limit_outcome_operation_and_close_code_is_on_the_page() -> None:
    assert [name for name in Limits().as_dict() if f"`{name}`" not in PAGE] == []
    assert [kind for kind in Kind if f"| `{kind}` |" not in PAGE] == []
    assert [op for op in Op if f"`{op}`" not in PAGE] == []
    assert [code for code in CloseCode if f"| {code.value} |" not in PAGE] == []
    assert f"| 1008 | {MAX_BAD_FRAMES} bad frames |" in PAGE
    assert f"more than {MAX_FRAME_BYTES // 1024} KiB" in PAGE
