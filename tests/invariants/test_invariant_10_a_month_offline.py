"""Invariant 10: a phone two versions behind, a month offline, with 500 queued changes, loses none of them.

A real server process each time: a month ago with the first version of the app, and today with the third, on the same
file. The phone comes back with the app it had, or with the new one on its old file.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client
from conflict_rules import Kind
from syncd.app import App
from tests.support.server import ServerProcess, running_server
from tests.support.walking_club import v1, v3

MONTH_S = 30 * 24 * 3600
QUEUED = 500
Key = tuple[str, str]


def a_month_ago_ms() -> int:
    return time.time_ns() // 1_000_000 - MONTH_S * 1000


@asynccontextmanager
async def server_of(database: Path, version: str, shift_s: int = 0) -> AsyncIterator[ServerProcess]:
    async with running_server(
        database,
        app=f"tests.support.walking_club.{version}:club",
        command=(sys.executable, "-m", "tests.support.server_on_another_day"),
        environment={"SHIFT_S": str(shift_s)},
    ) as server:
        yield server
        assert await server.stop() == 0


class Scorer:
    """Whoever holds the phone: edits in the words of version 1. `expected`: by hand, in the words of version 3."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.expected: dict[Key, dict[str, Any]] = {}
        self._walks: list[str] = []
        self._members: list[str] = []
        self._memos: list[str] = []
        self._made = 0

    async def before_the_month(self, phone: Client) -> None:
        """Made and synced under version 1, so that the server holds it in those words."""
        for n in range(40):
            fields = {"title": f"Walk {n}", "miles": float(n), "mood": "sunny"}
            await phone.collection("walk").put({"id": f"base-{n}", **fields})
            self.expected["walk", f"base-{n}"] = dict(fields)
            self._walks.append(f"base-{n}")
        for n in range(10):
            await phone.collection("member").put({"id": f"base-{n}", "full_name": f"Ann Mary {n}", "town": "Hull"})
            self.expected["member", f"base-{n}"] = {"full_name": f"Ann Mary {n}", "town": "Hull"}
            self._members.append(f"base-{n}")

    async def one_change(self, phone: Client) -> None:
        self._made += 1
        steps = [self._new_walk, self._new_member, self._new_memo, self._retitled, self._measured, self._mood]
        later = [self._moved, self._renamed, self._memo_corrected, self._walk_deleted, self._memo_deleted]
        await self._dice.choice(steps + later if self._made > 30 else steps[:3])(phone)

    async def _new_walk(self, phone: Client) -> None:
        name = f"walk-{self._made}"
        miles = self._dice.randrange(1, 400) / 10
        await phone.collection("walk").put({"id": name, "title": name.upper(), "miles": miles, "mood": "rainy"})
        km = round(miles * 1.609344, 2)
        self.expected["walk", name] = {"name": name.upper(), "km": km, "open_to_guests": False}
        self._walks.append(name)

    async def _retitled(self, phone: Client) -> None:
        name = self._dice.choice(self._walks)
        await phone.collection("walk").update(name, title=f"Title {self._made}")
        self.expected["walk", name]["name"] = f"Title {self._made}"

    async def _measured(self, phone: Client) -> None:
        name = self._dice.choice(self._walks)
        await phone.collection("walk").update(name, miles=float(self._made))
        self.expected["walk", name]["km"] = round(self._made * 1.609344, 2)

    async def _mood(self, phone: Client) -> None:
        await phone.collection("walk").update(self._dice.choice(self._walks), mood=f"mood {self._made}")

    async def _walk_deleted(self, phone: Client) -> None:
        name = self._walks.pop(self._dice.randrange(len(self._walks)))
        await phone.collection("walk").delete(name)
        del self.expected["walk", name]

    async def _new_member(self, phone: Client) -> None:
        name = f"member-{self._made}"
        await phone.collection("member").put({"id": name, "full_name": f"Bo {self._made}", "town": "York"})
        self.expected["member", name] = {"first_name": "Bo", "last_name": str(self._made), "town": "York"}
        self._members.append(name)

    async def _moved(self, phone: Client) -> None:
        name = self._dice.choice(self._members)
        await phone.collection("member").update(name, town=f"Town {self._made}")
        self._whole_record(name)
        self.expected["member", name]["town"] = f"Town {self._made}"

    async def _renamed(self, phone: Client) -> None:
        name = self._dice.choice(self._members)
        await phone.collection("member").update(name, full_name=f"Cy Jo {self._made}")
        self.expected["member", name] |= {"first_name": "Cy Jo", "last_name": str(self._made)}

    def _whole_record(self, name: str) -> None:
        """Rule `lww`: any update carries the full name as well."""
        held = self.expected["member", name]
        if "first_name" not in held:
            held["first_name"], held["last_name"] = "Ann Mary", name.removeprefix("base-")

    async def _new_memo(self, phone: Client) -> None:
        name = f"memo-{self._made}"
        await phone.collection("memo").put({"id": name, "text": name})
        self.expected["note", name] = {"text": name}
        self._memos.append(name)

    async def _memo_corrected(self, phone: Client) -> None:
        name = self._dice.choice(self._memos)
        await phone.collection("memo").update(name, text=f"text {self._made}")
        self.expected["note", name]["text"] = f"text {self._made}"

    async def _memo_deleted(self, phone: Client) -> None:
        if len(self._memos) > 1:
            name = self._memos.pop()
            await phone.collection("memo").delete(name)
            del self.expected["note", name]
        else:
            await self._new_memo(phone)


