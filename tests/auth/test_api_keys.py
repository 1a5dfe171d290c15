"""API keys: shown once, told apart when they are no good, and no look into the database for the next request."""

from __future__ import annotations

import re

import pytest

from syncd.auth.identity import Identity
from syncd.auth.secret_text import new_secret, write
from syncd.engine.principal import Caller
from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.refusals import refused


async def test_a_key_acts_as_its_account(house: House) -> None:
    account = await house.member()
    await house.standing.set_roles(account, ["scorer"])
    made = await house.api_keys.create(account, "nightly export")
    principal = await house.authenticator.authenticate(made.text)
    assert (principal.caller, principal.user, principal.roles) == (Caller.USER, account, {"scorer"})
    assert (principal.session, principal.expires_at_ms, principal.scopes) == (made.key.id, None, None)


async def test_it_may_open_a_few_scopes_only(house: House) -> None:
    account = await house.member()
    made = await house.api_keys.create(account, "scoreboard", scopes=["match:1", "match:2"])
    assert (await house.authenticator.authenticate(made.text)).scopes == {"match:1", "match:2"}
    none = await house.api_keys.create(account, "nothing", scopes=[])
    assert (await house.authenticator.authenticate(none.text)).scopes == frozenset()
    assert await refused(house.api_keys.create(account, "bad", scopes=["no scope"])) == "invalid_scope"


async def test_scanners_find_it_by_its_form(house: House) -> None:
    made = await house.api_keys.create(await house.member(), "nightly")
    assert re.fullmatch("syncd_key_[0-9a-f]{16}_[0-9A-Za-z]{49}", made.text)
    assert made.text not in repr(await house.api_keys.keys(made.key.id))


async def test_a_slip_is_told_from_a_revocation_and_from_a_guess(house: House) -> None:
    account = await house.member()
    made = await house.api_keys.create(account, "nightly")
    other = await house.api_keys.create(account, "other")
    slip = made.text[:-10] + ("A" if made.text[-10] != "A" else "B") + made.text[-9:]
    assert await refused(house.authenticator.authenticate(slip)) == "api_key_malformed"
    assert await refused(house.authenticator.authenticate(made.text[:-1])) == "api_key_malformed"
    assert await refused(house.authenticator.authenticate("syncd_key_")) == "api_key_malformed"
    await house.api_keys.revoke(account, made.key.id)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"
    house.clock.advance(10**6)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"
    assert (await house.authenticator.authenticate(other.text)).user == account
    await house.store.sweep(house.clock())
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_unknown"


async def test_whether_a_key_was_revoked_is_told_only_to_who_has_it(house: House) -> None:
    account = await house.member()
    made = await house.api_keys.create(account, "nightly")
    await house.api_keys.revoke(account, made.key.id)
    guess = write("syncd_key_", made.key.id, new_secret())
    assert await refused(house.authenticator.authenticate(guess)) == "api_key_unknown"


async def test_it_expires(house: House) -> None:
    made = await house.api_keys.create(await house.member(), "for a day", lifetime_ms=86_400_000)
    assert (await house.authenticator.authenticate(made.text)).expires_at_ms == house.clock() + 86_400_000
    house.clock.advance(86_400)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_expired"
    assert await refused(house.api_keys.create("nobody", "x")) == "no_such_account"
    assert await refused(house.api_keys.create("nobody", "x", lifetime_ms=0)) == "invalid_lifetime"


async def test_its_owner_makes_it_by_the_password_or_has_just_logged_in(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    house.clock.advance(10**6)
    assert await house.api_keys.takes_password(account, tokens.session), "however new or old the session is"
    from_elsewhere = await house.log_in.with_identity(Identity("apple", "1"))
    without_one = (from_elsewhere.account, from_elsewhere.session)
    house.clock.advance(599)
    assert not await house.api_keys.takes_password(*without_one)
    house.clock.advance(1)
    assert await refused(house.api_keys.takes_password(*without_one)) == "log_in_needed"
    assert await refused(house.api_keys.takes_password(from_elsewhere.account, "")) == "log_in_needed"
    assert await refused(house.api_keys.takes_password("nobody", tokens.session)) == "no_such_account"


async def test_none_is_made_by_a_session_that_was_ended_meanwhile(house: House) -> None:
    """By a new password, while the old one was being looked at."""
    account = await house.member()
    tokens = await house.signed_in()
    assert await house.api_keys.create(account, "before", session=tokens.session)
    await house.accounts.change_password(account, PASSWORD, "another four words entirely")
    assert await refused(house.api_keys.create(account, "behind it", session=tokens.session)) == "session_ended"
    assert [key.name for key in await house.api_keys.keys(account)] == ["before"]


async def test_the_second_request_takes_no_look_into_the_database(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await house.api_keys.create(await house.member(), "nightly")
    await house.authenticator.authenticate(made.text)
    looks: list[str] = []

    async def look(id: str) -> None:
        looks.append(id)

    monkeypatch.setattr(house.store, "api_key", look)
    monkeypatch.setattr(house.store, "account", look)
    for _ in range(3):
        await house.authenticator.authenticate(made.text)
    assert looks == []
    await house.standing.set_roles((await house.authenticator.authenticate(made.text)).user, ["scorer"])
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_unknown"
    assert looks == [made.key.id], "what has changed is read again"


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await house.member()
    made = await house.api_keys.create(account, "nightly")
    read = house.store.account

    async def overtaken(id: str) -> object:
        monkeypatch.setattr(house.store, "account", read)
        await house.api_keys.revoke(account, made.key.id)
        return await read(id)

    monkeypatch.setattr(house.store, "account", overtaken)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"
    house.clock.advance(10**6)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"


async def test_keys_are_listed_with_when_they_were_used(house: House) -> None:
    account = await house.member()
    made = await house.api_keys.create(account, "nightly")
    house.clock.advance(1)
    await house.api_keys.create(account, "weekly")
    house.clock.advance(60)
    await house.authenticator.authenticate(made.text)
    assert [key.used_at_ms for key in await house.api_keys.keys(account)] == [None, None]
    assert await house.api_keys.write_uses() == 1
    assert await house.api_keys.write_uses() == 0
    assert [(key.name, key.used_at_ms) for key in await house.api_keys.keys(account)] == [
        ("nightly", house.clock()),
        ("weekly", None),
    ]
    await house.authenticator.authenticate(made.text)
    await house.api_keys.revoke(account, made.key.id)
    await house.api_keys.write_uses()
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"


async def test_nobody_revokes_somebody_elses(house: House) -> None:
    ann, bob = await house.member(ANN), await house.member(BOB)
    made = await house.api_keys.create(ann, "nightly")
    assert await refused(house.api_keys.revoke(bob, made.key.id)) == "no_such_key"
    assert (await house.authenticator.authenticate(made.text)).user == ann


async def test_an_account_has_so_many(house: House) -> None:
    account = await house.member()
    for n in range(100):
        await house.api_keys.create(account, f"key {n}")
    assert await refused(house.api_keys.create(account, "one more")) == "too_many_keys"
