"""`fixtures/bad-input` as real MessagePack: each value in each of its encodings, and mutations of good messages.

As in JSON, each gets a problem document or an outcome with a reason; what is accepted comes back as it was sent; a good
change beside a bad one is applied; and at the end it is still the same process, with no traceback in its log.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
import pytest_asyncio
from aiohttp import WSMsgType

from tests.support.attack import PULL, PUSH, Talk, Target, check_outcome, create, under_attack
from tests.support.bad_input import naughty_strings, packed_values

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKED = packed_values()
ENCODINGS = [(packed, encoding) for packed in PACKED for encoding in packed.encodings]
STRINGS = naughty_strings()
HEADERS = {"Content-Type": "application/msgpack", "Accept": "application/json"}
CHANGE = create(1, "HERE", "packed:HERE", fields={"value": 1}, base=0, group="g", schema=1)
PARTS = ["n", "scope", "type", "id", "op", "fields", "base", "stamp", "group", "schema"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with under_attack(tmp_path_factory.mktemp("bad-input-msgpack") / "club.db") as target:
        yield target


def pack_with(value: object, encoding: bytes) -> bytes:
    """`value` packed, with the bytes `encoding` where it says HERE."""
    packed: bytes = msgpack.packb(value)
    assert packed.count(b"\xa4HERE") == 1
    return packed.replace(b"\xa4HERE", encoding)


async def send(target: Target, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    return await target.send(path, body, HEADERS)


async def test_all_cases_are_here() -> None:
    assert (len(PACKED), len(ENCODINGS), len(STRINGS)) == (85, 233, 515)


@pytest.mark.parametrize("path", [PUSH, PULL])
async def test_as_a_body_each_is_a_problem(target: Target, path: str) -> None:
    for packed, encoding in ENCODINGS:
        status, answer = await send(target, path, encoding)
        assert (status, answer["code"]) == (400, "invalid_message"), (packed.name, answer)
        for spoilt in (encoding + b"\xc0", encoding[:-1]):
            status, answer = await send(target, path, spoilt)
            assert status == 400, (packed.name, answer)
            assert answer["code"] in ("invalid_msgpack", "invalid_message"), (packed.name, answer)
        assert (await send(target, path, encoding + b"\xc0"))[1]["code"] == "invalid_msgpack"
    await target.assert_in_good_health()


async def test_as_a_field_each_is_kept_exactly_or_refused_by_itself(target: Target) -> None:
    fates: Counter[str] = Counter()
    for index, (packed, encoding) in enumerate(ENCODINGS):
        replica, scope = target.new_replica(), f"packed:{index}"
        bad = create(1, f"{scope}.bad", scope, fields={"value": "HERE"})
        good = create(2, f"{scope}.good", scope, fields={"value": 1})
        body = pack_with({"replica": replica, "changes": [bad, good]}, encoding)
        status, answer = await send(target, PUSH, body)
        assert status == 200, (packed.name, answer)
        first, second = answer["outcomes"]
        check_outcome(first)
        assert second["outcome"] == "applied", (packed.name, second)
        section = packed.name.partition(".")[0]
        fates[f"{section} {first['outcome']}"] += 1
        kept = await target.fields_of(scope)
        if first["outcome"] == "applied":
            value = kept[f"{scope}.bad"]["value"]
            assert value == msgpack.unpackb(encoding), packed.name
            assert isinstance(value, bool) is isinstance(packed.value, bool), packed.name
        else:
            assert (first["outcome"], first["field"].startswith("value")) == ("rejected", True), (packed.name, first)
            assert f"{scope}.bad" not in kept
        again = await send(target, PUSH, body)
        assert again[1]["outcomes"][0]["repeat"] is True, packed.name
    # Bytes, timestamps and other extensions are no JSON; all else of the suite but the largest integers is.
    for section in ("12", "50", "60"):
        assert fates[f"{section} rejected"] > 0
        assert f"{section} applied" not in fates
    for section in ("10", "11", "30", "31", "32", "40", "41", "42"):
        assert f"{section} rejected" not in fates, fates


@pytest.mark.parametrize("part", PARTS)
async def test_as_any_part_of_a_change_each_is_applied_or_refused_by_itself(target: Target, part: str) -> None:
    n = 0
    replica = target.new_replica()
    for index, (packed, encoding) in enumerate(ENCODINGS):
        # What has no readable number settles none: the change after it takes it.
        first_n = n + 1
        bad = create(first_n, f"{part}-{index}", f"parts:{part}") | {part: "HERE"}
        if part == "n":
            replica, first_n = target.new_replica(), 0
        good = create(first_n + 1, f"{part}-good-{index}", f"parts:{part}")
        status, answer = await send(target, PUSH, pack_with({"replica": replica, "changes": [bad, good]}, encoding))
        assert status == 200, (packed.name, answer)
        first, second = answer["outcomes"]
        check_outcome(first)
        if part == "n" and msgpack.unpackb(encoding) == 1 and first["n"] == 1:
            assert second["code"] == "id_reuse", (packed.name, second)
            continue
        assert second["outcome"] == "applied", (packed.name, first, second)
        n = first_n + 1


async def test_as_a_change_each_is_refused_by_itself(target: Target) -> None:
    for packed, encoding in ENCODINGS:
        replica = target.new_replica()
        body = pack_with({"replica": replica, "changes": ["HERE", create(1, f"{replica}.good", "changes")]}, encoding)
        status, answer = await send(target, PUSH, body)
        assert status == 200, (packed.name, answer)
        first, second = answer["outcomes"]
        check_outcome(first)
        assert (first["outcome"], second["outcome"]) == ("rejected", "applied"), (packed.name, answer)


@pytest.mark.parametrize("place", ["key of a change", "name of a field", "key in a field"])
async def test_as_a_key_each_is_refused_by_itself_unless_it_is_text(target: Target, place: str) -> None:
    for packed, encoding in ENCODINGS:
        replica = target.new_replica()
        bad = {
            "key of a change": create(1, f"{replica}.bad", "keys") | {"HERE": 1},
            "name of a field": create(1, f"{replica}.bad", "keys", fields={"HERE": 1}),
            "key in a field": create(1, f"{replica}.bad", "keys", fields={"value": {"HERE": 1}}),
        }[place]
        good = create(2, f"{replica}.good", "keys")
        status, answer = await send(target, PUSH, pack_with({"replica": replica, "changes": [bad, good]}, encoding))
        assert status == 200, (packed.name, answer)
        first, second = answer["outcomes"]
        check_outcome(first)
        assert second["outcome"] == "applied", (packed.name, second)
        if place == "key of a change" or not isinstance(msgpack.unpackb(encoding, strict_map_key=False), str):
            assert first["outcome"] == "rejected", (packed.name, first)


@pytest.mark.parametrize("place", ["replica", "cursor", "scope", "limit_bytes", "digest"])
async def test_as_a_part_of_a_pull_each_is_answered(target: Target, place: str) -> None:
    for packed, encoding in ENCODINGS:
        message: dict[str, object] = {
            "cursor": {"scopes": {"packed:0": "HERE"}},
            "scope": {"scopes": {"HERE": None}},
        }.get(place) or {"scopes": {}, place: "HERE"}
        status, answer = await send(target, PULL, pack_with(message, encoding))
        assert status == 200 or answer["code"] in ("invalid_message", "invalid_scope", "invalid_replica"), packed.name


async def test_naughty_strings_are_kept_exactly(target: Target) -> None:
    changes = [create(n, f"s{n}", "naughty", fields={"text": text}) for n, text in enumerate(STRINGS, 1)]
    status, answer = await send(target, PUSH, msgpack.packb({"replica": target.new_replica(), "changes": changes}))
    assert status == 200
    assert {outcome["outcome"] for outcome in answer["outcomes"]} == {"applied"}
    assert await target.fields_of("naughty") == {f"s{n}": {"text": text} for n, text in enumerate(STRINGS, 1)}


async def test_as_a_binary_frame_each_is_answered_with_the_reason(target: Target) -> None:
    async with Talk(target) as talk:
        for packed, encoding in ENCODINGS:
            assert (await talk.ask(encoding, WSMsgType.BINARY))["code"] == "invalid_message", packed.name
            error = await talk.ask(encoding + b"\xc0", WSMsgType.BINARY)
            assert error["code"] == "invalid_msgpack", packed.name


@pytest.mark.parametrize("place", ["type", "token", "format", "scopes", "cursor", "scope", "unsubscribe"])
async def test_as_a_part_of_a_binary_frame_each_is_answered(target: Target, place: str) -> None:
    frames: dict[str, dict[str, object]] = {
        "type": {"type": "HERE"},
        "token": {"type": "hello", "token": "HERE"},
        "format": {"type": "hello", "format": "HERE"},
        "scopes": {"type": "subscribe", "scopes": "HERE"},
        "cursor": {"type": "subscribe", "scopes": {"packed:0": "HERE"}},
        "scope": {"type": "subscribe", "scopes": {"HERE": None}},
        "unsubscribe": {"type": "unsubscribe", "scopes": ["HERE"]},
    }
    async with Talk(target) as talk:
        for packed, encoding in ENCODINGS:
            answer = await talk.ask(pack_with(frames[place], encoding), WSMsgType.BINARY)
            assert answer["type"] in ("error", "welcome", "subscribed", "unsubscribed"), packed.name


async def test_a_good_push_with_any_byte_spoilt_is_answered_and_leaves_the_server_well(target: Target) -> None:
    chance = random.Random(1)
    for _ in range(1500):
        replica = target.new_replica()
        changes = [create(n, f"{replica}.{n}", "spoilt", fields={"v": [1, {"w": 2.5}]}) for n in (1, 2)]
        body = bytearray(msgpack.packb({"replica": replica, "changes": changes}))
        for _ in range(chance.choice((1, 1, 1, 4))):
            spoilt = (0xC1, 0xC4, 0xC7, 0xD4, 0xDD, 0xDF, chance.randrange(256))
            body[chance.randrange(len(body))] = chance.choice(spoilt)
        status, answer = await send(target, PUSH, bytes(body))
        if status == 200:
            for outcome in answer["outcomes"]:
                check_outcome(outcome)
        else:
            assert status in (400, 413), answer
    await target.assert_in_good_health()
