"""A real server with accounts behind a real port: real argon2 (cheap), real tokens, mails as files in a folder.

async with club_with_accounts(tmp_path) as club:
    ann = await club.member("ann@club.example")
    answer = await club.ask("GET", "/auth/v1/me", token=ann.access)
"""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar
from multidict import CIMultiDictProxy

from syncd.app import App
from tests.support.engine import SettableClock
from tests.support.roles_club import roles_club
from tests.support.served import Served, served
from tests.support.until import until

__all__ = ["ANN", "BOB", "OPERATOR_TOKEN", "PASSWORD", "Answer", "Club", "Member", "club_with_accounts"]

ANN, BOB = "ann@club.example", "bob@club.example"
PASSWORD = "four words in a row"
OPERATOR_TOKEN = "the-shared-token-of-the-club"
SECRET_KEY = "a secret of tests that is long enough for any of the hashes, and that nobody guesses"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server has answered."""

    status: int
    headers: CIMultiDictProxy[str]
    body: Any

    @property
    def code(self) -> str:
        """Of a problem; "" for none."""
        return str(self.body.get("code", "")) if self.status >= 400 else ""

    def cookie(self, name: str = "syncd_refresh") -> tuple[str, dict[str, str]]:
        """The value and the attributes, their names in lower case, with which it is set."""
        for line in self.headers.getall("Set-Cookie", ()):
            first, *rest = [part.strip() for part in line.split(";")]
            if first.startswith(f"{name}="):
                attributes = {key.lower(): value for key, _, value in (part.partition("=") for part in rest)}
                return first.partition("=")[2].strip('"'), attributes
        raise AssertionError(f"{name} is not set")


@dataclass(slots=True)
class Member:
    """Somebody who has logged in."""

    email: str
    id: str
    session: str
    access: str
    refresh: str


@dataclass(slots=True)
class Club:
    """`server`, `http` to ask it, and `clock` in the test's hand."""

    server: Served
    http: ClientSession
    clock: SettableClock
    mail_folder: Path

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """One request; underscores in the names of headers are dashes."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        async with self.http.request(method, path, json=body, headers=given, allow_redirects=False) as response:
            text = await response.read()
            return Answer(
                response.status, response.headers, json.loads(text) if response.content_type.endswith("json") else None
            )

    async def post(self, path: str, body: object = None, *, token: str | None = None, **headers: str) -> Answer:
        return await self.ask("POST", f"/auth/v1/{path}", {} if body is None else body, token=token, **headers)

    async def admin(self, method: str, path: str, body: object = None) -> Answer:
        return await self.ask(method, f"/admin/v1/{path}", body, token=OPERATOR_TOKEN)

    async def register(self, email: str = ANN, password: str = PASSWORD) -> Answer:
        return await self.post("register", {"email": email, "password": password})

    async def member(self, email: str = ANN, *, device: str = "") -> Member:
        """Registers, verifies the address and logs in."""
        before = len(self.mails(email))
        assert (await self.register(email)).status == 200
        code = await self.mailed_code(email, before)
        assert (await self.post("verify-email", {"code": code})).status == 200
        return await self.logged_in(email, device=device)

    async def logged_in(self, email: str = ANN, *, device: str = "", password: str = PASSWORD) -> Member:
        answer = await self.post("log-in", {"email": email, "password": password, "device": {"id": device}})
        assert answer.status == 200, answer
        told = answer.body
        return Member(email, told["account"], told["session"], told["access_token"], told["refresh_token"])

    async def works(self, token: str) -> bool:
        """Whether this opens something, as an access token."""
        return (await self.ask("GET", "/auth/v1/me", token=token)).status == 200

    def mails(self, to: str) -> list[str]:
        """The texts of the mails to an address, oldest first, each with its subject before it."""
        texts = []
        for path in sorted(self.mail_folder.glob("*.eml")):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.SMTP)
            if message["To"] == to:
                texts.append(f"{message['Subject']}\n{message.get_content()}")
        return texts

    async def mailed_code(self, to: str, before: int = 0) -> str:
        """The code in the newest mail to an address, once there are more than `before`."""
        await until(lambda: len(self.mails(to)) > before)
        (code,) = re.findall(r"syncd_code_\w+", self.mails(to)[-1])
        return str(code)


@asynccontextmanager
async def club_with_accounts(folder: Path, app: App | None = None, **settings: Any) -> AsyncIterator[Club]:
    """A server with `settings`; nobody is limited unless they say so."""
    clock = SettableClock()
    given = {
        "accounts": True,
        "token": OPERATOR_TOKEN,
        "secret_key": SECRET_KEY,
        "mail_folder": folder / "mail",
        "password_hash_passes": 1,
        "password_hash_bytes": 8 * 1024,
        "password_hash_lanes": 1,
        "rate_limiting": "off",
    }
    async with (
        served(folder / "club.db", app or roles_club(), now_ms=clock, **{**given, **settings}) as server,
        # Cookies are shown when a test shows them.
        ClientSession(server.url, cookie_jar=DummyCookieJar()) as http,
    ):
        yield Club(server, http, clock, folder / "mail")
