"""The second factor over HTTP: begun, confirmed, asked for, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest

from tests.support.accounts import ANN, PASSWORD, Answer, Club, Member, club_with_accounts


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


async def enrolled(club: Club, ann: Member) -> tuple[pyotp.TOTP, list[str]]:
    """What the phone has by now, and the recovery codes."""
    begun = await club.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)
    assert begun.body["uri"].startswith("otpauth://totp/")
    phone = pyotp.TOTP(begun.body["secret"])
    done = await club.post("second-factor/confirm", {"code": phone.at(club.clock() // 1000)}, token=ann.access)
    assert done.status == 200, done
    club.clock.advance(30)
    return phone, done.body["recovery_codes"]


async def log_in(club: Club, second_factor: str | None = None) -> Answer:
    return await club.post("log-in", {"email": ANN, "password": PASSWORD, "second_factor": second_factor})


async def test_it_is_asked_for_once_it_was_confirmed(club: Club) -> None:
    ann = await club.member()
    begun = await club.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)
    assert (await log_in(club)).status == 200
    wrong = await club.post("second-factor/confirm", {"code": "000000"}, token=ann.access)
    assert (wrong.status, wrong.code) == (401, "wrong_second_factor")
    phone = pyotp.TOTP(begun.body["secret"])
    await club.post("second-factor/confirm", {"code": phone.at(club.clock() // 1000)}, token=ann.access)
    club.clock.advance(30)
    assert (await log_in(club)).code == "second_factor_required"
    assert (await log_in(club, phone.at(club.clock() // 1000))).status == 200
    assert (await club.ask("GET", "/auth/v1/me", token=ann.access)).body["second_factor"] is True


async def test_whoever_has_the_wrong_password_is_not_told_that_there_is_one(club: Club) -> None:
    await enrolled(club, await club.member())
    assert (await club.post("log-in", {"email": ANN, "password": "guess"})).code == "wrong_credentials"


async def test_a_recovery_code_stands_in_for_it_once(club: Club) -> None:
    _, recovery = await enrolled(club, await club.member())
    assert len(recovery) == 10
    assert (await log_in(club, recovery[0])).status == 200
    assert (await log_in(club, recovery[0])).code == "wrong_second_factor"


async def test_it_is_removed_by_the_password_and_a_code(club: Club) -> None:
    ann = await club.member()
    phone, _ = await enrolled(club, ann)
    code = phone.at(club.clock() // 1000)
    refused = [
        await club.post("second-factor/remove", body, token=ann.access)
        for body in ({"password": "guess", "code": code}, {"password": PASSWORD, "code": "000000"})
    ]
    assert [answer.code for answer in refused] == ["wrong_password", "wrong_second_factor"]
    assert (
        await club.post("second-factor/remove", {"password": PASSWORD, "code": code}, token=ann.access)
    ).status == 200
    assert (await log_in(club)).status == 200
