"""What is refused leaves the view at once and says so: handle, list, status and callback."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from client_sdk import Client
from client_sdk.edits import Edits
from client_sdk.replica import Replica
from conflict_rules import Change, InvalidValue, JsonValue, Outcome, RecordRule
from conflict_rules.own import ARBITRATED, Own
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.interleavings import TYPE, app_with
from tests.client_sdk.league import Note, league
from tests.client_sdk.make import Parts, delta, page, state
from tests.support.served import Served


async def open_phone(server: Served, open_client: OpenClient) -> Client:
    return await open_client("phone", server.url, app=league)


async def test_a_refused_change_has_left_the_view_when_it_is_told(
    league_server: Served, open_client: OpenClient
) -> None:
    phone = await open_phone(league_server, open_client)
    notes = phone.collection(Note)
    await notes.put(Note(id="x", text="well played"))
    await phone.synced()
    story: list[object] = []
    notes.on_change(lambda change: story.append(change.resource.text if change.resource else None))
    phone.on_rejected(lambda change, outcome: story.append((change.id, outcome.code, outcome.field)))
    bad = await notes.update("x", text="damn")
    outcome = await bad.outcome()
    assert story == ["damn", "well played", ("x", "swearing", "text")]
    assert outcome.message == "mind your words"
    assert [(change.id, why) for change, why in await phone.rejected()] == [("x", outcome)]
    assert phone.status.rejected == 1


async def test_each_member_of_a_refused_group_is_told(league_server: Served, open_client: OpenClient) -> None:
    phone = await open_phone(league_server, open_client)
    told: list[tuple[str, str | None]] = []
    phone.on_rejected(lambda change, outcome: told.append((change.id, outcome.code)))
    notes = phone.collection(Note)
    async with phone.group():
        await notes.put(Note(id="innocent"))
        culprit = await notes.put(Note(id="culprit", text="damn"))
    await culprit.outcome()
    assert told == [("innocent", "group_rejected"), ("culprit", "swearing")]
    assert await notes.all() == []


async def test_whoever_does_not_want_to_know_any_more_is_not_told(
    league_server: Served, open_client: OpenClient
) -> None:
    phone = await open_phone(league_server, open_client)
    told: list[str] = []
    forget = phone.on_rejected(lambda change, outcome: told.append(change.id))
    await (await phone.collection(Note).put(Note(id="one", text="damn"))).outcome()
    forget()
    forget()
    await (await phone.collection(Note).put(Note(id="two", text="damn"))).outcome()
    assert told == ["one"]


async def test_a_callback_that_fails_holds_up_nothing(
    league_server: Served, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    phone = await open_phone(league_server, open_client)
    told: list[str] = []

    def fail(change: Change, outcome: Outcome) -> None:
        raise RuntimeError("of the program's own")

    phone.on_rejected(fail)
    phone.on_rejected(lambda change, outcome: told.append(change.id))
    with caplog.at_level(logging.ERROR):
        await (await phone.collection(Note).put(Note(id="one", text="damn"))).outcome()
    assert told == ["one"]
    assert "a callback for rejected changes failed" in caplog.text


async def test_an_edit_on_which_the_rule_of_an_author_fails_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    def greater(base: JsonValue, mine: JsonValue, theirs: JsonValue) -> JsonValue:
        return max(int(str(mine)), int(str(theirs)))

    app = app_with(RecordRule("greater", Own("greater", greater, ARBITRATED)))
    replica = await Replica.open(tmp_path / "phone.db", app, lambda: 0, lambda: None)
    await replica.follow(["main"])
    edits, parts = Edits(replica), Parts(replica)
    first, second = (replace(state(version, v=version), type=TYPE) for version in (1, 2))
    await parts.intake.apply_page("main", None, replica.id, page(first, cursor="c1"))
    await edits.update(TYPE, "x", {"v": 3}, None)
    await parts.intake.apply_delta(delta("c1", "c2", second))
    with pytest.raises(InvalidValue) as refused:
        await edits.update(TYPE, "x", {"v": "many"}, None)
    assert refused.value.code == "check_failed"
    shown = await replica.state((TYPE, "x"))
    assert shown is not None
    assert (shown.fields, len(replica.outbox.waiting())) == ({"v": 3}, 1)
    await replica.close()
