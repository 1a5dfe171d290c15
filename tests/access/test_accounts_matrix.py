"""Every endpoint about accounts × everybody × his own account and another's, on a server with real ones.

What is expected is in accounts.txt, written by hand. That every endpoint has its rows, there or in matrix.txt, is held
by test_matrix.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests.support.accounts import ANN, BOB, OPERATOR_TOKEN, PASSWORD, Club, Member, club_with_accounts

__all__ = ["ENDPOINTS"]

PEOPLE: Final = ("operator", "ann", "key", "narrow", "theirs", "link", "susan", "nobody")
SUSAN = "susan@club.example"
ROWS: Final = [
    line.split()
    for line in Path(__file__).with_name("accounts.txt").read_text(encoding="utf-8").splitlines()
    if line and line[0] != "#"
]
ENDPOINTS: Final = list(dict.fromkeys(f"{row[0]} {row[1]}" for row in ROWS))
THEIR_ISSUER, THEIR_SECRET = "https://login.example", "a secret that another issuer has given us, long enough for HS256"


@dataclass
class World:
    """`tokens`: of everybody; None for nobody."""

    club: Club
    ann: Member
    bob: Member
    tokens: dict[str, str | None]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    trusted = {"issuer": THEIR_ISSUER, "audiences": ["syncd"], "algorithms": ["HS256"], "secret": THEIR_SECRET}
    google = {"client_ids": ["web"], "client_secret": "hidden", "redirect_uris": ["https://club.example/back"]}
    settings: dict[str, Any] = {"trusted_issuers": (trusted,), "google": google, "apple": {"client_ids": ["app"]}}
    async with club_with_accounts(tmp_path, **settings) as club:
        ann, bob, susan = [await club.member(email) for email in (ANN, BOB, SUSAN)]
        keys = [
            (await club.post("api-keys", {"scopes": scopes, "password": PASSWORD}, token=ann.access)).body["text"]
            for scopes in (None, ["match:m1"])
        ]
        await club.admin("POST", f"users/{susan.id}/suspend")
        now_s = club.clock() // 1000
        claims = {"iss": THEIR_ISSUER, "aud": "syncd", "sub": "theo", "iat": now_s, "exp": now_s + 600, "jti": "t1"}
        theirs = jwt.encode(claims, THEIR_SECRET, "HS256")
        # Whoever begins a match owns it, and lets others look on.
        begun = {"n": 1, "scope": "match:m1", "type": "event", "id": "e", "op": "create", "fields": {"match_id": "m1"}}
        await club.ask("POST", "/sync/v1/push", {"replica": "phone", "changes": [begun]}, token=ann.access)
        link = (await club.ask("POST", "/sync/v1/links", {"scope": "match:m1"}, token=ann.access)).body["link"]
        people = [OPERATOR_TOKEN, ann.access, *keys, theirs, link, susan.access, None]
        yield World(club, ann, bob, dict(zip(PEOPLE, people, strict=True)))


@pytest.mark.parametrize("what", ENDPOINTS)
async def test_everybody_is_told_what_he_may_be_told_and_no_more(world: World, what: str) -> None:
    for row in ROWS:
        if f"{row[0]} {row[1]}" != what:
            continue
        told = {}
        # Whoever may least is asked first, so that nobody changes what others are then told.
        for who in reversed(PEOPLE):
            told[who] = await asked(world, who, row[0], row[1], row[2])
        assert told == dict(zip(PEOPLE, row[3:], strict=True)), (what, row[2])


async def asked(world: World, who: str, method: str, path: str, whose: str) -> str:
    club = world.club
    about = world.bob if whose == "bob" else world.ann
    if "{key}" in path or path == "/auth/v1/api-keys/{id}":
        made = await club.admin("POST", f"users/{about.id}/api-keys", {"name": "to be revoked"})
        path = path.replace("{key}" if "{key}" in path else "{id}", made.body["id"])
    if path == "/auth/v1/devices/{id}":
        path = path.replace("{id}", (await club.logged_in(about.email)).session)
    if path.startswith("/auth/v1/jobs/"):
        path = path.replace("{id}", await exported(club, about))
    token = world.tokens[who]
    if path == "/auth/v1/log-out" and who == "ann":
        token = (await club.logged_in()).access
    body = await message(world, path)
    answer = await club.ask(method, path.replace("{id}", about.id), body, token=token)
    if path.endswith("/suspend"):
        await club.admin("POST", f"users/{about.id}/reinstate")
    if path.startswith("/admin/") and path.endswith("/log-out"):
        world.tokens["ann"] = (await club.logged_in()).access
    return answer.code or str(answer.status)


async def exported(club: Club, about: Member) -> str:
    """The id of a job that has written down all that is somebody's."""
    job = (await club.admin("POST", f"users/{about.id}/export")).body
    while job["state"] != "done":
        assert job["state"] in ("queued", "running"), job
        await asyncio.sleep(0.02)
        job = (await club.ask("GET", f"/auth/v1/jobs/{job['id']}", token=OPERATOR_TOKEN)).body
    return str(job["id"])


async def message(world: World, path: str) -> object:
    """What is sent there; None where nothing is."""
    if path == "/auth/v1/refresh":
        return {"refresh_token": (await world.club.logged_in()).refresh}
    return MESSAGES.get(path.partition("/v1/")[2])


UNTAKEN = "nobody-yet@club.example"
MESSAGES: Final[dict[str, Any]] = {
    "register": {"email": UNTAKEN, "password": PASSWORD},
    "verify-email": {"code": "syncd_code_x"},
    "verify-email/send": {"email": ANN},
    "password/forgot": {"email": BOB},
    "password/reset": {"code": "syncd_code_x", "password": PASSWORD},
    "password/change": {"old": PASSWORD, "new": PASSWORD},
    "email/change": {"password": PASSWORD, "email": UNTAKEN},
    "email/confirm": {"code": "syncd_code_x"},
    "log-in": {"email": ANN, "password": PASSWORD},
    "log-out": {},
    "providers/google": {"id_token": "x.y.z", "nonce": "n"},
    "providers/google/finish": {"second_factor": "000000"},
    "providers/apple": {"id_token": "x.y.z", "nonce": "n"},
    "second-factor/enrol": {"password": PASSWORD},
    "second-factor/confirm": {"code": "000000"},
    "second-factor/remove": {"password": PASSWORD, "code": "000000"},
    "api-keys": {"name": "script", "password": PASSWORD},
    "users": {"email": "invited@club.example"},
    "me/erase": {"dry_run": True},
    "users/{id}/erase": {"dry_run": True},
    "users/{id}/roles": {"roles": ["moderator"]},
    "users/{id}/tier": {"tier": "premium"},
    "users/{id}/api-keys": {"name": "script"},
    "tokens/revoke": {"id": "some-token", "expires_at_ms": 2_000_000_000_000},
}
