"""`syncd share`, through a running server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Run
from tests.support.accounts import OPERATOR_TOKEN, Club, club_with_accounts


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


@pytest.fixture
def share(run: Run, club: Club) -> Any:
    """Runs `syncd share` in a thread, since the server that it asks lives in this process."""
    known = ("--url", club.server.url, "--token", OPERATOR_TOKEN)
    return lambda *arguments: asyncio.to_thread(run, "share", *arguments, *known)


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_each_command_shows_examples_exit_codes_and_json(run: Run, command: str) -> None:
    done = run("share", command, "--help")
    assert done.code == 0
    assert all(word in done.out for word in ("Examples", f"syncd share {command} ", "Exit codes", "--json"))


async def test_a_link_is_made_reads_its_scope_is_listed_and_revoked(club: Club, share: Any) -> None:
    made = await share("create", "match:m1", "--label", "The stands", "--days", 7)
    assert made.code == 0, made.err
    link = made.out.strip()
    assert (await club.ask("GET", "/auth/v1/me", token=link)).body == {"caller": "link", "scope": "match:m1"}
    [listed, end] = (await share("list", "match:m1", "--json")).facts
    assert (listed["label"], listed["watching"], end["links"]) == ("The stands", 0, 1)
    assert listed["expires_at_ms"] == club.clock() + 7 * 24 * 3_600_000
    assert link not in str(listed)
    assert "The stands" in (await share("list", "match:m1")).out
    revoked = await share("revoke", listed["id"])
    assert (revoked.code, revoked.out.strip()) == (0, f"{listed['id']} opens nothing any more.")
    assert not await club.works(link)
    assert "ended" in (await share("list", "match:m1")).out


async def test_what_is_not_there_is_said_in_a_sentence(share: Any) -> None:
    assert "Nobody has shared" in (await share("list", "match:m2")).out
    unknown = await share("revoke", "nothing")
    assert (unknown.code, "Traceback" in unknown.err) == (1, False)
    assert (await share("create", "no scope!")).code == 1
