"""A copy of everything of one person, and of nobody else's private fields."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import Stamp
from syncd.app import App, Resource, roles
from syncd.engine.principal import OPERATOR as RUNS_IT
from syncd.engine.quarantine import Bounds
from syncd.store.quarantine_file import quarantine_file
from tests.access.world import typed
from tests.jobs.forgetful_club import OPERATOR, Club, Person, club


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path) as built:
        yield built


async def exported(house: Club, person: Person) -> dict[str, list[Any]]:
    """The lines of each file of an export."""
    status, job = await person.ask("POST", "/auth/v1/me/export")
    assert status == 200, job
    job = await house.finished(job, person.token)
    assert job["state"] == "done", job
    status, content = await person.ask("GET", job["file"]["url"])
    assert status == 200
    assert hashlib.sha256(content).hexdigest() == job["file"]["sha256"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    files = {
        name.removesuffix(".jsonl"): [json.loads(line) for line in text.splitlines()]
        for name, text in texts.items()
        if name.endswith(".jsonl")
    }
    assert all(f"{name}.jsonl" in texts["README.txt"] for name in files)
    assert job["receipt"] == {"lines": {name: len(lines) for name, lines in files.items()}}
    return files


async def test_an_export_holds_everything_of_one_person(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "Ann's old phone")
    await ann.push(
        "ann-phone",
        ann.change("ann-phone", "match:1", "create", "event", "goal", match_id="1", wish="a cake", player_id=ann.id),
        ann.change("ann-phone", f"user:{ann.id}", "create", "shoe", "left", owner=ann.id, colour="red"),
        ann.change("ann-phone", "match:1", "create", "event", "bad", match_id="1", kind=3),
        ann.change(
            "ann-phone", "match:1", "create", "note", "n", match_id="1", author=ann.id, text=typed("text", "hm")
        ),
    )
    files = await exported(house, ann)
    [account] = files["account"]
    assert (account["id"], account["email"], account["name"]) == (ann.id, "ann@club.example", "Ann")
    [device] = files["devices"]
    assert device["device_name"] == "Ann's old phone"
    assert [each["id"] for each in files["replicas"]] == ["ann-phone"]
    assert [(each["fields"]["of"], each["fields"]["role"]) for each in files["memberships"]] == [("match:1", "owner")]
    assert [each["fields"] for each in files["own_resources"]] == [{"owner": ann.id, "colour": "red"}]
    elsewhere = {each["id"]: each["fields"] for each in files["resources"]}
    assert set(elsewhere) == {"goal", "n"}
    assert elsewhere["goal"]["wish"] == "a cake"
    assert elsewhere["n"]["text"] == "hm"
    assert [each["outcome"] for each in files["changes"]] == ["applied", "applied", "rejected", "applied"]
    assert [each["id"] for each in files["quarantine"]] == ["bad"]
    assert files["quarantine_overflow"] == []
    secrets = json.dumps(files)
    assert "argon2" not in secrets
    assert ann.token not in secrets


async def test_no_file_of_it_has_what_opens_a_link_or_its_digest(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    await ann.push("ann-phone", ann.change("ann-phone", "match:1", "create", "event", "goal", match_id="1"))
    status, made = await ann.ask("POST", "/sync/v1/links", {"scope": "match:1", "label": "for grandma"})
    assert status == 200, made
    link = {"of": "match:1", "label": "made by hand", "secret_hash": "5ec4e7"}
    refused = await ann.push(
        "ann-phone",
        ann.change("ann-phone", f"user:{ann.id}", "create", "share_link", "by-hand", **link),
        {**ann.change("ann-phone", f"user:{ann.id}", "no such op", "share_link", "unread", **link), "was": link},
    )
    assert {each["outcome"] for each in refused} == {"rejected"}
    files = await exported(house, ann)
    assert [each["fields"]["label"] for each in files["share_links"]] == ["for grandma"]
    sent = [each["fields"]["label"] for each in files["changes"] if each.get("type") == "share_link"]
    assert sorted(sent) == ["for grandma", "made by hand"]
    assert [each["change"]["fields"]["label"] for each in files["quarantine"]] == ["made by hand"] * 2
    everything = json.dumps(files)
    assert "secret_hash" not in everything
    assert "5ec4e7" not in everything


async def overflow(house: Club, *, room: int) -> None:
    """Let the quarantine of each replica keep no more than `room` changes, nearly."""
    quarantine: Any = house.server.parts.quarantine
    # It looks after each push whether there is room: what was begun ends first.
    await quarantine.close()
    quarantine._bounds = Bounds(changes=room)
    await quarantine.keep_bounds()


async def refused(person: Person, replica: str, count: int) -> None:
    bad = [person.change(replica, "match:1", "create", "event", f"{replica}-{i}", wish=f"{replica} wishes {i}", kind=i)
           for i in range(count)]  # fmt: skip
    assert {each["outcome"] for each in await person.push(replica, *bad)} == {"rejected"}


async def test_what_the_quarantine_had_no_room_for_is_in_the_copy_of_whoever_sent_it(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    olga = await house.join("olga@club.example", "Olga", "tablet")
    for person, replica in ((ann, "ann-phone"), (olga, "olga-tablet"), (ann, "ann-laptop")):
        await refused(person, replica, 3)
    await overflow(house, room=2)
    files = await exported(house, ann)
    there = [(each["replica"], each["n"]) for each in files["quarantine_overflow"]]
    assert sorted(there) == [("ann-laptop", 1), ("ann-laptop", 2), ("ann-phone", 1), ("ann-phone", 2)]
    assert [(each["replica"], each["n"]) for each in files["quarantine"]] == [("ann-phone", 3), ("ann-laptop", 3)]
    assert "olga" not in json.dumps(files)
    [first, *_] = [each for each in files["quarantine_overflow"] if each["replica"] == "ann-phone"]
    assert first["fields"] == first["change"]["fields"] == {"wish": "ann-phone wishes 0", "kind": 0}
    assert first["quarantine"] == "exported"
    assert {"code", "message", "field"} <= first.keys(), "with the reason"


async def test_a_line_of_that_file_says_what_it_said_while_it_waited(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    stamp = str(Stamp(house.clock() - 5000, 2, "p"))
    made = ann.change("p", "match:1", "update", "event", "goal", kind=3, minute=6)
    unread = ann.change("p", "match:1", "no such op", "event", "goal", kind="shot", minute="Ann's \ud800 minute")
    await ann.push("p", {**made, "stamp": stamp, "group": "g", "was": {"minute": 5}}, unread)
    waited = (await exported(house, ann))["quarantine"]
    assert [each.get("stamp") for each in waited] == [stamp, None]
    await overflow(house, room=0)
    files = await exported(house, ann)
    assert files["quarantine"] == []
    only_in_the_ledger = {"no", "effective_stamp", "clock_ahead_ms"}
    assert files["quarantine_overflow"] == [
        {key: value for key, value in each.items() if key not in only_in_the_ledger}
        | {"quarantine": "exported", "exported_at_ms": house.clock()}
        for each in waited
    ]


async def test_of_a_file_that_was_cut_off_all_whole_lines_are_in_the_copy(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    await refused(ann, "p", 2)
    await overflow(house, room=0)
    file = quarantine_file(house.server.database)
    torn = file.read_bytes().splitlines()[-1][:-20]
    with file.open("ab") as end:
        end.write(torn)
    assert [each["n"] for each in (await exported(house, ann))["quarantine_overflow"]] == [1, 2]
    await refused(ann, "p", 1)
    await overflow(house, room=0)
    assert [each["n"] for each in (await exported(house, ann))["quarantine_overflow"]] == [1, 2, 3]


async def test_what_opens_a_link_is_not_told_from_that_file_either(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    link = {"of": "match:1", "label": "made by hand", "secret_hash": "5ec4e7"}
    await ann.push(
        "p",
        ann.change("p", f"user:{ann.id}", "create", "share_link", "by-hand", **link),
        {**ann.change("p", f"user:{ann.id}", "no such op", "share_link", "unread", **link), "was": link},
    )
    await overflow(house, room=0)
    files = await exported(house, ann)
    assert [each["change"]["fields"]["label"] for each in files["quarantine_overflow"]] == ["made by hand"] * 2
    assert "5ec4e7" not in json.dumps(files)


async def test_an_export_shows_of_others_what_its_owner_may_see_now(house: Club) -> None:
    olga = await house.join("olga@club.example", "Olga", "tablet")
    sam = await house.join("sam@club.example", "Sam", "phone")
    await olga.push(
        "olga-tablet",
        olga.change("olga-tablet", "match:1", "create", "event", "goal", match_id="1", wish="silence", rating=4),
    )
    memberships = house.server.parts.memberships
    await memberships.grant(RUNS_IT, "match:1", sam.id, "scorer")
    await sam.push("sam-phone", sam.change("sam-phone", "match:1", "update", "event", "goal", _base=1, kind="shot"))
    await olga.push(
        "olga-tablet",
        olga.change("olga-tablet", f"user:{olga.id}", "create", "shoe", "left", owner=olga.id, colour="secretly green"),
    )
    files = await exported(house, sam)
    [goal] = files["resources"]
    assert goal["fields"]["kind"] == "shot"
    assert "rating" not in goal["fields"]
    everything = json.dumps(files)
    assert "olga@" not in everything
    assert "green" not in everything

    await memberships.revoke(RUNS_IT, "match:1", sam.id)
    files = await exported(house, sam)
    assert files["resources"] == []
    assert [each["fields"] for each in files["changes"]] == [{"kind": "shot"}], "what he has sent is his"


async def test_what_a_tier_lets_somebody_see_is_in_the_copy_as_in_a_pull(tmp_path: Path) -> None:
    app = App("club")
    app.scope("match", roles=("viewer", "owner"), everywhere={"premium": "viewer"})

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="owner"))
    class Event(Resource):
        match_id: str
        kind: str = "goal"

    async with club(tmp_path, app) as house:
        ann = await house.join("ann@club.example", "Ann", "phone")
        await ann.push("p", ann.change("p", "match:1", "create", "event", "goal", match_id="1"))
        await house.server.parts.memberships.grant(RUNS_IT, "match:1", ann.id, "owner")
        await house.server.parts.memberships.revoke(RUNS_IT, "match:1", ann.id)
        assert (await exported(house, ann))["resources"] == []
        status, told = await house.operate("PUT", f"/admin/v1/users/{ann.id}/tier", {"tier": "premium"})
        assert status == 200, told
        _, reply = await ann.ask("POST", "/sync/v1/pull", {"scopes": {"match:1": None}})
        assert [each["id"] for each in reply["scopes"]["match:1"]["resources"]] == ["goal"]
        assert [each["id"] for each in (await exported(house, ann))["resources"]] == ["goal"]


async def test_of_two_questions_both_sides_get_the_one_they_are_in(house: Club) -> None:
    olga = await house.join("olga@club.example", "Olga", "tablet")
    sam = await house.join("sam@club.example", "Sam", "phone")
    await olga.push("t", olga.change("t", "match:1", "create", "event", "goal", match_id="1", minute=1))
    await house.server.parts.memberships.grant(RUNS_IT, "match:1", sam.id, "scorer")
    [asked] = await sam.push("p", sam.change("p", "match:1", "update", "event", "goal", minute=2))
    assert asked["outcome"] == "conflict"
    await olga.push("t", olga.change("t", "match:1", "create", "event", "other", match_id="1", minute=1))
    for person in (olga, sam):
        [question] = (await exported(house, person))["conflicts"]
        assert question["id"] in asked["conflicts"]


async def test_whoever_is_suspended_gets_his_own_and_nothing_that_others_may_have_changed(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    await ann.push(
        "a",
        ann.change("a", "match:1", "create", "event", "goal", match_id="1", minute=1),
        ann.change("a", f"user:{ann.id}", "create", "shoe", "left", owner=ann.id, colour="red"),
    )
    assert [each["id"] for each in (await exported(house, ann))["resources"]] == ["goal"]
    people = house.server.parts.people
    assert people is not None
    await people.standing.suspend(ann.id)
    files = await exported(house, ann)
    assert (files["resources"], files["conflicts"]) == ([], [])
    assert [each["fields"]["colour"] for each in files["own_resources"]] == ["red"]
    assert [each["id"] for each in files["changes"]] == ["goal", "left"], "what he has sent himself"
    status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"dry_run": True})
    assert (status, job["would_erase"]["resources"]) == (200, 1), "whoever erases him is told all of it"


async def test_a_file_is_its_owners_and_ends(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    bob = await house.join("bob@club.example", "Bob", "phone")
    _, job = await ann.ask("POST", "/auth/v1/me/export")
    job = await house.finished(job, ann.token)
    for path in (f"/auth/v1/jobs/{job['id']}", job["file"]["url"]):
        status, told = await bob.ask("GET", path)
        assert (status, told["code"]) == (404, "no_such_job")
    assert (await house.ask(None, "GET", f"/auth/v1/jobs/{job['id']}"))[0] == 404
    assert (await house.ask(None, "GET", job["file"]["url"]))[0] == 401
    assert (await house.ask(OPERATOR, "GET", job["file"]["url"]))[0] == 200
    path = house.server.parts.settings.results_folder / f"{job['id']}.zip"
    assert path.stat().st_mode & 0o077 == 0
    house.clock.advance(7 * 24 * 3600 + 1)
    privacy = house.server.parts.privacy
    with pytest.raises(Exception, match="no file now"):
        privacy.result(await privacy.job(job["id"]))
    assert await house.server.parts.jobs.sweep() == 1
    assert not path.exists()
    assert await house.server.parts.jobs.sweep() == 0


async def test_whoever_asks_twice_gets_one(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    (_, first), (_, second) = [await ann.ask("POST", "/auth/v1/me/export") for _ in range(2)]
    if first["id"] != second["id"]:
        # The first was done before the second came.
        assert (await house.finished(first))["state"] == "done"
    done = await house.finished(second)
    files = list(house.server.parts.settings.results_folder.iterdir())
    assert [path.name for path in files] == [f"{done['id']}.zip"]


async def test_whoever_runs_the_server_asks_for_anybody(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/export")
    assert status == 200
    assert (await house.finished(job))["receipt"]["lines"]["account"] == 1
    status, refusal = await ann.ask("POST", f"/admin/v1/users/{ann.id}/export")
    assert (status, refusal["code"]) == (403, "forbidden")
    status, refusal = await house.operate("POST", "/admin/v1/users/nobody/export")
    assert (status, refusal["code"]) == (404, "no_such_account")
    status, refusal = await house.operate("POST", "/auth/v1/me/export")
    assert (status, refusal["code"]) == (403, "no_account")