@pytest.mark.parametrize("app", [v1.club, v3.club], ids=["with the old app", "with the new app"])
async def test_every_change_is_applied_and_all_hold_the_same(tmp_path: Path, app: App) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed: {seed}")
    scorer, database, file = Scorer(seed), tmp_path / "club.db", tmp_path / "phone.db"
    scopes = ["main"]

    async with (
        server_of(database, "v1", -MONTH_S) as server,
        Client(server.url, replica=file, app=v1.club, scopes=scopes, now_ms=a_month_ago_ms) as phone,
    ):
        await scorer.before_the_month(phone)
        await phone.synced(timeout_s=60)
        first = len(scorer.expected) + 1
    async with Client(None, replica=file, app=v1.club, scopes=scopes, now_ms=a_month_ago_ms) as phone:
        for _ in range(QUEUED):
            await scorer.one_change(phone)
        assert phone.status.pending == QUEUED
        assert {change.schema for change in phone.outbox()} == {1}

    async with (
        server_of(database, "v3") as server,
        Client(server.url, replica=tmp_path / "family.db", app=v3.club, scopes=scopes) as family,
    ):
        # Meanwhile, in words that the phone does not know.
        await family.synced(timeout_s=60)
        for n in range(0, 40, 4):
            await family.collection("walk").update(f"base-{n}", open_to_guests=True)
            if ("walk", f"base-{n}") in scorer.expected:
                scorer.expected["walk", f"base-{n}"]["open_to_guests"] = True
        await family.collection(v3.Note).put(v3.Note(id="family", text="where are you?"))
        scorer.expected["note", "family"] = {"text": "where are you?"}
        await family.synced(timeout_s=60)

        async with Client(server.url, replica=file, app=app, scopes=scopes) as phone:
            await phone.synced(timeout_s=120)
            outcomes = [await (await phone.change(n)).outcome() for n in range(first, first + QUEUED)]
            assert {outcome.kind for outcome in outcomes} == {Kind.APPLIED, Kind.MERGED}
            assert phone.status.rejected == phone.status.pending == 0
            await family.synced(timeout_s=60)
            assert await phone.check("main", timeout_s=60)
            assert await family.check("main", timeout_s=60)
            assert phone.status.repaired == family.status.repaired == 0
        held = {
            (name, resource.pop("id")): resource
            for name in ("walk", "member", "note")
            for resource in await family.collection(name).all("main")
        }
        assert held == scorer.expected
