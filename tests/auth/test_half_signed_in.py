"""Whoever is back from a provider, and has still to show a second factor."""

from __future__ import annotations

import pytest

from syncd.auth.half_signed_in import HalfSignedIn
from syncd.auth.identity import Identity
from syncd.auth.oauth import SignedIn
from syncd.errors import Unauthenticated
from tests.support.engine import SettableClock

ANN = SignedIn(Identity("google", "110"), "/", "the id token")


def found(half: HalfSignedIn, secret: str | None) -> bool:
    try:
        return half.find(secret) is ANN
    except Unauthenticated:
        return False


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def half(clock: SettableClock) -> HalfSignedIn:
    return HalfSignedIn(clock)


def test_is_found_by_the_secret_again_and_again_until_it_was_used(half: HalfSignedIn) -> None:
    secret = half.keep(ANN)
    assert [found(half, secret) for _ in range(2)] == [True, True]
    half.forget(secret)
    assert not found(half, secret)


def test_and_by_nothing_else(half: HalfSignedIn) -> None:
    half.keep(ANN)
    assert [found(half, other) for other in (None, "", "another", "\ud800")] == [False] * 4


def test_and_for_ten_minutes(half: HalfSignedIn, clock: SettableClock) -> None:
    secret = half.keep(ANN)
    clock.advance(599)
    assert found(half, secret)
    clock.advance(1)
    assert not found(half, secret)


def test_of_too_many_the_oldest_are_forgotten(half: HalfSignedIn) -> None:
    secrets = [half.keep(ANN) for _ in range(10_001)]
    assert (found(half, secrets[0]), found(half, secrets[1])) == (False, True)
