"""The contract of an AccountStore (syncd/store/accounts.py), on every adapter."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from syncd.errors import StoreError
from syncd.store.accounts import (
    AccountCommit,
    AccountRow,
    AccountStatus,
    AccountStore,
    AccountTransaction,
    ApiKeyRow,
    Barred,
    CodeRow,
    IdentityRow,
    LinkUseRow,
    MailRow,
    RevokedTokenRow,
    SessionRow,
)
from syncd.store.protocol import Commit, Store
from tests.conformance.rows import note, versions, write
from tests.conformance.stores import DATABASES, Database


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def account(id: str, email: str | None = None, **more: Any) -> AccountRow:
    return AccountRow(id, 1000, email=email, **more)


FULL = AccountRow(
    "a",
    1,
    "a@club.example",
    2,
    "hash",
    "Ann",
    AccountStatus.SUSPENDED,
    frozenset({"x", "y"}),
    3,
    "premium",
    "TOTP",
    4,
    5,
)


def session(id: str, account: str = "a", **more: Any) -> SessionRow:
    row = SessionRow(id, account, digest(f"family {id}"), digest(id), 10, 11, 10_000)
    return row._replace(**more)


def code(text: str, account: str = "a", purpose: str = "verify", **more: Any) -> CodeRow:
    return CodeRow(digest(text), purpose, account, 10, 5000)._replace(**more)


def key(id: str, account: str = "a", **more: Any) -> ApiKeyRow:
    return ApiKeyRow(id, account, digest(id), f"key {id}", 10)._replace(**more)


def mail(id: str, due_at_ms: int = 0) -> MailRow:
    return MailRow(id, "verify", "a@club.example", "a", 10, due_at_ms)


async def commit(store: AccountStore, /, **rows: Any) -> None:
    async with store.transaction() as transaction:
        await transaction.commit(AccountCommit(**rows))


async def test_what_was_never_written_is_not_there(accounts: AccountStore) -> None:
    async with accounts.transaction() as transaction:
        for reads in (accounts, transaction):
            assert await reads.account("a") is None
            assert await reads.account_by_email("a@club.example") is None
            assert await reads.account_by_identity("google", "1") is None
            assert await reads.session("s") is None
            assert await reads.session_by_family(digest("s")) is None
            assert await reads.code(digest("c")) is None
            assert await reads.api_key("k") is None
            assert await reads.mail("m") is None
            assert await reads.next_mail_at_ms() is None
            assert await reads.accounts(limit=10) == []
            assert await reads.identities_of("a") == []
            assert await reads.sessions_of("a") == []
            assert await reads.codes_of("a", "verify") == []
            assert await reads.api_keys_of("a") == []
            assert await reads.mails_due(10**15, limit=10) == []
            assert await reads.barred(0, 0) == Barred()


async def test_every_column_comes_back_as_it_was_given(accounts: AccountStore) -> None:
    full_session = session("s")._replace(
        previous=digest("before"),
        salt=b"\0salt",
        rotated_at_ms=7,
        device_id="phone-1",
        device_name="Ann's phone ☎",
        platform="ios",
        revoked_at_ms=8,
        revoked_why="reused",
    )
    full_code = CodeRow(digest("c"), "verify", "a", 1, 2, "a@club.example", 3)
    full_key = ApiKeyRow("k", "a", digest("k"), "nightly", 1, 2, 3, 4, frozenset({"match:1"}))
    full_mail = MailRow("m", "reset", "a@club.example", "a", 1, 2, 3)
    await commit(
        accounts,
        accounts=[FULL],
        identities=[IdentityRow("google", "1", "a", 6)],
        sessions=[full_session],
        codes=[full_code],
        api_keys=[full_key],
        mails=[full_mail],
        link_uses=[LinkUseRow("l", 2, 3), LinkUseRow("m", 4, 5)],
    )
    assert await accounts.account("a") == FULL
    assert await accounts.account_by_email("a@club.example") == FULL
    assert await accounts.account_by_identity("google", "1") == FULL
    assert await accounts.identities_of("a") == [IdentityRow("google", "1", "a", 6)]
    assert await accounts.session("s") == full_session
    assert await accounts.session_by_family(full_session.family) == full_session
    assert await accounts.code(digest("c")) == full_code
    assert await accounts.api_key("k") == full_key
    assert await accounts.mails_due(2, limit=1) == [full_mail]
    assert await accounts.mail("m") == full_mail
    assert await accounts.link_uses(["m", "none"]) == [LinkUseRow("m", 4, 5)]


async def test_what_may_be_missing_is_missing_when_it_comes_back(accounts: AccountStore) -> None:
    await commit(accounts, accounts=[account("a")], api_keys=[key("k")], codes=[code("c", expires_at_ms=None)])
    assert await accounts.account("a") == account("a")
    assert await accounts.api_key("k") == key("k")
    assert (await accounts.codes_of("a", "verify"))[0].expires_at_ms is None
    await commit(accounts, api_keys=[key("k", scopes=frozenset())])
    assert await accounts.api_key("k") == key("k", scopes=frozenset()), "no scope is not the same as every scope"


async def test_a_row_takes_the_place_of_the_one_before(accounts: AccountStore) -> None:
    await commit(accounts, accounts=[account("a", "old@club.example")], sessions=[session("s")])
    await commit(accounts, accounts=[account("a", "new@club.example")], sessions=[session("s", used_at_ms=99)])
    assert await accounts.account_by_email("old@club.example") is None
    assert await accounts.account_by_email("new@club.example") == account("a", "new@club.example")
    assert await accounts.session("s") == session("s", used_at_ms=99)


async def test_accounts_are_listed_by_id_page_by_page(accounts: AccountStore) -> None:
    await commit(accounts, accounts=[account(name) for name in "cab"])
    assert [row.id for row in await accounts.accounts(limit=2)] == ["a", "b"]
    assert [row.id for row in await accounts.accounts(after="b", limit=2)] == ["c"]


async def test_what_belongs_to_an_account_is_found_by_it(accounts: AccountStore) -> None:
    await commit(
        accounts,
        sessions=[session("s2", created_at_ms=2), session("s1", created_at_ms=1), session("t", "b")],
        codes=[code("c"), code("d", purpose="reset"), code("e", "b"), code("f", used_at_ms=1)],
        api_keys=[key("k2", created_at_ms=2), key("k1", created_at_ms=1), key("l", "b")],
        identities=[IdentityRow("google", "1", "a", 6), IdentityRow("apple", "1", "a", 6)],
    )
    await commit(accounts, sessions=[session("gone", revoked_at_ms=1)])
    assert [row.id for row in await accounts.sessions_of("a")] == ["s1", "s2"]
    assert [row.digest for row in await accounts.codes_of("a", "verify")] == [digest("c")]
    assert [row.id for row in await accounts.api_keys_of("a")] == ["k1", "k2"]
    assert [row.provider for row in await accounts.identities_of("a")] == ["apple", "google"]


@pytest.mark.parametrize(
    "rows",
    [
        {"accounts": [account("b", "a@club.example")]},
        {"identities": [IdentityRow("google", "1", "b", 7)]},
        {"sessions": [session("other", family=digest("family s"))]},
        {"api_keys": [key("other", digest=digest("k"))]},
    ],
    ids=["address", "identity", "family", "key"],
)
async def test_what_is_anothers_is_refused_and_nothing_of_the_commit_is_written(
    accounts: AccountStore, rows: dict[str, Any]
) -> None:
    await commit(
        accounts,
        accounts=[account("a", "a@club.example")],
        identities=[IdentityRow("google", "1", "a", 6)],
        sessions=[session("s")],
        api_keys=[key("k")],
    )
    with pytest.raises(StoreError):
        await commit(accounts, **{"accounts": [account("c")], "mails": [mail("m")], **rows})
    assert await accounts.account("c") is None
    assert await accounts.account("b") is None
    assert await accounts.next_mail_at_ms() is None
    assert await accounts.account_by_identity("google", "1") == account("a", "a@club.example")
    await commit(accounts, accounts=[account("d")])
    assert await accounts.account("d"), "the next transaction is not disturbed"


async def test_an_identity_that_is_dropped_may_be_anothers(accounts: AccountStore) -> None:
    await commit(accounts, accounts=[account("a"), account("b")], identities=[IdentityRow("google", "1", "a", 6)])
    await commit(accounts, dropped_identities=[("google", "1"), ("google", "never was")])
    assert await accounts.account_by_identity("google", "1") is None
    await commit(accounts, identities=[IdentityRow("google", "1", "b", 7)])
    assert await accounts.account_by_identity("google", "1") == account("b")


async def test_many_accounts_may_have_no_address(accounts: AccountStore) -> None:
    await commit(accounts, accounts=[account("a"), account("b")])
    assert len(await accounts.accounts(limit=10)) == 2


async def test_a_transaction_without_a_commit_leaves_no_trace(accounts: AccountStore) -> None:
    async with accounts.transaction() as transaction:
        assert await transaction.account("a") is None

    async def fail() -> None:
        async with accounts.transaction() as transaction:
            await transaction.account("a")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    await commit(accounts, accounts=[account("a")])
    assert await accounts.account("a") == account("a")


async def test_two_transactions_run_one_after_the_other(accounts: AccountStore) -> None:
    """Ten look whether the address is free, and only one finds that it is."""

    async def take(id: str) -> bool:
        async with accounts.transaction() as transaction:
            if await transaction.account_by_email("a@club.example") is not None:
                return False
            await asyncio.sleep(0)
            await transaction.commit(AccountCommit(accounts=[account(id, "a@club.example")]))
            return True

    assert sorted(await asyncio.gather(*(take(str(n)) for n in range(10)))) == [False] * 9 + [True]


async def test_readers_do_not_wait_for_a_transaction_and_see_none_of_it(accounts: AccountStore) -> None:
    async def inside(transaction: AccountTransaction) -> None:
        await transaction.account("a")
        assert await accounts.account("a") is None

    async with accounts.transaction() as transaction:
        await inside(transaction)
        await transaction.commit(AccountCommit(accounts=[account("a")]))
        assert await accounts.account("a") == account("a")


async def test_accounts_and_pushes_take_turns(store: Store, accounts: AccountStore) -> None:
    async with accounts.transaction() as transaction:
        await transaction.account("a")
        pushing = asyncio.create_task(write(store, Commit([note("s", "x", 1)], {"s": 1})))
        await asyncio.sleep(0.01)
        await transaction.commit(AccountCommit(accounts=[account("a")]))
    await pushing
    assert await versions(store, "s") == ["x@1"]
    assert await accounts.account("a") == account("a")


async def test_mails_come_by_when_they_are_due_and_go_when_they_are_dropped(accounts: AccountStore) -> None:
    await commit(accounts, mails=[mail("late", 300), mail("soon", 100), mail("now", 50)])
    assert await accounts.next_mail_at_ms() == 50
    assert [row.id for row in await accounts.mails_due(100, limit=10)] == ["now", "soon"]
    assert [row.id for row in await accounts.mails_due(1000, limit=2)] == ["now", "soon"]
    await commit(accounts, dropped_mails=["now", "never was"], mails=[mail("soon", 400)])
    assert await accounts.mails_due(100, limit=10) == []
    assert await accounts.next_mail_at_ms() == 300
    assert [await accounts.mail("now"), await accounts.mail("soon")] == [None, mail("soon", 400)]


async def test_unused_codes_of_a_purpose_are_dropped_before_new_ones_are_written(accounts: AccountStore) -> None:
    used = code("used", used_at_ms=7)
    await commit(accounts, codes=[code("c"), used, code("d", purpose="reset"), code("e", "b")])
    await commit(accounts, dropped_codes=[("a", "verify")], codes=[code("new")])
    assert [row.digest for row in await accounts.codes_of("a", "verify")] == [digest("new")]
    assert await accounts.code(digest("used")) == used
    assert await accounts.code(digest("d")) is not None
    assert await accounts.code(digest("e")) is not None


async def test_with_the_codes_of_a_purpose_go_the_mails_that_would_bring_more(accounts: AccountStore) -> None:
    of_others = [
        mail("of another kind")._replace(kind="reset"),
        mail("of another account")._replace(account="b"),
        mail("of nobody")._replace(account=""),
    ]
    await commit(accounts, mails=[mail("old"), *of_others])
    await commit(accounts, dropped_codes=[("a", "verify")], mails=[mail("new")])
    left = {row.id for row in await accounts.mails_due(10**9, limit=9)}
    assert left == {"new", *(row.id for row in of_others)}, "what the same commit writes comes afterwards"


async def test_what_is_barred_is_told_as_far_back_as_was_asked(accounts: AccountStore) -> None:
    await commit(
        accounts,
        accounts=[
            account("a"),
            account("s", status=AccountStatus.SUSPENDED),
            account("e", status=AccountStatus.ERASED),
            account("r", roles=frozenset({"admin"}), roles_at_ms=100),
            account("n", roles_at_ms=200),
            account("t", roles=frozenset({"admin"}), tier="partner", roles_at_ms=300),
            account("o", roles=frozenset({"admin"}), roles_at_ms=99),
        ],
        sessions=[session("old", revoked_at_ms=99), session("edge", revoked_at_ms=100), session("live")],
        api_keys=[key("old", revoked_at_ms=99), key("edge", revoked_at_ms=100), key("live")],
        revoked_tokens=[RevokedTokenRow("over", 1, 500), RevokedTokenRow("still", 1, 501)],
    )
    assert await accounts.barred(100, 500) == Barred(
        sessions={"edge": 100},
        keys={"edge": 100},
        tokens={"still": 501},
        accounts={"s": AccountStatus.SUSPENDED, "e": AccountStatus.ERASED},
        roles={
            "r": (frozenset({"admin"}), 100),
            "n": (frozenset(), 200),
            "t": (frozenset({"admin", "partner"}), 300),
        },
    )


async def test_a_sweep_takes_what_ended_before_and_nothing_else(accounts: AccountStore) -> None:
    await commit(
        accounts,
        accounts=[account("a")],
        sessions=[
            session("live", expires_at_ms=1000),
            session("over", expires_at_ms=999),
            session("edge", expires_at_ms=5000, revoked_at_ms=1000),
            session("out", expires_at_ms=5000, revoked_at_ms=999),
        ],
        codes=[
            code("live", expires_at_ms=1000),
            code("over", expires_at_ms=999),
            code("used", used_at_ms=999),
            code("for ever", expires_at_ms=None),
        ],
        api_keys=[key("live"), key("over", expires_at_ms=999), key("out", revoked_at_ms=999)],
        revoked_tokens=[RevokedTokenRow("over", 1, 999), RevokedTokenRow("still", 1, 1000)],
        mails=[mail("m")],
    )
    assert await accounts.sweep(1000) == 7
    assert [row.id for row in await accounts.sessions_of("a")] == ["live"]
    assert await accounts.session("edge") is not None
    assert {row.digest for row in await accounts.codes_of("a", "verify")} == {digest("live"), digest("for ever")}
    assert [row.id for row in await accounts.api_keys_of("a")] == ["live"]
    assert (await accounts.barred(0, 0)).tokens == {"still": 1000}
    assert await accounts.next_mail_at_ms() == 0
    assert await accounts.sweep(1000) == 0


async def test_what_was_committed_is_there_when_the_database_is_opened_again(
    database: Database, database_name: str, open_store: Any
) -> None:
    assert database_name in DATABASES
    store = await open_store(database)
    await commit(store.accounts, accounts=[FULL], sessions=[session("s")])
    await store.close()
    store = await open_store(database)
    assert await store.accounts.account("a") == FULL
    assert await store.accounts.session("s") == session("s")


async def test_of_an_account_that_is_emptied_only_what_is_written_is_left(accounts: AccountStore) -> None:
    await commit(
        accounts,
        accounts=[account("a", "a@club.example"), account("b", "b@club.example")],
        identities=[IdentityRow("google", "1", "a", 1), IdentityRow("google", "2", "b", 1)],
        sessions=[session("a1"), session("a2", revoked_at_ms=5), session("b1", "b")],
        codes=[code("ca"), code("used", used_at_ms=2), code("cb", "b")],
        api_keys=[key("ka"), key("kb", "b")],
        # The second was sent to the address by somebody who has no account, the third to another one.
        mails=[mail("m1"), mail("m2")._replace(account=""), mail("m3")._replace(account="b", to="b@club.example")],
    )
    await commit(accounts, accounts=[AccountRow("a", 1000, status=AccountStatus.ERASED)], emptied=["a"])
    assert await accounts.account("a") == AccountRow("a", 1000, status=AccountStatus.ERASED)
    assert await accounts.account_by_identity("google", "1") is None
    assert [await accounts.session(each) for each in ("a1", "a2")] == [None, None]
    assert [await accounts.code(digest(each)) for each in ("ca", "used")] == [None, None]
    assert await accounts.api_key("ka") is None
    assert [row.id for row in await accounts.mails_due(10**9, limit=9)] == ["m3"]
    assert (await accounts.account_by_email("b@club.example")) is not None
    assert [len(await accounts.sessions_of("b")), len(await accounts.api_keys_of("b"))] == [1, 1]
    assert await accounts.code(digest("cb")) is not None


async def test_accounts_that_nobody_ever_opened_are_purged_and_no_others(accounts: AccountStore) -> None:
    rows = [
        account("never", "never@club.example"),
        account("young", "young@club.example")._replace(created_at_ms=2000),
        account("verified", "verified@club.example", verified_at_ms=5),
        account("inside", "inside@club.example"),
        account("by-token"),
        account("elsewhere", "elsewhere@club.example"),
        account("barred", "barred@club.example", status=AccountStatus.SUSPENDED),
    ]
    await commit(
        accounts,
        accounts=rows,
        sessions=[session("s", "inside")],
        identities=[IdentityRow("google", "1", "elsewhere", 1)],
        codes=[code("c", "never")],
        mails=[mail("m")._replace(account="never", to="never@club.example")],
    )
    assert await accounts.purge_unverified(2000) == 1
    assert await accounts.account("never") is None
    assert await accounts.code(digest("c")) is None
    assert await accounts.mails_due(10**9, limit=9) == []
    assert {row.id for row in await accounts.accounts(limit=99)} == {row.id for row in rows} - {"never"}
    assert await accounts.purge_unverified(2000) == 0
