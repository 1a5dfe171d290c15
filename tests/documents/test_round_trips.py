"""When a document makes its round trip: always while it is small, later by what is new in it, and what comes of one
that fails though all that it holds was acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conflict_rules.documents.document import Document, MergeFailed
from conflict_rules.documents.yjs_update import MalformedUpdate
from syncd.documents.frames import NOWHERE, Step
from syncd.documents.limits import WorkerLimits
from syncd.documents.opened import OpenDocument, Progress, Request
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import RoundTripFailed, Verdict
from tests.documents.differs import DIFFERS, DIFFERS_BY_TYPING
from tests.documents.shelf import Shelved
from tests.documents.yjs import number, text, typed

LARGE = b"\x01\x01\x01\x00\x08\x01" + text("root") + b"\x01\x77" + text("x" * 60_000) + b"\x00"
"""Somebody puts one long text into the array `root`."""


def an_array(pool: DocumentPool, *updates: bytes, name: str = "n1") -> Shelved:
    return Shelved(pool, name, kind="array", field="root")


def a_value(place: int) -> bytes:
    """Client 3 puts one more value behind its last one."""
    at = b"\x08\x01" + text("root") if place == 0 else b"\x88\x03" + number(place - 1)
    return b"\x01\x01\x03" + number(place) + at + b"\x01\x7d\x05\x00"


async def test_what_would_read_differently_once_encoded_is_refused_in_a_small_document(pool: DocumentPool) -> None:
    for name, updates in (("n1", DIFFERS), ("n2", DIFFERS_BY_TYPING)):
        *fine, last = await an_array(pool, name=name).push(*updates)
        assert {verdict.code for verdict in fine} == {None}
        assert last.code == "document_update_failed"
        assert "comparing the document with what its encoding gives failed" in last.message


async def test_in_a_large_document_more_than_typing_is_refused_just_the_same(pool: DocumentPool) -> None:
    board = an_array(pool)
    await board.push(LARGE)
    *fine, last = [verdict for update in DIFFERS for verdict in await board.push(update)]
    assert {verdict.code for verdict in fine} == {None}
    assert last.code == "document_update_failed"


async def test_what_was_acknowledged_goes_on_though_the_round_trip_fails_later(pool: DocumentPool) -> None:
    board = an_array(pool)
    await board.push(LARGE)
    for update in DIFFERS_BY_TYPING:
        assert await board.push(update) == [Verdict()], "the last one too: it is typing, and the document is large"
    before = await board.view()
    with pytest.raises(RoundTripFailed, match="contents differ"):
        await board.squash()
    assert await board.view() == before
    for place in range(0, 200, 20):
        more = [a_value(one) for one in range(place, place + 20)]
        assert await board.push(*more, b"\x07") == [Verdict()] * 20 + [
            Verdict("invalid_document_update", "the update ends early, after 1 bytes")
        ]
    with pytest.raises(RoundTripFailed):
        await board.squash()
    assert (board.snapshot, board.seq) == (b"", 1 + len(DIFFERS_BY_TYPING) + 200)
    fresh = DocumentPool()
    try:
        after = await fresh.view(board.key, "array", board.since, board.seq, board.load)
        assert isinstance(after, list)
        assert after == await board.view()
        assert after.count(5) >= 200
    finally:
        await fresh.close()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were new at each round trip."""
    trips: list[int] = []
    round_trip = Document.round_trip

    def counted(self: Document) -> bytes:
        trips.append(self.unproven_bytes)
        return round_trip(self)

    monkeypatch.setattr(Document, "round_trip", counted)
    return trips


class Silent(Progress):
    """Marks nothing: nobody watches."""

    def __init__(self) -> None:
        self.index = NOWHERE
        self.within = None

    def __call__(self, step: Step) -> None:
        """See `Progress`."""


def opened(*, document_bytes: int = 8 << 20) -> OpenDocument:
    request = Request("check", "note", "n", "notes", "text", 1, 0, 0, None, None)
    return OpenDocument(request, WorkerLimits(document_bytes=document_bytes), Silent())


def takes(document: OpenDocument, *updates: bytes) -> str | None:
    """One call, as the worker makes it."""
    for update in updates:
        document.document.offer(update)
    too_large = document.verify(updates)
    if too_large is None:
        document.taken(updates)
    return too_large


