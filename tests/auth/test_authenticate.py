"""Who asks: each kind of credential is told by its form, and what was revoked or suspended is respected."""

from __future__ import annotations

import asyncio

import jwt
import pytest

from syncd.auth.authenticate import Authenticator
from syncd.engine.principal import ANYONE, OPERATOR, Caller, Principal
from syncd.errors import Unauthenticated
from tests.auth.house import ISSUER, House
from tests.auth.refusals import refused

ELSEWHERE = "https://login.federation.example"


async def test_who_shows_nothing_is_nobody(house: House) -> None:
    assert await house.authenticator.authenticate(None) == ANYONE
    alone = Authenticator(
        house.tokens, house.api_keys, house.identities, house.revocations, issuer=ISSUER, nobody=OPERATOR
    )
    assert await alone.authenticate(None) == OPERATOR, "on a machine where nobody else can ask"


async def test_the_shared_token_is_the_operators(house: House) -> None:
    assert await house.authenticator.authenticate("operator's own") == OPERATOR
    for other in ("operator's ow", "operator's own ", "", "\ud800"):
        assert await refused(house.authenticator.authenticate(other)) == "unauthenticated"
    empty = Authenticator(
        house.tokens, house.api_keys, house.identities, house.revocations, issuer=ISSUER, operator_token=""
    )
    assert await refused(empty.authenticate("")) == "unauthenticated", "an empty one is nobody's"


