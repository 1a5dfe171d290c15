"""All of `fixtures/bad-input` against push, pull and live of one running server.

Every case gets a problem document or an outcome with a reason; whatever is accepted comes back by pull as it was sent;
a good change beside a bad one is applied; and at the end it is still the same process, with no traceback in its log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.attack import PULL, PUSH, Talk, Target, check_outcome, create, under_attack
from tests.support.bad_input import JsonText, json_texts, naughty_strings, packed_values
from tests.support.raw_http import request_bytes, send_raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = json_texts()
STRINGS = naughty_strings()
PACKED = packed_values()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with under_attack(tmp_path_factory.mktemp("bad-input") / "club.db") as target:
        yield target


def spliced(text: JsonText, replica: str, scope: str) -> bytes:
    """A push of two changes, the text in the place of a field's value in the first."""
    bad = json.dumps(create(1, f"{scope}.bad", scope, fields={"value": "HERE"})).encode()
    good = json.dumps(create(2, f"{scope}.good", scope, fields={"value": 1})).encode()
    envelope = json.dumps({"replica": replica, "changes": "HERE"}).encode()
    return envelope.replace(b'"HERE"', b"[" + bad.replace(b'"HERE"', text.raw) + b"," + good + b"]")


async def test_all_cases_are_here() -> None:
    assert Counter(text.expect for text in TEXTS) == {"accept": 76, "reject": 151, "either": 28 + 22}
    assert (len(STRINGS), len(PACKED)) == (515, 85)


class TestJsonTexts:
    """JSON and what only looks like it."""

    @pytest.mark.parametrize("path", [PUSH, PULL])
    async def test_as_a_body_each_is_a_problem(self, target: Target, path: str) -> None:
        for text in TEXTS:
            status, answer = await target.send(path, text.raw)
            assert status == 400, (text.name, answer)
            allowed = {
                "accept": {"invalid_message", "repeated_key"},
                "reject": {"invalid_json", "invalid_utf8"},
                "either": {"invalid_message", "repeated_key", "invalid_json", "invalid_utf8"},
            }
            assert answer["code"] in allowed[text.expect], (text.name, answer)
        await target.assert_in_good_health()

    async def test_as_a_field_each_is_kept_exactly_or_refused_by_itself(self, target: Target) -> None:
        fates: Counter[str] = Counter()
        for index, text in enumerate(TEXTS):
            replica, scope = target.new_replica(), f"json:{index}"
            status, answer = await target.send(PUSH, spliced(text, replica, scope))
            if status != 200:
                assert text.expect != "accept", (text.name, answer)
                fates["problem"] += 1
                # The envelope itself was unreadable: nothing of it is settled, and the next push begins at one.
                assert (await target.push(replica, [create(1, f"{scope}.good", scope)]))[0]["outcome"] == "applied"
                continue
            assert text.expect != "reject", (text.name, answer)
            bad, good = answer["outcomes"]
            check_outcome(bad)
            assert good["outcome"] == "applied", (text.name, good)
            fates[bad["outcome"]] += 1
            kept = await target.fields_of(scope)
            if bad["outcome"] == "applied":
                assert kept[f"{scope}.bad"] == {"value": json.loads(text.raw)}, text.name
            else:
                assert (bad["outcome"], bad["field"].startswith("value")) == ("rejected", True), (text.name, bad)
                assert f"{scope}.bad" not in kept
            assert (await target.push(replica, [create(3, f"{scope}.next", scope)]))[0]["outcome"] == "applied"
        assert fates["applied"] >= 76
        assert fates["problem"] >= 151
        assert fates["rejected"] > 0

    async def test_as_a_change_each_is_refused_by_itself(self, target: Target) -> None:
        for index, text in enumerate(TEXTS):
            replica = target.new_replica()
            good = json.dumps(create(1, f"good-{index}", "json-changes")).encode()
            body = b'{"replica": "%b", "changes": [%b, %b]}' % (replica.encode(), text.raw, good)
            status, answer = await target.send(PUSH, body)
            if status == 200:
                check_outcome(answer["outcomes"][0])
                assert answer["outcomes"][0]["outcome"] == "rejected", (text.name, answer)
                assert answer["outcomes"][-1]["outcome"] == "applied", (text.name, answer)
            else:
                assert text.expect != "accept", (text.name, answer)

    async def test_as_a_cursor_each_is_a_problem_or_starts_over(self, target: Target) -> None:
        for text in TEXTS:
            status, answer = await target.send(PULL, b'{"scopes": {"json:0": ' + text.raw + b"}}")
            if status == 200:
                page = answer["scopes"]["json:0"]
                assert page.get("reset", False) is (text.raw.strip() != b"null"), text.name
            else:
                assert answer["code"] in ("invalid_message", "invalid_json", "invalid_utf8"), (text.name, answer)
                assert "field" in answer or answer["code"] != "invalid_message"

    async def test_as_a_frame_each_is_answered_with_the_reason(self, target: Target) -> None:
        async with Talk(target) as talk:
            for text in TEXTS:
                error = await talk.ask(text.raw)
                assert error["type"] == "error", (text.name, error)
                if text.expect == "reject":
                    assert error["code"] in ("invalid_json", "invalid_utf8"), (text.name, error)
        await target.assert_in_good_health()

    async def test_as_a_cursor_of_a_subscription_each_is_answered(self, target: Target) -> None:
        async with Talk(target) as talk:
            for text in TEXTS:
                answer = await talk.ask(b'{"type": "subscribe", "scopes": {"json:0": ' + text.raw + b"}}")
                if text.expect == "reject":
                    assert answer["code"] in ("invalid_json", "invalid_utf8"), (text.name, answer)
                elif answer["type"] == "subscribed":
                    assert answer["scopes"] == {"json:0": {"pull": True}}, text.name


