"""A replica that keeps some types only: what it holds, what it sends, and what it may claim to have seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from client_sdk import Client, Unfit
from tests.client_sdk.conftest import OpenClient
from tests.support.served import Served
from tests.support.until import until


async def held(client: Client, type_: str) -> dict[Any, Any]:
    return {each["id"]: each["v"] for each in await client.collection(type_, scope="main").all()}


async def put(client: Client, type_: str, id_: str, v: object) -> None:
    await client.collection(type_, scope="main").put({"id": id_, "v": v})


async def filled(open_client: OpenClient, server: Served) -> Client:
    """Another replica, which keeps everything: two notes and an event."""
    writer = await open_client("writer", server.url)
    await put(writer, "note", "n1", 1)
    await put(writer, "event", "e1", 1)
    await put(writer, "note", "n2", 1)
    await writer.synced()
    return writer


async def test_only_these_types_are_held_and_followed_live(server: Served, open_client: OpenClient) -> None:
    writer = await filled(open_client, server)
    phone = await open_client("phone", server.url, types=["note"])
    await phone.synced()
    assert (await held(phone, "note"), await held(phone, "event")) == ({"n1": 1, "n2": 1}, {})
    await put(writer, "event", "e2", 2)
    await put(writer, "note", "n3", 2)
    await until_held(phone, "note", "n3")
    assert await held(phone, "event") == {}
    assert await phone.check("main"), "its digest is that of its class"
    assert phone.status.repaired == 0


async def test_what_is_hidden_is_no_gap_that_would_have_to_be_pulled(server: Served, open_client: OpenClient) -> None:
    writer = await filled(open_client, server)
    phone = await open_client("phone", server.url, types=["note"])
    await phone.synced()
    loop = phone._loop
    assert loop is not None
    await until(loop._live.watches_all)
    pulled: list[object] = []
    pull = loop._pull
    want = pull.want
    pull.want = lambda scopes: (pulled.append(scopes), want(scopes))[1]  # type: ignore[method-assign,func-returns-value]
    for v in range(5):
        await put(writer, "event", f"e-{v}", v)
        await writer.synced()
    await put(writer, "note", "last", 9)
    await until_held(phone, "note", "last")
    assert pulled == []


async def test_other_types_the_next_time_begin_with_a_fresh_snapshot(server: Served, open_client: OpenClient) -> None:
    """Counterexample 11, on a device."""
    await filled(open_client, server)
    for types, expected in (
        (["note"], ({"n1": 1, "n2": 1}, {})),
        (["note", "event"], ({"n1": 1, "n2": 1}, {"e1": 1})),
        (["event"], ({}, {"e1": 1})),
        (None, ({"n1": 1, "n2": 1}, {"e1": 1})),
    ):
        phone = await open_client("phone", server.url, types=types)
        await phone.synced()
        assert (await held(phone, "note"), await held(phone, "event")) == expected
        assert await phone.check("main")
        await phone.close()


async def test_what_is_put_of_another_type_is_sent_and_is_not_kept(server: Served, open_client: OpenClient) -> None:
    writer = await filled(open_client, server)
    phone = await open_client("phone", server.url, types=["note"])
    await put(phone, "event", "mine", 7)
    assert await held(phone, "event") == {"mine": 7}, "while it waits"
    await phone.synced()
    assert phone.status.pending == 0
    await until_held(writer, "event", "mine")
    await until_held(phone, "event", "mine", there=False)
    assert await phone.check("main")


async def test_a_base_never_claims_what_was_not_pulled(server: Served, open_client: OpenClient) -> None:
    """Law 1, the end of counterexample 1: the scope has moved on by types that the person was not shown."""
    writer = await filled(open_client, server)
    phone = await open_client("phone", server.url, types=["note"])
    await phone.synced()
    for v in range(5):
        await put(writer, "event", f"more-{v}", v)
    await writer.synced()
    await phone.synced()
    await phone.close()
    phone = await open_client("phone", None)
    await phone.collection("note", scope="main").update("n1", v="edited")
    await put(phone, "note", "new", "of a kept type")
    await put(phone, "event", "e1", "never shown here")
    edited, new, hidden = phone.outbox()
    assert (edited.base, new.base) == (1, 3), "what was shown of it"
    assert hidden.base == 0, "though the scope's cursor has passed it"


async def test_a_question_about_what_is_kept_is_heard_of(server: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", server.url, types=["note"])
    assert phone._transport is not None
    assert phone._transport._types == {"types": ["conflict", "note"]}


@pytest.mark.parametrize("types", ["note", ["Note"], [""], [1]])
def test_what_cannot_be_types_is_refused_at_once(types: Any, tmp_path: Any) -> None:
    with pytest.raises(Unfit, match="types"):
        Client("http://127.0.0.1:1", replica=tmp_path / "phone.db", types=types)


async def until_held(client: Client, type_: str, id_: str, *, there: bool = True) -> None:
    """Return once it is shown, or is not any more."""
    async with asyncio.timeout(20):
        while (id_ in await held(client, type_)) is not there:  # noqa: ASYNC110  # the view is read, not told
            await asyncio.sleep(0.002)
