"""MessagePack on the wire: the same conversation, in other bytes; and compressed answers."""

from __future__ import annotations

from collections.abc import Mapping

import msgpack
import pytest

from client_sdk import Client, SyncState, Unfit, Unreachable
from client_sdk.encoding import decode, encoded
from tests.client_sdk.conftest import OpenClient
from tests.support.lossy_network import Fate, LossyNetwork
from tests.support.served import Served
from tests.support.until import until


async def test_a_conversation_in_msgpack_comes_to_the_same(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    packed = await open_client("packed", network.url, encoding="msgpack")
    plain = await open_client("plain", server.url)
    note = {"id": "x", "text": "grüße 🎉", "count": 2**53 - 1, "half": 0.5, "deep": [{"a": None}, True]}
    await packed.collection("note", scope="main").put(note)
    await packed.synced()
    await plain.synced()
    assert await plain.collection("note").get("x") == note
    await until(lambda: packed.status.state is SyncState.LIVE)
    await plain.collection("note").update("x", text="back")
    await until(lambda: packed.status.pending == 0)
    watched = packed.watch("main")
    await plain.collection("note").update("x", text="and live")
    async for delta in watched:
        if delta.states[0].fields["text"] == "and live":
            break
    assert await packed.check("main")
    assert {b"application/msgpack" in request.raw for request in network.requests if request.what != "live"} == {True}


async def test_a_repeat_in_the_other_encoding_is_the_same_change(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    """Law 3: the content counts, not its bytes."""
    phone = await open_client("phone", network.url)
    await phone.synced()
    network.fate_of = lambda request: Fate.LOSE_REPLY if request.what == "push" else Fate.PASS
    await phone.collection("note", scope="main").put({"id": "x", "half": 0.5, "text": "é"})
    await until(lambda: len(network.pushes()) > 0)
    await phone.close()
    phone = await open_client("phone", server.url, encoding="msgpack")
    await phone.synced()
    assert (phone.status.pending, await phone.rejected()) == (0, [])
    assert await phone.check("main")


async def test_large_answers_come_compressed_and_are_read(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    writer = await open_client("writer", server.url)
    for index in range(50):
        await writer.collection("note", scope="main").put({"id": f"n{index}", "text": "again and again " * 20})
    await writer.synced()
    reader = await open_client("reader", network.url)
    await reader.synced()
    assert len(await reader.collection("note").all()) == 50
    pull = next(request for request in network.requests if request.what == "pull")
    accepted = next(line for line in pull.raw.split(b"\r\n") if line.lower().startswith(b"accept-encoding"))
    assert b"gzip" in accepted
    assert b"zstd" in accepted


def test_an_encoding_that_is_none_is_refused(tmp_path: object) -> None:
    with pytest.raises(Unfit, match="one of: json, msgpack"):
        Client("http://127.0.0.1:1", replica=f"{tmp_path}/x.db", encoding="xml")  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81", msgpack.packb([1]), b"\x80\x80", b"\x81\xc4\x01a\x01\x02"])
def test_what_is_no_message_is_told_so(body: bytes) -> None:
    with pytest.raises(Unreachable):
        decode(body, "msgpack")


def test_both_encodings_say_the_same() -> None:
    message: Mapping[str, object] = {"a": [1, 2.5, None, "ü"]}
    assert decode(encoded(b'{"a": [1, 2.5, null, "\xc3\xbc"]}', "msgpack"), "msgpack") == message
    assert decode(encoded(b'{"a": [1, 2.5, null, "\xc3\xbc"]}', "json"), "json") == message
