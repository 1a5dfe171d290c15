"""`syncd.short_pauses`: what the interpreter does beside, while a server runs, and as before when it has ended."""

from __future__ import annotations

import gc
import sys

import pytest

from syncd.short_pauses import short_pauses


def test_what_was_there_is_not_looked_at_again_until_it_is_left_however_it_is_left() -> None:
    before = gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()
    within: list[int] = []

    def fail() -> None:
        with short_pauses():
            within.extend((gc.get_freeze_count(), gc.get_threshold()[0]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert within[0] > 1_000
    assert within[1] > before[0][0]
    assert (gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()) == before


def test_what_comes_later_is_collected_as_ever() -> None:
    with short_pauses():
        loop: list[object] = []
        loop.append(loop)
        del loop
        assert gc.collect() >= 1
