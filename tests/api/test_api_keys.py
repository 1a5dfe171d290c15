"""API keys over HTTP: made, listed, used, revoked; for oneself, and by whoever runs the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.auth.identity import Identity
from tests.support.accounts import ANN, BOB, PASSWORD, Club, club_with_accounts

BACKUP = {"name": "backup", "password": PASSWORD}


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


async def test_a_key_is_shown_once_and_acts_as_its_owner_until_it_is_revoked(club: Club) -> None:
    ann = await club.member()
    made = await club.post("api-keys", {**BACKUP, "lifetime_s": 3600}, token=ann.access)
    text = made.body.pop("text")
    assert made.body["expires_at_ms"] == club.clock() + 3_600_000
    listed = await club.ask("GET", "/auth/v1/api-keys", token=ann.access)
    assert listed.body == {"api_keys": [made.body]}
    assert (await club.ask("GET", "/auth/v1/me", token=text)).body["account"] == ann.id
    revoked = await club.ask("DELETE", f"/auth/v1/api-keys/{made.body['id']}", token=ann.access)
    assert revoked.status == 200
    assert (await club.ask("GET", "/auth/v1/me", token=text)).code == "api_key_revoked"


async def test_what_a_key_cannot_be_is_said(club: Club) -> None:
    ann = await club.member()
    for body, code in (
        ({"scopes": ["no scope!"]}, "invalid_scope"),
        ({"name": "two\nlines"}, "invalid_name"),
        ({"lifetime_s": 0}, "invalid_message"),
    ):
        assert (await club.post("api-keys", {"password": PASSWORD, **body}, token=ann.access)).code == code


async def test_a_session_alone_makes_none(club: Club) -> None:
    """Or a stolen access token, good for a quarter of an hour, would become a key that does not end."""
    ann = await club.member()
    without = await club.post("api-keys", {"name": "backup"}, token=ann.access)
    assert (without.status, without.code, without.body["field"]) == (400, "invalid_message", "password")
    for guess in ("", "guess"):
        wrong = await club.post("api-keys", {"name": "backup", "password": guess}, token=ann.access)
        assert (wrong.status, wrong.code) == (403, "wrong_password")
    assert (await club.ask("GET", "/auth/v1/api-keys", token=ann.access)).body == {"api_keys": []}


async def test_whoever_has_no_password_makes_one_within_ten_minutes_of_the_log_in(club: Club) -> None:
    people = club.server.parts.people
    assert people is not None
    tokens = await people.log_in.with_identity(Identity("apple", "1", ANN, email_verified=True))
    assert (await club.post("api-keys", {"name": "backup"}, token=tokens.access)).status == 200
    club.clock.advance(600)
    late = await club.post("api-keys", {"name": "backup"}, token=tokens.access)
    assert (late.status, late.code) == (403, "log_in_needed")
    assert "Log in once more" in late.body["hint"]
    again = await people.log_in.with_identity(Identity("apple", "1", ANN, email_verified=True))
    assert (await club.post("api-keys", {"name": "backup"}, token=again.access)).status == 200


async def test_it_ends_with_a_new_password_by_mail(club: Club) -> None:
    ann = await club.member()
    key = (await club.post("api-keys", BACKUP, token=ann.access)).body["text"]
    mails = len(club.mails(ANN))
    await club.post("password/forgot", {"email": ANN})
    body = {"code": await club.mailed_code(ANN, mails), "password": "other words than before"}
    assert (await club.post("password/reset", body)).status == 200
    assert (await club.ask("GET", "/auth/v1/me", token=key)).code == "api_key_revoked"


async def test_nobody_revokes_the_keys_of_others(club: Club) -> None:
    ann, bob = await club.member(ANN), await club.member(BOB)
    made = await club.post("api-keys", BACKUP, token=ann.access)
    answer = await club.ask("DELETE", f"/auth/v1/api-keys/{made.body['id']}", token=bob.access)
    assert (answer.status, answer.code) == (404, "no_such_key")
    assert await club.works(made.body["text"])


async def test_whoever_runs_the_server_makes_and_revokes_them_for_anybody(club: Club) -> None:
    ann = await club.member()
    made = await club.admin("POST", f"users/{ann.id}/api-keys", {"name": "import", "scopes": ["match:m1"]})
    assert (await club.ask("GET", "/auth/v1/me", token=made.body["text"])).body["scopes"] == ["match:m1"]
    listed = await club.admin("GET", f"users/{ann.id}/api-keys")
    assert [key["name"] for key in listed.body["api_keys"]] == ["import"]
    unasked = {"name": "import", "password": PASSWORD}
    assert (await club.admin("POST", f"users/{ann.id}/api-keys", unasked)).code == "invalid_message"
    assert "text" not in listed.body["api_keys"][0]
    assert (await club.admin("DELETE", f"users/{ann.id}/api-keys/{made.body['id']}")).status == 200
    assert not await club.works(made.body["text"])
    for path in ("users/nobody/api-keys", "users/nobody"):
        assert (await club.admin("GET", path)).code == "no_such_account"
    assert (await club.admin("GET", "users/no.id")).code == "not_found"
