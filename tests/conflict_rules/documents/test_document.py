"""`conflict_rules.documents.document`: one document, merged by pycrdt, which is given only what it can bear."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, TransactionEvent, UndoManager

from conflict_rules.documents import document as document_module
from conflict_rules.documents.document import REMOTE, Document, MergeFailed, Unreadable, _told
from conflict_rules.documents.text_positions import to_bytes
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_shape import Kind
from conflict_rules.documents.yjs_update import MAX_CLIENT, MAX_CLOCK, MAX_STRUCTS, MalformedUpdate, read_update
from tests.documents.differs import DIFFERS, DIFFERS_BY_TYPING
from tests.sizes import SIZES
from tests.support import crdt
from tests.support.crdt import any_values, characters, nested, update


def notes(*updates: bytes) -> Document:
    """A text of these updates."""
    document = Document("text", "text")
    for one in updates:
        document.offer(one)
    return document


class Replica:
    """A document that somebody edits. `made`: the updates of the edits."""

    def __init__(self, kind: Kind, field: str = "field") -> None:
        self.document = Document(kind, field)
        self.made: list[bytes] = []
        self._subscription = self.document.doc.observe(self._observe)

    def _observe(self, event: TransactionEvent) -> None:
        if event.transaction.origin != REMOTE:
            self.made.append(event.update)

    def edit(self, change: Callable[[Any], None]) -> bytes:
        """Make one transaction, as the SDK does."""
        with self.document.doc.transaction(origin="local"):
            change(self.document.root)
        self.document.edited(self.made[-1])
        return self.made[-1]


# What it shows


def test_a_document_is_empty_when_it_is_opened() -> None:
    assert [Document(kind, "f").view() for kind in ("text", "map", "array")] == ["", {}, []]


def test_a_document_is_a_text_a_map_or_an_array() -> None:
    with pytest.raises(ValueError, match="one of text, map, array, not 'xml'"):
        Document(cast(Kind, "xml"), "f")


def test_a_view_is_json_with_whole_numbers_as_such_and_bytes_as_a_list_of_them() -> None:
    replica = Replica("map")
    whole, huge = 3, (1 << 53) + 1
    replica.edit(lambda root: root.update({"whole": whole, "half": 0.5, "huge": huge, "minus": -7, "none": None}))
    replica.edit(lambda root: root.update({"yes": True, "bytes": b"\0\xff", "list": [1, [2.0, "नेपाली"]]}))
    view = cast(dict[str, Any], replica.document.view())
    assert view == {
        "whole": 3, "half": 0.5, "huge": huge, "minus": -7, "none": None,
        "yes": True, "bytes": [0, 255], "list": [1, [2, "नेपाली"]],
    }  # fmt: skip
    assert [type(view[key]) for key in ("whole", "half", "huge", "yes")] == [int, float, int, bool]


def test_shared_types_in_one_another_are_shown_as_json() -> None:
    replica = Replica("map")
    replica.edit(lambda root: root.update({"card": Map({"title": Text("Tea 🍵"), "done": Array([1, False])})}))
    assert replica.document.view() == {"card": {"title": "Tea 🍵", "done": [1, False]}}


def test_four_times_the_cards_are_shown_in_about_four_times_the_time() -> None:
    """Not in sixteen times: asked for by its place, each card would be walked to."""

    def seconds(count: int) -> float:
        document = Document("array", "board")
        cards = [nested(1, "board"), *(nested(1, origin=(1, clock)) for clock in range(count - 1))]
        document.offer(update((1, 0, cards)))
        times = []
        for _ in range(3):
            start = time.process_time()
            assert document.view() == [{}] * count
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(16_000) < 9 * seconds(4_000)


@pytest.mark.parametrize("document", crdt.yjs_documents(), ids=lambda document: document.name)
def test_a_document_that_yjs_wrote_shows_what_it_showed_there(document: crdt.YjsDocument) -> None:
    opened = Document(document.root, document.root)
    assert not opened.offer(document.update).waits
    if document.root == "text":
        runs = [
            {"insert": inserted, **({"attributes": attributes} if attributes else {})}
            for inserted, attributes in cast(Text, opened.root).diff()
        ]
        assert runs == document.expected
    else:
        assert opened.view() == document.expected
    assert Document.load(document.root, document.root, opened.round_trip()).view() == opened.view()


def test_random_documents_show_what_they_should_and_survive_the_round_trip() -> None:
    beside: dict[str, Kind] = {"map": "map", "array": "array"}
    for random_document in islice(crdt.random_documents(), SIZES.random_documents):
        opened = Document("text", "text", beside=beside)
        assert not any(opened.offer(one).waits for one in random_document.updates)
        again = Document.load("text", "text", opened.round_trip(), beside=beside)
        for document in (opened, again):
            assert {root: document.view(root) for root in ("text", "map", "array")} == random_document.holds


# What it takes


def test_what_hangs_on_nothing_here_waits_and_says_so() -> None:
    document = Document("text", "text")
    assert document.offer(crdt.STUCK[3]).waits
    assert (document.view(), document.waiting, document.missing) == ("", (crdt.STUCK[3],), {1: 0})
    assert not document.offer(crdt.STUCK[0]).waits
    assert (document.view(), document.waiting, document.missing) == ("ab", (), {})


def test_what_is_refused_leaves_the_document_as_it_was() -> None:
    document = notes(crdt.STUCK[0])
    for refused in (
        b"\1\1\1",
        update((5, 0, [characters("x", "other")])),
        update((5, 0, [any_values(b"\x7e", at="text")])),
    ):
        with pytest.raises(MalformedUpdate):
            document.offer(refused)
    assert (document.view(), document.state_vector(), document.waiting) == ("a", {1: 1}, ())
    document.offer(crdt.STUCK[3])
    assert document.view() == "ab"


def test_no_more_wait_than_may() -> None:
    document = Document("text", "text", max_waiting_count=1)
    document.offer(crdt.STUCK[3])
    with pytest.raises(WaitingRoomFull):
        document.offer(crdt.STUCK[4])
    document.offer(crdt.STUCK[0])
    document.offer(crdt.STUCK[4])
    assert document.view() == "abc"


def test_what_a_server_made_of_a_document_may_be_as_large_as_one() -> None:
    large = update((1, 0, [nested(0, "list"), *(nested(0, origin=(1, clock)) for clock in range(MAX_STRUCTS))]))
    document = Document("array", "list")
    with pytest.raises(MalformedUpdate, match="more than 100,000 structs"):
        document.offer(large)
    document.offer(large, trusted=True)
    assert document.state_vector() == {1: MAX_STRUCTS + 1}


def test_what_had_waited_and_fits_nowhere_is_dropped_and_told() -> None:
    late = update((2, 0, [any_values(b"\x7e", origin=(1, 0))]))
    document = Document("text", "text")
    assert document.offer(late).waits
    arrival = document.offer(crdt.STUCK[0])
    assert [(one.update, one.why) for one in arrival.dropped] == [(late, "the update puts values into a text")]
    assert document.dropped == list(arrival.dropped)
    assert (document.view(), document.waiting, document.state_vector()) == ("a", (), {1: 1})


def test_two_merged_updates_that_need_each_other_are_merged_into_one() -> None:
    a0_b5 = update((1, 0, [characters("a", "text")]), (2, 5, [characters("g", origin=(2, 4))]))
    b0_to_4 = update((2, 0, [characters("bcdef", origin=(1, 0))]))
    assert notes(a0_b5, b0_to_4).view() == notes(b0_to_4, a0_b5).view() == "abcdefg"


def test_of_two_that_need_each_other_and_fit_nowhere_both_are_dropped() -> None:
    a0_b5 = update((1, 0, [characters("a", "text")]), (2, 5, [any_values(b"\x7e", origin=(2, 4))]))
    b0_to_4 = update((2, 0, [characters("bcdef", origin=(1, 0))]))
    document = notes(a0_b5, b0_to_4, crdt.STUCK[0])
    assert document.view() == "a"
    assert {one.update for one in document.dropped} == {a0_b5, b0_to_4}


# Round trips and snapshots


@pytest.mark.parametrize(
    ("unreadable", "step", "why"),
    [
        (["0101010002010161010131013200"], "decode", "Yjs before 13"),
        (["010101002601036d6170016b0162013100"], "decode", "puts a format into a map"),
        (
            ["02010400070104746578740102030000010401047465787402626300", "01010401c503020302027b7d00"],
            "decode",
            "itself",
        ),
    ],
    ids=["encodes what cannot be decoded", "holds what has no reading", "encodes what reads as another"],
)
def test_a_snapshot_is_not_made_of_what_could_not_be_loaded_again(unreadable: list[str], step: str, why: str) -> None:
    """None of these ends or hangs anything; pycrdt is given them past all that would have refused them."""
    document = Document("text", "text", beside={"map": "map", "a": "array"})
    for one in unreadable:
        document.doc.apply_update(bytes.fromhex(one))
    with pytest.raises(MergeFailed, match=why) as failure:
        document.snapshot()
    assert failure.value.step == step


def test_a_round_trip_refuses_what_pycrdt_itself_does_not_decode() -> None:
    document = notes(crdt.STUCK[0])
    document.doc.apply_update(bytes.fromhex("0101010102010161010131013200"))
    with pytest.raises(MergeFailed, match="encoding"):
        document.round_trip()


@pytest.mark.parametrize("way", ["round_trip", "snapshot"])
def test_a_round_trip_compares_the_content(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = notes(crdt.STUCK[0])
    honest_load, honest_open = Document.load, document_module._open

    def other(*args: Any, **options: Any) -> Document:
        loaded = honest_load(*args, **options)
        loaded.doc.apply_update(update(deletes={1: [(0, 1)]}))  # a delete does not show in the state vector
        return loaded

    def beginning_with_a_delete(*args: Any) -> Any:
        opened, shared = honest_open(*args)
        opened.apply_update(update(deletes={1: [(0, 1)]}))
        return opened, shared

    if way == "snapshot":
        monkeypatch.setattr(Document, "load", other)
    else:
        monkeypatch.setattr(document_module, "_open", beginning_with_a_delete)
    with pytest.raises(MergeFailed, match=r"comparing the document .* failed: the contents differ"):
        getattr(document, way)()


@pytest.mark.parametrize(("updates", "typing"), [(DIFFERS, False), (DIFFERS_BY_TYPING, True)])
def test_an_order_that_only_the_arrival_made_is_found_by_a_round_trip(updates: Sequence[bytes], typing: bool) -> None:
    document = Document("array", "root")
    *fine, last = updates
    for one in fine:
        document.offer(one)
        document.round_trip()
    assert (document.unproven_bytes, document.doubtful) == (0, False)
    document.offer(last)
    assert (document.unproven_bytes, document.doubtful) == (len(last), not typing)
    with pytest.raises(MergeFailed, match="the contents differ"):
        document.round_trip()
    assert Document.load("array", "root", b"", updates).doubtful is False, "what is stored was judged before"


@pytest.mark.parametrize(
    ("made", "doubtful"),
    [
        (update((7, 0, [characters("typed", "text")])), False),
        (update((1, 1, [characters("b", origin=(1, 0))]), deletes={1: [(0, 1)]}), False),
        (update(deletes={1: [(0, 1)]}), False),
        (update((7, 0, [characters("x", "text")]), (8, 0, [characters("y", "text")])), True),
        (update((7, 0, [crdt.fmt("b", "1", "text")])), True),
        (update((7, 0, [crdt.deleted(1, "text")])), False),
        (update((1, 0, [characters("ab", "text")])), True),
    ],
    ids=["typed", "typed over", "deleted", "two clients", "a format", "comes deleted", "begins with what is there"],
)
def test_more_than_typing_is_in_doubt_until_its_round_trip(made: bytes, doubtful: bool) -> None:
    document = notes(update((1, 0, [characters("a", "text")])))
    assert not document.doubtful
    document.offer(made)
    assert document.doubtful is doubtful
    document.round_trip()
    assert not document.doubtful


def test_formats_belong_to_the_content_that_is_compared() -> None:
    replica = Replica("text")
    replica.edit(lambda root: root.insert(0, "bold", {"bold": True}))
    plain = Replica("text")
    plain.edit(lambda root: root.insert(0, "bold"))
    assert replica.document.view() == plain.document.view()
    assert _told(replica.document.root) != _told(plain.document.root)


@pytest.mark.parametrize(("one", "other"), [(1, True), ([1], "[1]"), ({"a": 0}, {"a": False}), ("1", 1)])
def test_values_of_two_kinds_are_told_from_one_another(one: object, other: object) -> None:
    def told(value: object) -> str:
        replica = Replica("map")
        replica.edit(lambda root: root.update({"k": value}))
        return _told(replica.document.root)

    assert told(one) == told(one)
    assert told(one) != told(other)


def test_a_snapshot_leaves_out_what_waits_and_names_it() -> None:
    """pycrdt on its own leaves it out too, and says nothing: it would be gone."""
    document = notes(crdt.STUCK[0], crdt.STUCK[2], crdt.STUCK[5])
    snapshot, waiting = document.snapshot()
    assert waiting == (crdt.STUCK[2], crdt.STUCK[5])
    assert Document.load("text", "text", snapshot).view() == "a"
    again = Document.load("text", "text", snapshot, waiting)
    for one in crdt.STUCK:
        again.offer(one)
    assert again.view() == "abcdef"


# Loading


def test_a_document_loads_from_updates_alone_or_from_a_snapshot_and_the_updates_since() -> None:
    assert Document.load("text", "text", b"", crdt.STUCK).view() == "abcdef"
    snapshot = notes(crdt.STUCK[0], crdt.STUCK[3]).round_trip()
    assert Document.load("text", "text", snapshot, crdt.STUCK).view() == "abcdef"


def test_what_was_let_in_is_loaded_however_much_waits_now() -> None:
    document = Document.load("text", "text", b"", [crdt.STUCK[5], crdt.STUCK[2], crdt.STUCK[1]], max_waiting_count=1)
    assert len(document.waiting) == 3
    for one in (crdt.STUCK[0], crdt.STUCK[3], crdt.STUCK[4]):
        document.offer(one)
    assert document.view() == "abcdef"


@pytest.mark.parametrize(
    ("snapshot", "updates", "why"),
    [
        (b"\1", (), "ends early"),
        (crdt.STUCK[0][:-1], (), "ends early"),
        (crdt.STUCK[3], (), "lacks what it needs"),
        (update((1, 0, [characters("a", "other")])), (), "root 'other'"),
        (b"", (crdt.STUCK[0], b"\xff"), "ends early"),
    ],
    ids=["one byte", "cut short", "begins in the middle", "of another document", "a broken update"],
)
def test_a_document_that_does_not_load_is_an_error_and_never_empty(
    snapshot: bytes, updates: tuple[bytes, ...], why: str
) -> None:
    with pytest.raises(Unreadable, match=why):
        Document.load("text", "text", snapshot, updates)


def test_each_opening_writes_under_a_client_id_of_its_own() -> None:
    """The same one in two copies divides them for ever, with equal state vectors."""
    snapshot = notes(*crdt.STUCK).round_trip()
    assert len({Document.load("text", "text", snapshot).doc.client_id for _ in range(20)}) == 20


# State vectors and differences


def test_the_state_vector_is_sorted_and_the_same_in_every_copy() -> None:
    letters = [update((client, 0, [characters("x", "text")])) for client in (9, 2, 700, 31, 1)]
    one, other = notes(*letters), notes(*reversed(letters))
    assert list(one.state_vector().items()) == list(other.state_vector().items())
    assert list(one.state_vector()) == [1, 2, 9, 31, 700]


def test_a_difference_brings_another_replica_just_what_it_lacks() -> None:
    behind, ahead = notes(*crdt.STUCK[:2]), notes(*crdt.STUCK)
    brought = ahead.diff(behind.state_vector())
    assert behind.state_vector() == {1: 1}
    assert read_update(brought).ranges == {1: [(1, 3)], 2: [(0, 3)]}
    behind.offer(brought)
    assert behind.view() == "abcdef"


def test_a_difference_carries_every_delete_for_state_vectors_do_not_show_them() -> None:
    document = notes(*crdt.STUCK, update(deletes={1: [(0, 1)]}))
    assert read_update(document.diff(document.state_vector())).deletes == {1: [(0, 1)]}


@given(
    st.dictionaries(st.sampled_from([1, 2, 3, MAX_CLIENT - 1]), st.one_of(st.integers(0, 8), st.just(MAX_CLOCK - 1)))
)
def test_a_difference_from_any_state_vector_can_be_read(state_vector: dict[int, int]) -> None:
    document = notes(
        update((1, 0, [characters("a😀b", "text"), nested(1, "text"), characters("ce\u0301", "text")])),
        update((2, 0, [characters("😀😀", origin=(1, 0), right=(1, 1))])),
        update(deletes={1: [(1, 2)]}),
    )
    read_update(document.diff(state_vector))


# Editing


def test_what_is_edited_here_and_told_is_what_others_build_on() -> None:
    mine, theirs = Replica("text"), Replica("text")
    theirs.document.offer(mine.edit(lambda root: root.insert(0, "नेपाली")))
    at = to_bytes("नेपाली", 6, "code_points")
    mine.document.offer(theirs.edit(lambda root: root.insert(at, " 😀")))
    assert mine.document.view() == theirs.document.view() == "नेपाली 😀"


def test_what_waited_for_an_edit_made_here_goes_when_it_is_told() -> None:
    copy = Replica("text")
    update_of_copy = copy.edit(lambda root: root.insert(0, "a"))
    follower = update((5, 0, [characters("b", origin=(copy.document.doc.client_id, 0))]))
    document = copy.document
    other = Document("text", "field")
    assert other.offer(follower).waits
    other.offer(update_of_copy)
    document.offer(follower)
    assert other.view() == document.view() == "ab"


def test_an_edit_that_nobody_would_take_spoils_the_document() -> None:
    replica = Replica("map")
    with pytest.raises(MalformedUpdate, match="NaN or infinity"):
        replica.edit(lambda root: root.update({"x": float("nan")}))
    with pytest.raises(RuntimeError, match="load it anew"):
        replica.document.view()


def test_undo_leaves_what_others_did_alone() -> None:
    mine, theirs = Replica("text"), Replica("text")
    undo = UndoManager(scopes=[mine.document.root], capture_timeout_millis=0)
    undo.include_origin("local")
    theirs.document.offer(mine.edit(lambda root: root.insert(0, "mine ")))
    mine.document.offer(theirs.edit(lambda root: root.insert(5, "theirs")))
    assert undo.undo()
    mine.document.edited(mine.made[-1])
    theirs.document.offer(mine.made[-1])
    assert mine.document.view() == theirs.document.view() == "theirs"


# Failures


class Panic(BaseException):
    """As what native code raises is no `Exception`."""


class Failing:
    """Stands for pycrdt's document. Raises on any use."""

    def __init__(self, failure: BaseException) -> None:
        self._failure = failure

    def __getattr__(self, name: str) -> object:
        raise self._failure


