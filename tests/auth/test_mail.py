"""The outbox: a mail is sent once its command is committed, tried again until it is, and given up aloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from syncd.auth.codes import Purpose
from syncd.auth.leaving import Leaving
from syncd.auth.mail import MailNotSent, MailRefused, Outbox
from syncd.auth.mail_texts import Kind, Mail, mail_of
from syncd.auth.rules import MailRules
from syncd.errors import StoreUnavailable
from tests.auth.house import ANN, BOB, PASSWORD, House
from tests.auth.refusals import refused
from tests.support.until import until

HOUR_S = 3600


class Broken:
    """Fails as long as it is told to."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure
        self.tried: list[Mail] = []
        self.sent: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.tried.append(mail)
        if self.failure is not None:
            raise self.failure
        self.sent.append(mail)


@pytest.fixture
async def broken(house: House) -> Broken:
    """A mailer that fails."""
    return Broken(MailNotSent("the server cannot be reached"))


@pytest.fixture
def outbox(house: House, broken: Broken) -> Outbox:
    """An outbox over it, whose dice always shows the most."""
    return Outbox(house.store, broken, house.clock, dice=lambda: 1.0)


async def test_a_command_that_is_not_committed_leaves_no_mail(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.member()

    async def full_disk(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    async with house.store.transaction() as tx:
        monkeypatch.setattr(type(tx), "commit", full_disk)
    with pytest.raises(StoreUnavailable):
        await house.accounts.forgot_password(ANN)
    monkeypatch.undo()
    assert await house.store.next_mail_at_ms() is None


async def test_a_mail_that_cannot_be_sent_is_tried_again_later_and_later(
    house: House, broken: Broken, outbox: Outbox
) -> None:
    await house.accounts.register(ANN, PASSWORD)
    pauses = []
    for _ in range(12):
        assert await outbox.send_due() == 1
        assert await outbox.send_due() == 0, "not at once"
        next_at_ms = await house.store.next_mail_at_ms()
        assert next_at_ms is not None
        pauses.append((next_at_ms - house.clock()) // 1000)
        house.clock.now_ms = next_at_ms
    assert pauses[:5] == [11, 21, 41, 81, 161]
    assert max(pauses) == pauses[-1] == HOUR_S + 1
    broken.failure = None
    await outbox.send_due()
    assert len(broken.sent) == 1
    assert await house.store.next_mail_at_ms() is None


async def test_the_pauses_are_jittered(house: House, broken: Broken) -> None:
    outbox = Outbox(house.store, broken, house.clock, dice=lambda: 0.0)
    await house.accounts.register(ANN, PASSWORD)
    await outbox.send_due()
    assert await house.store.next_mail_at_ms() == house.clock() + 1000


async def test_it_is_given_up_after_days_and_that_is_an_error(house: House, broken: Broken, outbox: Outbox) -> None:
    await house.accounts.register(ANN, PASSWORD)
    house.clock.advance(3 * 24 * HOUR_S - 1)
    await outbox.send_due()
    house.clock.advance(HOUR_S)
    with capture_logs() as lines:
        await outbox.send_due()
    assert len(broken.tried) == 1
    assert await house.store.next_mail_at_ms() is None
    (line,) = lines
    assert (line["log_level"], line["event"]) == ("error", "mail_given_up")


async def test_an_address_that_takes_no_mail_is_not_tried_again(house: House, broken: Broken, outbox: Outbox) -> None:
    broken.failure = MailRefused("there is no such mailbox")
    await house.accounts.register(ANN, PASSWORD)
    await outbox.send_due()
    assert len(broken.tried) == 1
    assert await house.store.next_mail_at_ms() is None


async def test_neither_address_nor_code_is_logged(house: House, broken: Broken, outbox: Outbox) -> None:
    await house.accounts.register(ANN, PASSWORD)
    with capture_logs() as lines:
        await outbox.send_due()
        broken.failure = None
        house.clock.advance(HOUR_S)
        await outbox.send_due()
    assert [line["event"] for line in lines] == ["mail_not_sent", "mail_sent"]
    assert ANN not in repr(lines)
    assert "syncd_code" not in repr(lines)


async def test_each_try_brings_a_code_that_works(house: House, broken: Broken, outbox: Outbox) -> None:
    """The first may have arrived, although nobody said so."""
    await house.accounts.register(ANN, PASSWORD)
    await outbox.send_due()
    house.clock.advance(HOUR_S)
    await outbox.send_due()
    codes = [mail.text.split("syncd_code_")[1].split()[0] for mail in broken.tried]
    assert len(set(codes)) == 2
    await house.accounts.verify_email(f"syncd_code_{codes[0]}")
    assert await refused(house.accounts.verify_email(f"syncd_code_{codes[1]}")) == "invalid_code"


async def test_a_code_lives_from_when_it_was_sent(house: House, broken: Broken, outbox: Outbox) -> None:
    await house.member()
    await house.accounts.forgot_password(ANN)
    house.clock.advance(5 * HOUR_S)
    broken.failure = None
    await outbox.send_due()
    assert "within one hour" in broken.sent[0].text
    code = broken.sent[0].text.split("Enter this code:")[1].split()[0]
    house.clock.advance(HOUR_S - 1)
    await house.accounts.reset_password(code, "another four words entirely")


async def test_an_account_that_is_gone_is_sent_nothing(house: House, broken: Broken, outbox: Outbox) -> None:
    account = await house.member()
    await house.accounts.forgot_password(ANN)
    await house.erase(account)
    await outbox.send_due()
    assert broken.tried == []
    assert await house.store.next_mail_at_ms() is None


NEW = "another four words entirely"


async def changed_password(house: House, account: str) -> None:
    await house.accounts.change_password(account, PASSWORD, NEW)


async def reset_password(house: House, account: str) -> None:
    await house.accounts.forgot_password(ANN)
    await house.mails()
    await house.accounts.reset_password(house.postbox.code(ANN), NEW)


@pytest.mark.parametrize("owner_acts", [changed_password, reset_password])
async def test_a_change_of_address_that_was_taken_back_is_not_tried_again(
    house: House, broken: Broken, outbox: Outbox, owner_acts: Callable[[House, str], Awaitable[None]]
) -> None:
    account = await house.member()
    await house.accounts.change_email(account, PASSWORD, BOB)
    await outbox.send_due()
    (to_the_new_one,) = [mail for mail in broken.tried if mail.to == BOB]
    await owner_acts(house, account)
    broken.failure = None
    house.clock.advance(HOUR_S)
    await outbox.send_due()
    assert [mail.to for mail in broken.sent if mail.to == BOB] == []
    code = to_the_new_one.text.split("Enter this code:")[1].split()[0]
    assert await refused(house.accounts.confirm_email(code)) == "invalid_code", "it may have arrived all the same"


async def test_what_is_taken_back_while_others_are_sent_does_not_come_again(house: House) -> None:
    """It was read to be sent with those before it, and has gone from the database since."""
    account = await house.member()
    tried: list[Mail] = []

    class Slow:
        async def send(self, mail: Mail) -> None:
            tried.append(mail)
            if len(tried) == 1:
                await house.accounts.change_password(account, PASSWORD, NEW)

    await house.accounts.forgot_password(ANN)
    house.clock.advance(1)
    await house.accounts.change_email(account, PASSWORD, BOB)
    outbox = Outbox(house.store, Slow(), house.clock)
    while await outbox.send_due():
        pass
    assert "set a new password" in tried[0].subject
    assert [mail.to for mail in tried if mail.to == BOB] == []
    assert await house.store.next_mail_at_ms() is None


async def test_whoever_is_erased_while_others_are_sent_gets_nothing_and_his_address_stays_away(house: House) -> None:
    """His mails were read to be sent with those before them."""
    account = await house.member()
    leaving = Leaving(house.store, house.committer, house.accounts, house.second_factor)
    tried: list[str] = []

    class Slow:
        async def send(self, mail: Mail) -> None:
            tried.append(mail.to)
            if len(tried) == 1:
                await leaving.erase(account)

    await house.accounts.forgot_password(BOB)
    house.clock.advance(1)
    await house.accounts.change_password(account, PASSWORD, NEW)
    await house.accounts.forgot_password(ANN)
    outbox = Outbox(house.store, Slow(), house.clock)
    while await outbox.send_due():
        pass
    assert tried == [BOB]
    assert await house.store.next_mail_at_ms() is None


async def test_what_waits_for_an_erased_account_is_dropped(house: House, broken: Broken, outbox: Outbox) -> None:
    """Whatever it is, and wherever it was to go."""
    account = await house.member()
    await house.accounts.change_password(account, PASSWORD, NEW)
    await house.accounts.change_email(account, NEW, BOB)
    await house.erase(account)
    while await outbox.send_due():
        pass
    assert broken.tried == []
    assert await house.store.next_mail_at_ms() is None


@pytest.fixture
async def running(house: House) -> AsyncIterator[asyncio.Task[None]]:
    """The house's own outbox, at work."""
    task = asyncio.create_task(house.outbox.run())
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_it_sends_as_soon_as_there_is_something(house: House, running: asyncio.Task[None]) -> None:
    await house.accounts.register(ANN, PASSWORD)
    await until(lambda: len(house.postbox.mails) == 1)
    await house.accounts.register(BOB, PASSWORD)
    await until(lambda: len(house.postbox.mails) == 2)
    assert not running.done()


async def test_what_was_left_is_sent_after_a_start(house: House) -> None:
    await house.accounts.register(ANN, PASSWORD)
    task = asyncio.create_task(house.outbox.run())
    await until(lambda: len(house.postbox.mails) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("failure", [StoreUnavailable("The disk is full."), LookupError("a mistake")])
async def test_a_failure_does_not_end_it(
    house: House, running: asyncio.Task[None], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    due, failed = house.store.mails_due, asyncio.Event()

    async def fail(now_ms: int, *, limit: int) -> object:
        monkeypatch.setattr(house.store, "mails_due", due)
        failed.set()
        raise failure

    monkeypatch.setattr(house.store, "mails_due", fail)
    await house.accounts.register(ANN, PASSWORD)
    await failed.wait()
    house.outbox.wake()
    await until(lambda: len(house.postbox.mails) == 1)
    assert not running.done()


# What they say.


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_mail_says_what_and_from_whom(kind: Kind) -> None:
    mail = mail_of(kind, ANN, service="The club", page=None, at_ms=0)
    assert mail.subject.startswith("The club: ")
    assert "The club" in mail.text
    assert mail.text.isascii()
    assert mail.text.endswith(".\n")


def test_a_code_comes_as_a_link_where_there_is_a_page() -> None:
    with_page = mail_of(Kind.RESET, ANN, service="x", page="https://club.example/account", at_ms=0, code="c", hours=1)
    assert "https://club.example/account#reset=c\n" in with_page.text
    without = mail_of(Kind.RESET, ANN, service="x", page=None, at_ms=0, code="c", hours=0.5)
    assert "Enter this code:\n\nc\n" in without.text
    assert "30 minutes" in without.text


async def test_nothing_that_was_typed_is_in_a_mail(house: House) -> None:
    """Or anybody could have this server send his words to any address."""
    await house.accounts.register(ANN, PASSWORD, "Win at casino.example")
    await house.accounts.register(BOB, PASSWORD, "Win at casino.example")
    for mail in await house.mails():
        assert "casino" not in mail.subject + mail.text


def test_how_long_a_code_works_is_a_rule() -> None:
    rules = MailRules(verify_code_ms=1, reset_code_ms=2)
    assert [rules.code_ms(purpose) for purpose in (Purpose.VERIFY, Purpose.RESET, Purpose.CHANGE_EMAIL)] == [1, 2, 1]
