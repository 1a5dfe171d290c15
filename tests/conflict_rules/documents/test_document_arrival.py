"""Updates in any order, with repeats: no document is left stuck, and all copies show the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count, permutations
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, TransactionEvent

from conflict_rules.documents import document as document_module
from conflict_rules.documents.document import REMOTE, Document
from conflict_rules.documents.text_positions import to_bytes
from tests.sizes import SIZES
from tests.support import crdt

WINDOW = 200


def test_pycrdt_on_its_own_is_left_stuck_by_some_orders_of_six_updates() -> None:
    """Why there is a waiting room. When this fails, pycrdt has been mended; the room still bounds what waits."""
    ends = set()
    for order in permutations(crdt.STUCK):
        doc: Doc[Text] = Doc()
        doc["text"] = text = Text()
        for one in order:
            doc.apply_update(one)
        ends.add(str(text))
    assert "abcdef" in ends
    assert len(ends) > 1


def test_no_order_of_six_updates_leaves_a_document_stuck() -> None:
    for order in permutations(crdt.STUCK):
        document = Document("text", "text")
        for one in order:
            document.offer(one)
        assert (document.view(), document.waiting) == ("abcdef", ())


def in_order(updates: Sequence[bytes], seed: int) -> list[bytes]:
    return list(updates)


def shuffled(updates: Sequence[bytes], seed: int) -> list[bytes]:
    return random.Random(seed).sample(updates, len(updates))


def in_a_window(updates: Sequence[bytes], seed: int) -> list[bytes]:
    """Each up to so many places from its own."""
    source = random.Random(seed)
    places = [(place + source.uniform(0, WINDOW), update) for place, update in enumerate(updates)]
    return [update for _, update in sorted(places)]


ORDERS = [(in_order, 0), *((order, seed) for seed in range(SIZES.trace_shuffles) for order in (shuffled, in_a_window))]


@pytest.mark.parametrize(("order", "seed"), ORDERS)
@pytest.mark.parametrize("name", crdt.TRACES)
def test_a_recorded_text_ends_as_it_did_with_a_tenth_of_it_repeated(
    name: str, order: Callable[[Sequence[bytes], int], list[bytes]], seed: int
) -> None:
    trace = crdt.trace(name)
    arriving = order(trace.updates, seed)
    source = random.Random(seed)
    for _ in range(len(arriving) // 10):
        arriving.insert(source.randrange(len(arriving)), source.choice(trace.updates))
    document = Document("text", "text")
    for update in arriving:
        document.offer(update)
    assert document.view() == trace.end
    assert document.waiting == ()
    assert Document.load("text", "text", document.round_trip()).view() == trace.end


class Replica:
    """A board that somebody edits: a text, a list of values and one of cards, in a map."""

    def __init__(self) -> None:
        self.document = Document("map", "board")
        self._subscription = self.document.doc.observe(self._observe)
        self.made: list[bytes] = []
        self.unheard: list[bytes] = []

    def _observe(self, event: TransactionEvent) -> None:
        if event.transaction.origin != REMOTE:
            self.made.append(event.update)

    def edit(self, data: st.DataObject) -> bytes:
        made = len(self.made)
        with self.document.doc.transaction(origin="local"):
            self._change(data)
        if len(self.made) == made:
            return b"\0\0"
        self.document.edited(self.made[-1])
        return self.made[-1]

    def _change(self, data: st.DataObject) -> None:
        board: Any = self.document.root
        key = data.draw(st.sampled_from("abc"))
        held = board.get(key)
        what = data.draw(st.sampled_from(["edit", "edit", "edit", "set", "delete"]))
        if isinstance(held, Text) and what == "edit":
            text = str(held)
            start, end = sorted(data.draw(st.integers(0, len(text))) for _ in range(2))
            if end > start and data.draw(st.booleans()):
                del held[to_bytes(text, start, "code_points") : to_bytes(text, end, "code_points")]
            else:
                held.insert(
                    to_bytes(text, start, "code_points"), data.draw(st.sampled_from(["x", "नेपाली", "😀", "é "]))
                )
        elif isinstance(held, Array) and what == "edit":
            if len(held) and data.draw(st.booleans()):
                del held[data.draw(st.integers(0, len(held) - 1))]
            else:
                held.insert(data.draw(st.integers(0, len(held))), data.draw(st.sampled_from([1, None, "😀", [1, {}]])))
        elif held is not None and what == "delete":
            del board[key]
        else:
            board[key] = data.draw(
                st.sampled_from(
                    [lambda: Text("a😀b"), lambda: Array([1, "b"]), lambda: Map({"t": Text("é")}), lambda: 1.5]
                )
            )()


@given(st.data())
def test_replicas_that_have_heard_all_show_the_same_whatever_the_order(data: st.DataObject) -> None:
    # Whose letters come first is told by the client ids: the same ones in each run, so that an example can be replayed.
    ids = count(1)
    with patch.object(document_module, "Doc", lambda: Doc(client_id=next(ids))):
        _play(data)


def _play(data: st.DataObject) -> None:
    replicas = [Replica() for _ in range(data.draw(st.integers(2, 3)))]
    made: list[bytes] = []
    for _ in range(data.draw(st.integers(1, 12))):
        replica = data.draw(st.sampled_from(replicas))
        if made and data.draw(st.booleans()):
            replica.document.offer(data.draw(st.sampled_from(made)))
        else:
            made.append(replica.edit(data))
    views, states = [], []
    for replica in replicas:
        for update in data.draw(st.permutations(made)):
            replica.document.offer(update)
        assert (replica.document.waiting, replica.document.dropped) == ((), [])
        views.append(replica.document.view())
        states.append(replica.document.state_vector())
    assert all(view == views[0] for view in views)
    assert all(state == states[0] for state in states)
    late = Document.load("map", "board", replicas[0].document.round_trip())
    assert late.view() == views[0]
