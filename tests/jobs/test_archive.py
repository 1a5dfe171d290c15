"""The archive that somebody gets, and what is left of it when whoever writes it is stopped."""

from __future__ import annotations

import asyncio
import json
import threading
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from syncd.jobs import archive as archives
from syncd.jobs.archive import Archive


async def pages() -> AsyncIterator[Sequence[dict[str, Any]]]:
    yield [{"n": 1}, {"n": 2}]
    yield [{"text": "Grüße, \ud800"}]


async def test_files_of_lines_and_of_text_are_in_a_zip(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "all.zip")
    await archive.write_text("README.txt", "Grüße")
    assert await archive.write("lines.jsonl", pages()) == 3
    await archive.close()
    with zipfile.ZipFile(tmp_path / "all.zip") as made:
        assert made.read("README.txt").decode() == "Grüße"
        lines = made.read("lines.jsonl").splitlines()
    assert [json.loads(line) for line in lines[:2]] == [{"n": 1}, {"n": 2}]
    assert lines[2] == '{"text":"Grüße, '.encode() + b'\\ud800"}'


@pytest.mark.parametrize("step", ["_begin", "_add", "_end", "_add_text"])
async def test_whoever_is_stopped_while_a_thread_writes_for_him_can_close_it_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real = getattr(archives.Archive, step)

    def slow(self: Archive, *args: Any) -> None:
        reached.set()
        assert go_on.wait(10)
        real(self, *args)

    archive = Archive(tmp_path / "all.zip")

    async def written() -> None:
        try:
            await archive.write_text("README.txt", "Grüße") if step == "_add_text" else await archive.write(
                "a", pages()
            )
        finally:
            await archive.close()

    with monkeypatch.context() as patch:
        patch.setattr(archives.Archive, step, slow)
        writing = asyncio.create_task(written())
        await asyncio.to_thread(reached.wait, 10)
        writing.cancel()
        # It is told so now, and not only when the thread is done.
        await asyncio.sleep(0.02)
        go_on.set()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await writing
    with zipfile.ZipFile(tmp_path / "all.zip") as made:
        assert made.testzip() is None
