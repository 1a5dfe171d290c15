"""Sessions: a refresh token is used once, a lost reply is forgiven, a copy of an old token ends the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.auth.passwords import Verified
from syncd.auth.rules import SessionRules
from syncd.auth.sessions import Device, Tokens
from tests.auth.house import ACCESS_S, ANN, BOB, PASSWORD, House, open_house
from tests.auth.refusals import refused

DAY_S = 24 * 60 * 60


async def refreshed(house: House, tokens: Tokens, device: str = "phone") -> Tokens:
    assert tokens.refresh is not None
    return await house.sessions.refresh(tokens.refresh, device_id=device)


@pytest.fixture
async def without_rotation(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "club.db", session_rules=SessionRules(rotate=False)) as house:
        yield house


async def test_a_log_in_opens_a_session(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    assert tokens.account == account
    assert tokens.access_expires_at_ms == house.clock.now_ms + ACCESS_S * 1000
    assert tokens.refresh_expires_at_ms == house.clock.now_ms + 7 * DAY_S * 1000
    principal = await house.authenticator.authenticate(tokens.access)
    assert (principal.user, principal.session) == (account, tokens.session)


async def test_each_use_of_a_refresh_token_brings_another(house: House) -> None:
    await house.member()
    tokens, seen = await house.signed_in(), set[str | None]()
    for _ in range(5):
        house.clock.advance(600)
        seen.add(tokens.refresh)
        following = await refreshed(house, tokens)
        assert following.session == tokens.session
        assert following.access != tokens.access
        tokens = following
    assert len(seen) == 5


async def test_an_older_refresh_token_ends_the_session(house: House) -> None:
    account = await house.member()
    stolen = await house.signed_in()
    tokens = await refreshed(house, await refreshed(house, stolen))
    assert await refused(refreshed(house, stolen)) == "refresh_token_reused"
    assert await refused(refreshed(house, tokens)) == "session_ended"
    assert await refused(house.authenticator.authenticate(tokens.access)) == "session_ended"
    assert [revoked.sessions for revoked in house.told] == [{tokens.session}]
    assert await house.sessions.devices(account) == []


async def test_a_session_ends_whichever_of_thief_and_owner_comes_second(house: House) -> None:
    await house.member()
    copied = await house.signed_in()
    of_the_thief = await refreshed(house, copied)
    house.clock.advance(600)
    assert await refused(refreshed(house, copied)) == "refresh_token_reused"
    assert await refused(refreshed(house, of_the_thief)) == "session_ended"


async def test_who_lost_the_reply_gets_the_same_token_again(house: House) -> None:
    await house.member()
    tokens = await house.signed_in()
    lost = await refreshed(house, tokens)
    for _ in range(3):
        house.clock.advance(10)
        again = await refreshed(house, tokens)
        assert again.refresh == lost.refresh
    house.clock.advance(600)
    assert (await refreshed(house, again)).session == tokens.session


async def test_the_grace_lasts_half_a_minute(house: House) -> None:
    await house.member()
    tokens = await house.signed_in()
    lost = await refreshed(house, tokens)
    house.clock.advance(30.001)
    assert await refused(refreshed(house, tokens)) == "refresh_token_reused"
    assert await refused(refreshed(house, lost)) == "session_ended"


async def test_the_grace_is_of_the_token_before_the_newest_only(house: House) -> None:
    await house.member()
    first = await house.signed_in()
    second = await refreshed(house, first)
    await refreshed(house, second)
    assert await refused(refreshed(house, first)) == "refresh_token_reused"


async def test_two_who_refresh_at_once_go_on_with_the_same_token(house: House) -> None:
    """Two tabs of a browser: neither may log the other out, now or when it refreshes next."""
    await house.member()
    tokens = await house.signed_in()
    tabs = await asyncio.gather(*(refreshed(house, tokens) for _ in range(5)))
    assert len({tab.refresh for tab in tabs}) == 1
    house.clock.advance(ACCESS_S)
    tabs = await asyncio.gather(*(refreshed(house, tab) for tab in tabs))
    assert len({tab.refresh for tab in tabs}) == 1


async def test_a_lost_reply_is_forgiven_after_a_restart_too(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db") as house:
        await house.member()
        tokens = await house.signed_in()
        lost = await refreshed(house, tokens)
        clock = house.clock
    async with open_house(tmp_path / "club.db", clock=clock) as house:
        assert (await refreshed(house, tokens)).refresh == lost.refresh


async def test_the_id_of_a_session_is_not_enough_to_end_it(house: House) -> None:
    """Whoever has read it in a log cannot have a person logged out."""
    await house.member()
    tokens = await house.signed_in()
    assert await refused(house.sessions.refresh(f"syncd_refresh_{tokens.session}_guess")) == "invalid_refresh_token"
    assert (await refreshed(house, tokens)).session == tokens.session


@pytest.mark.parametrize(
    "token", ["", "syncd_refresh_", "nothing", "syncd_refresh_a_b", "x" * 100_000, "syncd_refresh_ß"]
)
async def test_what_is_no_refresh_token_opens_nothing(house: House, token: str) -> None:
    assert await refused(house.sessions.refresh(token)) == "invalid_refresh_token"


async def test_any_slip_in_a_refresh_token_is_noticed_and_ends_nothing(house: House) -> None:
    await house.member()
    tokens = await house.signed_in()
    text = tokens.refresh or ""
    for place in range(len("syncd_refresh_"), len(text), 7):
        other = "A" if text[place] != "A" else "B"
        slip = text[:place] + other + text[place + 1 :]
        assert await refused(house.sessions.refresh(slip, device_id="phone")) == "invalid_refresh_token"
    await refreshed(house, tokens)


async def test_a_session_is_bound_to_its_device(house: House) -> None:
    await house.member()
    tokens = await house.signed_in(device="phone")
    for device in ("", "tablet"):
        assert await refused(refreshed(house, tokens, device)) == "wrong_device"
    await refreshed(house, tokens, "phone")
    unbound = await house.log_in.with_password(ANN, PASSWORD)
    await refreshed(house, unbound, "whatever it says")


async def test_without_rotation_a_token_works_again_and_again(without_rotation: House) -> None:
    house = without_rotation
    await house.member()
    tokens = await house.signed_in()
    for _ in range(3):
        house.clock.advance(DAY_S)
        again = await refreshed(house, tokens)
        assert again.refresh is None, "keep the one you have"
        assert again.refresh_expires_at_ms == house.clock.now_ms + 7 * DAY_S * 1000
    await house.sessions.log_out(tokens.account, tokens.session)
    assert await refused(refreshed(house, tokens)) == "session_ended"


async def test_a_session_ends_when_it_is_not_used(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    house.clock.advance(7 * DAY_S - 1)
    tokens = await refreshed(house, tokens)
    house.clock.advance(7 * DAY_S)
    assert await refused(refreshed(house, tokens)) == "session_ended"
    assert await house.sessions.devices(account) == []


async def test_a_session_ends_at_last_however_it_is_used(tmp_path: Path) -> None:
    rules = SessionRules(lifetime_ms=10 * DAY_S * 1000)
    async with open_house(tmp_path / "club.db", session_rules=rules) as house:
        await house.member()
        tokens = await house.signed_in()
        end_ms = house.clock.now_ms + 10 * DAY_S * 1000
        for _ in range(9):
            house.clock.advance(DAY_S)
            tokens = await refreshed(house, tokens)
        assert tokens.refresh_expires_at_ms == end_ms
        house.clock.advance(DAY_S)
        assert await refused(refreshed(house, tokens)) == "session_ended"


async def test_one_device_is_logged_out(house: House) -> None:
    account = await house.member()
    phone, tablet = await house.signed_in(device="phone"), await house.signed_in(device="tablet")
    await house.sessions.log_out(account, phone.session)
    await house.sessions.log_out(account, phone.session)
    assert await refused(house.authenticator.authenticate(phone.access)) == "session_ended"
    assert await refused(refreshed(house, phone)) == "session_ended"
    assert (await house.authenticator.authenticate(tablet.access)).user == account
    assert [revoked.sessions for revoked in house.told] == [{phone.session}], "told once"


async def test_nobody_logs_out_somebody_else(house: House) -> None:
    await house.member()
    other = await house.member(BOB)
    tokens = await house.signed_in()
    assert await refused(house.sessions.log_out(other, tokens.session)) == "no_such_session"
    assert await refused(house.sessions.log_out(other, "nothing")) == "no_such_session"
    await refreshed(house, tokens)


async def test_a_device_logs_out_by_its_refresh_token(house: House) -> None:
    await house.member()
    tokens = await house.signed_in()
    house.clock.advance(ACCESS_S + 1)
    await house.sessions.log_out_by_token(tokens.refresh or "")
    await house.sessions.log_out_by_token(tokens.refresh or "")
    await house.sessions.log_out_by_token("nothing")
    assert await refused(refreshed(house, tokens)) == "session_ended"


async def test_all_devices_are_logged_out_but_the_one_that_asks(house: House) -> None:
    account = await house.member()
    sessions = [await house.signed_in(device=name) for name in ("phone", "tablet", "laptop")]
    assert await house.sessions.log_out_everywhere(account, keep_session=sessions[2].session) == 2
    assert [device.device.id for device in await house.sessions.devices(account)] == ["laptop"]
    assert await house.sessions.log_out_everywhere(account) == 1


async def test_the_devices_are_listed(house: House) -> None:
    account = await house.member()
    phone = await house.log_in.with_password(ANN, PASSWORD, Device("p", "Ann's phone", "ios"))
    house.clock.advance(60)
    laptop = await house.log_in.with_password(ANN, PASSWORD, Device("l", "Laptop", "web"))
    first, second = await house.sessions.devices(account, current=laptop.session)
    assert (first.id, first.device, first.current) == (phone.session, Device("p", "Ann's phone", "ios"), False)
    assert (second.id, second.current, second.created_at_ms) == (laptop.session, True, house.clock.now_ms)
    assert second.expires_at_ms == laptop.refresh_expires_at_ms


async def test_a_device_that_logs_in_anew_has_one_session(house: House) -> None:
    account = await house.member()
    before = await house.signed_in(device="phone")
    now = await house.signed_in(device="phone")
    assert [device.id for device in await house.sessions.devices(account)] == [now.session]
    assert await refused(refreshed(house, before)) == "session_ended"


async def test_of_too_many_sessions_those_end_that_were_not_used(house: House) -> None:
    account = await house.member()
    first = await house.signed_in(device="first")
    for n in range(99):
        house.clock.advance(1)
        await house.signed_in(device=f"device-{n}")
    house.clock.advance(1)
    await refreshed(house, first, "first")
    await house.signed_in(device="one more")
    names = {device.device.id for device in await house.sessions.devices(account)}
    assert len(names) == 100
    assert {"first", "one more"} <= names
    assert "device-0" not in names


@pytest.mark.parametrize("device", [Device("x" * 101), Device("x", "two\nlines"), Device("x", "", "\x00")])
async def test_what_a_device_says_of_itself_is_short(house: House, device: Device) -> None:
    await house.member()
    assert await refused(house.log_in.with_password(ANN, PASSWORD, device)) == "invalid_device"


async def test_a_suspended_account_is_refused_and_goes_on_afterwards(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    await house.standing.suspend(account)
    assert await refused(refreshed(house, tokens)) == "account_suspended"
    assert await refused(house.log_in.with_password(ANN, PASSWORD)) == "account_suspended"
    assert await refused(house.log_in.with_password(ANN, "wrong")) == "wrong_credentials"
    await house.standing.reinstate(account)
    await refreshed(house, tokens)


async def test_a_log_in_overtaken_by_a_new_password_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old password was right when it was hashed, and is not when the session would be opened."""
    account = await house.member()
    verify = house.passwords.verify

    async def overtaken(password_hash: str | None, password: str) -> Verified:
        verified = await verify(password_hash, password)
        monkeypatch.setattr(house.passwords, "verify", verify)
        await house.accounts.change_password(account, PASSWORD, "another four words entirely")
        return verified

    monkeypatch.setattr(house.passwords, "verify", overtaken)
    assert await refused(house.log_in.with_password(ANN, PASSWORD)) == "wrong_credentials"
    assert await house.sessions.devices(account) == []
