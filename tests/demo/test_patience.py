"""Waiting ends, and says what it waited for."""

from __future__ import annotations

import asyncio

import pytest

from syncd.demo.patience import OutOfPatience, Patience, until


async def test_what_comes_about_in_time_is_no_matter() -> None:
    happened = False

    async def happen() -> None:
        nonlocal happened
        happened = True

    task = asyncio.create_task(happen())
    async with Patience(each_s=10, total_s=10).wait_for("it to happen"):
        await until(lambda: happened)
    await task


async def test_what_takes_too_long_is_named() -> None:
    with pytest.raises(OutOfPatience, match=r"^waited 0\.0 s for the bus$"):
        async with Patience(each_s=0, total_s=10).wait_for("the bus"):
            await asyncio.Event().wait()


async def test_the_end_of_the_whole_run_is_named_too() -> None:
    with pytest.raises(OutOfPatience, match="for the bus, and the whole run may take 0 s"):
        async with Patience(each_s=10, total_s=0).wait_for("the bus"):
            await asyncio.Event().wait()
