"""Law 4 where a replica goes by another id since: the page speaks of the id under which something is in doubt."""

from __future__ import annotations

from pathlib import Path

from client_sdk.numbering import Numbering
from conflict_rules import COUNTER
from tests.client_sdk.interleavings import Other, Phone, app_with
from tests.support.engine import open_engine


async def test_an_increment_shows_once_though_settled_ones_of_an_earlier_id_are_still_shown(tmp_path: Path) -> None:
    app = app_with(COUNTER)
    async with open_engine(tmp_path / "server.db", app=app) as engine:
        phone = Phone(engine, app, tmp_path / "phone.db", "main")
        await phone.start()
        await phone.edits.put("thing", "x", "main", {"v": 1}, None)
        await phone._whole("push")
        assert len(phone.replica.outbox.shown_in("main")) == 1, "settled, and not pulled yet"
        numbering = Numbering(phone.replica)
        await phone.replica.write(lambda: numbering.make_anew([], keep_base=True))

        await phone.edits.update("thing", "x", {"v": {"increment": 4}}, None)
        await phone.begin("push")
        await phone.wire.take("push")
        await phone.end("push", lost=True)
        other = Other(engine, "s", "main", COUNTER)
        await other.look()
        other.make("x", {"v": {"increment": 16}}, "update")
        await other.send()

        await phone._whole("pull")
        assert (await phone.shown())["x"].fields == {"v": 21}
        await phone.catch_up()
        assert (await phone.shown())["x"].fields == {"v": 21}
        await phone.stop()