USES: list[Callable[[Document], object]] = [
    lambda document: document.offer(crdt.STUCK[3]),
    lambda document: document.view(),
    lambda document: document.state_vector(),
    lambda document: document.diff({}),
    lambda document: document.round_trip(),
    lambda document: document.snapshot(),
    lambda document: document.doc,
    lambda document: document.root,
    lambda document: document.waiting,
]


@pytest.mark.parametrize(
    ("raised", "told"), [(ValueError("no"), MergeFailed), (Panic(), Panic)], ids=["error", "panic"]
)
def test_a_document_that_has_failed_once_is_never_asked_again(raised: BaseException, told: type[BaseException]) -> None:
    document = notes(crdt.STUCK[0])
    document._doc = cast(Doc[Any], Failing(raised))
    with pytest.raises(told):
        document.offer(crdt.STUCK[3])
    for use in USES:
        with pytest.raises(RuntimeError, match="failed before and must not be used again: load it anew"):
            use(document)


def test_an_update_of_which_a_part_is_not_integrated_is_found() -> None:
    document = notes(crdt.STUCK[0])

    class Forgetful:
        def transaction(self, origin: str) -> object:
            return document_of_its_own.transaction(origin=origin)

        def apply_update(self, one: bytes) -> None:
            pass

        def get_state(self) -> bytes:
            return b"\1\1\1"

    document_of_its_own: Doc[Any] = Doc()
    document._doc = cast(Doc[Any], Forgetful())
    with pytest.raises(MergeFailed, match="applying the update failed: a part of it was not integrated"):
        document.offer(crdt.STUCK[3])


def test_each_step_is_told_before_it_is_taken() -> None:
    steps: list[str] = []
    document = Document("text", "text", step=steps.append)
    document.offer(crdt.STUCK[3])
    assert steps == []
    document.offer(crdt.STUCK[0])
    assert steps == ["apply", "release"]
    steps.clear()
    document.view()
    assert steps == ["read"]
    steps.clear()
    document.round_trip()
    assert steps == ["read", "encode", "decode", "compare"]


def test_nothing_but_this_module_brings_pycrdt_along() -> None:
    modules = [
        "conflict_rules",
        *(
            f"conflict_rules.documents.{name}"
            for name in ("yjs_reader", "yjs_update", "yjs_shape", "waiting_room", "text_positions")
        ),
    ]
    program = f"import sys, {', '.join(modules)}; sys.exit('pycrdt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
