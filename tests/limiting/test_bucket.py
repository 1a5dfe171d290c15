"""One bucket by itself."""

from syncd.limiting.bucket import Bucket
from syncd.limiting.rate import Rate


def test_it_gives_what_it_holds_and_fills_with_time() -> None:
    now = 5.0
    bucket = Bucket(Rate(4, 1000), lambda: now)
    assert [bucket.take() for _ in range(6)] == [True] * 4 + [False] * 2
    now += 249
    assert bucket.take() is False
    now += 1
    assert [bucket.take(), bucket.take()] == [True, False]
    now += 1_000_000
    assert [bucket.take() for _ in range(5)] == [True] * 4 + [False]
