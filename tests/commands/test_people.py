"""`syncd user`, `role` and `token`, through a running server with real accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Run
from tests.support.accounts import ANN, OPERATOR_TOKEN, PASSWORD, Club, club_with_accounts

COMMANDS = [
    ("user", "list"), ("user", "show"), ("user", "create"), ("user", "suspend"), ("user", "reinstate"),
    ("user", "log-out"), ("user", "tier"), ("role", "set"), ("role", "grant"), ("role", "revoke"), ("role", "list"),
    ("token", "create"), ("token", "list"), ("token", "revoke"),
]  # fmt: skip


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


@pytest.fixture
def syncd(run: Run, club: Club) -> Any:
    """Runs a command in a thread, since the server that it asks lives in this process."""
    known = ("--url", club.server.url, "--token", OPERATOR_TOKEN)
    return lambda *arguments: asyncio.to_thread(run, *arguments, *known)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_examples_exit_codes_and_json(run: Run, command: tuple[str, str]) -> None:
    done = run(*command, "--help")
    assert done.code == 0
    assert "Examples" in done.out
    assert f"syncd {' '.join(command)} " in done.out
    assert "exit codes" in done.out.lower()
    assert "--json" in done.out


async def test_somebody_is_invited_listed_and_shown(club: Club, syncd: Any) -> None:
    made = await syncd("user", "create", ANN, "--name", "Ann", "--role", "moderator", "--json")
    assert (made.code, made.last["event"], made.last["roles"]) == (0, "user_created", ["moderator"])
    assert "syncd_code_" not in made.out
    assert (await club.mailed_code(ANN)).startswith("syncd_code_")
    again = await syncd("user", "create", ANN)
    assert (again.code, "There is an account with this address" in again.err) == (1, True)
    listed = await syncd("user", "list")
    assert f"{ANN} (not verified)" in listed.out
    shown = await syncd("user", "show", ANN, "--json")
    assert (shown.last["id"], shown.last["devices"]) == (made.last["id"], [])
    assert (await syncd("user", "show", made.last["id"], "--json")).last == shown.last


async def test_of_many_a_page_is_listed_or_all(club: Club, syncd: Any) -> None:
    for n in range(3):
        await club.admin("POST", "users", {"email": f"p{n}@club.example"})
    few = await syncd("user", "list", "--limit", 2, "--json")
    assert few.last == {"event": "end", "users": 3, "shown": 2}
    assert len((await syncd("user", "list", "--limit", 0, "--json")).facts) == 4
    assert "1 account more" in (await syncd("user", "list", "--limit", 2)).err


async def test_nobody_of_that_name_is_said_in_a_sentence(syncd: Any) -> None:
    for name in ("nobody@club.example", "no-such-id"):
        done = await syncd("user", "show", name)
        assert (done.code, "There is no account" in done.err) == (1, True)


async def test_the_wrong_token_is_said_in_a_sentence(club: Club, run: Run) -> None:
    ann = await club.member()
    arguments = ("user", "list", "--url", club.server.url, "--token")
    refused = await asyncio.to_thread(run, *arguments, ann.access)
    assert (refused.code, "Only whoever runs the server" in refused.err) == (1, True)
    assert (await asyncio.to_thread(run, *arguments, "wrong")).code == 1


async def test_one_is_suspended_reinstated_and_logged_out(club: Club, syncd: Any) -> None:
    ann = await club.member()
    assert (await syncd("user", "suspend", ANN, "--json")).last["status"] == "suspended"
    assert (await club.post("log-in", {"email": ANN, "password": PASSWORD})).code == "account_suspended"
    assert (await syncd("user", "reinstate", ANN, "--json")).last["status"] == "active"
    assert await club.works(ann.access)
    assert (await syncd("user", "log-out", ANN, "--json")).last == {"event": "logged_out", "sessions": 1}
    assert not await club.works(ann.access)


async def test_one_may_ask_for_more_than_others(club: Club, syncd: Any) -> None:
    await club.member()
    assert (await syncd("user", "tier", ANN, "partner", "--json")).last["tier"] == "partner"
    assert (await syncd("user", "tier", ANN, "authenticated", "--json")).last["tier"] == ""
    assert (await syncd("user", "tier", ANN, "golden")).code == 2


async def test_roles_in_the_whole_app_are_set_and_taken(club: Club, syncd: Any) -> None:
    await club.member()
    assert (await syncd("role", "set", ANN, "admin", "moderator", "--json")).last["roles"] == ["admin", "moderator"]
    assert (await syncd("role", "set", ANN, "--json")).last["roles"] == []


async def test_roles_in_a_scope_are_granted_listed_and_revoked(club: Club, syncd: Any) -> None:
    ann = await club.member()
    granted = await syncd("role", "grant", ANN, "scorer", "--scope", "match:m1", "--json")
    assert granted.last == {"event": "granted", "scope": "match:m1", "user": ann.id, "role": "scorer"}
    listed = await syncd("role", "list", "--scope", "match:m1", "--json")
    assert [(fact["user"], fact["role"]) for fact in listed.facts[:-1]] == [(ann.id, "scorer")]
    assert ann.id in (await syncd("role", "list", "--scope", "match:m1")).out
    await syncd("role", "revoke", ANN, "--scope", "match:m1")
    assert "Nobody is a member" in (await syncd("role", "list", "--scope", "match:m1")).out


async def test_a_key_is_made_for_a_script_listed_and_revoked(club: Club, syncd: Any) -> None:
    await club.member()
    made = await syncd("token", "create", ANN, "--name", "import", "--scope", "match:m1", "--days", 30)
    text = made.out.strip()
    assert (await club.ask("GET", "/auth/v1/me", token=text)).body["scopes"] == ["match:m1"]
    [key, end] = (await syncd("token", "list", ANN, "--json")).facts
    assert (key["name"], end["tokens"], "text" in key) == ("import", 1, False)
    assert "import" in (await syncd("token", "list", ANN)).out
    assert (await syncd("token", "revoke", ANN, key["id"])).code == 0
    assert not await club.works(text)
    assert (await syncd("token", "revoke", ANN, "0000")).code == 1
