"""The second factor: enrolled in two steps, asked for at log-in, and each code taken once."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from syncd.auth.sessions import Tokens
from syncd.errors import Unauthenticated
from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.phones import enrolled, shown
from tests.auth.refusals import refused


def logged_in(house: House, code: str | None = None, email: str = ANN) -> asyncio.Task[Tokens]:
    return asyncio.ensure_future(house.log_in.with_password(email, PASSWORD, second_factor=code))


async def test_a_phone_is_shown_what_it_needs(house: House) -> None:
    account = await house.member()
    enrolment = await house.second_factor.enrol(account, PASSWORD)
    uri = urlsplit(enrolment.uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query)["secret"] == [enrolment.secret]
    assert parse_qs(uri.query)["issuer"] == ["The club"]
    assert len(enrolment.secret) == 32


async def test_it_is_asked_for_once_it_was_confirmed(house: House) -> None:
    account = await house.member()
    enrolment = await house.second_factor.enrol(account, PASSWORD)
    await logged_in(house)
    assert await refused(house.second_factor.confirm(account, "000000")) == "wrong_second_factor"
    await house.second_factor.confirm(account, shown(house, enrolment))
    house.clock.advance(30)
    assert await refused(logged_in(house)) == "second_factor_required"
    assert await refused(logged_in(house, "000000")) == "wrong_second_factor"
    code = shown(house, enrolment)
    assert (await logged_in(house, f"{code[:3]} {code[3:]}")).account == account


async def test_it_is_told_only_to_who_knows_the_password(house: House) -> None:
    await enrolled(house)
    assert await refused(house.log_in.with_password(ANN, "wrong")) == "wrong_credentials"


async def test_a_code_is_taken_once_and_none_before_it(house: House) -> None:
    _, enrolment, _ = await enrolled(house)
    house.clock.advance(60)
    before, now = shown(house, enrolment, steps=-1), shown(house, enrolment)
    await logged_in(house, now)
    assert await refused(logged_in(house, now)) == "wrong_second_factor"
    assert await refused(logged_in(house, before)) == "wrong_second_factor"
    await logged_in(house, shown(house, enrolment, steps=1))


async def test_the_code_that_confirmed_it_is_not_taken_again(house: House) -> None:
    account = await house.member()
    enrolment = await house.second_factor.enrol(account, PASSWORD)
    code = shown(house, enrolment)
    await house.second_factor.confirm(account, code)
    assert await refused(logged_in(house, code)) == "wrong_second_factor"


async def test_two_who_show_a_code_at_once_get_in_once(house: House) -> None:
    _, enrolment, _ = await enrolled(house)
    results = await asyncio.gather(
        *(logged_in(house, shown(house, enrolment)) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(result, Tokens) for result in results) == 1
    assert sum(isinstance(result, Unauthenticated) for result in results) == 2


@pytest.mark.parametrize(("steps", "near"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_phones_clock_may_be_a_step_off(house: House, steps: int, near: bool) -> None:
    _, enrolment, _ = await enrolled(house)
    house.clock.advance(300)
    code = shown(house, enrolment, steps=steps)
    if near:
        assert await logged_in(house, code)
    else:
        assert await refused(logged_in(house, code)) == "wrong_second_factor"


async def test_a_recovery_code_opens_once(house: House) -> None:
    _, _, recovery = await enrolled(house)
    assert len(set(recovery)) == 10
    assert (await logged_in(house, recovery[3])).refresh
    assert await refused(logged_in(house, recovery[3])) == "wrong_second_factor"
    house.clock.advance(10**8)
    assert (await logged_in(house, recovery[4])).refresh, "it does not expire"


async def test_a_recovery_code_is_of_one_account(house: House) -> None:
    _, _, of_ann = await enrolled(house)
    await enrolled(house, BOB)
    assert await refused(logged_in(house, of_ann[0], BOB)) == "wrong_second_factor"
    assert (await logged_in(house, of_ann[0])).refresh, "and is not used up by that"


@pytest.mark.parametrize("code", ["", " ", "٠١٢٣٤٥", "x" * 10_000, "-00001", "syncd_code_nothing"])
async def test_what_is_no_code_is_refused(house: House, code: str) -> None:
    await enrolled(house)
    assert await refused(logged_in(house, code)) in ("wrong_second_factor", "second_factor_required")


async def test_it_is_removed_by_who_has_both(house: House) -> None:
    account, enrolment, recovery = await enrolled(house)
    assert await refused(house.second_factor.remove(account, "wrong", shown(house, enrolment))) == "wrong_password"
    assert await refused(house.second_factor.remove(account, PASSWORD, "000000")) == "wrong_second_factor"
    await house.second_factor.remove(account, PASSWORD, shown(house, enrolment))
    assert await logged_in(house)
    assert await refused(house.second_factor.remove(account, PASSWORD, recovery[0])) == "no_second_factor"


async def test_there_is_one_at_most_and_enrolling_again_does_not_replace_it(house: House) -> None:
    account, enrolment, _ = await enrolled(house)
    assert await refused(house.second_factor.enrol(account, PASSWORD)) == "second_factor_exists"
    assert await refused(house.second_factor.confirm(account, shown(house, enrolment))) == "second_factor_exists"


async def test_enrolling_takes_the_password(house: House) -> None:
    account = await house.member()
    assert await refused(house.second_factor.enrol(account, "wrong")) == "wrong_password"
    assert await refused(house.second_factor.confirm(account, "000000")) == "wrong_second_factor"
