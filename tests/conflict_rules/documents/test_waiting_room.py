"""`conflict_rules.documents.waiting_room`: what came too early waits, and goes in an order that cannot get stuck."""

from __future__ import annotations

import gc
import random
import time
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules.documents.waiting_room import Waiting, WaitingRoom, WaitingRoomFull
from conflict_rules.documents.yjs_update import read_update
from tests.support import crdt
from tests.support.crdt import characters, update


def typed(client: int, clock: int, after: tuple[int, int] | None = None) -> bytes:
    """One letter."""
    return update((client, clock, [characters("a", origin=after) if after else characters("a", "text")]))


def waiting(one: bytes) -> Waiting:
    return Waiting(one, read_update(one))


class Arrivals:
    """A room, and what has come out of it, in order."""

    def __init__(self, room: WaitingRoom | None = None) -> None:
        self.room = WaitingRoom() if room is None else room
        self.out: list[bytes] = []

    def arrive(self, *updates: bytes) -> Arrivals:
        for one in updates:
            self._let([waiting(one)])
        return self

    def _let(self, due: list[Waiting]) -> None:
        while due:
            one = due.pop(0)
            if self.room.arrive(one):
                due += self._out(one)

    def _out(self, one: Waiting) -> list[Waiting]:
        self.out.append(one.update)
        return self.room.applied(one.extent)

    def join(self) -> Arrivals:
        while together := self.room.together():
            self._let([due for one in together for due in self._out(one)])
        return self


def test_what_has_all_it_needs_does_not_wait() -> None:
    assert WaitingRoom().arrive(waiting(typed(1, 0)))
    assert WaitingRoom({1: 4}).arrive(waiting(typed(2, 0, after=(1, 3))))


def test_what_lacks_something_waits_until_just_that_has_come() -> None:
    first, second, third = typed(1, 0), typed(1, 1, after=(1, 0)), typed(2, 0, after=(1, 1))
    arrivals = Arrivals().arrive(third, second)
    assert arrivals.out == []
    assert arrivals.room.updates == (third, second)
    assert arrivals.arrive(first).out == [first, second, third]
    assert len(arrivals.room) == arrivals.room.bytes == 0
    assert arrivals.room.have == {1: 2, 2: 1}


def test_it_tells_what_is_missing() -> None:
    arrivals = Arrivals().arrive(typed(1, 0), typed(1, 5, after=(1, 4)), typed(2, 0, after=(3, 8)))
    assert arrivals.room.missing() == {1: 1, 3: 0}


def test_the_same_bytes_twice_wait_once() -> None:
    early = typed(1, 1, after=(1, 0))
    arrivals = Arrivals().arrive(early, early)
    assert (len(arrivals.room), arrivals.room.bytes) == (1, len(early))
    assert arrivals.arrive(typed(1, 0)).out == [typed(1, 0), early]


def test_a_repeat_of_what_was_applied_does_not_wait() -> None:
    arrivals = Arrivals().arrive(typed(1, 0), typed(1, 1, after=(1, 0)), typed(1, 0))
    assert len(arrivals.out) == 3
    assert arrivals.room.have == {1: 2}


@pytest.mark.parametrize("bounds", [{"max_bytes": 39}, {"max_count": 3}], ids=["bytes", "count"])
def test_no_more_wait_than_may(bounds: dict[str, int]) -> None:
    arrivals = Arrivals(WaitingRoom(**bounds))
    late = [typed(1, clock, after=(1, clock - 1)) for clock in range(1, 5)]
    arrivals.arrive(*late[:3])
    with pytest.raises(WaitingRoomFull, match="3 updates with 30 bytes already wait for others that never came"):
        arrivals.arrive(late[3])
    assert arrivals.room.updates == tuple(late[:3])
    assert arrivals.arrive(typed(1, 0), late[3]).out == [typed(1, 0), *late]


def test_what_is_stored_already_waits_beyond_the_bound() -> None:
    room = WaitingRoom(max_count=0)
    assert not room.arrive(waiting(typed(1, 1, after=(1, 0))), bounded=False)
    assert len(room) == 1


# Merged updates that need each other


A0_B5 = update((1, 0, [characters("a", "text")]), (2, 5, [characters("f", origin=(2, 4))]))
B0_TO_4 = update((2, 0, [characters("bcdef", origin=(1, 0))]))


@pytest.mark.parametrize("order", list(permutations((A0_B5, B0_TO_4))))
def test_two_that_need_each_other_go_together(order: tuple[bytes, ...]) -> None:
    arrivals = Arrivals().arrive(*order)
    assert arrivals.out == []
    assert sorted(arrivals.join().out) == sorted(order)
    assert len(arrivals.room) == 0
    assert arrivals.room.have == {1: 1, 2: 6}


def test_what_waits_for_them_goes_with_them_and_what_waits_for_others_stays() -> None:
    behind, elsewhere = typed(3, 0, after=(2, 5)), typed(3, 1, after=(4, 0))
    arrivals = Arrivals().arrive(behind, elsewhere, A0_B5, B0_TO_4).join()
    assert sorted(arrivals.out) == sorted([behind, A0_B5, B0_TO_4])
    assert arrivals.room.updates == (elsewhere,)
    assert arrivals.arrive(typed(4, 0)).out[-1] == elsewhere


