"""Devices that were logged in before: shown by the last refresh token, and by nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from syncd.auth.known_devices import known_device
from syncd.auth.sessions import Tokens
from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.refusals import refused


async def test_the_newest_token_shows_it_also_when_its_session_is_over(house: House) -> None:
    await house.member()
    phone = await house.signed_in()
    assert await known_device(house.store, " Ann@club.example", phone.refresh)
    house.clock.advance(100 * 24 * 3600)
    assert await known_device(house.store, ANN, phone.refresh), "it has expired"
    first = await house.signed_in()
    again = await house.signed_in()
    assert await known_device(house.store, ANN, first.refresh), "the same device has logged in anew"
    await house.sessions.log_out(again.account, again.session, asking=again.session)
    assert await known_device(house.store, ANN, again.refresh), "it has logged out"
    by_token = await house.signed_in()
    await house.sessions.log_out_by_token(by_token.refresh or "")
    assert await known_device(house.store, ANN, by_token.refresh)
    here, there = await house.signed_in(device="here"), await house.signed_in(device="there")
    await house.sessions.log_out_everywhere(here.account, asking=here.session)
    assert await known_device(house.store, ANN, here.refresh)
    assert not await known_device(house.store, ANN, there.refresh)


async def test_two_sessions_have_two_names(house: House) -> None:
    await house.member()
    phone, tablet = await house.signed_in(device="phone"), await house.signed_in(device="tablet")
    names = {await known_device(house.store, ANN, each.refresh) for each in (phone, tablet, phone)}
    assert len(names) == 2
    assert phone.refresh not in names


async def removed(house: House, gone: Tokens) -> None:
    asking = await house.signed_in(device="another")
    await house.sessions.log_out(gone.account, gone.session, asking=asking.session)


async def logged_out_by_the_operator(house: House, gone: Tokens) -> None:
    await house.sessions.log_out_everywhere(gone.account)


async def changed_password(house: House, gone: Tokens) -> None:
    await house.accounts.change_password(gone.account, PASSWORD, "another four words entirely")


async def reset_password(house: House, gone: Tokens) -> None:
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), "another four words entirely")


@pytest.mark.parametrize("ended", [removed, logged_out_by_the_operator, changed_password, reset_password])
async def test_a_device_that_was_sent_away_is_known_no_more(
    house: House, ended: Callable[[House, Tokens], Awaitable[None]]
) -> None:
    """Least of all one that its owner has lost, and whoever has it now guesses at the password."""
    await house.member()
    lost = await house.signed_in()
    assert await known_device(house.store, ANN, lost.refresh)
    await ended(house, lost)
    assert await known_device(house.store, ANN, lost.refresh) == ""


async def test_an_older_one_does_not(house: House) -> None:
    await house.member()
    phone = await house.signed_in()
    assert phone.refresh is not None
    newer = await house.sessions.refresh(phone.refresh, device_id="phone")
    assert not await known_device(house.store, ANN, phone.refresh)
    assert await known_device(house.store, ANN, newer.refresh)


async def test_nor_does_one_of_which_there_was_a_copy(house: House) -> None:
    await house.member()
    phone = await house.signed_in()
    assert phone.refresh is not None
    newer = await house.sessions.refresh(phone.refresh, device_id="phone")
    house.clock.advance(60)
    assert await refused(house.sessions.refresh(phone.refresh, device_id="phone")) == "refresh_token_reused"
    assert not await known_device(house.store, ANN, newer.refresh)


async def test_nor_does_anything_else(house: House) -> None:
    await house.member(ANN)
    await house.member(BOB)
    bobs = await house.signed_in(BOB)
    for shown in (None, "", "syncd_refresh_x", bobs.refresh, bobs.access):
        assert not await known_device(house.store, ANN, shown)
    assert not await known_device(house.store, "no address", bobs.refresh)
