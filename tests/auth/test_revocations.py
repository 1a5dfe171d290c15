"""Revocations: known at once, for as long as a token can live, and after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.auth.revocations import KEPT_MS, Revocations, Revoked
from syncd.auth.standing import Standing
from syncd.errors import InvalidMessage
from syncd.store.accounts import (
    AccountCommit,
    AccountRow,
    AccountStatus,
    ApiKeyRow,
    RevokedTokenRow,
    SessionRow,
)
from tests.auth.house import BOB, House, open_house
from tests.auth.refusals import refused
from tests.support.engine import SettableClock


def session(id: str, revoked_at_ms: int | None) -> SessionRow:
    return SessionRow(id, "a", id.encode(), b"", 0, 0, 10**15, revoked_at_ms=revoked_at_ms)


def account(id: str = "a", status: AccountStatus = AccountStatus.ACTIVE, roles: str = "", at_ms: int = 0) -> AccountRow:
    return AccountRow(id, 0, status=status, roles=frozenset(roles.split()), roles_at_ms=at_ms)


def test_what_was_never_heard_of_goes_on() -> None:
    revocations = Revocations(SettableClock())
    assert not revocations.ended("s", "", "t")
    assert revocations.status("a") is AccountStatus.ACTIVE
    assert revocations.roles("a", frozenset({"told"})) == {"told"}


def test_what_ends_is_known_by_its_id_and_told() -> None:
    clock = SettableClock()
    revocations, told = Revocations(clock), list[Revoked]()
    revocations.on_revoked(told.append)
    revocations.committed(
        AccountCommit(
            sessions=[session("s", clock()), session("live", None)],
            api_keys=[ApiKeyRow("k", "a", b"", "", 0, revoked_at_ms=clock())],
            revoked_tokens=[RevokedTokenRow("t", clock(), clock() + 1000)],
        )
    )
    assert [revocations.ended(id_) for id_ in ("s", "k", "t", "live")] == [True, True, True, False]
    assert told == [Revoked(sessions=frozenset({"s", "k", "t"}))]


def test_it_is_remembered_for_as_long_as_a_token_can_live_and_no_longer() -> None:
    clock = SettableClock()
    revocations = Revocations(clock, kept_ms=2 * KEPT_MS)
    revocations.committed(
        AccountCommit(
            sessions=[session("s", clock())],
            revoked_tokens=[RevokedTokenRow("t", clock(), clock() + 1000)],
        )
    )
    clock.advance(1)
    assert not revocations.ended("t"), "it has ended anyway"
    clock.advance(2 * KEPT_MS / 1000 - 1.001)
    assert revocations.ended("s")
    clock.advance(0.001)
    assert not revocations.ended("s")
    revocations.committed(AccountCommit())
    assert len(revocations) == 0, "and takes no memory"


async def test_a_token_stays_revoked_while_clocks_that_differ_would_let_it_in(house: House) -> None:
    ends_at_ms = house.clock() + 1000
    await house.standing.revoke_token("t", ends_at_ms)
    told = Revocations(house.clock, leeway_ms=60_000)
    told.committed(AccountCommit(revoked_tokens=[RevokedTokenRow("t", house.clock(), ends_at_ms)]))
    house.clock.advance(60.999)
    loaded = Revocations(house.clock, leeway_ms=60_000)
    await loaded.load(house.store)
    assert [each.ended("t") for each in (told, loaded)] == [True, True]
    house.clock.advance(0.001)
    assert [each.ended("t") for each in (told, loaded)] == [False, False]


def test_a_token_that_is_revoked_once_more_stays_so_until_the_later_of_both() -> None:
    clock = SettableClock()
    revocations, told = Revocations(clock), list[Revoked]()
    revocations.on_revoked(told.append)
    for seconds in (1, 5, 2):
        row = RevokedTokenRow("t", clock(), clock() + seconds * 1000)
        revocations.committed(AccountCommit(revoked_tokens=[row]))
    assert told == [Revoked(sessions=frozenset({"t"}))]
    clock.advance(4.999)
    revocations.committed(AccountCommit())
    assert revocations.ended("t")
    clock.advance(0.001)
    assert not revocations.ended("t")
    revocations.committed(AccountCommit())
    assert len(revocations) == 0


async def test_a_token_that_is_taken_no_more_cannot_be_revoked(house: House) -> None:
    """It would be answered as if something had ended: most of all where the moment is told in seconds."""
    now_ms = house.clock()
    standing = Standing(house.committer, house.clock, 60_000)
    for over in (0, now_ms // 1000, now_ms - 60_000):
        with pytest.raises(InvalidMessage) as caught:
            await standing.revoke_token("t", over)
        assert (caught.value.problem_code, caught.value.field) == ("invalid_message", "expires_at_ms")
        assert "milliseconds" in caught.value.hint
    await standing.revoke_token("t", now_ms - 59_999)
    assert (await house.store.barred(0, 0)).tokens == {"t": now_ms - 59_999}


def test_what_ended_long_ago_is_not_taken_in() -> None:
    clock = SettableClock()
    revocations = Revocations(clock)
    revocations.committed(AccountCommit(sessions=[session("s", clock() - KEPT_MS)]))
    assert len(revocations) == 0


@pytest.mark.parametrize("status", [AccountStatus.SUSPENDED, AccountStatus.ERASED])
def test_an_account_that_is_not_active_is_known_for_good(status: AccountStatus) -> None:
    clock = SettableClock()
    revocations, told = Revocations(clock), list[Revoked]()
    revocations.on_revoked(told.append)
    revocations.committed(AccountCommit(accounts=[account(status=status)]))
    revocations.committed(AccountCommit(accounts=[account(status=status)]))
    clock.advance(10**6)
    assert revocations.status("a") is status
    revocations.committed(AccountCommit(accounts=[account()]))
    assert revocations.status("a") is AccountStatus.ACTIVE
    assert told == [Revoked(accounts=frozenset({"a"})), Revoked(changed=frozenset({"a"}))]


def test_roles_of_now_count_instead_of_those_that_an_older_token_has() -> None:
    clock = SettableClock()
    revocations, told = Revocations(clock), list[Revoked]()
    revocations.on_revoked(told.append)
    for _ in range(2):
        revocations.committed(AccountCommit(accounts=[account(roles="scorer", at_ms=clock())]))
    assert revocations.roles("a", frozenset({"admin"})) == {"scorer"}
    assert told == [Revoked(changed=frozenset({"a"}))]
    clock.advance(KEPT_MS / 1000)
    assert revocations.roles("a", frozenset({"new"})) == {"new"}, "no token is as old as that"


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing() -> None:
    clock = SettableClock()
    revocations, told = Revocations(clock), list[Revoked]()

    def fail(_: Revoked) -> None:
        raise LookupError

    revocations.on_revoked(fail)
    unsubscribe = revocations.on_revoked(told.append)
    revocations.committed(AccountCommit(sessions=[session("s", clock())]))
    unsubscribe()
    revocations.committed(AccountCommit(sessions=[session("t", clock())]))
    assert told == [Revoked(sessions=frozenset({"s"}))]


async def test_a_restart_forgets_nothing_that_still_matters(tmp_path: Path) -> None:
    async with open_house(tmp_path / "club.db") as house:
        ann, bob = await house.member(), await house.member(BOB)
        tokens, of_bob = await house.signed_in(), await house.signed_in(BOB)
        key = await house.api_keys.create(ann, "nightly")
        token = house.tokens.issue(ann, session="")
        await house.standing.set_roles(bob, ["scorer"])
        await house.standing.suspend(bob)
        await house.sessions.log_out(ann, tokens.session)
        await house.api_keys.revoke(ann, key.key.id)
        await house.standing.revoke_token(token.id, token.expires_at_ms)
        clock = house.clock
    async with open_house(tmp_path / "club.db", clock=clock) as house:
        assert await refused(house.authenticator.authenticate(tokens.access)) == "session_ended"
        assert await refused(house.authenticator.authenticate(token.token)) == "session_ended"
        assert await refused(house.authenticator.authenticate(key.text)) == "api_key_revoked"
        principal = await house.authenticator.authenticate(of_bob.access)
        assert (principal.suspended, principal.roles) == (True, {"scorer"})


async def test_roles_take_effect_at_once(house: House) -> None:
    account_id = await house.member()
    tokens = await house.signed_in()
    key = await house.api_keys.create(account_id, "nightly")
    await house.authenticator.authenticate(key.text)
    await house.standing.set_roles(account_id, ["scorer", "admin"])
    for shown in (tokens.access, key.text):
        assert (await house.authenticator.authenticate(shown)).roles == {"scorer", "admin"}
    house.clock.advance(1)
    await house.standing.set_roles(account_id, [])
    for shown in (tokens.access, key.text):
        assert (await house.authenticator.authenticate(shown)).roles == frozenset()
    assert await refused(house.standing.set_roles(account_id, ["no role\n"])) == "invalid_role"
    assert await refused(house.standing.set_roles(account_id, [f"role-{n}" for n in range(51)])) == "invalid_role"


async def test_a_tier_is_kept(house: House) -> None:
    account_id = await house.member()
    await house.standing.set_tier(account_id, "premium")
    row = await house.store.account(account_id)
    assert row is not None
    assert row.tier == "premium"
