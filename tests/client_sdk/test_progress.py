"""Progress of long syncs: told step by step, and never in the way."""

from __future__ import annotations

import builtins
import io
from typing import Any

import pytest

from client_sdk import Unfit
from client_sdk.progress import Phase, Progress, Reports, progress_bar
from tests.client_sdk.conftest import OpenClient
from tests.support.served import Served, served


def test_a_push_counts_up_to_what_waited_and_begins_anew_after_that() -> None:
    told: list[Progress] = []
    reports = Reports(told.append)
    reports.pushed(10, 1000, 5)
    reports.pushed(5, 500, 0)
    reports.pushed(1, 100, 0)
    assert [(each.done, each.total, each.bytes) for each in told] == [(10, 15, 1000), (15, 15, 1500), (1, 1, 100)]
    assert [each.complete for each in told] == [False, True, True]


def test_a_pull_knows_its_total_at_its_end_only_and_says_nothing_of_nothing() -> None:
    told: list[Progress] = []
    reports = Reports(told.append)
    reports.pulled("main", 10, 1000, more=True)
    reports.pulled("other", 0, 0, more=False)
    reports.pulled("main", 5, 500, more=False)
    assert [(each.scope, each.done, each.total) for each in told] == [("main", 10, None), ("main", 15, 15)]


async def test_both_ways_are_told_until_the_callback_is_taken_back(
    tmp_path: Any, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path / "server.db", max_changes=10) as server:
        writer = await open_client("writer", server.url)
        told: list[Progress] = []

        def fails(progress: Progress) -> None:
            raise ZeroDivisionError

        writer.on_progress(fails)
        forget = writer.on_progress(told.append)
        await writer.synced()
        await writer.pause()
        for index in range(25):
            await writer.collection("note", scope="main").put({"id": f"n{index}"})
        await writer.resume()
        await writer.synced()
        pushed = [each for each in told if each.phase is Phase.PUSH]
        assert [(each.done, each.total) for each in pushed] == [(10, 25), (20, 25), (25, 25)]
        assert "a progress callback failed" in caplog.text
        forget()
        forget()
        await writer.collection("note", scope="main").put({"id": "more"})
        await writer.synced()
        assert len([each for each in told if each.phase is Phase.PUSH]) == 3

        reader = await open_client("reader", scopes=[])
        reader_told: list[Progress] = []
        reader.on_progress(reader_told.append)
        await reader.close()
        reader = await open_client("reader", server.url, scopes=[])
        reader.on_progress(reader_told.append)
        await reader.follow("main")
        await reader.synced()
        assert reader_told[-1] == Progress(Phase.PULL, "main", 26, 26, reader_told[-1].bytes)
        assert reader_told[-1].bytes > 26


async def test_a_bar_shows_both_ways(server: Served, open_client: OpenClient) -> None:
    from rich.console import Console

    client = await open_client("phone", server.url)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with progress_bar(client, console):
        for index in range(3):
            await client.collection("note", scope="main").put({"id": f"n{index}"})
        await client.synced()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "sending" in text
    await client.collection("note", scope="main").put({"id": "later"})
    await client.synced()


async def test_without_rich_a_sentence_says_what_to_install(
    open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await open_client("phone")
    original = builtins.__import__

    def without_rich(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] == "rich":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    with pytest.raises(Unfit, match="pip install rich"), progress_bar(client):
        pass
