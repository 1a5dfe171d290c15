"""Rates as they are written."""

import pytest

from syncd.limiting.rate import Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("300/minute", Rate(300, 60_000)),
        ("5/15 minutes", Rate(5, 900_000)),
        ("5/15minutes", Rate(5, 900_000)),
        (" 3 / Hour ", Rate(3, 3_600_000)),
        ("1073741824/day", Rate(1 << 30, 86_400_000)),
        ("100/second", Rate(100, 1000)),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["", "300", "0/minute", "-1/minute", "5/0 minutes", "5/fortnight", "1e3/minute", "٣/hour", "5/minute/hour"]
)
def test_what_is_no_rate_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="300/minute"):
        Rate.parse(text)


@pytest.mark.parametrize("text", ["300/minute", "5/15 minutes", "3/hour", "7/day", "2/90 seconds"])
def test_it_is_written_as_it_is_read(text: str) -> None:
    assert str(Rate.parse(text)) == text
