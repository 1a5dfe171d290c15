"""A club with fields about people, on a real server with accounts; and people who use it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from aiohttp import ClientSession

from syncd.app import App, Resource, personal, private, roles, rules
from syncd.auth.accounts import new_account
from syncd.auth.sessions import Device
from syncd.store.accounts import AccountCommit, AccountTransaction
from tests.support.engine import SettableClock
from tests.support.served import Served

__all__ = ["COMPACTING", "OPERATOR", "Club", "Person", "bytes_of_files", "club", "forgetful_club"]

OPERATOR = "a-token-for-the-operator"
PASSWORD = "four words in a row"
COMPACTING = ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
"""What rids a file of the bytes that SQLite leaves behind; docs/privacy.md tells people to do it."""
CHEAP = {"password_hash_passes": 1, "password_hash_bytes": 8 * 1024, "password_hash_lanes": 1}


def forgetful_club(version: int = 1) -> App:
    """Goals have a name beside the id of the player; a wish is its author's; notes are whole, and go by a function."""
    app = App("club", version)
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"), deletes="update_wins")
    class Event(Resource):
        match_id: str
        kind: str = "goal"
        player_id: str | None = None
        player_name: Annotated[str | None, private()] = personal(of="player_id")
        wish: Annotated[str, rules.manual, personal("")]
        rating: int | None = private(read="owner")
        minute: Annotated[int | None, rules.manual] = None

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Note(Resource):
        match_id: str
        author: str = ""
        text: Annotated[str, rules.crdt] = ""
        title: Annotated[str, rules.manual] = ""
        signed: Annotated[str, rules.manual] = ""

    @app.resource(scope="user:{owner}")
    class Shoe(Resource):
        owner: str
        colour: str = ""

    @app.on_erase(Note)
    def forget(note: Note, user: str) -> dict[str, Any] | None:
        if note.author != user:
            return {}
        return {"author": "", "signed": ""} if note.signed else None

    return app


@dataclass
class Person:
    """Somebody signed in. `n`: the last number of each replica."""

    club: Club
    id: str
    token: str
    numbers: dict[str, int] = field(default_factory=dict)

    def change(self, replica: str, scope: str, op: str, type: str, id: str, /, **fields: Any) -> dict[str, Any]:
        n = self.numbers[replica] = self.numbers.get(replica, 0) + 1
        change = {"n": n, "scope": scope, "type": type, "id": id, "op": op, "base": fields.pop("_base", 0)}
        return {**change, "fields": fields} if fields else change

    async def push(self, replica: str, *changes: dict[str, Any], schema: int = 1) -> list[dict[str, Any]]:
        status, told = await self.ask(
            "POST", "/sync/v1/push", {"replica": replica, "schema": schema, "changes": list(changes)}
        )
        assert status == 200, told
        outcomes: list[dict[str, Any]] = told["outcomes"]
        return outcomes

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return await self.club.ask(self.token, method, path, body)


@dataclass
class Club:
    """`server` and `http`, to ask it."""

    server: Served
    http: ClientSession
    clock: SettableClock

    async def ask(self, token: str | None, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.http.request(method, self.server.url + path, json=body, headers=headers) as response:
            content = await response.read()
            is_json = "json" in response.content_type
            return response.status, json.loads(content) if is_json else content

    async def operate(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return await self.ask(OPERATOR, method, path, body)

    async def join(self, email: str, name: str, device: str) -> Person:
        """Somebody with a verified address and a session on a device."""
        people = self.server.parts.people
        assert people is not None
        password_hash = await people.accounts._passwords.hash(PASSWORD)
        row = new_account(self.clock())._replace(
            email=email, name=name, password_hash=password_hash, verified_at_ms=self.clock()
        )

        async def decide(_: AccountTransaction) -> tuple[AccountCommit, None]:
            return AccountCommit(accounts=[row]), None

        await people.accounts._commit(decide)
        tokens = await people.log_in.with_password(email, PASSWORD, Device(f"id-of-{device}", device, "android"))
        return Person(self, row.id, tokens.access)

    async def finished(self, job: dict[str, Any], token: str | None = OPERATOR) -> dict[str, Any]:
        """The job, when nothing of it is to come any more."""
        while job["state"] in ("queued", "running"):
            await asyncio.sleep(0.01)
            status, job = await self.ask(token, "GET", f"/auth/v1/jobs/{job['id']}")
            assert status == 200, job
        return job


@asynccontextmanager
async def club(folder: Path, app: App | None = None) -> AsyncIterator[Club]:
    """The server, listening."""
    clock = SettableClock()
    settings: dict[str, Any] = {
        "token": OPERATOR, "mail_folder": folder / "mail", "rate_limiting": "off", **CHEAP,
    }  # fmt: skip
    server = Served(folder / "club.db", app or forgetful_club(), clock, True, settings)
    await server.start()
    try:
        async with ClientSession() as http:
            yield Club(server, http, clock)
    finally:
        await server.stop()


def bytes_of_files(database: Path) -> bytes:
    """Everything in the files of a stopped server's database, once it was compacted as docs/privacy.md tells."""
    connection = sqlite3.connect(database, isolation_level=None)
    for statement in COMPACTING:
        connection.execute(statement)
    connection.close()
    return b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*") if path.is_file())
