"""How many are open at once."""

import pytest

from syncd.errors import RateLimited
from syncd.limiting.held import Held, Slot


def test_there_may_be_so_many_of_one_and_each_that_closes_makes_room() -> None:
    held = Held(2, "sockets")
    with Slot(held, "asha"):
        with Slot(held, "asha"), Slot(held, "ben"):
            with pytest.raises(RateLimited) as refused, Slot(held, "asha"):
                pass
            assert refused.value.problem_code == "too_many_sockets"
            assert "2 sockets" in refused.value.message
            assert refused.value.exceeded.limit == 2
        with Slot(held, "asha"):
            pass
    assert len(held) == 0


def test_one_that_fails_makes_room_too() -> None:
    held = Held(1, "sockets")
    with pytest.raises(OSError, match="gone"), Slot(held, "asha"):
        raise OSError("gone")
    with Slot(held, "asha"):
        pass


def test_what_moves_counts_where_it_is_and_stays_where_there_is_no_room() -> None:
    strangers, users = Held(1, "sockets"), Held(1, "sockets")
    slot, other = Slot(strangers, "192.0.2.1"), Slot(None)
    with slot, other:
        slot.move(users, "asha")
        with Slot(strangers, "192.0.2.1"), pytest.raises(RateLimited):
            other.move(users, "asha")
        slot.move(users, "asha")
        slot.move(None)
        other.move(users, "asha")
        assert (len(strangers), len(users)) == (0, 1)
    assert (len(strangers), len(users)) == (0, 0)
