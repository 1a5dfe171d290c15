"""`client_sdk.own_updates`: carried on as edits are added, it says what outbox and echoes say when read anew."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from client_sdk.document_rows import DocumentKey, EchoRow
from client_sdk.outbox import Entry, Outbox
from client_sdk.own_updates import OwnUpdates, as_value, own_update
from conflict_rules import Change, Kind, Op, Outcome, Stamp
from conflict_rules.crdt import Collaborative

BODY, BOARD = DocumentKey("note", "x", "body"), DocumentKey("note", "x", "board")
RULES = {("note", "body"): Collaborative("text"), ("note", "board"): Collaborative("map")}


def entry(seq: int, fields: dict[str, bytes | str], op: Op = Op.UPDATE) -> Entry:
    """A change of the note; bytes are an edit of a document."""
    content: Any = {name: as_value(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    change = Change("r", seq, "club:a", "note", "x", op, Stamp(seq, 0, "r"), 0, content)
    return Entry.of(seq, change, seq)


class Device:
    """An outbox, echoes beside it, and what is carried on of both."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.echoes: dict[DocumentKey, dict[int, bytes]] = {BODY: {}, BOARD: {}}
        self.own = OwnUpdates(lambda: self.outbox, lambda name, field: RULES.get((name, field)), {"note"})
        self.made = 0
        self.seen: dict[tuple[DocumentKey, tuple[int, int]], dict[int, bytes]] = {}

    def make(self, fields: dict[str, bytes | str], op: Op = Op.UPDATE) -> None:
        """One more change."""
        self.made += 1
        self.outbox.add(entry(self.made, fields, op))

    def settle(self, place: int, *, counted: bool) -> None:
        """The outcome of one; the view shows it no more, and its updates echo if they count."""
        settled = self.outbox.get(place)
        if settled is None:
            return
        found = [EchoRow(key, place, 1, update) for key, update in self.own.in_entry(settled)] if counted else []
        self.own.took(found)
        for echo in found:
            self.echoes[echo.key][place] = echo.update
        settled.shown, settled.outcome = False, Outcome(Kind.APPLIED, 1)
        self.outbox.tidy(place)

    def rewrite(self, place: int, update: bytes) -> None:
        """One that was never sent says something else."""
        known = self.outbox.get(place)
        if known is not None:
            known.become(entry(place, {"body": update}))

    def drop(self, key: DocumentKey, place: int | None) -> None:
        """Echoes are in what is confirmed."""
        self.own.dropped(key, place)
        for one in [place] if place is not None else list(self.echoes[key]):
            self.echoes[key].pop(one, None)

    def check(self) -> None:
        """What is carried on is what is there."""
        shown = self.outbox.shown_of(("note", "x"))
        for key, echoes in self.echoes.items():
            own = self.own.of(key)
            made = {each.seq: update for each in shown if (update := own_update(each, key.field)) is not None}
            assert list(own.updates.items()) == sorted((echoes | made).items())
            # Whoever knows the state of it need not look at all of it again.
            assert self.seen.setdefault((key, own.state), dict(own.updates)) == own.updates
            for place in range(self.made + 1):
                assert own.after(place) == {one: update for one, update in own.updates.items() if one > place}
        edits = self.own.only_edits(("note", "x"))
        mere = all(each.change.op is Op.UPDATE and "title" not in each.change.fields for each in shown)
        assert (edits is not None) == mere
        if edits is not None:
            assert edits == {name: each for each in shown for name in each.change.fields}


PLACES = st.integers(1, 5)
UPDATES = st.binary(min_size=1, max_size=2)
STEPS = st.one_of(
    st.tuples(st.just("make"), st.dictionaries(st.sampled_from(["body", "board"]), UPDATES, min_size=1)),
    st.tuples(st.just("make"), st.fixed_dictionaries({"body": UPDATES, "title": st.just("new")})),
    st.tuples(st.just("create"), st.fixed_dictionaries({"body": UPDATES})),
    st.tuples(st.just("settle"), PLACES, st.booleans()),
    st.tuples(st.just("rewrite"), PLACES, UPDATES),
    st.tuples(st.just("drop"), st.sampled_from([BODY, BOARD]), st.none() | PLACES),
    st.tuples(st.just("remove"), PLACES),
)


@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=30))
def test_it_says_what_is_there_whatever_happens(steps: list[tuple[Any, bool]]) -> None:
    device = Device()
    for (name, *given_), looks in steps:
        if name == "create":
            device.make(given_[0], Op.CREATE)
        elif name == "settle":
            device.settle(given_[0], counted=given_[1])
        elif name == "remove":
            device.outbox.remove(given_[0])
        else:
            getattr(device, name)(*given_)
        if looks:
            device.check()
    device.check()


def test_an_echo_that_is_in_what_is_confirmed_is_no_longer_own_beside_what_is_pending() -> None:
    device = Device()
    device.make({"body": b"first"})
    device.make({"body": b"second"})
    device.settle(1, counted=True)
    assert device.own.of(BODY).updates == {1: b"first", 2: b"second"}
    device.drop(BODY, None)
    assert device.own.of(BODY).updates == {2: b"second"}


def test_an_echo_that_was_read_from_the_file_is_own_beside_what_is_pending() -> None:
    device = Device()
    device.make({"body": b"second"})
    assert device.own.of(BODY).updates == {1: b"second"}
    device.own.took([EchoRow(BODY, 0, 1, b"first")])
    assert device.own.of(BODY).updates == {0: b"first", 1: b"second"}
