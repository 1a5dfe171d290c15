"""Pushes that were begun in good time and arrive when whoever makes them is not any more who he was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from pathlib import Path
from typing import Any

import pytest

from syncd.store.accounts import AccountCommit, AccountRow, AccountStatus
from tests.support.accounts import BOB, Club, Member, club_with_accounts
from tests.support.dribble import dribbled

Meanwhile = Callable[[], Awaitable[object]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    """The club's app on a server with accounts of its own."""
    async with club_with_accounts(tmp_path) as built:
        yield built


def created(n: int, scope: str = "match:late", type: str = "event") -> dict[str, Any]:
    number = scope.partition(":")[2]
    made = {"id": f"late-{n}", "fields": {"match_id": number}} if type == "event" else {"id": number}
    return {"n": n, "scope": scope, "type": type, "op": "create", "base": 0, **made}


async def pushed_late(house: Club, token: str, meanwhile: Meanwhile, *changes: dict[str, Any]) -> tuple[int, Any]:
    """A push that was begun before `meanwhile` and is there in full after it."""
    body = {"replica": "late-phone", "schema": 1, "changes": changes}
    return await dribbled(house.server, token, "POST", "/sync/v1/push", body, meanwhile)


async def test_what_arrives_when_the_account_is_suspended_waits_in_the_quarantine(house: Club) -> None:
    ann = await house.member()
    status, told = await pushed_late(
        house, ann.access, lambda: house.admin("POST", f"users/{ann.id}/suspend"), created(1)
    )
    assert (status, [outcome["code"] for outcome in told["outcomes"]]) == (200, ["account_suspended"])
    async with house.server.parts.store.snapshot() as snapshot:
        assert await snapshot.heads(["match:late"]) == {"match:late": 0}


async def logged_out(house: Club, ann: Member) -> tuple[str, Meanwhile]:
    return ann.access, lambda: house.post("log-out", token=ann.access)


async def key_revoked(house: Club, ann: Member) -> tuple[str, Meanwhile]:
    made = (await house.admin("POST", f"users/{ann.id}/api-keys", {"name": "script"})).body
    return made["text"], lambda: house.admin("DELETE", f"users/{ann.id}/api-keys/{made['id']}")


async def token_revoked(house: Club, ann: Member) -> tuple[str, Meanwhile]:
    token = house.server.parts.issuer.issue(ann.id, session=ann.session)
    body = {"id": token.id, "expires_at_ms": token.expires_at_ms}
    return token.token, lambda: house.admin("POST", "tokens/revoke", body)


async def account_erased(house: Club, ann: Member) -> tuple[str, Meanwhile]:
    people = house.server.parts.people
    assert people is not None
    return ann.access, lambda: people.leaving.erase(ann.id)


@pytest.mark.parametrize("end", [logged_out, key_revoked, token_revoked, account_erased], ids=lambda end: end.__name__)
async def test_what_arrives_when_that_has_ended_which_opened_the_way_is_refused(
    house: Club, end: Callable[[Club, Member], Awaitable[tuple[str, Meanwhile]]]
) -> None:
    """It stays in the outbox of its device, and goes on with the next log-in."""
    token, meanwhile = await end(house, await house.member())
    status, told = await pushed_late(house, token, meanwhile, created(1))
    assert (status, told["code"]) == (401, "session_ended")
    async with house.server.parts.store.snapshot() as snapshot:
        assert await snapshot.owners(["late-phone"]) == {}
        assert await snapshot.heads(["match:late"]) == {"match:late": 0}


async def test_what_arrives_when_an_account_wide_role_is_gone_is_made_without_it(house: Club) -> None:
    """In a match of somebody else's, and in a court, which only admins begin."""
    bob, ann = await house.member(BOB), await house.member()
    status, _ = await pushed_late(house, bob.access, lambda: asyncio.sleep(0), created(1, "match:bobs"))
    assert status == 200
    await house.admin("PUT", f"users/{ann.id}/roles", {"roles": ["admin"]})
    body = {"replica": "ann-phone", "schema": 1, "changes": [created(1, "match:bobs"), created(2, "court:c", "court")]}
    status, told = await dribbled(
        house.server, ann.access, "POST", "/sync/v1/push", body,
        lambda: house.admin("PUT", f"users/{ann.id}/roles", {"roles": []}),
    )  # fmt: skip
    assert (status, [outcome.get("code") for outcome in told["outcomes"]]) == (200, ["forbidden", "forbidden"])


async def test_the_later_portions_of_a_long_push_are_made_as_who_one_is_by_then(house: Club) -> None:
    ann = await house.member()
    parts = house.server.parts
    people = parts.people
    assert people is not None
    revocations = people.revocations

    def suspend_her(replicas: Set[str]) -> None:
        row = AccountRow(ann.id, house.clock(), status=AccountStatus.SUSPENDED)
        revocations.committed(AccountCommit(accounts=[row]))

    # Told after each commit.
    parts.pusher.on_rejected = suspend_her
    body = {"replica": "ann-phone", "schema": 1, "changes": [created(n) for n in range(1, 251)]}
    told = (await house.ask("POST", "/sync/v1/push", body, token=ann.access)).body["outcomes"]
    codes = [outcome.get("code", outcome["outcome"]) for outcome in told]
    before = codes.count("applied")
    assert 0 < before < 250
    assert codes == ["applied"] * before + ["account_suspended"] * (250 - before)
