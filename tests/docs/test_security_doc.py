"""docs/security.md: the tests and settings that it names are there, and keys are changed as it says."""

from __future__ import annotations

import re
from pathlib import Path

from syncd.settings import Settings
from tests.support.accounts import SECRET_KEY, club_with_accounts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ANOTHER = "another long text that signs tokens from now on, and that nobody guesses either"


def test_every_threat_names_a_test_that_is_there() -> None:
    threats = PAGE.split("## Who might do what")[1].split("## ")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert named, row
        assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_setting_of_the_page_is_one() -> None:
    known = {f"SYNCD_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"SYNCD_\w+", PAGE)) - known == set()


def test_every_command_of_the_page_is_one() -> None:
    pages = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in re.findall(r"`(syncd \w+ [\w-]+)`", PAGE):
        assert f"\n## {command}\n" in pages


async def started_again(folder: Path, older_keys: tuple[str, ...]) -> tuple[bool, bool]:
    """Whether an access token from before the key was changed works, and whether its refresh token does."""
    async with club_with_accounts(folder) as club:
        ann = await club.member()
    async with club_with_accounts(folder, secret_key=ANOTHER, older_secret_keys=older_keys) as club:
        refreshed = await club.post("refresh", {"refresh_token": ann.refresh})
        return await club.works(ann.access), await club.works(refreshed.body["access_token"])


async def test_a_key_is_changed_without_anybody_noticing(tmp_path: Path) -> None:
    assert await started_again(tmp_path, (SECRET_KEY,)) == (True, True)


async def test_a_key_that_somebody_else_has_is_void_at_once_and_devices_go_on(tmp_path: Path) -> None:
    assert await started_again(tmp_path, ()) == (False, True)
