"""Reader classes: what each is sent, what it costs, and how its cursors are told from another's (law 6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from syncd.api.positions import decode_positions, encode_positions
from syncd.engine import pull, reader_digest
from syncd.engine.cursor import Cursor
from syncd.engine.delta import encode_delta
from syncd.engine.reader_class import MAX_TYPES, SEES_ALL, ReaderClass, check_types
from syncd.errors import InvalidMessage, StoreUnavailable
from syncd.store.protocol import Snapshot
from tests.support.engine import Engine
from tests.support.onlookers import bodies_of

NOTES = ReaderClass(frozenset({"note"}))
EVENTS = ReaderClass(frozenset({"event"}))


async def write(engine: Engine, *types: str, name: str = "r") -> None:
    """A resource of each type, in this order, in one commit."""
    replica = engine.replica(name)
    await replica.push(*(replica.change("create", f"{name}-{i}", 0, _type=type_) for i, type_ in enumerate(types)))


class TestTheClass:
    def test_who_sees_all_of_the_first_version_has_cursors_without_a_tag(self) -> None:
        assert (SEES_ALL.tag, str(Cursor("3f0c9d", 2, SEES_ALL.tag))) == ("", "3f0c9d.2")

    def test_every_other_class_has_a_tag_of_its_own_that_never_changes(self) -> None:
        """It stands in the cursors that devices keep."""
        classes = [NOTES, EVENTS, ReaderClass(frozenset()), ReaderClass(None, 2), ReaderClass(NOTES.types, 2)]
        assert len({reader.tag for reader in [SEES_ALL, *classes]}) == 6
        assert (NOTES.tag, ReaderClass(None, 2).tag) == ("4083099f", "6812f71b")

    def test_the_order_in_which_types_were_named_makes_no_other_class(self) -> None:
        one, other = (ReaderClass(check_types(types)) for types in (["a", "b"], ["b", "a", "b"]))
        assert (one, one.tag) == (other, other.tag)

    def test_it_is_shown_the_types_that_it_sees_as_the_bytes_they_are(self) -> None:
        states = [("note", b"not even JSON"), ("event", b"{}"), ("note", b"[]")]
        assert NOTES.shown(states) == [b"not even JSON", b"[]"]
        assert SEES_ALL.shown(states) == [b"not even JSON", b"{}", b"[]"]
        assert ReaderClass(frozenset()).shown(states) == []
        assert [reader.sees("note") for reader in (NOTES, EVENTS, SEES_ALL)] == [True, False, True]

    @pytest.mark.parametrize("types", [[], ["Note"], ["note", ""], ["no spaces"], ["\ud800"], ["n"] * (MAX_TYPES + 1)])
    def test_what_cannot_be_types_is_refused_with_the_place(self, types: list[str]) -> None:
        with pytest.raises(InvalidMessage) as refused:
            check_types(types)
        assert refused.value.field == "types"

    def test_none_is_every_type_and_an_unknown_one_is_allowed(self) -> None:
        assert check_types(None) is None
        assert check_types(["not_yet_in_this_app"]) == frozenset({"not_yet_in_this_app"})


class TestItsCursors:
    @pytest.mark.parametrize("cursor", [Cursor("3f0c9d", 0), Cursor("3f0c9d", 17, "5b1e77c0")])
    def test_a_cursor_is_read_as_it_was_written(self, cursor: Cursor) -> None:
        assert Cursor.parse(str(cursor)) == cursor

    @pytest.mark.parametrize(
        "text", ["i-.1", "i-5b1e77c.1", "i-5B1E77C0.1", "i-5b1e77c0", "-5b1e77c0.1", "i.1-5b1e77c0"]
    )
    def test_what_was_never_one_is_none(self, text: str) -> None:
        assert Cursor.parse(text) is None

    def test_the_id_of_an_event_keeps_them(self) -> None:
        tag = NOTES.tag
        cursors = {"a": f"i-{tag}.1", "b": f"i-{tag}.20", "c": None, "d": "i.3", "e": "i.4", "f": f"j-{tag}.5"}
        text = encode_positions(cursors)
        assert text.partition("-")[2] == f"i-{tag}.1,.20,,i.3,.4,j-{tag}.5"
        assert decode_positions(text, list(cursors)) == cursors


class TestItsPages:
    async def test_only_what_is_sent_counts_against_the_bytes(self, engine: Engine) -> None:
        a = engine.replica("a")
        await a.push(
            *(a.change("create", f"e{i}", 0, _type="event", text="x" * 500) for i in range(10)),
            *(a.change("create", f"n{i}", 0, v=i) for i in range(3)),
        )
        page = (await engine.puller.pull(None, {"main": None}, 700, reader=NOTES))["main"]
        assert (len(page.bodies), page.more) == (3, False)

    async def test_a_page_ends_before_it_has_looked_at_more_than_it_may(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A scope of a million events does not hold up who wants the one note in it."""
        monkeypatch.setattr(pull, "_MAX_ROWS", 6)
        await write(engine, *["event"] * 7, "note")
        cursor, pages, met, looked_at = None, 0, [], []
        more = True
        while more:
            page = (await engine.puller.pull(None, {"main": cursor, "other": None}, reader=NOTES))["main"]
            assert page.cursor != cursor, "or a device would think that the server spins"
            known = Cursor.parse(page.cursor)
            assert known is not None
            looked_at.append(known.version)
            cursor, more, pages = page.cursor, page.more, pages + 1
            met += [json.loads(body)["id"] for body in page.bodies]
        assert (met, looked_at) == (["r-7"], [3, 6, 8]), "two scopes share the six"

    async def test_who_sees_all_is_bounded_by_bytes_alone(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pull, "_MAX_ROWS", 2)
        await write(engine, *["event"] * 9)
        assert len((await engine.puller.pull(None, {"main": None}))["main"].bodies) == 9

    async def test_a_replica_learns_what_is_settled_though_it_does_not_see_what_came_of_it(
        self, engine: Engine
    ) -> None:
        """Law 4."""
        await write(engine, "note", "event", name="phone")
        page = (await engine.puller.pull("phone", {"main": None}, reader=NOTES))["main"]
        assert (len(page.bodies), page.settled) == (1, 2)


