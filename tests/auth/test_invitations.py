"""Invitations: an account that somebody else has made, and that only its owner can open."""

from __future__ import annotations

import pytest

from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.refusals import refused

HOUR_S = 3600


async def test_nobody_logs_in_before_a_password_was_set_by_the_mail(house: House) -> None:
    row = await house.invitations.invite(" Ann@Club.example", "Ann", ["moderator"])
    assert (row.email, row.name, row.roles) == (ANN, "Ann", {"moderator"})
    assert await refused(house.log_in.with_password(ANN, PASSWORD)) == "wrong_credentials"
    await house.mails()
    assert house.postbox.subjects(ANN) == ["you have an account"]
    assert await house.accounts.reset_password(house.postbox.code(ANN), PASSWORD) == row.id
    assert (await house.log_in.with_password(ANN, PASSWORD)).account == row.id


async def test_its_code_works_for_a_day_and_that_of_a_forgotten_password_for_an_hour(house: House) -> None:
    for email in (ANN, BOB):
        await house.invitations.invite(email)
    await house.mails()
    early, late = house.postbox.code(ANN), house.postbox.code(BOB)
    await house.accounts.forgot_password(ANN)
    await house.mails()
    forgotten = house.postbox.code(ANN)
    house.clock.advance(HOUR_S)
    assert await refused(house.accounts.reset_password(forgotten, PASSWORD)) == "invalid_code"
    await house.accounts.reset_password(early, PASSWORD)
    house.clock.advance(23 * HOUR_S)
    assert await refused(house.accounts.reset_password(late, PASSWORD)) == "invalid_code"


async def test_an_address_that_has_an_account_is_not_invited(house: House) -> None:
    await house.member(ANN)
    before = len(await house.mails())
    assert await refused(house.invitations.invite(ANN)) == "email_taken"
    assert len(await house.mails()) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("nobody",), "invalid_email"),
        ((ANN, "two\nlines"), "invalid_name"),
        ((ANN, "", ["no role"]), "invalid_role"),
        ((ANN, "", [f"role{n}" for n in range(51)]), "invalid_role"),
    ],
)
async def test_what_cannot_be_makes_no_account(house: House, given: tuple[object, ...], code: str) -> None:
    assert await refused(house.invitations.invite(*given)) == code  # type: ignore[arg-type]
    assert await house.store.accounts(limit=10) == []
