"""A snapshot is of one moment, pages by bytes, and says how far a replica is settled."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from syncd.store.protocol import Commit, Page, Snapshot, Store, Wanted
from tests.conformance.rows import note, replica_row, settled_row, versions, write, write_notes

PATIENCE_S = 60


async def test_heads_are_the_versions_of_scopes_and_0_where_nothing_was_written(store: Store) -> None:
    await write_notes(store, note("s", "x", 1), note("t", "y", 4))
    async with store.snapshot() as snapshot:
        assert await snapshot.heads(["s", "t", "nowhere"]) == {"s": 1, "t": 4, "nowhere": 0}
        assert await snapshot.heads([]) == {}


async def test_everything_a_snapshot_returns_is_of_one_moment(store: Store) -> None:
    await write(store, Commit([note("s", "x", 1)], {"s": 1}, [settled_row("r", 1, "s", 1)], [replica_row("r", 1)]))

    async def read(snapshot: Snapshot) -> list[object]:
        return [
            await snapshot.heads(["s"]),
            await snapshot.page("s", 0, 1000),
            await snapshot.settled("r", {"s": 1000}),
            await snapshot.ends_of({"s": store.incarnation}),
        ]

    async with store.snapshot() as snapshot:
        before = await read(snapshot)
        await write(
            store,
            Commit(
                states=[note("s", "x", 2), note("s", "y", 3)],
                scopes={"s": 3},
                settled=[settled_row("r", 2, "s", 2)],
                replicas=[replica_row("r", 2)],
            ),
        )
        assert await read(snapshot) == before
    assert before == [{"s": 1}, Page([b"x@1"], 1, more=False, types=["note"]), {"s": 1}, {"s": 1}]
    async with store.snapshot() as snapshot:
        assert await read(snapshot) != before


async def test_a_snapshot_sees_what_was_committed_before_it_was_opened(store: Store) -> None:
    for version in range(1, 21):
        await write_notes(store, note("s", "x", version))
        async with store.snapshot() as snapshot:
            assert await snapshot.heads(["s"]) == {"s": version}


async def test_readers_do_not_wait_for_a_writer_and_do_not_see_what_it_has_not_committed(store: Store) -> None:
    async with asyncio.timeout(PATIENCE_S), store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.load(Wanted(["r"], ["s"]))
        assert await versions(store, "s") == []
        await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}))
        assert await versions(store, "s") == ["x@1"]


async def test_a_writer_does_not_wait_for_readers(store: Store) -> None:
    async with asyncio.timeout(PATIENCE_S), store.snapshot() as snapshot:
        await snapshot.heads(["s"])
        await write_notes(store, note("s", "x", 1))
    assert await versions(store, "s") == ["x@1"]


async def test_no_reader_skips_a_commit_while_many_write(store: Store) -> None:
    """Invariant 4: a snapshot at version v holds every version up to v, and nothing above."""
    scopes = ["a", "b", "c"]
    commits_of_each = 60

    async def keep_writing(scope: str) -> None:
        for turn in range(commits_of_each):
            written = [note(scope, f"{scope}-{version}", version) for version in (2 * turn + 1, 2 * turn + 2)]
            await write_notes(store, *written)

    async def keep_reading() -> int:
        seen, rounds = {"": 0}, 0
        while any(seen.get(scope, 0) < 2 * commits_of_each for scope in scopes):
            async with store.snapshot() as snapshot:
                heads = await snapshot.heads(scopes)
                for scope in scopes:
                    assert heads[scope] % 2 == 0, "half of a commit"
                    assert heads[scope] >= seen.get(scope, 0), "a later snapshot shows an earlier moment"
                    page = await snapshot.page(scope, 0, 1 << 30)
                    numbers = range(1, heads[scope] + 1)
                    assert list(page.bodies) == [f"{scope}-{number}@{number}".encode() for number in numbers]
            seen, rounds = {**seen, **heads}, rounds + 1
        return rounds

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(keep_reading()) for _ in range(2)]
        for scope in scopes:
            tasks.create_task(keep_writing(scope))
    assert all(reader.result() > 1 for reader in readers)


@pytest.mark.parametrize(
    ("after", "limit_bytes", "expected"),
    [
        (0, 1000, Page([b"aaaa", b"bbbb", b"cccc"], 7, more=False)),
        (0, 12, Page([b"aaaa", b"bbbb", b"cccc"], 7, more=False)),
        (0, 11, Page([b"aaaa", b"bbbb"], 4, more=True)),
        (0, 8, Page([b"aaaa", b"bbbb"], 4, more=True)),
        (0, 7, Page([b"aaaa"], 2, more=True)),
        (0, 1, Page([b"aaaa"], 2, more=True)),
        (0, 0, Page([b"aaaa"], 2, more=True)),
        (2, 8, Page([b"bbbb", b"cccc"], 7, more=False)),
        (3, 4, Page([b"bbbb"], 4, more=True)),
        (4, 1, Page([b"cccc"], 7, more=False)),
        (6, 1000, Page([], 7, more=False)),
        (7, 1000, Page([], 7, more=False)),
    ],
)
async def test_a_page_holds_whole_states_up_to_its_bytes_and_one_at_least(
    store: Store, after: int, limit_bytes: int, expected: Page
) -> None:
    """The head, 7, is above the last state, as when the change after it has left no trace of its own."""
    rows = [note("s", "a", 2, body=b"aaaa"), note("s", "b", 4, body=b"bbbb"), note("s", "c", 6, body=b"cccc")]
    await write(store, Commit(rows, {"s": 7}))
    async with store.snapshot() as snapshot:
        page = await snapshot.page("s", after, limit_bytes)
    assert Page(list(page.bodies), page.upto, page.more) == expected


async def write_a_mixture(store: Store) -> None:
    """Three notes between two events, which are larger, and a head above them all."""
    rows = [
        note("s", "a", 1, body=b"aaaa"),
        note("s", "b", 2, type="event", body=b"b" * 500),
        note("s", "c", 3, body=b"cccc"),
        note("s", "d", 5, type="event", deleted=True, body=b"d" * 500),
        note("s", "e", 6, body=b"eeee"),
    ]
    await write(store, Commit(rows, {"s": 7}))


async def test_a_page_tells_the_type_of_each_state(store: Store) -> None:
    await write_a_mixture(store)
    async with store.snapshot() as snapshot:
        page = await snapshot.page("s", 0, 10_000)
    assert list(page.types) == ["note", "event", "note", "event", "note"]


@pytest.mark.parametrize(
    ("types", "after", "limit_bytes", "expected"),
    [
        ({"note"}, 0, 12, Page([b"aaaa", b"cccc", b"eeee"], 7, False, ["note"] * 3)),
        ({"note"}, 0, 11, Page([b"aaaa", b"cccc"], 5, True, ["note"] * 2)),
        ({"note"}, 0, 1, Page([b"aaaa"], 2, True, ["note"])),
        ({"note"}, 5, 1, Page([b"eeee"], 7, False, ["note"])),
        ({"event"}, 0, 1, Page([b"b" * 500], 3, True, ["event"])),
        ({"event"}, 5, 1, Page([], 7, False)),
        ({"note", "event"}, 4, 600, Page([b"d" * 500, b"eeee"], 7, False, ["event", "note"])),
        ({"other", 'quote"'}, 0, 1, Page([], 7, False)),
        (set(), 0, 1, Page([], 7, False)),
    ],
)
async def test_a_page_of_some_types_passes_over_the_others_and_counts_only_what_it_holds(
    store: Store, types: set[str], after: int, limit_bytes: int, expected: Page
) -> None:
    """Law 6: `upto` is beyond what was passed over, so that hiding is not a gap."""
    await write_a_mixture(store)
    async with store.snapshot() as snapshot:
        page = await snapshot.page("s", after, limit_bytes, types=types)
    assert Page(list(page.bodies), page.upto, page.more, list(page.types) or ()) == expected


@pytest.mark.parametrize(
    ("types", "after", "limit_rows", "expected"),
    [
        ({"note"}, 0, 2, Page([b"aaaa"], 2, True, ["note"])),
        ({"note"}, 1, 1, Page([], 2, True)),
        ({"note"}, 2, 2, Page([b"cccc"], 5, True, ["note"])),
        ({"note"}, 5, 1, Page([b"eeee"], 7, False, ["note"])),
        ({"event"}, 5, 1, Page([], 7, False)),
        (set(), 0, 4, Page([], 5, True)),
        (set(), 0, 5, Page([], 7, False)),
        (None, 0, 1, Page([b"aaaa"], 1, True, ["note"])),
    ],
)
async def test_no_more_states_are_looked_at_for_a_page_than_it_may(
    store: Store, types: set[str] | None, after: int, limit_rows: int, expected: Page
) -> None:
    await write_a_mixture(store)
    async with store.snapshot() as snapshot:
        page = await snapshot.page("s", after, 10_000, types=types, limit_rows=limit_rows)
    assert Page(list(page.bodies), page.upto, page.more, list(page.types) or ()) == expected


async def test_pages_of_some_types_add_up_to_all_of_them_however_small_their_bounds(store: Store) -> None:
    await write_a_mixture(store)
    for limit_rows in (1, 2, 3, 10):
        bodies: list[bytes] = []
        after, more = 0, True
        while more:
            async with store.snapshot() as snapshot:
                page = await snapshot.page("s", after, 1, types={"note"}, limit_rows=limit_rows)
            assert page.upto > after
            bodies, after, more = [*bodies, *page.bodies], page.upto, page.more
        assert (bodies, after) == ([b"aaaa", b"cccc", b"eeee"], 7)


async def test_a_scope_never_written_is_an_empty_page_at_version_0(store: Store) -> None:
    await write_notes(store, note("s", "x", 1))
    async with store.snapshot() as snapshot:
        page = await snapshot.page("nowhere", 0, 1000)
    assert (list(page.bodies), page.upto, page.more) == ([], 0, False)


async def test_pages_read_while_a_writer_goes_on_add_up_to_the_newest_states(store: Store) -> None:
    """A bootstrap resumes per page, and never starts over because newer data arrived."""
    await write_notes(store, *(note("s", f"id-{n}", n) for n in range(1, 31)))
    held: dict[bytes, str] = {}
    after, head, pages = 0, 30, 0
    while True:
        async with store.snapshot() as snapshot:
            page = await snapshot.page("s", after, 40)
        held |= {body.split(b"@")[0]: body.decode() for body in page.bodies}
        assert after < page.upto or not page.more
        after, pages = page.upto, pages + 1
        if not page.more:
            break
        if pages <= 10:  # the writer changes what was read already, what was not, and adds more
            changed = [f"id-{pages}", f"id-{31 - pages}", f"new-{pages}"]
            await write_notes(store, *(note("s", name, head + i) for i, name in enumerate(changed, start=1)))
            head += len(changed)
    assert pages > 10
    assert after == head
    assert sorted(held.values()) == sorted(await versions(store, "s"))


async def test_settled_is_the_highest_number_up_to_a_version_of_that_replica_in_that_scope(store: Store) -> None:
    await write(
        store,
        Commit(
            scopes={"s": 9, "t": 5},
            settled=[
                settled_row("r", 1, "s", 2),
                settled_row("r", 2, "t", 5),
                settled_row("r", 3, "s", 2),  # settled where the scope stood
                settled_row("r", 4, "s", 6),
                settled_row("q", 1, "s", 7),
            ],
            replicas=[replica_row("r", 4), replica_row("q", 1)],
        ),
    )
    async with store.snapshot() as snapshot:
        of_r = [(await snapshot.settled("r", {"s": upto}))["s"] for upto in range(10)]
        assert of_r == [0, 0, 3, 3, 3, 3, 4, 4, 4, 4]
        assert [(await snapshot.settled("r", {"t": upto}))["t"] for upto in (4, 5, 6)] == [0, 2, 2]
        assert [(await snapshot.settled("q", {"s": upto}))["s"] for upto in (6, 7)] == [0, 1]
        assert await snapshot.settled("r", {"s": 5, "t": 5, "nowhere": 9}) == {"s": 3, "t": 2, "nowhere": 0}
        assert await snapshot.settled("nobody", {"s": 9}) == {"s": 0}
        assert await snapshot.settled("r", {}) == {}


async def test_pages_of_several_scopes_share_their_bytes_in_the_order_asked_for(store: Store) -> None:
    await write_notes(store, *(note("s", f"s{n}", n) for n in (1, 2, 3)), *(note("t", f"t{n}", n) for n in (1, 2)))
    async with store.snapshot() as snapshot:
        alone = {scope: await snapshot.page(scope, 0, 1 << 20) for scope in ("s", "t", "nowhere")}
        assert await snapshot.pages({"t": 0, "s": 0, "nowhere": 0}, 1 << 20) == alone
        whole = sum(map(len, alone["s"].bodies))
        assert await snapshot.pages({"s": 0, "t": 0}, whole) == {"s": alone["s"]}, "no room is left for the other"
        assert await snapshot.pages({"s": 0, "t": 0}, whole + 1) == {
            "s": alone["s"],
            "t": await snapshot.page("t", 0, 1),
        }
        assert await snapshot.pages({"s": 3, "t": 1}, 1) == {
            "s": await snapshot.page("s", 3, 1),
            "t": await snapshot.page("t", 1, 1),
        }
        for types in ({"note"}, {"other"}):
            of_types = await snapshot.pages({"s": 0, "t": 0}, 1 << 20, types=types, limit_rows=2)
            for scope, page in of_types.items():
                assert page == await snapshot.page(scope, 0, 1 << 20, types=types, limit_rows=2)
        assert await snapshot.pages({}, 1) == {}


async def test_a_change_settled_in_a_scope_never_written_is_told_at_version_0(store: Store) -> None:
    await write(store, Commit(settled=[settled_row("r", 1, "s", 0)], replicas=[replica_row("r", 1)]))
    async with store.snapshot() as snapshot:
        assert await snapshot.settled("r", {"s": 0}) == {"s": 1}


async def test_a_page_and_what_it_says_is_settled_belong_together_while_many_write(store: Store) -> None:
    """Law 4: the number is of the page's own moment, neither ahead of it nor behind."""
    last = 60

    async def keep_writing() -> None:
        for n in range(1, last + 1):
            row = settled_row("r", n, "s", n)
            await write(store, Commit([note("s", f"id-{n}", n)], {"s": n}, [row], [replica_row("r", n)]))

    async def keep_reading() -> None:
        for _ in itertools.count():
            async with store.snapshot() as snapshot:
                page = await snapshot.page("s", 0, 1 << 30)
                assert await snapshot.settled("r", {"s": page.upto}) == {"s": len(page.bodies)}
                assert page.upto == len(page.bodies)
            if page.upto == last:
                return

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_reading())
        tasks.create_task(keep_writing())


async def test_more_readers_than_a_store_serves_at_once_wait_for_each_other(store: Store) -> None:
    await write_notes(store, note("s", "x", 1))
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*(versions(store, "s") for _ in range(50))) == [["x@1"]] * 50


async def test_the_living_of_a_type_come_by_id_in_portions(store: Store) -> None:
    await write_notes(
        store,
        note("s", "b", 1),
        note("s", "a", 2),
        note("s", "gone", 3, deleted=True),
        note("s", "other", 4, type="task"),
        note("t", "c", 1),
        note("t", "é", 2),
    )
    async with store.snapshot() as snapshot:

        async def found(after: str = "", limit: int = 9, scope: str | None = None) -> list[str]:
            return [row.id for row in await snapshot.of_type("note", scope=scope, after=after, limit=limit)]

        assert await found() == ["a", "b", "c", "é"]
        assert await found(limit=2) == ["a", "b"]
        assert await found(after="b", limit=2) == ["c", "é"]
        assert await found(after="é") == []
        assert await found(scope="t") == ["c", "é"]
        assert await found(scope="nowhere") == []
        [first, *_] = await snapshot.of_type("note", scope=None, after="", limit=1)
        assert first == note("s", "a", 2)