class TestItsDigests:
    async def test_what_is_summed_up_for_one_reader_is_not_summed_up_for_the_next(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        summed: list[str] = []
        really = reader_digest._summed

        async def counted(snapshot: Snapshot, scope: str, reader: ReaderClass) -> bytes:
            summed.append(scope)
            return await really(snapshot, scope, reader)

        monkeypatch.setattr(reader_digest, "_summed", counted)
        await write(engine, "note", "event")
        for _ in range(3):
            await engine.puller.pull(None, {"main": None, "other": None}, reader=NOTES, digest=True)
        assert summed == ["main", "other"]
        await write(engine, "event", name="more")
        await engine.puller.pull(None, {"main": None}, reader=NOTES, digest=True)
        await engine.puller.pull(None, {"main": None}, digest=True)
        assert summed == ["main", "other", "main"], "never for who sees all: that one is stored"

    async def test_a_scope_larger_than_what_is_read_at_a_time_is_summed_up_to_its_end(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await write(engine, *["note", "event"] * 5)
        whole = (await engine.puller.pull(None, {"main": None}, reader=NOTES, digest=True))["main"].digest
        monkeypatch.setattr(reader_digest, "_PAGE_ROWS", 3)
        engine.puller._digests._known.clear()
        assert (await engine.puller.pull(None, {"main": None}, reader=NOTES, digest=True))["main"].digest == whole
        monkeypatch.setattr(reader_digest, "_PAGE_BYTES", 1)
        engine.puller._digests._known.clear()
        assert (await engine.puller.pull(None, {"main": None}, reader=NOTES, digest=True))["main"].digest == whole

    async def test_not_more_than_so_many_are_remembered(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reader_digest, "_REMEMBERED", 2)
        await engine.puller.pull(None, {"a": None, "b": None, "c": None}, reader=NOTES, digest=True)
        assert [scope for scope, _ in engine.puller._digests._known] == ["b", "c"]


class TestItsFrames:
    async def test_a_delta_is_encoded_once_for_each_format_and_class_and_never_for_each_connection(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encodings: list[Collection[bytes]] = []

        def counted(scope: str, after: Cursor, upto: Cursor, bodies: list[bytes]) -> bytes:
            encodings.append(bodies)
            return encode_delta(scope, after, upto, bodies)

        monkeypatch.setattr("syncd.engine.watch.encode_delta", counted)
        connections = []
        for reader in (SEES_ALL, NOTES, ReaderClass(frozenset({"note"})), NOTES, EVENTS):
            for packed in (False, True):
                connection = engine.watcher.connect(packed=packed)
                await engine.watcher.subscribe(connection, {"main": None}, reader)
                connections.append((reader, packed, connection))
        await write(engine, "note", "event")
        frames: dict[tuple[ReaderClass, bool], bytes] = {}
        for reader, packed, connection in connections:
            async with asyncio.timeout(5):
                frame = await anext(bodies_of(connection))
            assert frames.setdefault((reader, packed), frame) is frame, "the very same bytes"
        assert sorted(map(len, encodings)) == [1, 1, 2]
        assert len(frames) == 6

    async def test_who_changes_its_class_and_fails_at_it_stays_what_it_was_and_is_told_to_pull(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = engine.watcher.connect()
        await engine.watcher.subscribe(connection, {"main": None}, NOTES)

        @asynccontextmanager
        async def broken() -> AsyncIterator[Snapshot]:
            raise StoreUnavailable("no")
            yield

        with monkeypatch.context() as patch:
            patch.setattr(engine.store, "snapshot", broken)
            with pytest.raises(StoreUnavailable):
                await engine.watcher.subscribe(connection, {"main": None, "other": None}, EVENTS)
        frames = await next_frames(connection, 1)
        assert frames == [{"type": "pull", "scopes": ["main"]}]
        await write(engine, "event", "note")
        (delta,) = await next_frames(connection, 1)
        assert [entry["type"] for entry in delta["entries"]] == ["note"]
        assert list(engine.watcher._topics) == ["main"]

    async def test_a_scope_is_let_go_of_when_the_last_class_leaves_it(self, engine: Engine) -> None:
        first, second = engine.watcher.connect(), engine.watcher.connect()
        await engine.watcher.subscribe(first, {"main": None}, NOTES)
        await engine.watcher.subscribe(second, {"main": None})
        engine.watcher.disconnect(first)
        assert list(engine.watcher._topics["main"].readers) == [SEES_ALL]
        engine.watcher.unsubscribe(second, ["main"])
        assert engine.watcher._topics == {}


async def next_frames(connection: Any, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads(await anext(bodies_of(connection))) for _ in range(count)]