async def test_an_access_token_is_its_accounts(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    assert await house.authenticator.authenticate(tokens.access) == Principal(
        Caller.USER, user=account, session=tokens.session, expires_at_ms=tokens.access_expires_at_ms
    )
    house.clock.advance(900)
    assert await refused(house.authenticator.authenticate(tokens.access)) == "unauthenticated"


async def test_a_token_without_a_session_is_ended_by_its_own_id(house: House) -> None:
    account = await house.member()
    token, other = house.tokens.issue(account, session=""), house.tokens.issue(account, session="")
    assert (await house.authenticator.authenticate(token.token)).session == token.id
    await house.standing.revoke_token(token.id, token.expires_at_ms)
    assert await refused(house.authenticator.authenticate(token.token)) == "session_ended"
    assert (await house.authenticator.authenticate(other.token)).user == account
    assert house.told[-1].sessions == {token.id}


async def test_a_suspended_account_is_let_in_as_such(house: House) -> None:
    """So that what its devices have queued reaches the quarantine."""
    account = await house.member()
    tokens, key = await house.signed_in(), await house.api_keys.create(account, "nightly")
    await house.authenticator.authenticate(key.text)
    await house.standing.suspend(account)
    assert house.told[-1].accounts == {account}
    for shown in (tokens.access, key.text):
        assert (await house.authenticator.authenticate(shown)).suspended
    await house.standing.reinstate(account)
    assert house.told[-1].changed == {account}
    for shown in (tokens.access, key.text):
        assert not (await house.authenticator.authenticate(shown)).suspended


async def test_an_erased_account_is_nobody(house: House) -> None:
    account = await house.member()
    tokens, key = await house.signed_in(), await house.api_keys.create(account, "nightly")
    await house.erase(account)
    for shown in (tokens.access, key.text):
        assert await refused(house.authenticator.authenticate(shown)) == "session_ended"
    assert await refused(house.sessions.refresh(tokens.refresh or "", device_id="phone")) == "session_ended"
    assert await refused(house.standing.reinstate(account)) == "no_such_account"


# Tokens of others.


async def test_somebody_from_elsewhere_gets_an_account_at_first_sight_and_keeps_it(house: House) -> None:
    first = house.tokens.issue("ann", session="", issuer=ELSEWHERE, roles=["member"])
    later = house.tokens.issue("ann", session="", issuer=ELSEWHERE)
    principal = await house.authenticator.authenticate(first.token)
    assert (principal.roles, principal.session) == ({"member"}, first.id)
    row = await house.store.account(principal.user)
    assert row is not None
    assert (row.email, row.password_hash) == (None, None)
    assert [identity[:2] for identity in await house.store.identities_of(row.id)] == [(ELSEWHERE, "ann")]
    assert (await house.authenticator.authenticate(later.token)).user == principal.user


async def test_the_same_name_elsewhere_is_somebody_else(house: House) -> None:
    account = await house.member()
    claiming = house.tokens.issue(account, session="", issuer=ELSEWHERE)
    other = house.tokens.issue(account, session="", issuer="https://login.other.example")
    users = {(await house.authenticator.authenticate(token.token)).user for token in (claiming, other)}
    assert len(users | {account}) == 3


async def test_many_first_requests_at_once_make_one_account(house: House) -> None:
    token = house.tokens.issue("ann", session="", issuer=ELSEWHERE).token
    principals = await asyncio.gather(*(house.authenticator.authenticate(token) for _ in range(10)))
    assert len({principal.user for principal in principals}) == 1
    assert len(await house.store.accounts(limit=10)) == 1


async def test_who_was_erased_and_comes_again_is_somebody_new(house: House) -> None:
    token = house.tokens.issue("ann", session="", issuer=ELSEWHERE).token
    for _ in range(2):
        before = (await house.authenticator.authenticate(token)).user
    await house.erase(before)
    assert (await house.authenticator.authenticate(token)).user != before


async def test_a_session_elsewhere_is_none_of_ours(house: House) -> None:
    account = await house.member()
    tokens = await house.signed_in()
    await house.sessions.log_out(account, tokens.session)
    foreign = house.tokens.issue("ann", session=tokens.session, issuer=ELSEWHERE)
    assert (await house.authenticator.authenticate(foreign.token)).session == foreign.id


async def test_somebody_from_elsewhere_is_suspended_and_given_roles_like_anybody(house: House) -> None:
    token = house.tokens.issue("ann", session="", issuer=ELSEWHERE, roles=["member"]).token
    for _ in range(2):
        account = (await house.authenticator.authenticate(token)).user
    await house.standing.set_roles(account, ["scorer"])
    assert (await house.authenticator.authenticate(token)).roles == {"member", "scorer"}
    house.clock.advance(10)
    await house.standing.set_roles(account, [])
    assert (await house.authenticator.authenticate(token)).roles == {"member"}
    await house.standing.suspend(account)
    assert (await house.authenticator.authenticate(token)).suspended


# What is no good.


async def test_what_is_no_good_is_not_tried_as_something_else(house: House) -> None:
    before = house.tokens.verified
    await refused(house.authenticator.authenticate("syncd_key_nothing"))
    assert house.tokens.verified == before
    await refused(house.authenticator.authenticate("anything else"))
    assert house.tokens.verified == before + 1


async def test_a_refresh_token_and_a_code_open_nothing_by_themselves(house: House) -> None:
    await house.member()
    tokens = await house.signed_in()
    assert await refused(house.authenticator.authenticate(tokens.refresh)) == "unauthenticated"
    assert await refused(house.authenticator.authenticate(house.postbox.code("ann@club.example"))) == "unauthenticated"


async def test_a_token_of_another_key_is_refused(house: House) -> None:
    forged = jwt.encode(
        {"sub": "x", "iss": ISSUER, "sid": "", "jti": "y", "exp": 10**11, "roles": ["admin"]}, "z" * 64, "HS256"
    )
    assert await refused(house.authenticator.authenticate(forged)) == "unauthenticated"


async def test_share_links_are_opened_by_whoever_knows_their_prefix(house: House) -> None:
    async def open_link(text: str) -> Principal:
        if text != "syncd_share_good":
            raise Unauthenticated("This link opens nothing.", hint="Ask for another.")
        return Principal(Caller.LINK, session="link-1", scope="match:1")

    authenticator = Authenticator(
        house.tokens,
        house.api_keys,
        house.identities,
        house.revocations,
        issuer=ISSUER,
        links={"syncd_share_": open_link},
    )
    assert (await authenticator.authenticate("syncd_share_good")).scope == "match:1"
    assert await refused(authenticator.authenticate("syncd_share_bad")) == "unauthenticated"
    await house.standing.revoke_token("link-1", house.clock() + 1000)
    assert await refused(authenticator.authenticate("syncd_share_good")) == "session_ended"


@pytest.mark.parametrize("end", ["suspend", "erase"])
async def test_a_share_link_opens_as_long_as_its_maker_may_do_anything(house: House, end: str) -> None:
    account = await house.member()

    async def open_link(text: str) -> Principal:
        return Principal(Caller.LINK, session=text, scope="match:1", made_by=account if text.endswith("hers") else "")

    authenticator = Authenticator(
        house.tokens,
        house.api_keys,
        house.identities,
        house.revocations,
        issuer=ISSUER,
        links={"syncd_share_": open_link},
    )
    assert (await authenticator.authenticate("syncd_share_hers")).made_by == account
    await (house.standing.suspend(account) if end == "suspend" else house.erase(account))
    assert await refused(authenticator.authenticate("syncd_share_hers")) == "link_ended"
    assert (await authenticator.authenticate("syncd_share_of_the_operator")).scope == "match:1"


async def test_a_key_is_told_from_a_session(house: House) -> None:
    account = await house.member()
    tokens, key = await house.signed_in(), await house.api_keys.create(account, "nightly")
    assert not (await house.authenticator.authenticate(tokens.access)).by_key
    assert (await house.authenticator.authenticate(key.text)).by_key


@pytest.mark.parametrize("shown", ["access", "key"])
async def test_the_hot_path_asks_no_database(house: House, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    account = await house.member()
    text = (await house.signed_in()).access if shown == "access" else (await house.api_keys.create(account, "x")).text
    await house.authenticator.authenticate(text)

    async def no_database(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(house.store), "_run", no_database)
    monkeypatch.setattr(type(house.store), "transaction", no_database)
    assert (await house.authenticator.authenticate(text)).user == account


class TestAsOfNow:
    """Whose request was begun a while ago."""

    async def test_nobody_is_changed_about_whom_nothing_has(self, house: House) -> None:
        await house.member()
        ann = await house.authenticator.authenticate((await house.signed_in()).access)
        for who in (ann, ANYONE, OPERATOR, Principal(Caller.LINK, session="link-1", scope="match:1")):
            assert house.authenticator.as_of_now(who) is who

    async def test_he_is_suspended_and_reinstated_and_has_the_roles_of_now(self, house: House) -> None:
        account = await house.member()
        ann = await house.authenticator.authenticate((await house.signed_in()).access)
        await house.standing.set_roles(account, ["admin"])
        assert house.authenticator.as_of_now(ann).roles == {"admin"}
        await house.standing.suspend(account)
        suspended = house.authenticator.as_of_now(ann)
        assert (suspended.suspended, suspended.roles) == (True, {"admin"})
        await house.standing.reinstate(account)
        assert not house.authenticator.as_of_now(suspended).suspended

    async def test_what_another_issuer_says_of_him_does_not_end_with_his_roles_here(self, house: House) -> None:
        account = await house.member()
        told = Principal(Caller.USER, account, frozenset({"coach", "admin"}), lent=frozenset({"coach"}))
        await house.standing.set_roles(account, ["helper"])
        await house.standing.set_roles(account, [])
        assert house.authenticator.as_of_now(told).roles == {"coach"}
