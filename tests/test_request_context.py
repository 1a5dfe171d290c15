"""Which request the code at hand works for."""

from __future__ import annotations

import asyncio

from syncd.request_context import add_request, current_request_id, request_context


def test_it_is_known_within_the_block_and_not_beyond() -> None:
    assert current_request_id() is None
    with request_context("outer"):
        with request_context("inner"):
            assert current_request_id() == "inner"
        assert current_request_id() == "outer"
    assert current_request_id() is None


async def test_a_task_that_outlives_the_request_that_began_it_is_not_named_after_it() -> None:
    ended = asyncio.Event()

    async def worker() -> list[str | None]:
        ids = [current_request_id()]
        await ended.wait()
        return [*ids, current_request_id()]

    with request_context("first"):
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
    ended.set()
    assert await task == ["first", None]


def test_log_lines_say_it_and_keep_what_they_say_themselves() -> None:
    with request_context("r-1"):
        assert add_request(None, "info", {"event": "x"}) == {"event": "x", "request_id": "r-1"}
        assert add_request(None, "info", {"request_id": "other"}) == {"request_id": "other"}
    assert add_request(None, "info", {"event": "x"}) == {"event": "x"}
