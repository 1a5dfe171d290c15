"""MessagePack beside JSON: the same messages, the same answers, the same fate for a bad change."""

import json
import time
from typing import Any

import msgpack
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from conflict_rules.values import MAX_DEPTH, RepeatedKeys
from syncd.api.msgpack_codec import decode_msgpack, encode_msgpack
from syncd.errors import InvalidMessage
from tests.api.conftest import Api, OpenApi, create, problem_of

PUSH, PULL, LIVE = "/sync/v1/push", "/sync/v1/pull", "/sync/v1/live"
MSGPACK = {"Content-Type": "application/msgpack"}
JSON = {"Content-Type": "application/json"}


async def packed(api: Api, url: str, message: object, **headers: str) -> dict[str, Any]:
    response = await api.http.post(url, data=msgpack.packb(message), headers={**MSGPACK, **headers})
    assert response.status == 200, await response.text()
    assert response.content_type == "application/msgpack"
    answer: dict[str, Any] = msgpack.unpackb(await response.read())
    return answer


def push_of(*changes: object) -> dict[str, object]:
    return {"replica": "r1", "schema": 1, "changes": changes}


class TestMessages:
    """Push and pull."""

    async def test_a_packed_push_is_settled_and_answered_packed(self, api: Api) -> None:
        reply = await packed(api, PUSH, push_of(create(1, "a", text="grüße"), create(2, "b", ratio=0.5)))
        assert [(outcome["n"], outcome["outcome"]) for outcome in reply["outcomes"]] == [(1, "applied"), (2, "applied")]
        assert reply["limits"] == api.server.limits.as_dict()

    async def test_a_packed_pull_gives_the_same_as_one_in_json(self, api: Api) -> None:
        await api.push(create(1, "a", text="grüße", minute=45, ratio=0.5, none=None), create(2, "b"))
        request = {"scopes": {"main": None, "empty": None}, "replica": "r1", "digest": True}
        plain = await api.pull(request["scopes"], replica="r1", digest=True)  # type: ignore[arg-type]
        assert (await packed(api, PULL, request))["scopes"] == plain["scopes"]

    async def test_a_page_too_large_for_the_event_loop_is_the_same_too(self, api: Api) -> None:
        await api.push(*(create(n, f"n{n}", text="x" * 1000) for n in range(1, 200)))
        request = {"scopes": {"main": None}, "limit_bytes": 1 << 20}
        plain = await api.pull({"main": None}, limit_bytes=1 << 20)
        assert len(plain["scopes"]["main"]["resources"]) == 199
        assert (await packed(api, PULL, request))["scopes"] == plain["scopes"]

    async def test_a_change_repeated_in_the_other_format_is_the_same_change(self, api: Api) -> None:
        change = create(1, "a", text="one", minute=45, ratio=0.5)
        await api.push(change)
        assert (await packed(api, PUSH, push_of(change)))["outcomes"][0]["repeat"] is True

    @pytest.mark.parametrize(
        "content_type", ["application/x-msgpack", "application/vnd.msgpack", "Application/MsgPack"]
    )
    async def test_other_names_of_the_format_are_understood(self, api: Api, content_type: str) -> None:
        await packed(api, PUSH, push_of(), **{"Content-Type": content_type})

    @pytest.mark.parametrize(
        ("sent", "accept", "answered"),
        [
            (JSON, "application/msgpack", "application/msgpack"),
            (JSON, "application/x-msgpack, */*;q=0.1", "application/msgpack"),
            (JSON, "application/json;q=0.5, application/msgpack;q=0.6", "application/msgpack"),
            (JSON, "application/msgpack;q=0.5, application/json", "application/json"),
            (JSON, "application/msgpack, application/json", "application/json"),
            (JSON, "application/msgpack;q=0", "application/json"),
            (JSON, "application/msgpack;q=many", "application/json"),
            (JSON, "text/html", "application/json"),
            (JSON, ",;,;q=", "application/json"),
            (MSGPACK, "*/*", "application/msgpack"),
            (MSGPACK, "application/json", "application/json"),
            (MSGPACK, "application/json, application/msgpack", "application/msgpack"),
        ],
    )
    @pytest.mark.parametrize(("url", "message"), [(PUSH, push_of()), (PULL, {"scopes": {"main": None}})])
    async def test_the_answer_is_in_the_format_that_the_caller_likes_best(
        self, api: Api, url: str, message: object, sent: dict[str, str], accept: str, answered: str
    ) -> None:
        body = json.dumps(message).encode() if sent is JSON else msgpack.packb(message)
        response = await api.http.post(url, data=body, headers={**sent, "Accept": accept})
        assert (response.status, response.content_type) == (200, answered)
        assert "Accept" in response.headers["Vary"].split(", ")
        raw = await response.read()
        assert (json.loads if answered == "application/json" else msgpack.unpackb)(raw)["limits"]

    @pytest.mark.parametrize("url", [PUSH, PULL])
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_msgpack"),
            (b"{}", "invalid_msgpack"),
            (b"\xc1", "invalid_msgpack"),
            (b"\x81", "invalid_msgpack"),
            (b"\x80\x80", "invalid_msgpack"),
            (b"\xa1\xff", "invalid_msgpack"),
            (b"\xc7\x03\xff\x00\x00\x00", "invalid_msgpack"),
            (b"\x91" * 50_000, "invalid_msgpack"),
            (b"\xdd\xff\xff\xff\xff", "invalid_msgpack"),
            (b"\x90", "invalid_message"),
            (b"\xc0", "invalid_message"),
            (b"\x80", "invalid_message"),
            (b"\x81\x01\x02", "invalid_message"),
            (b"\x81\x90\x02", "invalid_message"),
            (b"\x81\xc4\x01a\x02", "invalid_message"),
            (b"\x82\xa7replica\xa1a\xa7replica\xa1b", "repeated_key"),
            (b"\x82\x90\x01\x90\x01", "repeated_key"),
            (b"\x82\x01\x01\x01\x01", "repeated_key"),
        ],
    )
    async def test_a_body_that_is_no_message_is_refused_with_the_reason_in_json(
        self, api: Api, url: str, body: bytes, code: str
    ) -> None:
        await problem_of(await api.http.post(url, data=body, headers=MSGPACK), 400, code)

    @pytest.mark.parametrize("place", ["field", "inside", "fields", "n", "id", "op", "stamp", "base", "group", "x"])
    @pytest.mark.parametrize(
        "bad",
        [
            b"bytes",
            float("nan"),
            float("inf"),
            1 << 63,
            msgpack.ExtType(5, b"x"),
            msgpack.Timestamp(1, 2),
            {1: 2},
            {b"k": 2},
            {None: 1},
            "\x00",
        ],
        ids=repr,
    )
    async def test_a_value_that_json_does_not_have_is_refused_by_itself(
        self, api: Api, bad: object, place: str
    ) -> None:
        change = create(1, "a")
        if place == "field":
            change["fields"] = {"f": bad}
        elif place == "inside":
            change["fields"] = {"f": [{"g": bad}]}
        else:
            change[place] = bad
        message = push_of(change, create(1 if place == "n" else 2, "b"))
        for repeat in (False, True):
            first, second = (await packed(api, PUSH, message))["outcomes"]
            assert (first["outcome"], second["outcome"]) == ("rejected", "applied"), first
            assert first["message"]
            assert second.get("repeat", False) is repeat
            if place != "n":
                assert first.get("repeat", False) is repeat

    @pytest.mark.parametrize(
        "bad", [b"\x82\xa1k\x01\xa1k\x02", b"\x81\x90\x01", b"\x82\x90\x01\x91\x01\x01", b"\x81\x80\x01"], ids=repr
    )
    async def test_a_map_with_odd_keys_is_refused_by_itself(self, api: Api, bad: bytes) -> None:
        body = msgpack.packb(push_of(create(1, "a", f="HERE"), create(2, "b"))).replace(b"\xa4HERE", bad)
        response = await api.http.post(PUSH, data=body, headers=MSGPACK)
        first, second = msgpack.unpackb(await response.read())["outcomes"]
        assert (first["outcome"], second["outcome"]) == ("rejected", "applied")
        assert first["code"] in ("repeated_key", "unsupported_value")

    async def test_however_deep_a_field_nests_it_is_kept_or_refused_by_itself(self, api: Api) -> None:
        n = 1
        for depth in [30, 32, 33, 60, 61, 64, 65, 100, 500, 900, 1000]:
            body = msgpack.packb(push_of(create(n, f"a{n}", deep="HERE"), create(n + 1, f"b{n}")))
            response = await api.http.post(
                PUSH, data=body.replace(b"\xa4HERE", b"\x91" * (depth - 1) + b"\x90"), headers=MSGPACK
            )
            assert response.status == 200, (depth, await response.text())
            first, second = msgpack.unpackb(await response.read())["outcomes"]
            assert (first["outcome"], first.get("code")) == (
                ("applied", None) if depth <= MAX_DEPTH else ("rejected", "too_deep")
            ), depth
            assert second["outcome"] == "applied"
            n += 2

    async def test_the_limits_count_for_it_too(self, open_api: OpenApi) -> None:
        api = await open_api(max_body_bytes=2000, max_changes=3)
        response = await api.http.post(PUSH, data=msgpack.packb("x" * 2000), headers=MSGPACK)
        await problem_of(response, 413, "too_large")
        message = push_of(*(create(n, f"n{n}") for n in range(1, 5)))
        await problem_of(await api.http.post(PUSH, data=msgpack.packb(message), headers=MSGPACK), 413, "too_large")


