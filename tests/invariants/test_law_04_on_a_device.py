"""Law 4 from a server to a device: a tap is shown once, whichever of the push's answer and the pull arrives first.

The SDK on a file and the engine on another, with every message between them in the test's hand. A counter forgives
nothing: a tap that is replayed on top of a state that holds it shows, and so does one that is dropped too early.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Increment
from conflict_rules import COUNTER
from tests.client_sdk.interleavings import TYPE, Phone, app_with
from tests.support.engine import Engine, Replica, open_engine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "server.db", app=app_with(COUNTER)) as engine:
        await engine.replica("owner").create("taps", _type=TYPE, count=5)
        yield engine


@pytest.fixture
async def phone(engine: Engine, tmp_path: Path) -> AsyncIterator[Phone]:
    """It shows 5, and has one more tap to send."""
    phone = Phone(engine, app_with(COUNTER), tmp_path / "phone.db", "main")
    await phone.start()
    await phone.catch_up()
    assert await shown(phone) == 5
    await phone.edits.update(TYPE, "taps", {"count": Increment()}, None)
    assert await shown(phone) == 6
    yield phone
    await phone.stop()


async def shown(phone: Phone) -> Any:
    return (await phone.shown())["taps"].fields["count"]


async def tap(somebody: Replica) -> None:
    change = somebody.change("update", "taps", 0, _type=TYPE, count={"increment": 1})
    assert (await somebody.push(change))[0]["outcome"] in ("applied", "merged")


async def pull(phone: Phone) -> None:
    await phone.begin("pull")
    await phone.wire.take("pull")
    await phone.end("pull")


@pytest.mark.parametrize("tapped_on_top", [0, 1])
async def test_a_tap_whose_answer_was_lost_is_not_replayed_on_top_of_the_state_that_holds_it(
    engine: Engine, phone: Phone, tapped_on_top: int
) -> None:
    """Counterexample 6. If somebody has tapped on top, nothing in the state tells of this phone: the page has to."""
    await phone.begin("push")
    await phone.wire.take("push")
    for _ in range(tapped_on_top):
        await tap(engine.replica("other"))
    await phone.end("push", lost=True)
    assert await shown(phone) == 6, "nothing is known of it yet"
    await pull(phone)
    assert await shown(phone) == 6 + tapped_on_top
    await phone.catch_up()
    assert await shown(phone) == 6 + tapped_on_top, "it was sent again, as a repeat"
    assert (await engine.fields())["taps"] == {"count": 6 + tapped_on_top}


async def test_a_tap_whose_answer_comes_first_stays_in_sight_until_the_state_that_holds_it_is_there(
    engine: Engine, phone: Phone
) -> None:
    await phone.begin("push")
    await phone.wire.take("push")
    await phone.end("push")
    assert await shown(phone) == 6
    await tap(engine.replica("other"))
    await pull(phone)
    assert await shown(phone) == 7


async def test_a_page_from_before_the_tap_was_settled_drops_nothing(engine: Engine, phone: Phone) -> None:
    """The pull was answered first, and its answer arrives last."""
    await tap(engine.replica("other"))
    await phone.begin("pull")
    await phone.wire.take("pull")
    await phone.begin("push")
    await phone.wire.take("push")
    await phone.end("push")
    await phone.end("pull")
    assert await shown(phone) == 7
    await phone.catch_up()
    assert await shown(phone) == 7
