"""Refresh tokens, on their own: every token that a session ever had, shown in any order, at any time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.auth.refresh_tokens import (
    Verdict,
    judge,
    new_refresh_token,
    read_refresh_token,
    renewed,
)
from syncd.auth.secret_text import digest
from syncd.store.accounts import SessionRow

GRACE_MS = 30_000


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2 * GRACE_MS)), max_size=12))
def test_a_session_knows_what_each_of_its_tokens_is_now(shown: list[tuple[int, int]]) -> None:
    """`shown`: which of them, counted back from the newest, and how long after the one before."""
    first = new_refresh_token()
    row = SessionRow("s", "a", digest(first.family), digest(first.secret), 0, 0, 10**15)
    tokens, now_ms, rotated_at_ms = [first.text], 0, 0
    for back, later_ms in shown:
        now_ms += later_ms
        back = min(back, len(tokens) - 1)
        token = read_refresh_token(tokens[-1 - back])
        verdict = judge(row, token, now_ms, grace_ms=GRACE_MS)
        if back == 0:
            assert verdict is Verdict.NEWEST
            row, following = renewed(row, token, verdict, now_ms, rotate=True)
            assert following is not None
            assert following not in tokens
            tokens.append(following)
            rotated_at_ms = now_ms
        elif back == 1 and now_ms - rotated_at_ms <= GRACE_MS:
            assert verdict is Verdict.JUST_REPLACED
            row, again = renewed(row, token, verdict, now_ms, rotate=True)
            assert again == tokens[-1]
        else:
            assert verdict is Verdict.REUSED
        assert row.used_at_ms <= now_ms


def test_a_family_with_a_made_up_secret_counts_as_reused() -> None:
    """Only who has had a token of the family can show that."""
    first = new_refresh_token()
    row = SessionRow("s", "a", digest(first.family), digest(first.secret), 0, 0, 10**15)
    made_up = type(first)(first.family, new_refresh_token().secret)
    assert judge(row, made_up, 0, grace_ms=GRACE_MS) is Verdict.REUSED


def test_what_is_stored_does_not_give_the_newest_away() -> None:
    first = new_refresh_token()
    row = SessionRow("s", "a", digest(first.family), digest(first.secret), 0, 0, 10**15)
    row, following = renewed(row, first, Verdict.NEWEST, 1, rotate=True)
    assert following is not None
    stored = b"".join(value for value in row if isinstance(value, bytes))
    newest = read_refresh_token(following)
    for secret in (first.secret, newest.secret, newest.family):
        assert secret.encode() not in stored