def test_two_that_need_each_other_and_a_third_wait_for_the_third() -> None:
    needs_c = update((1, 0, [characters("a", origin=(3, 0))]), (2, 5, [characters("f", origin=(2, 4))]))
    arrivals = Arrivals().arrive(needs_c, B0_TO_4).join()
    assert arrivals.out == []
    assert arrivals.arrive(typed(3, 0)).out == [typed(3, 0)]
    assert sorted(arrivals.join().out[1:]) == sorted([needs_c, B0_TO_4])


def test_a_ring_of_many_goes_together() -> None:
    """Each brings the first letter of its client and the second of the next, which needs the first."""
    clients = range(1, 40)
    ring = [
        update(
            (client, 0, [characters("a", origin=(client % len(clients) + 1, 1))]),
            (client % len(clients) + 1, 1, [characters("b", origin=(client % len(clients) + 1, 0))]),
        )
        for client in clients
    ]
    assert len(Arrivals().arrive(*ring).join().out) == len(ring)
    assert Arrivals().arrive(*ring[1:]).join().out == []


PIECES = st.lists(
    st.dictionaries(
        st.integers(1, 3),
        st.tuples(st.integers(0, 3), st.integers(1, 2), st.tuples(st.integers(1, 3), st.integers(0, 4)) | st.none()),
        min_size=1,
        max_size=2,
    ),
    max_size=8,
)
"""Merged updates of three clients: by client, where it begins, how many letters, and after which of all."""


def pieced(pieces: dict[int, tuple[int, int, tuple[int, int] | None]]) -> bytes:
    return update(
        *(
            (client, clock, [characters("a" * count, origin=after) if after else characters("a" * count, "text")])
            for client, (clock, count, after) in sorted(pieces.items())
        )
    )


def closed(left: list[Waiting]) -> list[Waiting]:
    """The greatest set that needs nothing beyond itself, the long way."""
    while True:
        brought = {
            (client, clock)
            for one in left
            for client, ranges in one.extent.ranges.items()
            for start, end in ranges
            for clock in range(start, end)
        }
        staying = [
            one
            for one in left
            if all((client, c) in brought for client, clock in one.extent.needs.items() for c in range(clock))
        ]
        if len(staying) == len(left):
            return left
        left = staying


@given(PIECES)
def test_all_that_can_be_applied_together_is_and_nothing_else(pieces: list[dict[int, Any]]) -> None:
    updates = [pieced(one) for one in pieces]
    arrivals = Arrivals().arrive(*updates).join()
    everything = {one.update for one in closed([waiting(one) for one in dict.fromkeys(updates)])}
    assert set(arrivals.out) == everything
    assert set(arrivals.room.updates) == set(updates) - everything


def test_it_is_not_looked_for_at_each_arrival_but_found_soon() -> None:
    room = WaitingRoom()
    for clock in range(2, 400):
        room.arrive(waiting(typed(9, clock, after=(9, clock - 1))))
        assert room.together(however_few=False) == []
    room.arrive(waiting(A0_B5))
    room.arrive(waiting(B0_TO_4))
    assert room.together(however_few=False) == []
    assert len(room.together()) == 2


def test_it_is_not_looked_for_twice_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    look = WaitingRoom._closed
    monkeypatch.setattr(WaitingRoom, "_closed", lambda room: looks.append(room) or look(room))
    room = WaitingRoom()
    room.arrive(waiting(A0_B5))
    assert (room.together(), room.together(), len(looks)) == ([], [], 1)
    room.applied(read_update(typed(7, 0)))
    assert (room.together(), room.together(), len(looks)) == ([], [], 2)
    room.arrive(waiting(B0_TO_4))
    assert len(room.together()) == 2


# Orders


@given(st.permutations(crdt.STUCK), st.lists(st.sampled_from(crdt.STUCK), max_size=4))
def test_whatever_comes_out_has_all_it_needs(order: list[bytes], repeats: list[bytes]) -> None:
    arrivals = Arrivals().arrive(*order, *repeats)
    assert set(arrivals.out) == set(order)
    assert len(arrivals.room) == 0
    have: dict[int, int] = {}
    for extent in map(read_update, arrivals.out):
        assert all(have.get(client, 0) >= clock for client, clock in extent.needs.items())
        have |= {client: max(end, have.get(client, 0)) for client, end in extent.ends.items()}


def test_a_long_shuffle_costs_as_much_for_each_update_as_a_short_one() -> None:
    def seconds_each(count: int, seed: int) -> float:
        letters = [typed(1, 0), *(typed(1, clock, after=(1, clock - 1)) for clock in range(1, count))]
        random.Random(seed).shuffle(letters)
        arrivals = Arrivals()
        # What other tests have left in this process is looked through by the collector, and is no cost of the room.
        gc.collect()
        gc.disable()
        try:
            start = time.process_time()
            for one in letters:
                arrivals.arrive(one)
                arrivals.room.together(however_few=False)
            took_s = time.process_time() - start
        finally:
            gc.enable()
        assert len(arrivals.out) == count
        return took_s / count

    short, long = (min(seconds_each(count, seed) for seed in range(3)) for count in (1_000, 20_000))
    assert long < 12 * short


def test_a_made_up_tangle_is_left_to_wait_and_costs_little() -> None:
    """Dropping one frees the need of but one other: as many rounds as there are updates."""
    letters = [update((client, 0, [characters("a", origin=(client + 1, 0))])) for client in range(1, 3_000)]
    arrivals = Arrivals().arrive(*letters)
    start = time.process_time()
    assert arrivals.room.together() == []
    assert time.process_time() - start < 5
    assert len(arrivals.room) == len(letters)
    last = typed(3_000, 0)
    assert len(arrivals.arrive(last).out) == len(letters) + 1