class TestMessagePack:
    """MessagePack where JSON is expected; `test_bad_input_msgpack.py` sends it under its own name."""

    @pytest.mark.parametrize("path", [PUSH, PULL])
    async def test_as_a_body_said_to_be_json_each_is_a_problem(self, target: Target, path: str) -> None:
        for packed in PACKED:
            for encoding in packed.encodings:
                status, answer = await target.send(path, encoding)
                assert (status, answer["code"]) in (
                    (400, "invalid_json"),
                    (400, "invalid_utf8"),
                    (400, "invalid_message"),
                ), packed.name

    async def test_as_a_frame_each_is_answered_with_the_reason(self, target: Target) -> None:
        async with Talk(target) as talk:
            for packed in PACKED:
                for encoding in packed.encodings:
                    assert (await talk.ask(encoding))["type"] == "error", packed.name

    async def test_its_values_as_fields_are_kept_exactly_or_refused_by_themselves(self, target: Target) -> None:
        replica = target.new_replica()
        changes = [create(n, f"p{n}", "packed", fields={"value": packed.value}) for n, packed in enumerate(PACKED, 1)]
        outcomes = await target.push(replica, changes)
        kept = await target.fields_of("packed")
        for n, (packed, outcome) in enumerate(zip(PACKED, outcomes, strict=True), 1):
            if outcome["outcome"] == "applied":
                assert kept.pop(f"p{n}") == {"value": packed.value}, packed.name
            else:
                assert (outcome["outcome"], outcome["field"]) == ("rejected", "value"), (packed.name, outcome)
        assert kept == {}
        assert (await target.push(replica, [create(86, "packed-good", "packed")]))[0]["outcome"] == "applied"


