"""Devices of others, by the SDK: one that watches, and one that was away and has unsent work."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client_sdk import Client, NotHere
from syncd.engine.principal import OPERATOR as RUNS_IT
from tests.access.world import typed
from tests.jobs.forgetful_club import PASSWORD, Club, Person, club, forgetful_club
from tests.support.until import until

NAME = "Annabella the goalie"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path) as built:
        yield built


def device(house: Club, person: Person, name: str) -> Client:
    return Client(
        house.server.url,
        replica=house.server.database.with_name(f"{name}.replica"),
        app=forgetful_club(),
        token=person.token,
        scopes=["match:1"],
        now_ms=house.clock,
    )


async def test_a_device_that_watches_and_one_that_was_away_forget_too(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    olga = await house.join("olga@club.example", "Olga", "tablet")
    fields = {"match_id": "1", "player_id": ann.id, "player_name": NAME, "wish": "a wish"}
    await ann.push("ann-phone", ann.change("ann-phone", "match:1", "create", "event", "goal", **fields))
    await house.server.parts.memberships.grant(RUNS_IT, "match:1", olga.id, "scorer")
    async with device(house, olga, "phone") as phone, device(house, olga, "tablet") as tablet:
        for client in (phone, tablet):
            await client.synced()
            assert (await client.collection("event").get("goal"))["player_name"] == NAME  # type: ignore[index]
        await tablet.pause()
        await tablet.collection("event").update("goal", kind="shot")

        status, job = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
        assert status == 200
        assert (await house.finished(job, None))["state"] == "done"
        watched: dict[str, object] = {}

        async def look() -> None:
            watched.update(await phone.collection("event").get("goal") or {})

        await phone.synced()
        await look()
        assert (watched["player_name"], watched["wish"]) == (None, "")

        await tablet.resume()
        await tablet.synced()
        await phone.synced()
        await until(lambda: phone.status.pending == 0)
        for client in (phone, tablet):
            goal = await client.collection("event").get("goal")
            assert goal is not None
            assert (goal["player_name"], goal["wish"]) == (None, "")
            assert await client.check("match:1")
            assert client.status.repaired == 0
        [outcome] = [goal["kind"] for goal in await tablet.collection("event").all()]
        assert outcome == "shot", "what was unsent is not lost by it"


async def test_a_device_that_had_it_cannot_bring_back_what_was_erased(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    olga = await house.join("olga@club.example", "Olga", "tablet")
    note = {"match_id": "1", "author": ann.id, "title": NAME, "text": typed("text", NAME)}
    made = [ann.change("ann-phone", "match:1", "create", "note", name, **note) for name in ("stayed", "gone")]
    await ann.push("ann-phone", *made)
    await house.server.parts.memberships.grant(RUNS_IT, "match:1", olga.id, "scorer")
    async with device(house, olga, "phone") as phone:
        notes = phone.collection("note")
        await phone.synced()
        assert {each["title"] for each in await notes.all()} == {NAME}
        await ann.push("ann-phone", ann.change("ann-phone", "match:1", "delete", "note", "gone", _base=1))
        await phone.synced()
        assert await notes.get("gone") is None
        assert phone._replica is not None
        assert await phone._replica.store.last_living("note", "gone") is not None, "it could be brought back until now"

        status, job = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
        assert status == 200
        assert (await house.finished(job, None))["state"] == "done"
        await phone.synced()
        for name in ("stayed", "gone"):
            assert await notes.get(name) is None
            with pytest.raises(NotHere, match="is not known here any more"):
                await notes.restore(name)
        assert await phone.check("match:1")
    with sqlite3.connect(house.server.database.with_name("phone.replica")) as file:
        for table in ("last_living", "documents", "document_updates", "document_echoes"):
            assert file.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    file.close()
