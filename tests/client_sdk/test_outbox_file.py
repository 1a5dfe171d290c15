"""The outbox as a file: out of one device, into another replica, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client_sdk import Client, FileUnusable, Imported, Unfit
from conflict_rules import Kind
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.league import Goal, Note, league
from tests.support.served import Served


async def filled(open_client: OpenClient, name: str = "old", **options: object) -> Client:
    """Five changes that wait, two of them a group."""
    old = await open_client(name, app=league, **options)
    goals, notes = old.collection(Goal), old.collection(Note)
    goal = Goal(id="g1", match_id="9f", side="home", minute=3)
    await goals.put(goal)
    await goals.update("g1", minute=4)
    async with old.group():
        await notes.put(Note(id="n1", text="one"))
        await notes.put(Note(id="n2", text="two"))
    await notes.delete("n2")
    return old


async def test_what_waits_goes_over_and_reaches_the_server_as_if_the_old_device_had_sent_it(
    league_server: Served, open_client: OpenClient, tmp_path: Path
) -> None:
    old = await filled(open_client)
    assert await old.export_outbox(tmp_path / "outbox.jsonl") == 5
    new = await open_client("new", league_server.url, app=league)
    assert await new.import_outbox(tmp_path / "outbox.jsonl") == Imported(made=5, known=0, rejected=0)
    assert [change.stamp.wall_ms for change in new.outbox()] == [change.stamp.wall_ms for change in old.outbox()]
    assert {change.replica for change in new.outbox()} <= {new.replica_id}
    await new.synced()
    assert await new.rejected() == []
    assert [goal.minute for goal in await new.collection(Goal).all("match:9f")] == [4]
    assert [note.id for note in await new.collection(Note).all()] == ["n1"]


async def test_importing_again_changes_nothing_also_after_a_restart_and_from_a_later_export(
    open_client: OpenClient, tmp_path: Path
) -> None:
    old = await filled(open_client)
    path = tmp_path / "outbox.jsonl"
    await old.export_outbox(path)
    new = await open_client("new", app=league)
    await new.import_outbox(path)
    assert await new.import_outbox(path) == Imported(made=0, known=5, rejected=0)
    await new.close()
    new = await open_client("new", app=league)
    await old.collection(Note).put(Note(id="n3", text="three"))
    await old.export_outbox(path)
    assert await new.import_outbox(path) == Imported(made=1, known=5, rejected=0)
    # Back to where they came from: they are there.
    await new.export_outbox(path)
    assert await old.import_outbox(path) == Imported(made=0, known=6, rejected=0)
    assert new.status.pending == old.status.pending == 6


async def test_nothing_doubles_if_the_old_device_sends_them_after_all(
    league_server: Served, open_client: OpenClient, tmp_path: Path
) -> None:
    old = await filled(open_client)
    await old.export_outbox(tmp_path / "outbox.jsonl")
    new = await open_client("new", league_server.url, app=league, scopes=["main", "match:9f"])
    await new.import_outbox(tmp_path / "outbox.jsonl")
    await new.synced()
    await old.close()
    old = await open_client("old", league_server.url, app=league)
    await old.synced()
    await new.synced()
    for client in (old, new):
        assert [goal.minute for goal in await client.collection(Goal).all("match:9f")] == [4]
        assert [note.text for note in await client.collection(Note).all()] == ["one"]


async def test_what_was_rejected_is_marked_and_tried_again_only_if_asked(
    league_server: Served, open_client: OpenClient, tmp_path: Path
) -> None:
    old = await open_client("old", league_server.url, app=league)
    await old.collection(Note).put(Note(id="bad", text="damn"))
    await old.synced()
    path = tmp_path / "outbox.jsonl"
    assert await old.export_outbox(path) == 1
    line = json.loads(path.read_text().splitlines()[1])
    assert (line["state"], line["code"]) == ("rejected", "swearing")
    new = await open_client("new", league_server.url, app=league)
    assert await new.import_outbox(path) == Imported(made=0, known=0, rejected=1)
    assert await new.import_outbox(path, rejected=True) == Imported(made=1, known=0, rejected=0)
    await new.synced()
    [(change, outcome)] = await new.rejected()
    assert (change.id, outcome.kind) == ("bad", Kind.REJECTED)


async def test_the_first_line_says_what_the_file_is(open_client: OpenClient, tmp_path: Path) -> None:
    old = await filled(open_client)
    await old.export_outbox(tmp_path / "outbox.jsonl")
    lines = (tmp_path / "outbox.jsonl").read_text().splitlines()
    header = {"format": "syncd-outbox", "version": 1, "replica": old.replica_id, "app": "league"}
    assert json.loads(lines[0]) == header
    assert [json.loads(line)["change"]["n"] for line in lines[1:]] == [1, 2, 3, 4, 5]
    assert {json.loads(line)["state"] for line in lines[1:]} == {"waiting"}


STAMP = "0193a6c0f2e1.0000.r"
HEADER = '{"format": "syncd-outbox", "version": 1}'
NOT_FIT = {
    "a letter": ("Dear Sir", "line 1: this is not JSON"),
    "another file": ('{"format": "music"}', "no exported outbox"),
    "a file of a newer SDK": ('{"format": "syncd-outbox", "version": 2}', "newer version"),
    "half a line": (f'{HEADER}\n{{"change":', "line 2: this is not JSON"),
    "a list": (f"{HEADER}\n[]", "line 2: an object"),
    "no change": (f'{HEADER}\n{{"replica": "r"}}', "line 2: a change is an object"),
    "no scope": (
        HEADER
        + '\n{"replica":"r","change":{"n":1,"type":"note","id":"x","op":"delete","base":0,"stamp":"'
        + STAMP
        + '"}}',
        "line 2: it does not say in which scope",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), NOT_FIT.values(), ids=NOT_FIT.keys())
async def test_a_file_that_does_not_fit_is_refused_before_anything_is_made(
    open_client: OpenClient, tmp_path: Path, text: str, sentence: str
) -> None:
    client = await open_client("phone")
    path = tmp_path / "outbox.jsonl"
    path.write_text(text)
    with pytest.raises(Unfit, match=sentence):
        await client.import_outbox(path)
    assert client.status.pending == 0


async def test_files_that_cannot_be_read_or_written_are_told_in_a_sentence(
    open_client: OpenClient, tmp_path: Path
) -> None:
    client = await open_client("phone")
    with pytest.raises(FileUnusable, match="cannot be read"):
        await client.import_outbox(tmp_path / "nowhere.jsonl")
    with pytest.raises(FileUnusable, match="cannot be written"):
        await client.export_outbox(tmp_path / "no" / "folder.jsonl")