class TestCodec:
    """Bytes to values."""

    def test_a_key_given_twice_is_told_beside_what_was_named_once(self) -> None:
        value = decode_msgpack(b"\x83\xa1n\x01\xa1k\x01\xa1k\x02")
        assert isinstance(value, RepeatedKeys)
        assert (dict(value), value.key) == ({"n": 1}, "k")

    def test_arrays_that_claim_to_be_long_are_not_believed(self) -> None:
        # Each of a thousand levels claims a million members: 8 GB, were they made room for.
        bomb = b"\xdd\x00\x0f\xff\xff" * 1000 + bytes(1 << 20)
        started = time.process_time()
        with pytest.raises(InvalidMessage, match="ends too early"):
            decode_msgpack(bomb)
        assert time.process_time() - started < 1

    def test_half_a_surrogate_pair_goes_as_its_escape(self) -> None:
        assert decode_msgpack(encode_msgpack({"a": "\ud800"})) == {"a": "\\ud800"}


class TestLive:
    """The socket."""

    async def frame_of(self, socket: ClientWebSocketResponse) -> dict[str, Any]:
        message = await socket.receive(timeout=5)
        assert message.type is WSMsgType.BINARY, message
        frame: dict[str, Any] = msgpack.unpackb(message.data)
        return frame

    async def ask(self, socket: ClientWebSocketResponse, **frame: object) -> dict[str, Any]:
        await socket.send_bytes(msgpack.packb(frame))
        return await self.frame_of(socket)

    async def test_a_hello_that_asks_for_it_is_answered_in_binary_frames(self, api: Api) -> None:
        socket = await api.http.ws_connect(LIVE)
        assert (await self.ask(socket, type="hello", format="msgpack"))["type"] == "welcome"
        assert await self.ask(socket, type="ping") == {"type": "pong"}
        await socket.send_str('{"type": "ping"}')
        assert await self.frame_of(socket) == {"type": "pong"}

    async def test_a_wrong_token_is_told_in_the_format_of_its_hello(self, open_api: OpenApi) -> None:
        api = await open_api(token="a-long-shared-secret")
        socket = await api.http.ws_connect(LIVE)
        assert (await self.ask(socket, type="hello", format="msgpack", token="wrong"))["code"] == "unauthenticated"
        assert (await socket.receive(timeout=5)).data == 4401

    async def test_deltas_come_packed_to_whom_asked_and_as_text_to_the_others(self, api: Api) -> None:
        first = await api.http.ws_connect(LIVE)
        await self.ask(first, type="hello", format="msgpack")
        await self.ask(first, type="subscribe", scopes={"main": None})
        second = await api.http.ws_connect(LIVE)
        for frame in ({"type": "hello"}, {"type": "subscribe", "scopes": {"main": None}}):
            await second.send_json(frame)
            await second.receive_json()
        await api.push(create(1, "a", text="grüße", ratio=0.5))
        delta = await self.frame_of(first)
        assert delta == await second.receive_json()
        assert [entry["fields"] for entry in delta["entries"]] == [{"text": "grüße", "ratio": 0.5}]

    async def test_errors_come_packed_too(self, api: Api) -> None:
        socket = await api.http.ws_connect(LIVE)
        await self.ask(socket, type="hello", format="msgpack")
        assert (await self.ask(socket, type="dance"))["code"] == "invalid_message"
        await socket.send_bytes(b"\xa1\xff")
        assert (await self.frame_of(socket))["code"] == "invalid_msgpack"
        await socket.send_str("nonsense")
        assert (await self.frame_of(socket))["code"] == "invalid_json"

    async def test_the_hint_to_pull_comes_packed_too(self, api: Api) -> None:
        socket = await api.http.ws_connect(LIVE)
        await self.ask(socket, type="hello", format="msgpack")
        await self.ask(socket, type="subscribe", scopes={"main": None})
        (connection,) = api.server.watcher._connections
        connection.tell_to_pull(["main"])
        assert await self.frame_of(socket) == {"type": "pull", "scopes": ["main"]}

    async def test_the_first_hello_chooses_for_good(self, api: Api) -> None:
        socket = await api.http.ws_connect(LIVE)
        await self.ask(socket, type="hello", format="msgpack")
        assert (await self.ask(socket, type="hello"))["type"] == "welcome"
        assert (await self.ask(socket, type="hello", format="msgpack"))["type"] == "welcome"
        error = await self.ask(socket, type="hello", format="json")
        assert (error["type"], error["code"], error["field"]) == ("error", "invalid_message", "format")

    @pytest.mark.parametrize("wanted", ["cbor", "", 1])
    async def test_another_format_is_a_bad_frame(self, api: Api, wanted: object) -> None:
        socket = await api.http.ws_connect(LIVE)
        await socket.send_json({"type": "hello", "format": wanted})
        error = await socket.receive_json()
        assert (error["code"], error["field"]) == ("invalid_message", "format")
