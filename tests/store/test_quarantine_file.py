"""The file of what the quarantine had no room for: read page by page, whatever else is done to it meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import StoreUnavailable
from syncd.store import quarantine_file
from syncd.store.quarantine_file import QuarantineFile


def line(replica: str, n: int) -> bytes:
    told = {"replica": replica, "n": n, "change": {"n": n}, "outcome": {"outcome": "rejected", "message": "no"}}
    return json.dumps(told).encode() + b"\n"


async def numbers(file: QuarantineFile, *replicas: str) -> list[tuple[str, int]]:
    return [(told["replica"], told["n"]) async for page in file.lines_of(replicas) for told in page]


async def test_the_lines_of_some_replicas_are_read_and_no_others(tmp_path: Path) -> None:
    file = QuarantineFile(tmp_path / "club.db")
    await file.append([line("phone", 1), line("tablet", 1), line("laptop", 1), line("phone", 2)])
    assert await numbers(file, "phone", "laptop") == [("phone", 1), ("laptop", 1), ("phone", 2)]
    assert await numbers(file) == []


async def test_where_there_is_no_file_there_are_no_lines(tmp_path: Path) -> None:
    file = QuarantineFile(tmp_path / "club.db")
    assert await numbers(file, "phone") == []
    assert list(tmp_path.iterdir()) == []


async def test_no_more_than_a_page_of_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_file, "_PAGE_BYTES", 3 * len(line("phone", 1)))
    file = QuarantineFile(tmp_path / "club.db")
    await file.append([line("phone" if n % 2 else "table", n) for n in range(10)])
    pages = [[told["n"] for told in page] async for page in file.lines_of(["phone"])]
    assert [n for page in pages for n in page] == [1, 3, 5, 7, 9]
    assert max(map(len, pages)) <= 3


@pytest.mark.parametrize(
    "torn", [b'{"replica":"phone","n":', b'{"replica":"phone","change":"\xc3', b"\0" * 9, b"[]", b"7"]
)
async def test_what_is_no_line_is_passed_over_and_goes_with_the_next_wiping(tmp_path: Path, torn: bytes) -> None:
    file = QuarantineFile(tmp_path / "club.db")
    path = Path(file.name)
    await file.append([line("phone", 1)])
    with path.open("ab") as end:
        end.write(torn)
    assert await numbers(file, "phone") == [("phone", 1)]
    await file.append([line("phone", 2), line("tablet", 1)])
    assert await numbers(file, "phone") == [("phone", 1), ("phone", 2)]
    await file.wipe(["phone"])
    told: list[dict[str, Any]] = [json.loads(each) for each in path.read_bytes().splitlines()]
    assert [(each["replica"], each["n"], each["change"]) for each in told] == [
        ("phone", 1, None), ("phone", 2, None), ("tablet", 1, {"n": 1}),
    ]  # fmt: skip


async def test_whoever_reads_goes_on_in_the_file_that_he_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_file, "_PAGE_BYTES", 1)
    file = QuarantineFile(tmp_path / "club.db")
    await file.append([line("phone", n) for n in (1, 2, 3)] + [line("tablet", 1)])
    read: list[tuple[int, bool]] = []
    async for page in file.lines_of(["phone"]):
        read += [(told["n"], told["change"] is not None) for told in page]
        if len(read) == 1:
            await file.wipe(["phone", "tablet"])
    assert read == [(1, True), (2, True), (3, True)]


async def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = QuarantineFile(tmp_path / "club.db")
    Path(file.name).mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await numbers(file, "phone")
