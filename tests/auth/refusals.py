"""What something is refused with."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from syncd.errors import SyncdError

__all__ = ["refused"]


async def refused(action: Awaitable[object]) -> str:
    """The code with which an action is refused; there is a sentence and a hint too."""
    with pytest.raises(SyncdError) as caught:
        await action
    assert caught.value.message
    assert caught.value.hint
    return caught.value.problem_code
