"""Id tokens open one session each."""

from __future__ import annotations

import asyncio

import pytest

from syncd.auth.used_id_tokens import UsedIdTokens
from syncd.errors import Unauthenticated
from tests.support.engine import SettableClock

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def used(clock: SettableClock) -> UsedIdTokens:
    return UsedIdTokens(clock, max_count=3)


def opens(used: UsedIdTokens, token: str, until_ms: int) -> bool:
    try:
        with used.once(token, until_ms):
            pass
    except Unauthenticated:
        return False
    return True


def test_each_opens_one_until_it_ends(used: UsedIdTokens, clock: SettableClock) -> None:
    until_ms = clock() + HOUR_MS
    assert [opens(used, token, until_ms) for token in ("a.b.c", "a.b.c", "a.x.c")] == [True, False, True]
    clock.now_ms = until_ms - 1
    with pytest.raises(Unauthenticated) as refused, used.once("a.b.c", until_ms):
        pass
    assert refused.value.problem_code == "token_invalid"
    assert "fresh id token" in refused.value.hint, "whoever has lost the answer is told how to go on"


def test_the_same_with_another_signature_is_the_same(used: UsedIdTokens, clock: SettableClock) -> None:
    """Of an ECDSA signature anybody can make a second one that is as good."""
    until_ms = clock() + HOUR_MS
    assert [opens(used, token, until_ms) for token in ("a.b.c", "a.b.d")] == [True, False]


def test_where_no_session_was_opened_it_is_not_used_up(used: UsedIdTokens, clock: SettableClock) -> None:
    until_ms = clock() + HOUR_MS
    with pytest.raises(LookupError), used.once("a.b.c", until_ms):
        raise LookupError
    assert opens(used, "a.b.c", until_ms)


def test_but_it_is_by_a_caller_who_hangs_up(used: UsedIdTokens, clock: SettableClock) -> None:
    """What he has begun is finished without him."""
    until_ms = clock() + HOUR_MS
    with pytest.raises(asyncio.CancelledError), used.once("a.b.c", until_ms):
        raise asyncio.CancelledError
    assert not opens(used, "a.b.c", until_ms)


def test_of_two_at_once_one_is_refused(used: UsedIdTokens, clock: SettableClock) -> None:
    until_ms = clock() + HOUR_MS
    with used.once("a.b.c", until_ms):
        assert not opens(used, "a.b.c", until_ms)
    assert not opens(used, "a.b.c", until_ms), "nor does the refusal give it back"


def test_only_so_many_are_remembered_and_none_that_has_ended(used: UsedIdTokens, clock: SettableClock) -> None:
    until_ms = clock() + HOUR_MS
    assert all(opens(used, f"a.{n}.c", until_ms) for n in range(5))
    assert len(used) == 3
    assert not opens(used, "a.4.c", until_ms)
    clock.now_ms = until_ms
    assert opens(used, "a.new.c", until_ms + HOUR_MS)
    assert len(used) == 1
