"""Who leaves: nothing personal is left of the account, and nothing that opens it."""

from __future__ import annotations

import pytest

from syncd.auth.leaving import Leaving
from syncd.errors import Forbidden, NotFound, Unauthenticated
from syncd.store.accounts import AccountRow, AccountStatus
from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.phones import enrolled, shown
from tests.auth.refusals import refused


@pytest.fixture
def leaving(house: House) -> Leaving:
    return Leaving(house.store, house.committer, house.accounts, house.second_factor)


async def test_the_id_is_left_and_opens_nothing(house: House, leaving: Leaving) -> None:
    ann = await house.member()
    tokens = await house.signed_in()
    await house.accounts.change_email(ann, PASSWORD, BOB)
    await leaving.erase(ann)
    row = await house.store.account(ann)
    assert row is not None
    assert row == AccountRow(ann, row.created_at_ms, status=AccountStatus.ERASED)
    assert any(ann in revoked.accounts for revoked in house.told), "its connections are ended"
    with pytest.raises(Unauthenticated):
        await house.authenticator.authenticate(tokens.access)
    assert tokens.refresh is not None
    with pytest.raises(Unauthenticated):
        await house.sessions.refresh(tokens.refresh, device_id="phone")
    with pytest.raises(Unauthenticated):
        await house.signed_in()
    with pytest.raises(NotFound):
        await leaving.check(ann)


async def test_no_mail_is_sent_to_who_is_gone(house: House, leaving: Leaving) -> None:
    ann = await house.member()
    sent = len(await house.mails())
    await house.accounts.forgot_password(ANN)
    await leaving.erase(ann)
    assert len(await house.mails()) == sent


async def test_twice_is_once_and_nobody_is_nobody(house: House, leaving: Leaving) -> None:
    ann = await house.member()
    await leaving.erase(ann)
    await leaving.erase(ann)
    await leaving.erase("never")
    assert await house.store.account("never") is None


async def test_the_address_is_free_again_for_somebody_new(house: House, leaving: Leaving) -> None:
    ann = await house.member()
    await leaving.erase(ann)
    assert await house.member() != ann


async def test_a_session_is_not_enough(house: House, leaving: Leaving) -> None:
    ann = await house.member()
    await leaving.check(ann)
    await leaving.check_owner(ann, PASSWORD, None)
    with pytest.raises(Forbidden, match="not the account's password"):
        await leaving.check_owner(ann, "another four words", None)


async def test_nor_is_the_password_where_a_second_factor_is_asked_for(house: House, leaving: Leaving) -> None:
    ann, phone, _ = await enrolled(house)
    assert await refused(leaving.check_owner(ann, PASSWORD, None)) == "second_factor_required"
    assert await refused(leaving.check_owner(ann, PASSWORD, "000000")) == "wrong_second_factor"
    with pytest.raises(Forbidden, match="not the account's password"):
        await leaving.check_owner(ann, "another four words", shown(house, phone))
    code = shown(house, phone)
    await leaving.check_owner(ann, PASSWORD, code)
    assert await refused(leaving.check_owner(ann, PASSWORD, code)) == "wrong_second_factor", "each is for one use"
