"""Accounts: registering, the address, the password; and nobody learns which addresses are known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from syncd.auth.codes import Purpose
from syncd.auth.rules import AccountRules
from syncd.auth.sessions import Device
from syncd.errors import Forbidden, InvalidMessage, NotFound, Unauthenticated
from tests.auth.house import ANN, BOB, PASSWORD, House, open_house
from tests.auth.phones import enrolled, shown
from tests.auth.refusals import refused

NEW = "another four words entirely"


async def test_an_account_opens_once_its_address_was_verified(house: House) -> None:
    await house.accounts.register(ANN, PASSWORD, "  Ann ")
    with pytest.raises(Forbidden) as caught:
        await house.log_in.with_password(ANN, PASSWORD)
    assert caught.value.problem_code == "email_not_verified"
    await house.mails()
    account = await house.accounts.verify_email(house.postbox.code(ANN))
    row = await house.store.account(account)
    assert row is not None
    assert (row.email, row.name, row.verified_at_ms) == (ANN, "Ann", house.clock.now_ms)
    assert (await house.log_in.with_password(ANN, PASSWORD)).account == account


async def test_it_opens_at_once_where_that_is_not_asked_for(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db", account_rules=AccountRules(verified_only=False)) as house:
        await house.accounts.register(ANN, PASSWORD)
        assert (await house.log_in.with_password(ANN, PASSWORD)).refresh


async def test_an_address_is_the_same_however_it_is_typed(house: House) -> None:
    await house.accounts.register("Ann@Club.Example ", PASSWORD)
    await house.mails()
    account = await house.accounts.verify_email(house.postbox.code(ANN))
    assert (await house.log_in.with_password(" ANN@club.example", PASSWORD)).account == account


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "@club.example", "ann@club", "a b@club.example", "ann@club.example\n.x"]
)
async def test_what_no_mail_can_be_sent_to_is_no_address(house: House, email: str) -> None:
    assert await refused(house.accounts.register(email, PASSWORD)) == "invalid_email"


@pytest.mark.parametrize("name", ["x" * 101, "Ann\nBcc: everybody@club.example", "\x1b[2J"])
async def test_a_name_is_a_line(house: House, name: str) -> None:
    assert await refused(house.accounts.register(ANN, PASSWORD, name)) == "invalid_name"


# Nobody learns which addresses are known.


async def test_registering_a_known_address_answers_the_same_and_changes_nothing(house: House) -> None:
    account = await house.member()
    before = await house.store.account(account)
    await house.accounts.register(ANN, NEW, "Mallory")
    await house.accounts.register(BOB, NEW, "Bob")
    await house.mails()
    assert await house.store.account(account) == before
    assert house.postbox.subjects(ANN)[-1] == "you have an account already"
    assert house.postbox.subjects(BOB) == ["confirm your address"]
    assert (await house.log_in.with_password(ANN, PASSWORD)).account == account


async def test_a_forgotten_password_of_an_unknown_address_answers_the_same(house: House) -> None:
    await house.member()
    await house.accounts.forgot_password(ANN)
    await house.accounts.forgot_password(BOB)
    await house.mails()
    assert house.postbox.subjects(ANN)[-1] == "set a new password"
    assert house.postbox.subjects(BOB) == ["there is no account with this address"]


ASKED: dict[str, Callable[[House, str], Awaitable[object]]] = {
    "register": lambda house, email: house.accounts.register(email, NEW),
    "log in": lambda house, email: refused(house.log_in.with_password(email, "not the password")),
    "forgot password": lambda house, email: house.accounts.forgot_password(email),
    "send verification": lambda house, email: house.accounts.send_verification(email),
}


@pytest.mark.parametrize("asked", ASKED)
async def test_whether_an_address_is_known_or_not_costs_the_same_work(house: House, asked: str) -> None:
    """As many hashes, and as many mails in as many commits: not as many milliseconds, which a test cannot rely on."""
    await house.member()
    work = []
    for email in (ANN, BOB):
        before = house.passwords.hashes, len(await house.mails())
        await ASKED[asked](house, email)
        waiting = len(await house.store.mails_due(house.clock(), limit=100))
        work.append((house.passwords.hashes - before[0], waiting))
        await house.mails()
    assert work[0] == work[1]
    assert work[0] in ((1, 1), (1, 0), (0, 1))


async def test_wrong_credentials_are_one_answer(house: House) -> None:
    await house.member()
    answers = []
    for email, password in ((ANN, "not the password"), (BOB, PASSWORD), ("no address at all", PASSWORD), (ANN, "")):
        with pytest.raises(Unauthenticated) as caught:
            await house.log_in.with_password(email, password)
        answers.append((caught.value.problem_code, caught.value.message, caught.value.hint, caught.value.field))
    assert len(set(answers)) == 1
    assert answers[0][0] == "wrong_credentials"
    assert house.passwords.hashes == 1 + 4, "a hash each, whether there is an account or not"


async def test_two_who_register_one_address_at_once_get_one_account(house: House) -> None:
    await asyncio.gather(*(house.accounts.register(ANN, f"{PASSWORD} {n}") for n in range(5)))
    (row,) = await house.store.accounts(limit=10)
    await house.mails()
    assert (row.email, house.postbox.subjects(ANN)[-1]) == (ANN, "set a new password")
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    assert [n for n in range(5) if await opens(house, f"{PASSWORD} {n}")] == [], "whoever has the mail says which"
    assert await opens(house, NEW)


async def opens(house: House, password: str) -> bool:
    try:
        await house.log_in.with_password(ANN, password)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize("first", ["Mallory", "the owner"])
async def test_who_registers_somebody_elses_address_too_gets_no_way_in(house: House, first: str) -> None:
    """Whichever of the mails the owner of the address then uses."""
    of_mallory = "what Mallory knows"
    passwords = [of_mallory, PASSWORD] if first == "Mallory" else [PASSWORD, of_mallory]
    await house.accounts.register(ANN, passwords[0])
    await house.mails()
    of_the_first_mail = house.postbox.code(ANN)
    await house.accounts.register(ANN, passwords[1])
    await house.mails()
    assert await refused(house.accounts.verify_email(of_the_first_mail)) == "invalid_code"
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    assert [await opens(house, password) for password in (of_mallory, PASSWORD, NEW)] == [False, False, True]


async def test_an_account_that_is_used_unverified_is_not_taken_by_registering_again(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db", account_rules=AccountRules(verified_only=False)) as house:
        await house.accounts.register(ANN, PASSWORD)
        await house.accounts.register(ANN, "what Mallory knows")
        assert await opens(house, PASSWORD)
        assert not await opens(house, "what Mallory knows")


# Codes.


async def test_a_code_works_once(house: House) -> None:
    await house.accounts.register(ANN, PASSWORD)
    await house.mails()
    code = house.postbox.code(ANN)
    await house.accounts.verify_email(code)
    assert await refused(house.accounts.verify_email(code)) == "invalid_code"


async def test_two_who_use_a_code_at_once_use_it_once(house: House) -> None:
    await house.member()
    await house.accounts.forgot_password(ANN)
    await house.mails()
    code = house.postbox.code(ANN)
    attempts = [house.accounts.reset_password(code, f"{NEW} {n}") for n in range(3)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 1
    assert {type(result) for result in results} == {str, InvalidMessage}


async def test_a_code_expires(house: House) -> None:
    await house.member()
    await house.accounts.forgot_password(ANN)
    await house.mails()
    code = house.postbox.code(ANN)
    house.clock.advance(3600)
    assert await refused(house.accounts.reset_password(code, NEW)) == "invalid_code"
    await house.accounts.forgot_password(ANN)
    await house.mails()
    code = house.postbox.code(ANN)
    house.clock.advance(3599)
    await house.accounts.reset_password(code, NEW)


async def test_a_code_is_good_for_what_it_was_made_for(house: House) -> None:
    await house.accounts.register(ANN, PASSWORD)
    await house.mails()
    code = house.postbox.code(ANN)
    assert await refused(house.accounts.reset_password(code, NEW)) == "invalid_code"
    assert await refused(house.accounts.confirm_email(code)) == "invalid_code"
    assert await refused(house.accounts.verify_email(code[:-1])) == "invalid_code"
    assert await refused(house.accounts.verify_email("")) == "invalid_code"
    assert await refused(house.accounts.verify_email("ß" * 10_000)) == "invalid_code"
    await house.accounts.verify_email(f" {code}\n")


async def test_a_code_of_an_account_that_was_erased_works_no_more(house: House) -> None:
    account = await house.member()
    await house.accounts.forgot_password(ANN)
    await house.mails()
    to_reset = house.postbox.code(ANN)
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    to_change = house.postbox.code(BOB)
    await house.erase(account)
    assert await refused(house.accounts.reset_password(to_reset, NEW)) == "invalid_code"
    assert await refused(house.accounts.confirm_email(to_change)) == "invalid_code"
    await house.accounts.register(ANN, PASSWORD)
    await house.mails()
    assert await house.accounts.verify_email(house.postbox.code(ANN)) != account


async def test_no_code_and_no_password_is_in_the_database(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db") as house:
        await house.member()
        await house.accounts.forgot_password(ANN)
        await house.mails()
        tokens = await house.signed_in()
        code = house.postbox.code(ANN)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert ANN.encode() in stored
    for secret in (code, PASSWORD, tokens.refresh, tokens.access):
        assert secret
        assert secret.encode() not in stored


# The password.


async def test_a_reset_ends_every_session_and_the_old_password(house: House) -> None:
    await house.member()
    phone, tablet = await house.signed_in(device="phone"), await house.signed_in(device="tablet")
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    for tokens in (phone, tablet):
        assert await refused(house.sessions.refresh(tokens.refresh or "", device_id="phone")) == "session_ended"
        assert await refused(house.authenticator.authenticate(tokens.access)) == "session_ended"
    assert not await opens(house, PASSWORD)
    assert await opens(house, NEW)
    await house.mails()
    assert house.postbox.subjects(ANN)[-1] == "your password was changed"


async def test_a_reset_shows_that_the_address_is_read(house: House) -> None:
    await house.accounts.register(ANN, PASSWORD)
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    assert await opens(house, NEW)


async def test_a_reset_ends_every_api_key(house: House) -> None:
    """Of a stolen access token somebody may have made one, which nothing else would end."""
    account = await house.member()
    made = await house.api_keys.create(account, "made of a stolen token")
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    assert await refused(house.authenticator.authenticate(made.text)) == "api_key_revoked"
    assert "API keys have ended" in (await house.mails())[-1].text


async def test_a_reset_by_whoever_has_the_address_leaves_no_way_in_to_who_registered_it_first(tmp_path: Path) -> None:
    """Where accounts open unverified, the first to come may be anybody."""
    async with open_house(tmp_path / "club.db", account_rules=AccountRules(verified_only=False)) as house:
        await house.accounts.register(ANN, "what Mallory knows")
        tokens = await house.log_in.with_password(ANN, "what Mallory knows")
        account = tokens.account
        key = await house.api_keys.create(account, "Mallory's")
        enrolment = await house.second_factor.enrol(account, "what Mallory knows")
        recovery = await house.second_factor.confirm(account, shown(house, enrolment))
        await house.accounts.change_email(account, "what Mallory knows", BOB)
        await house.accounts.forgot_password(ANN)
        await house.mails()
        await house.accounts.reset_password(house.postbox.code(ANN), NEW)
        assert (await house.log_in.with_password(ANN, NEW)).account == account, "nobody asks for Mallory's phone"
        assert await refused(house.authenticator.authenticate(key.text)) == "api_key_revoked"
        assert await refused(house.authenticator.authenticate(tokens.access)) == "session_ended"
        assert await refused(house.accounts.confirm_email(house.postbox.code(BOB))) == "invalid_code"
        assert await house.store.codes_of(account, Purpose.RECOVERY) == []
        again = await house.second_factor.enrol(account, NEW)
        await house.second_factor.confirm(account, shown(house, again))
        house.clock.advance(30)
        second = house.log_in.with_password(ANN, NEW, second_factor=recovery[0])
        assert await refused(second) == "wrong_second_factor"


async def test_a_reset_leaves_the_second_factor_of_an_owner_who_is_known(house: House) -> None:
    account, enrolment, _ = await enrolled(house)
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)
    assert await refused(house.log_in.with_password(ANN, NEW)) == "second_factor_required"
    code = shown(house, enrolment)
    assert (await house.log_in.with_password(ANN, NEW, second_factor=code)).account == account
    assert len(await house.store.codes_of(account, Purpose.RECOVERY)) == 10


async def test_a_bad_new_password_does_not_use_up_the_code(house: House) -> None:
    await house.member()
    await house.accounts.forgot_password(ANN)
    await house.mails()
    code = house.postbox.code(ANN)
    assert await refused(house.accounts.reset_password(code, "short")) == "weak_password"
    assert await refused(house.accounts.reset_password(code, ANN)) == "weak_password"
    await house.accounts.reset_password(code, NEW)


async def test_who_changes_the_password_stays_logged_in_alone(house: House) -> None:
    account = await house.member()
    here, there = await house.signed_in(device="here"), await house.signed_in(device="there")
    assert await refused(house.accounts.change_password(account, "wrong", NEW)) == "wrong_password"
    assert await refused(house.accounts.change_password(account, PASSWORD, "short")) == "weak_password"
    await house.accounts.change_password(account, PASSWORD, NEW, keep_session=here.session)
    assert (await house.authenticator.authenticate(here.access)).user == account
    assert await refused(house.authenticator.authenticate(there.access)) == "session_ended"
    assert await opens(house, NEW)


async def test_a_password_that_was_reset_meanwhile_is_not_changed_back(house: House) -> None:
    """Two changes at once, both with the right old password: the second finds another one."""
    account = await house.member()
    changes = [house.accounts.change_password(account, PASSWORD, f"{NEW} {n}") for n in range(2)]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(str(type(result).__name__) for result in results) == ["Forbidden", "NoneType"]


# The address.


async def test_an_address_is_changed_by_a_code_that_is_sent_there(house: House) -> None:
    account = await house.member()
    assert await refused(house.accounts.change_email(account, "wrong", BOB)) == "wrong_password"
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    assert house.postbox.subjects(ANN)[-1] == "another address was asked for"
    assert await opens(house, PASSWORD), "until then the old one counts"
    assert await house.accounts.confirm_email(house.postbox.code(BOB)) == account
    assert not await opens(house, PASSWORD)
    assert (await house.log_in.with_password(BOB, PASSWORD)).account == account
    await house.mails()
    assert house.postbox.subjects(ANN)[-1] == "your address was changed"


async def test_to_an_address_that_is_known_goes_other_mail_and_nothing_changes(house: House) -> None:
    account = await house.member()
    await house.member(BOB)
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    assert house.postbox.subjects(BOB)[-1] == "you have an account already"
    assert await opens(house, PASSWORD)


async def test_an_address_that_was_taken_meanwhile_is_not_taken_again(house: House) -> None:
    account = await house.member()
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    code = house.postbox.code(BOB)
    await house.member(BOB)
    assert await refused(house.accounts.confirm_email(code)) == "invalid_code"


async def test_a_code_that_was_sent_to_the_old_address_opens_nothing_any_more(house: House) -> None:
    account = await house.member()
    await house.accounts.forgot_password(ANN)
    await house.mails()
    to_the_old_one = house.postbox.code(ANN)
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    await house.accounts.confirm_email(house.postbox.code(BOB))
    assert await refused(house.accounts.reset_password(to_the_old_one, NEW)) == "invalid_code"


@pytest.mark.parametrize("sent", [True, False], ids=["its mail was read", "its mail waits"])
@pytest.mark.parametrize("how", ["change", "reset"])
async def test_a_new_password_takes_back_a_change_of_address(house: House, how: str, sent: bool) -> None:
    """Or whoever knew the old one asks for an address of his own, and takes the account after the owner has acted."""
    account = await house.member()
    if how == "reset":
        await house.accounts.forgot_password(ANN)
        await house.mails()
        code = house.postbox.code(ANN)
    await house.accounts.change_email(account, PASSWORD, BOB)
    if sent:
        await house.mails()
    if how == "reset":
        await house.accounts.reset_password(code, NEW)
    else:
        await house.accounts.change_password(account, PASSWORD, NEW)
    await house.mails()
    assert ("confirm your new address" in house.postbox.subjects(BOB)) is sent
    if sent:
        assert await refused(house.accounts.confirm_email(house.postbox.code(BOB))) == "invalid_code"
    row = await house.store.account(account)
    assert row is not None
    assert row.email == ANN


async def test_of_two_changes_of_address_the_first_is_not_sent_any_more(house: House) -> None:
    account = await house.member()
    await house.accounts.change_email(account, PASSWORD, "first@club.example")
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    assert house.postbox.subjects("first@club.example") == []
    assert await house.accounts.confirm_email(house.postbox.code(BOB)) == account


async def test_a_reset_that_was_asked_for_before_the_address_changed_is_not_sent(house: House) -> None:
    account = await house.member()
    await house.accounts.change_email(account, PASSWORD, BOB)
    await house.mails()
    await house.accounts.forgot_password(ANN)
    await house.accounts.confirm_email(house.postbox.code(BOB))
    await house.mails()
    assert "set a new password" not in house.postbox.subjects(ANN)


async def test_what_is_asked_of_nobody_is_refused(house: House) -> None:
    assert await refused(house.accounts.change_password("nobody", PASSWORD, NEW)) == "wrong_password"
    with pytest.raises(NotFound):
        await house.standing.suspend("nobody")


async def test_a_command_is_finished_though_whoever_asked_has_gone(house: House) -> None:
    account = await house.member()
    tokens = await house.log_in.with_password(ANN, PASSWORD, Device("phone"))
    asking = asyncio.create_task(house.sessions.log_out(account, tokens.session))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await house.committer.close()
    assert await refused(house.authenticator.authenticate(tokens.access)) == "session_ended"


async def test_where_nobody_registers_no_account_is_made_whoever_has_the_address(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db", account_rules=AccountRules(registration=False)) as house:
        await house.invitations.invite(ANN)
        for email in (ANN, "somebody@club.example"):
            assert await refused(house.accounts.register(email, PASSWORD)) == "registration_closed"
        assert await house.store.account_by_email("somebody@club.example") is None
        assert not house.passwords.hashes
