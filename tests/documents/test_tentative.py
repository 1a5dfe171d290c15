"""What was judged and then not committed is in no later answer, whichever process gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncd.documents.limits import PoolLimits
from syncd.documents.pool import DocumentPool
from syncd.documents.process import Worker, WorkerEnded
from tests.documents.marks import ENDS
from tests.documents.shelf import Shelved
from tests.documents.yjs import typed


@pytest.fixture
async def trusting() -> AsyncIterator[DocumentPool]:
    pool = DocumentPool(limits=PoolLimits(step_s=0.2), zygote="tests.documents.trusting_zygote")
    try:
        yield pool
    finally:
        await pool.close()


async def test_it_is_not_in_what_others_add_at_the_same_place(pool: DocumentPool) -> None:
    note = Shelved(pool)
    first, vetoed, second = typed(1, "a"), typed(2, "vetoed"), typed(3, "b")
    await note.push(first)
    await note.check(vetoed)
    assert await note.view() == "a"
    await note.check(vetoed)
    await note.push(second)
    assert sorted(str(await note.view())) == ["a", "b"]


async def test_it_is_not_in_what_is_said_beside_the_others_after_a_worker_has_ended(
    trusting: DocumentPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Shelved(trusting)
    await note.push(typed(1, "a"))
    await note.check(ENDS)
    await note.check(typed(2, "vetoed"))
    trusting._apart_until.clear()  # Its time apart is over.
    await note.push(typed(3, "b"))

    ask, ended = Worker.ask, 0

    async def ends_while_loading(*arguments: Any, **options: Any) -> Any:
        nonlocal ended
        if not ended:
            ended += 1
            raise WorkerEnded("ended", "load", None)
        return await ask(*arguments, **options)

    monkeypatch.setattr(Worker, "ask", ends_while_loading)
    await note.push(typed(4, "c"))
    assert ended == 1
    assert sorted(str(await note.view())) == ["a", "b", "c"]
