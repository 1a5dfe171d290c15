"""Who somebody is elsewhere: an account at first sight, the same for ever, and nobody else's by an address alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.auth.rules import AccountRules
from syncd.auth.sessions import Device
from tests.auth.house import ANN, PASSWORD, House, open_house
from tests.auth.phones import enrolled, shown
from tests.auth.refusals import refused


@dataclass(frozen=True)
class Google:
    """What a verified id token says."""

    subject: str = "g-1"
    email: str = ANN
    email_verified: bool = True
    name: str = "Ann"
    provider: str = "google"


async def test_the_first_sight_makes_an_account_and_the_next_finds_it(house: House) -> None:
    first = await house.log_in.with_identity(Google(), Device("phone"))
    again = await house.log_in.with_identity(Google(email="moved@club.example", name="Anna"), Device("tablet"))
    assert again.account == first.account
    row = await house.store.account(first.account)
    assert row is not None
    assert (row.email, row.name, row.verified_at_ms) == (ANN, "Ann", house.clock())
    assert (await house.authenticator.authenticate(again.access)).user == first.account


async def test_at_once_it_is_one_account(house: House) -> None:
    tokens = await asyncio.gather(*(house.log_in.with_identity(Google(), Device(f"d{n}")) for n in range(5)))
    assert len({each.account for each in tokens}) == 1
    assert len(await house.store.accounts(limit=10)) == 1


async def test_an_address_that_both_have_verified_is_one_person(house: House) -> None:
    account = await house.member()
    assert (await house.log_in.with_identity(Google())).account == account
    assert (await house.log_in.with_password(ANN, PASSWORD)).account == account


async def test_an_address_that_the_provider_has_not_verified_opens_nobodys_account(house: House) -> None:
    account = await house.member()
    tokens = await house.log_in.with_identity(Google(email_verified=False))
    assert tokens.account != account
    row = await house.store.account(tokens.account)
    assert row is not None
    assert row.email is None


async def test_who_registered_an_address_that_was_not_his_is_out_when_its_owner_comes(house: House) -> None:
    """Or a stranger could wait behind an address until its owner signs in by a provider, and share his account."""
    await house.accounts.register(ANN, "what Mallory knows")
    await house.mails()
    of_mallory = house.postbox.code(ANN)
    (row,) = await house.store.accounts(limit=1)
    key = await house.api_keys.create(row.id, "Mallory's")
    tokens = await house.log_in.with_identity(Google())
    assert tokens.account == row.id
    assert await refused(house.log_in.with_password(ANN, "what Mallory knows")) == "wrong_credentials"
    assert await refused(house.accounts.verify_email(of_mallory)) == "invalid_code"
    assert await refused(house.authenticator.authenticate(key.text)) == "api_key_revoked"


async def test_a_second_factor_is_asked_for_all_the_same(house: House) -> None:
    account, enrolment, _ = await enrolled(house)
    assert await refused(house.log_in.with_identity(Google())) == "second_factor_required"
    code = shown(house, enrolment)
    assert (await house.log_in.with_identity(Google(), second_factor=code)).account == account


async def test_a_suspended_account_stays_suspended(house: House) -> None:
    account = await house.member()
    await house.standing.suspend(account)
    assert await refused(house.log_in.with_identity(Google())) == "account_suspended"


@pytest.mark.parametrize(
    "said", [Google(email="no address"), Google(email=""), Google(name="x" * 500), Google(name="two\nlines", email="")]
)
async def test_what_a_provider_says_oddly_is_left_out(house: House, said: Google) -> None:
    row = await house.store.account((await house.log_in.with_identity(said)).account)
    assert row is not None
    assert row.email == (ANN if said.email == ANN else None)
    assert row.name in ("", "Ann")


async def test_without_a_password_there_is_a_way_to_one(house: House) -> None:
    tokens = await house.log_in.with_identity(Google())
    assert await refused(house.accounts.change_password(tokens.account, "", PASSWORD)) == "wrong_password"
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), PASSWORD)
    assert (await house.log_in.with_password(ANN, PASSWORD)).account == tokens.account


async def test_where_nobody_registers_a_provider_opens_accounts_that_are_there(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db", account_rules=AccountRules(registration=False)) as house:
        stranger = house.log_in.with_identity(Google(subject="stranger", email="stranger@gmail.com"))
        assert await refused(stranger) == "registration_closed"
        invited = await house.invitations.invite(ANN)
        assert (await house.log_in.with_identity(Google())).account == invited.id
        # Whom a trusted issuer names has an account by that.
        assert (await house.identities.known("https://id.example", "bob")).account
