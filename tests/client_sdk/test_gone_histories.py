"""Random histories of somebody who is let in and turned out while he edits, on and off line, over a lossy network.

Whatever the order: what he typed took effect once or is kept with the reason, and what he is shown at the end is what
the server shows him.
"""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from client_sdk import Client, NotHere
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.members import MATCH, Event, club, event, grant, revoke
from tests.support.lossy_network import Fate, lossy_network
from tests.support.served import Served

STEPS = 25
LOST = (Fate.LOSE, Fate.LOSE_REPLY)


@pytest.mark.parametrize("user", ["sam", None])
@pytest.mark.parametrize("seed", range(4))
async def test_nothing_that_was_typed_vanishes_or_counts_twice(
    club_server: Served, olga: Client, open_client: OpenClient, seed: int, user: str | None
) -> None:
    dice = random.Random(seed)
    async with lossy_network(club_server.port) as network:

        async def opened() -> Client:
            scopes = [] if user else [MATCH]
            return await open_client("sam", network.url, app=club, token="sam", user=user, scopes=scopes)

        sam = await opened()
        likes = created = 0
        for _ in range(STEPS):
            network.fate_of = lambda request: dice.choice(LOST) if dice.random() < 0.2 else Fate.PASS
            match dice.choice(["like", "like", "create", "role", "pause", "resume", "synced", "restart"]):
                case "like":
                    with suppress(NotHere):
                        await sam.collection("event").update("g1", likes={"increment": 1})
                        likes += 1
                case "create":
                    await sam.collection(Event).put(event(f"s{created}"))
                    created += 1
                case "role" if dice.random() < 0.5:
                    await revoke(club_server, "sam")
                case "role":
                    await grant(club_server, "sam", dice.choice(["scorer", "viewer"]))
                case "pause":
                    await sam.pause()
                case "resume":
                    await sam.resume()
                case "synced":
                    await sam.resume()
                    await sam.synced(20)
                case "restart":
                    await sam.close()
                    sam = await opened()
        network.fate_of = lambda request: Fate.PASS
        await grant(club_server, "sam", "scorer")
        await sam.resume()
        sam.nudge()
        await sam.synced(20)
        await sam.follow(MATCH)
        await sam.synced(20)
        assert await sam.check(MATCH, 20)
        rejected = [change for change, _ in await sam.rejected()]
        assert sam.status.pending == 0
        shown = {each.id: each for each in await sam.collection(Event).all(MATCH)}
        refused = {change.id for change in rejected if change.op == "create"}
        assert set(shown) == {"g1", *(f"s{index}" for index in range(created))} - refused
        assert shown["g1"].likes == likes - sum(change.op == "update" for change in rejected)
        await olga.synced(20)
        assert {each.id: each.likes for each in await olga.collection(Event).all(MATCH)} == {
            name: each.likes for name, each in shown.items()
        }
