"""Accounts for whoever runs the server: found, listed, invited, suspended, given roles, logged out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.accounts import ANN, BOB, PASSWORD, Club, club_with_accounts
from tests.support.until import until


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


async def test_they_are_listed_in_pages_and_found_by_address_or_id(club: Club) -> None:
    ids = []
    for n in range(3):
        ids.append((await club.admin("POST", "users", {"email": f"p{n}@club.example"})).body["id"])
        club.clock.advance(1)
    first = await club.admin("GET", "users?limit=2")
    rest = await club.admin("GET", f"users?limit=2&after={first.body['next']}")
    found = [user["id"] for page in (first, rest) for user in page.body["users"]]
    assert (sorted(found), rest.body["next"]) == (sorted(ids), None)
    by_email = await club.admin("GET", "users?email=P1@club.example")
    assert [user["id"] for user in by_email.body["users"]] == [ids[1]]
    assert (await club.admin("GET", "users?email=nobody@club.example")).body["users"] == []
    assert (await club.admin("GET", "users?email=nobody")).code == "invalid_email"
    assert (await club.admin("GET", f"users/{ids[2]}")).body["email"] == "p2@club.example"


async def test_one_is_shown_with_its_devices_and_without_a_secret(club: Club) -> None:
    ann = await club.member(device="phone")
    shown = await club.admin("GET", f"users/{ann.id}")
    assert (shown.body["email"], shown.body["status"], len(shown.body["devices"])) == (ANN, "active", 1)
    text = str(shown.body)
    assert not [word for word in ("argon2", ann.access, ann.refresh, "password") if word in text]


async def test_an_invitation_is_mailed_and_its_code_sets_the_password(club: Club) -> None:
    made = await club.admin("POST", "users", {"email": ANN, "name": "Ann", "roles": ["moderator"]})
    assert (made.body["roles"], made.body["email_verified"]) == (["moderator"], False)
    code = await club.mailed_code(ANN)
    assert "made an account for you" in club.mails(ANN)[0]
    club.clock.advance(23 * 3600)
    assert (await club.post("password/reset", {"code": code, "password": PASSWORD})).body == {
        "account": made.body["id"]
    }
    ann = await club.logged_in()
    assert (await club.ask("GET", "/auth/v1/me", token=ann.access)).body["roles"] == ["moderator"]
    again = await club.admin("POST", "users", {"email": ANN})
    assert (again.status, again.code) == (400, "email_taken")
    assert (await club.admin("POST", "users", {"email": BOB, "roles": ["no role"]})).code == "invalid_role"


async def test_a_suspended_account_can_do_nothing_until_it_is_reinstated(club: Club) -> None:
    ann = await club.member()
    assert (await club.admin("POST", f"users/{ann.id}/suspend")).body["status"] == "suspended"
    assert (await club.post("log-in", {"email": ANN, "password": PASSWORD})).code == "account_suspended"
    assert (await club.post("refresh", {"refresh_token": ann.refresh})).code == "account_suspended"
    assert (await club.ask("GET", "/auth/v1/devices", token=ann.access)).code == "account_suspended"
    assert (await club.admin("POST", f"users/{ann.id}/reinstate")).body["status"] == "active"
    assert (await club.post("refresh", {"refresh_token": ann.refresh})).status == 200
    assert (await club.ask("GET", "/auth/v1/devices", token=ann.access)).status == 200


async def test_roles_and_tier_are_set_and_count_at_once(club: Club) -> None:
    ann = await club.member()
    await club.admin("PUT", f"users/{ann.id}/roles", {"roles": ["admin", "moderator"]})
    assert (await club.ask("GET", "/auth/v1/me", token=ann.access)).body["roles"] == ["admin", "moderator"]
    assert (await club.admin("PUT", f"users/{ann.id}/tier", {"tier": "admin"})).code == "invalid_message"
    assert (await club.admin("PUT", f"users/{ann.id}/roles", {"roles": ["no role"]})).code == "invalid_role"


async def test_a_tier_counts_at_once_for_every_way_to_come_in_and_after_a_restart(tmp_path: Path) -> None:
    settings = {"rate_limiting": "auto", "rate_limits": "authenticated=3/hour,premium=50/hour"}
    async with club_with_accounts(tmp_path, **settings) as club:
        ann = await club.member()
        key = (await club.post("api-keys", {"name": "script", "password": PASSWORD}, token=ann.access)).body["text"]
        limits = []
        for tier in (None, "premium", ""):
            if tier is not None:
                await club.admin("PUT", f"users/{ann.id}/tier", {"tier": tier})
            answers = [await club.ask("GET", "/auth/v1/me", token=token) for token in (ann.access, key)]
            limits.append({answer.headers["X-RateLimit-Limit"] for answer in answers})
        assert limits == [{"3"}, {"50"}, {"3"}]
        await club.admin("PUT", f"users/{ann.id}/tier", {"tier": "partner"})
        await club.admin("PUT", f"users/{ann.id}/roles", {"roles": ["moderator"]})
    async with club_with_accounts(tmp_path, **settings) as club:
        assert (await club.ask("GET", "/auth/v1/me", token=ann.access)).body["roles"] == ["moderator", "partner"]


async def test_sessions_and_single_tokens_are_revoked(club: Club) -> None:
    phone, tablet = await club.member(device="phone"), await club.logged_in(device="tablet")
    token = club.server.parts.issuer.issue(phone.id, session=phone.session)
    assert await club.works(token.token)
    await club.admin("POST", "tokens/revoke", {"id": token.id, "expires_at_ms": token.expires_at_ms})
    assert (await club.works(token.token), await club.works(phone.access)) == (False, True)
    assert (await club.admin("POST", f"users/{phone.id}/log-out")).body == {"sessions": 2}
    assert [await club.works(each.access) for each in (phone, tablet)] == [False, False]


async def test_a_revoked_token_is_not_taken_in_the_leeway_either(club: Club) -> None:
    ann = await club.member()
    token = club.server.parts.issuer.issue(ann.id, session=ann.session)
    seconds = await club.admin("POST", "tokens/revoke", {"id": token.id, "expires_at_ms": token.expires_at_ms // 1000})
    assert (seconds.status, seconds.code, seconds.body["field"]) == (400, "invalid_message", "expires_at_ms")
    assert await club.works(token.token)
    await club.admin("POST", "tokens/revoke", {"id": token.id, "expires_at_ms": token.expires_at_ms})
    club.clock.advance(900 + 59)
    assert (await club.works(token.token), await club.works(ann.access)) == (False, True)
    club.clock.advance(1)
    assert not await club.works(ann.access)


async def test_the_same_address_may_not_be_registered_and_invited_into_two(club: Club) -> None:
    await club.admin("POST", "users", {"email": ANN})
    await club.register()
    await until(lambda: len(club.mails(ANN)) == 2)
    assert len((await club.admin("GET", "users")).body["users"]) == 1