class TestNaughtyStrings:
    """Strings that have broken somebody's program."""

    async def test_as_values_all_are_kept_exactly(self, target: Target) -> None:
        replica = target.new_replica()
        changes = [
            create(n, f"s{n}", "naughty", fields={"text": text, "inside": [{"deep": text}]})
            for n, text in enumerate(STRINGS, 1)
        ]
        outcomes = await target.push(replica, changes)
        assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
        kept = await target.fields_of("naughty")
        assert kept == {f"s{n}": {"text": text, "inside": [{"deep": text}]} for n, text in enumerate(STRINGS, 1)}

    async def test_as_names_of_fields_each_is_kept_exactly_or_refused_by_itself(self, target: Target) -> None:
        changes = [create(n, f"f{n}", "names", fields={text: n}) for n, text in enumerate(STRINGS, 1)]
        outcomes = await target.push(target.new_replica(), changes)
        kept = await target.fields_of("names")
        for n, (text, outcome) in enumerate(zip(STRINGS, outcomes, strict=True), 1):
            if outcome["outcome"] == "applied":
                assert kept.pop(f"f{n}") == {text: n}
            else:
                assert (outcome["outcome"], outcome["code"]) == ("rejected", "invalid_field_name"), (text, outcome)
        assert kept == {}

    @pytest.mark.parametrize("key", ["id", "type", "scope", "op", "stamp", "base", "group", "fields", "schema", "n"])
    async def test_as_any_part_of_a_change_each_is_applied_or_refused_by_itself(self, target: Target, key: str) -> None:
        replica = target.new_replica()
        changes: list[dict[str, object]] = []
        n = 0
        for text in STRINGS:
            # What has no readable number settles none: the change after it takes it.
            n += key != "n"
            changes.append(create(n, f"{key}-bad-{len(changes)}", f"part:{key}") | {key: text})
            n += 1
            changes.append(create(n, f"{key}-good-{len(changes)}", f"part:{key}"))
        outcomes: list[dict[str, Any]] = []
        for start in range(0, len(changes), 1000):
            outcomes += await target.push(replica, changes[start : start + 1000])
        bad, good = outcomes[::2], outcomes[1::2]
        assert {outcome["outcome"] for outcome in good} == {"applied"}
        assert {outcome["outcome"] for outcome in bad} <= {"applied", "rejected"}
        codes = {outcome["code"] for outcome in bad if outcome["outcome"] == "rejected"}
        expected = "invalid_number" if key == "n" else f"invalid_{key}"
        assert codes == {expected}
        assert {outcome["field"] for outcome in bad if outcome["outcome"] == "rejected"} == {key}

    async def test_as_unknown_keys_of_a_change_each_is_refused_by_itself(self, target: Target) -> None:
        changes = [create(n, f"u{n}", "unknown") | {text: 1} for n, text in enumerate(STRINGS, 1)]
        outcomes = await target.push(target.new_replica(), changes)
        known = {"n", "scope", "type", "id", "op", "fields", "base", "stamp", "group", "schema"}
        for text, outcome in zip(STRINGS, outcomes, strict=True):
            assert text in known or outcome["code"] == "unknown_key", (text, outcome)

    @pytest.mark.parametrize("path", [PUSH, PULL])
    async def test_as_a_replica_each_is_answered(self, target: Target, path: str) -> None:
        for text in STRINGS:
            status, answer = await target.send(
                path,
                json.dumps(
                    {"replica": text, "changes": []} if path == PUSH else {"replica": text, "scopes": {}}
                ).encode(),
            )
            assert status == 200 or (answer["code"], answer["field"]) == ("invalid_replica", "replica"), (text, answer)

    @pytest.mark.parametrize("path", [PUSH, PULL])
    async def test_as_a_key_of_the_envelope_each_is_a_problem(self, target: Target, path: str) -> None:
        envelope = {"changes": [], "replica": "r1"} if path == PUSH else {"scopes": {}}
        for text in STRINGS:
            status, answer = await target.send(path, json.dumps({**envelope, text: None}).encode())
            assert (status, answer["code"]) == (400, "invalid_message"), (text, answer)

    async def test_as_a_scope_of_a_pull_each_is_empty_or_a_problem(self, target: Target) -> None:
        for text in STRINGS:
            status, answer = await target.send(PULL, json.dumps({"scopes": {text: None}}).encode())
            if status == 200:
                assert list(answer["scopes"]) == [text]
            else:
                assert (answer["code"], answer["field"]) == ("invalid_scope", "scopes"), (text, answer)

    async def test_as_a_cursor_each_starts_over_or_is_a_problem(self, target: Target) -> None:
        for text in STRINGS:
            status, answer = await target.send(PULL, json.dumps({"scopes": {"naughty": text}}).encode())
            if status == 200:
                assert answer["scopes"]["naughty"]["reset"] is True, text
            else:
                assert answer["code"] == "invalid_message", (text, answer)

    @pytest.mark.parametrize("key", ["type", "token", "replica", "scope", "cursor", "unsubscribe", "key"])
    async def test_in_a_frame_each_is_answered(self, target: Target, key: str) -> None:
        async with Talk(target) as talk:
            for text in STRINGS:
                frame: dict[str, object] = {
                    "type": {"type": text},
                    "token": {"type": "hello", "token": text},
                    "replica": {"type": "hello", "replica": text},
                    "scope": {"type": "subscribe", "scopes": {text: None}},
                    "cursor": {"type": "subscribe", "scopes": {"naughty": text}},
                    "unsubscribe": {"type": "unsubscribe", "scopes": [text]},
                    "key": {"type": "hello", text: 1},
                }[key]  # type: ignore[assignment]
                answer = await talk.ask(json.dumps(frame).encode())
                assert answer["type"] in ("error", "welcome", "subscribed", "unsubscribed"), (text, answer)

    async def test_as_a_path_a_query_or_a_header_none_is_more_than_a_problem(self, target: Target) -> None:
        for text in STRINGS:
            raw = text.encode()
            header = raw.replace(b"\r", b"").replace(b"\n", b"")
            for data in (
                request_bytes(b"", path="/HERE", method="GET").replace(b"HERE", raw),
                request_bytes(b"{}", path="/sync/v1/push?HERE").replace(b"HERE", raw),
                request_bytes(b"{}", headers=["Content-Type: HERE"]).replace(b"HERE", header),
                request_bytes(b"{}", headers=["Authorization: Bearer HERE"]).replace(b"HERE", header),
            ):
                answer = await send_raw(target.process.host_and_port, data)
                assert 400 <= answer.status < 500 or answer.status == 200, (text, answer)
                if answer.status != 200:
                    assert answer.problem["code"]
        await target.assert_in_good_health()