def test_a_small_document_makes_it_in_every_call(trips: list[int]) -> None:
    document = opened()
    for place in range(5):
        takes(document, typed(1, "x", at=place))
    assert len(trips) == 5


def test_a_large_one_makes_it_when_a_share_of_it_is_new(trips: list[int]) -> None:
    document = opened()
    takes(document, typed(1, "x" * 100_000))
    trips.clear()
    size = 0
    for place in range(400):
        update = typed(1, "x" * 10, at=100_000 + 10 * place)
        takes(document, update)
        size += len(update)
    assert 1 <= len(trips) <= 5
    assert sum(trips) <= size
    assert min(trips) > 100_000 // 64


def test_a_large_one_makes_it_at_once_after_more_than_typing(trips: list[int]) -> None:
    document = opened()
    takes(document, typed(1, "x" * 100_000))
    trips.clear()
    takes(document, typed(1, "y", at=100_000))
    assert trips == []
    a_format = b"\x01\x01\x07\x00\x06\x01" + text("notes") + text("bold") + text("true") + b"\x00"
    takes(document, a_format)
    takes(document, typed(1, "y", at=100_001))
    assert len(trips) == 1


def test_what_is_opened_again_is_what_was_acknowledged_proved_or_not() -> None:
    document = opened()
    takes(document, typed(1, "x" * 100_000))
    takes(document, typed(1, "acknowledged", at=100_000))
    document.document.offer(typed(1, "not", at=100_012))
    document.reopen()
    assert document.document.view() == "x" * 100_000 + "acknowledged"
    assert (document.seq, document.document.doubtful) == (2, False)


def test_what_is_opened_again_takes_no_more_than_what_is_stored_would() -> None:
    """Encoded, a letter that was deleted is no letter any more, and nobody can tell that nothing may hang on it. What
    were taken so would not load after the updates, which are all that is stored."""
    deleted = b"\x00\x01\x01\x01\x00\x01"
    inside_of_the_letter = b"\x01\x01\x02\x00\x04\x00\x01\x00" + text("x") + b"\x00"
    document = opened()
    takes(document, typed(1, "a"))
    takes(document, deleted)
    encoded = document.document.round_trip()
    Document.load("text", "notes", encoded).offer(inside_of_the_letter)
    document.reopen()
    with pytest.raises(MalformedUpdate, match="into what is no text, map or array"):
        document.document.offer(inside_of_the_letter)


def test_what_has_taken_very_much_since_it_was_opened_is_opened_anew() -> None:
    document = opened()
    for place in range(21):
        assert not document.outworn
        takes(document, *(typed(1, "x", at=100 * place + one) for one in range(100)))
    assert document.outworn


def test_how_large_it_is_is_found_out_by_encoding_it_only_near_the_limit(trips: list[int]) -> None:
    document = opened(document_bytes=101_000)
    takes(document, typed(1, "x" * 100_000))
    trips.clear()
    refusals: Sequence[str | None] = [takes(document, typed(1, "y" * 50, at=100_000))]
    assert (refusals, trips) == ([None], [])
    document = opened(document_bytes=101_000)
    takes(document, typed(1, "x" * 100_000))
    too_large = takes(document, typed(1, "y" * 1000, at=100_000))
    assert too_large is not None
    assert "no more than 101,000 are kept" in too_large


def test_what_stands_is_proved_by_itself_after_another_ones_failure() -> None:
    document = opened()
    takes(document, typed(1, "x" * 100_000))
    takes(document, typed(1, "fine", at=100_000))
    assert document.document.unproven_bytes > 0
    assert document.stands()
    assert document.document.unproven_bytes == 0
    assert not document.unprovable


def test_what_does_not_stand_is_not_proved_by_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def fails(self: Document) -> bytes:
        nonlocal tried
        tried += 1
        raise MergeFailed("compare", "the contents differ")

    document = opened()
    takes(document, typed(1, "x" * 100_000))
    takes(document, typed(1, "fine", at=100_000))
    monkeypatch.setattr(Document, "round_trip", fails)
    assert not document.stands()
    for place in range(20):
        takes(document, typed(1, "y" * 1000, at=100_004 + 1000 * place))
    assert tried == 1
    assert document.document.view() == "x" * 100_000 + "fine" + "y" * 20_000
    document.squash()
    assert not document.unprovable
