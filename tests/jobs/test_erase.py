"""A person goes and the facts stay: nothing that was marked is left in the files, and every copy is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.scrubbed import by_scrubber
from conflict_rules.wire import decode_state
from syncd.app import App, Intent, Resource, personal
from syncd.engine.principal import OPERATOR as RUNS_IT
from syncd.store.quarantine_file import quarantine_file
from tests.access.world import typed
from tests.jobs.forgetful_club import PASSWORD, Club, Person, bytes_of_files, club, forgetful_club
from tests.support.dribble import dribbled

PERSONAL = [
    "ann.very-own@club.example", "Annabel Arden", "Annabel's cracked phone", "id-of-Annabel", "Annabella the goalie",
    "a wish of Annabel's", "an older wish of Annabel's", "a rejected Annabel", "Annabel red", "a signature of Annabel",
    "Annabel typed this",
]  # fmt: skip
"""What must be nowhere afterwards."""
EMAIL, NAME, DEVICE, _, PLAYER, WISH, OLD_WISH, REJECTED, COLOUR, SIGNED, TYPED = PERSONAL


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path) as built:
        yield built


async def played(house: Club) -> tuple[Person, Person]:
    """Ann founds a match and Olga scores it too; each has written of Ann."""
    ann = await house.join(EMAIL, NAME, DEVICE)
    olga = await house.join("olga@club.example", "Olga", "tablet")
    goal = {"match_id": "1", "player_id": ann.id, "player_name": PLAYER, "wish": OLD_WISH, "minute": 7}
    note = {"match_id": "1", "author": ann.id}
    outcomes = await ann.push(
        "ann-phone",
        ann.change("ann-phone", "match:1", "create", "event", "goal", **goal),
        # As the SDK sends it: with what she was shown.
        ann.change("ann-phone", "match:1", "update", "event", "goal", wish=WISH, _base=1) | {"was": {"wish": OLD_WISH}},
        ann.change("ann-phone", f"user:{ann.id}", "create", "shoe", "left", owner=ann.id, colour=COLOUR),
        ann.change("ann-phone", "match:1", "create", "event", "bad", match_id="1", kind=3, wish=REJECTED),
        ann.change("ann-phone", "match:1", "create", "note", "signed", signed=SIGNED, **note),
        ann.change("ann-phone", "match:1", "create", "note", "typed", text=typed("text", TYPED), **note),
    )
    assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * 3 + ["rejected"] + ["applied"] * 2
    await house.server.parts.memberships.grant(RUNS_IT, "match:1", olga.id, "scorer")
    about_ann = {"match_id": "1", "player_id": ann.id, "player_name": PLAYER}
    outcomes = await olga.push(
        "olga-tablet",
        olga.change("olga-tablet", "match:1", "create", "event", "by-olga", wish="Olga's own wish", **about_ann),
        olga.change("olga-tablet", "match:1", "create", "event", "gone", wish="gone", **about_ann),
    )
    assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * 2
    [deleted] = await olga.push(
        "olga-tablet", olga.change("olga-tablet", "match:1", "delete", "event", "gone", _base=99)
    )
    assert deleted["outcome"] == "applied", deleted
    return ann, olga


async def pulled(person: Person, scope: str, cursor: str | None = None) -> dict[str, Any]:
    status, reply = await person.ask("POST", "/sync/v1/pull", {"scopes": {scope: cursor}, "digest": True})
    assert status == 200
    page: dict[str, Any] = reply["scopes"][scope]
    return page


async def erased(house: Club, person: Person) -> dict[str, Any]:
    status, job = await person.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
    assert status == 200, job
    return await house.finished(job, None)


async def test_nothing_that_was_marked_is_left_in_any_file(house: Club) -> None:
    ann, _ = await played(house)
    database = house.server.database
    before = database.read_bytes() + database.with_name("club.db-wal").read_bytes()
    assert [text for text in PERSONAL if text.encode() not in before] == []
    job = await erased(house, ann)
    assert job["state"] == "done", job
    await house.server.stop()
    left = bytes_of_files(database)
    assert [text for text in PERSONAL if text.encode() in left] == []
    assert b"Annabel" not in left
    assert b"Olga's own wish" in left


async def test_the_facts_stay_and_every_copy_is_told(house: Club) -> None:
    ann, olga = await played(house)
    before = await pulled(olga, "match:1")
    job = await erased(house, ann)
    assert job["state"] == "done", job
    news = await pulled(olga, "match:1", before["cursor"])
    assert not news.get("reset")
    assert {state["id"] for state in news["resources"]} == {"goal", "by-olga", "signed", "gone", "typed"}
    copy = {state["id"]: state for state in before["resources"]} | {state["id"]: state for state in news["resources"]}
    goal = copy["goal"]["fields"]
    assert goal == {"match_id": "1", "player_id": ann.id, "player_name": None, "wish": "", "minute": 7}
    assert copy["by-olga"]["fields"]["wish"] == "Olga's own wish"
    assert copy["by-olga"]["fields"]["player_name"] is None
    assert copy["signed"]["fields"]["signed"] == ""
    assert copy["typed"]["deleted"]
    # The digest that the copy comes to is the server's.
    states = [decode_state(state, "match:1") for state in copy.values()]
    assert news["digest"] == digest_text(scope_digest(states))
    assert copy == {state["id"]: state for state in (await pulled(olga, "match:1"))["resources"]}


async def test_a_repeat_of_an_old_number_still_gets_its_outcome(house: Club) -> None:
    ann, olga = await played(house)
    sent = olga.change("olga-tablet", "match:1", "update", "event", "by-olga", player_name=PLAYER, _base=99)
    [first] = await olga.push("olga-tablet", sent)
    await erased(house, ann)
    [again] = await olga.push("olga-tablet", sent)
    assert again["repeat"]
    assert (again["outcome"], again["version"]) == (first["outcome"], first["version"])
    [other] = await olga.push("olga-tablet", {**sent, "fields": {"player_name": None}})
    assert other["code"] == "id_reuse"


async def test_no_token_of_the_erased_opens_anything_and_open_sockets_end(house: Club) -> None:
    ann, olga = await played(house)
    async with house.http.ws_connect(f"{house.server.url}/sync/v1/live") as socket:
        await socket.send_json({"type": "hello", "token": ann.token})
        assert (await socket.receive_json())["type"] == "welcome"
        await erased(house, ann)
        while (message := await socket.receive(5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4401)
    status, refusal = await ann.ask("POST", "/sync/v1/pull", {"scopes": {}})
    assert status == 401, refusal
    status, refusal = await house.operate("POST", f"/admin/v1/users/{ann.id}/export")
    assert (status, refusal["code"]) == (404, "no_such_account")
    status, refusal = await olga.ask("POST", "/sync/v1/push", {"replica": "ann-phone", "schema": 1, "changes": []})
    assert (status, refusal["code"]) == (403, "foreign_replica"), "what was hers is nobody else's"
    again = await house.join(EMAIL, NAME, DEVICE)
    assert again.id != ann.id


async def test_what_is_under_way_when_the_account_is_closed_comes_too_late(house: Club) -> None:
    """The first push of a new replica, somebody let in, a link: else she had a replica, and resources, once more."""
    ann, _ = await played(house)
    change = ann.change("ann-tablet", "match:1", "create", "event", "late", match_id="1", wish=WISH)
    requests: list[tuple[str, str, object]] = [
        ("POST", "/sync/v1/push", {"replica": "ann-tablet", "schema": 1, "changes": [change]}),
        ("PUT", "/sync/v1/members", {"scope": "match:1", "user": "bob", "role": "scorer"}),
        ("POST", "/sync/v1/links", {"scope": "match:1", "label": "for Annabel's mother"}),
    ]
    told: list[tuple[int, str]] = []

    async def erase_behind(left: list[tuple[str, str, object]]) -> None:
        if not left:
            status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
            assert (status, (await house.finished(job))["state"]) == (200, "done")
            return
        status, answer = await dribbled(house.server, ann.token, *left[0], lambda: erase_behind(left[1:]))
        told.append((status, answer["code"]))

    await erase_behind(requests)
    assert told == [(401, "session_ended")] * 3
    assert await house.server.parts.store.traces.replicas_of(ann.id) == []
    assert await house.server.parts.memberships.of_user("bob") == {}
    _, reply = await house.operate("POST", "/sync/v1/pull", {"scopes": {"match:1": None, f"user:{ann.id}": None}})
    assert "late" not in {state["id"] for state in reply["scopes"]["match:1"]["resources"]}
    assert all(state.get("deleted") for state in reply["scopes"][f"user:{ann.id}"]["resources"])


async def test_what_would_go_is_told_first_and_nothing_goes(house: Club) -> None:
    ann, _ = await played(house)
    status, told = await ann.ask("POST", "/auth/v1/me/erase", {"dry_run": True})
    assert status == 200
    assert told["would_erase"] == {
        "devices": 1, "identities": 0, "api_keys": 0, "memberships": 1, "share_links": 0, "own_resources": 1,
        "replicas": 1, "quarantined": 1, "changes": 6, "resources": 3, "about": 3,
    }  # fmt: skip
    for body, code in (({}, "invalid_message"), ({"password": "another"}, "wrong_password")):
        status, refusal = await ann.ask("POST", "/auth/v1/me/erase", body)
        assert (status // 100, refusal["code"]) == (4, code)
    status, refusal = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": "ann"})
    assert (status, refusal["field"]) == (400, "confirm")
    assert (await pulled(ann, f"user:{ann.id}"))["resources"]


async def test_whoever_runs_the_server_erases_anybody_and_the_receipt_tells_nothing(house: Club) -> None:
    ann, _ = await played(house)
    status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
    assert status == 200
    job = await house.finished(job)
    assert job["receipt"] == {"replicas": 1, "own_resources": 2, "resources": 6, "history_lines": 12}
    assert job["progress"]["done"] == job["progress"]["total"]
    assert "Annabel" not in json.dumps(job)
    assert "file" not in job
    owners = {row.id: row.user for row in await house.server.parts.store.traces.replicas_of(ann.id)}
    assert owners == {}


async def test_a_question_about_a_marked_field_goes_with_it(house: Club) -> None:
    ann, olga = await played(house)
    [asked] = await olga.push(
        "olga-tablet", olga.change("olga-tablet", "match:1", "update", "event", "goal", wish="not Annabel's wish")
    )
    assert asked["outcome"] == "conflict"
    assert (await erased(house, ann))["state"] == "done"
    _, listed = await house.operate("GET", "/sync/v1/conflicts")
    assert listed["conflicts"] == []
    [goal] = [state for state in (await pulled(olga, "match:1"))["resources"] if state["id"] == "goal"]
    [after] = await olga.push(
        "olga-tablet",
        olga.change("olga-tablet", "match:1", "update", "event", "goal", wish="new", _base=goal["version"]),
    )
    assert after["outcome"] == "applied", "no dispute is left of it"
    await house.server.stop()
    assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_the_history_still_tells_what_happened(house: Club) -> None:
    ann, olga = await played(house)
    await erased(house, ann)
    _, history = await olga.ask("GET", "/sync/v1/history?type=event&id=goal")
    assert [(line["op"], line["outcome"]) for line in history["changes"]] == [
        ("create", "applied"), ("update", "applied"), ("update", "applied"), ("update", "applied"),
    ]  # fmt: skip
    assert history["changes"][0]["fields"] == {"match_id": "1", "player_id": ann.id, "minute": 7}
    status, _ = await olga.ask("GET", "/sync/v1/explain?type=event&id=goal")
    assert status == 200


async def test_what_somebody_else_replayed_is_still_what_she_sent(house: Club) -> None:
    ann, olga = await played(house)
    await olga.push("t", olga.change("t", "match:2", "create", "event", "first", match_id="2"))
    [refused] = await ann.push(
        "ann-phone", ann.change("ann-phone", "match:2", "create", "event", "late", match_id="2", wish=WISH)
    )
    assert refused["code"] == "forbidden"
    number = {"replica": "ann-phone", "n": ann.numbers["ann-phone"]}
    status, replayed = await house.operate("POST", "/sync/v1/quarantine/replay", {"items": [number]})
    assert (status, replayed["results"][0]["result"]) == (200, "replayed"), replayed
    assert (await erased(house, ann))["state"] == "done"
    [late] = [state for state in (await pulled(olga, "match:2"))["resources"] if state["id"] == "late"]
    assert late["fields"] == {"match_id": "2", "wish": ""}
    await house.server.stop()
    assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_whoever_leaves_takes_the_links_along_that_she_made(house: Club) -> None:
    ann, _ = await played(house)
    link = {"of": "match:1", "label": "for Annabel's mother", "by": ann.id, "secret_hash": "00"}
    draft = {"scope": f"user:{ann.id}", "type": "share_link", "id": "link-1", "op": "create", "base": 0, "fields": link}
    [made] = await house.server.parts.pusher.act([draft], RUNS_IT, commanded=True)
    assert made["outcome"] == "applied", made
    ended: list[Any] = []
    work: Any = house.server.parts.jobs._works["erase"]
    work._end_links = ended.append
    assert (await erased(house, ann))["receipt"]["own_resources"] == 3
    assert ended == [{"link-1"}]
    await house.server.stop()
    assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_a_file_of_the_quarantine_keeps_which_and_not_what(tmp_path: Path) -> None:
    async with club(tmp_path) as house:
        house.server.parts.quarantine._bounds = type(house.server.parts.quarantine._bounds)(changes=1)
        ann, olga = await played(house)
        for person, replica in ((ann, "ann-phone"), (olga, "olga-tablet")):
            bad = [person.change(replica, "match:1", "create", "event", f"{replica}-{i}", wish=REJECTED, kind=i)
                   for i in range(3)]  # fmt: skip
            await person.push(replica, *bad)
        await house.server.parts.quarantine.keep_bounds()
        file = quarantine_file(house.server.database)
        before = [json.loads(line) for line in file.read_text().splitlines()]
        assert (await erased(house, ann))["state"] == "done"
        after = [json.loads(line) for line in file.read_text().splitlines()]
        assert [(line["replica"], line["n"]) for line in after] == [(line["replica"], line["n"]) for line in before]
        assert {line["replica"] for line in after if line["change"]} == {"olga-tablet"}


async def test_a_function_of_the_app_that_fails_is_told_and_the_erasure_goes_on_when_it_is_mended(
    tmp_path: Path,
) -> None:
    app = forgetful_club()
    right = app._erasures["note"]

    def wrong(note: Any, user: str) -> None:
        raise ValueError(note.signed)

    async with club(tmp_path, app) as house:
        ann, _ = await played(house)
        app._erasures["note"] = wrong
        job = await erased(house, ann)
        assert (job["state"], job["message"]) == ("failed", "The app's on_erase function for note raised an error.")
        app._erasures["note"] = right
        status, again = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
        assert (status, again["id"]) == (200, job["id"])
        assert (await house.finished(again))["state"] == "done"
        await house.server.stop()
        assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_an_erasure_that_was_stopped_goes_on_at_the_next_start(house: Club) -> None:
    ann, _ = await played(house)
    jobs = house.server.parts.jobs
    reached, never = asyncio.Event(), asyncio.Event()
    work: Any = jobs._works["erase"]

    async def stops(_: object) -> None:
        reached.set()
        await never.wait()

    work._file.wipe = stops
    _, job = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
    await asyncio.wait_for(reached.wait(), 10)
    await house.server.stop()
    await house.server.start()
    job = await house.finished(await told_of(house, job["id"]))
    assert job["state"] == "done"


async def told_of(house: Club, id: str) -> dict[str, Any]:
    _, job = await house.operate("GET", f"/auth/v1/jobs/{id}")
    told: dict[str, Any] = job
    return told


async def test_what_was_sent_under_an_older_version_of_the_app_goes_whole(tmp_path: Path) -> None:
    app = forgetful_club(version=2)

    @app.upgrade(from_version=1, type="event")
    def renamed(change: Any) -> Any:
        return change.renamed("hope", "wish")

    async with club(tmp_path, app) as house:
        ann = await house.join(EMAIL, NAME, DEVICE)
        [made] = await ann.push(
            "p", ann.change("p", "match:1", "create", "event", "goal", match_id="1", hope=WISH, minute=7)
        )
        assert made["outcome"] == "applied", made
        assert (await erased(house, ann))["state"] == "done"
        _, told = await house.operate("GET", "/sync/v1/explain?type=event&id=goal")
        assert {each["field"]: each["value"] for each in told["fields"]} == {"match_id": "1", "minute": 7, "wish": ""}
        await house.server.stop()
        assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_a_question_about_what_goes_takes_its_texts_along(house: Club) -> None:
    ann, olga = await played(house)
    note = {"match_id": "1", "author": ann.id, "title": "Annabel's side of it"}
    made = [
        ann.change("ann-phone", "match:1", "create", "note", "whole", **note),
        ann.change("ann-phone", "match:1", "create", "note", "in-part", signed="Annabel's hand", **note),
    ]
    assert {each["outcome"] for each in await ann.push("ann-phone", *made)} == {"applied"}
    disputed = [
        olga.change("olga-tablet", "match:1", "update", "note", "whole", title="what Annabel should have said"),
        olga.change("olga-tablet", "match:1", "update", "note", "in-part", signed="not Annabel's hand"),
        olga.change("olga-tablet", "match:1", "update", "note", "in-part", title="a title that Olga prefers"),
    ]
    assert {each["outcome"] for each in await olga.push("olga-tablet", *disputed)} == {"conflict"}
    before = await pulled(olga, "match:1")
    assert [each["fields"]["status"] for each in before["resources"] if each["type"] == "conflict"] == ["open"] * 3
    assert (await erased(house, ann))["state"] == "done"
    news = await pulled(olga, "match:1", before["cursor"])
    questions = [each for each in news["resources"] if each["type"] == "conflict"]
    assert [each.get("deleted") for each in questions] == [True] * 2
    everything = (await pulled(olga, "match:1"))["resources"]
    [left] = [each for each in everything if each["type"] == "conflict" and "fields" in each]
    assert (left["fields"]["status"], left["fields"]["field"]) == ("open", "title"), "what stays can still be settled"
    # Hers all the same, in a note that the app has said is to stay.
    assert left["fields"]["accepted"] == "Annabel's side of it"
    await house.server.stop()
    files = bytes_of_files(house.server.database)
    assert [text for text in (b"what Annabel", b"not Annabel", b"Annabel's hand") if text in files] == []


async def test_what_was_deleted_before_goes_too(house: Club) -> None:
    ann, olga = await played(house)
    hers = {"match_id": "1", "author": ann.id}
    made = [
        ann.change("ann-phone", "match:1", "create", "note", "early", title="Annabel's first note", **hers),
        ann.change("ann-phone", "match:1", "update", "note", "early", title="Annabel's better note", _base=99),
        ann.change("ann-phone", "match:1", "delete", "note", "early", _base=99),
    ]
    assert {each["outcome"] for each in await ann.push("ann-phone", *made)} == {"applied"}
    olgas = {"match_id": "1", "author": olga.id, "title": "Olga's note"}
    others = [
        olga.change("olga-tablet", "match:1", "create", "note", "olgas", **olgas),
        olga.change("olga-tablet", "match:1", "delete", "note", "olgas", _base=99),
    ]
    assert {each["outcome"] for each in await olga.push("olga-tablet", *others)} == {"applied"}
    before = await pulled(olga, "match:1")
    assert (await erased(house, ann))["state"] == "done"
    news = {each["id"]: each for each in (await pulled(olga, "match:1", before["cursor"]))["resources"]}
    assert by_scrubber(news["early"]["origin"][0]), "devices are told to forget what it held"
    assert "olgas" not in news
    _, history = await olga.ask("GET", "/sync/v1/history?type=note&id=early")
    assert [(line["op"], line.get("fields")) for line in history["changes"]] == [
        ("create", None), ("update", None), ("delete", None), ("delete", None),
    ]  # fmt: skip
    _, history = await olga.ask("GET", "/sync/v1/history?type=note&id=olgas")
    assert history["changes"][0]["fields"] == olgas
    await house.server.stop()
    assert b"Annabel" not in bytes_of_files(house.server.database)


async def test_whoever_sent_the_first_change_of_it_has_made_it(house: Club) -> None:
    ann, olga = await played(house)
    told = {"match_id": "1", "wish": "Olga's own wish"}
    await olga.push("olga-tablet", olga.change("olga-tablet", "match:1", "create", "event", "told", **told))
    mine = {"match_id": "1", "wish": WISH}
    outcomes = await ann.push(
        "ann-phone",
        ann.change("ann-phone", "match:1", "create", "event", "told", **told),
        ann.change("ann-phone", "match:1", "restore", "event", "back", **mine),
    )
    assert [each["outcome"] in ("applied", "merged") for each in outcomes] == [True] * 2, outcomes
    assert (await erased(house, ann))["state"] == "done"
    fields = {each["id"]: each.get("fields") for each in (await pulled(olga, "match:1"))["resources"]}
    assert fields["told"] == told, "another phone had told it first"
    assert fields["back"] == {"match_id": "1", "wish": ""}
    _, history = await olga.ask("GET", "/sync/v1/history?type=event&id=told")
    assert [line.get("fields") for line in history["changes"]] == [told, {"match_id": "1"}]


async def test_a_name_is_found_by_what_he_sent_under_an_older_version(tmp_path: Path) -> None:
    app = forgetful_club(version=2)

    @app.upgrade(from_version=1, type="event")
    def renamed(change: Any) -> Any:
        return change.renamed("time", "minute")

    async with club(tmp_path, app) as house:
        bob = await house.join("bob@club.example", "Bob", "phone")
        olga = await house.join("olga@club.example", "Olga", "tablet")
        goal = {"match_id": "1", "player_id": bob.id, "time": 3}
        await bob.push("p", bob.change("p", "match:1", "create", "event", "goal", **goal))
        await house.server.parts.memberships.grant(RUNS_IT, "match:1", olga.id, "scorer")
        outcomes = await olga.push(
            "t",
            olga.change("t", "match:1", "update", "event", "goal", player_name="Bob the keeper", _base=1),
            olga.change("t", "match:1", "update", "event", "goal", player_id=olga.id, player_name="Olga", _base=2),
            schema=2,
        )
        assert [each["outcome"] for each in outcomes] == ["applied"] * 2
        assert (await erased(house, bob))["state"] == "done"
        [state] = [each for each in (await pulled(olga, "match:1"))["resources"] if each["id"] == "goal"]
        assert state["fields"]["player_name"] == "Olga", "it is about somebody else by now"
        _, history = await olga.ask("GET", "/sync/v1/history?type=event&id=goal")
        assert [line.get("fields") for line in history["changes"]] == [
            {"player_id": bob.id}, None, {"player_id": olga.id},
        ]  # fmt: skip
        await house.server.stop()
        assert b"Bob the keeper" not in bytes_of_files(house.server.database)


async def test_wherever_it_is_stopped_the_next_run_ends_right(tmp_path: Path) -> None:
    """After each of its writes, one after the other: a person for each, until one is erased in one go."""
    app = forgetful_club(version=2)

    @app.upgrade(from_version=1)
    def same(change: Any) -> Any:
        return change

    async with club(tmp_path, app) as house:
        olga = await house.join("olga@club.example", "Olga", "tablet")
        work: Any = house.server.parts.jobs._works["erase"]
        publish, rewrite = work._scrubber._publish, work._traces.rewrite
        left = 0

        def count_down() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise RuntimeError("the server was stopped")

        def published(*args: Any) -> None:
            publish(*args)
            count_down()

        async def rewritten(rows: Any) -> None:
            await rewrite(rows)
            if rows:
                count_down()

        work._scrubber._publish, work._traces.rewrite = published, rewritten
        for writes in range(1, 99):
            ann, match = await wrote(house, olga, writes)
            left = writes
            status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
            assert status == 200
            job = await house.finished(job)
            in_one_go = job["state"] == "done"
            if not in_one_go:
                left = -1
                _, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
                assert (await house.finished(job))["state"] == "done"
            states = {each["id"]: each for each in (await pulled(olga, match))["resources"]}
            assert by_scrubber(states[f"early-{writes}"]["origin"][0])
            assert states[f"late-{writes}"]["deleted"]
            if in_one_go:
                break
        assert 8 < writes < 99
        await house.server.stop()
        assert b"annabel" not in bytes_of_files(house.server.database).lower()


async def wrote(house: Club, olga: Person, number: int) -> tuple[Person, str]:
    """Somebody of whom there is something to go in every step, and where it is."""
    match, phone, tablet = f"match:{number}", f"ann-{number}", f"olga-{number}"
    goal, early, late = f"goal-{number}", f"early-{number}", f"late-{number}"
    ann = await house.join(f"annabel-{number}@club.example", "Annabel", "Annabel's phone")
    event, hers = {"match_id": str(number), "player_id": ann.id}, {"match_id": str(number), "author": ann.id}
    made = [
        ann.change(phone, match, "create", "event", goal, wish="Annabel's wish", **event),
        ann.change(phone, match, "create", "note", early, title="Annabel's first", **hers),
        ann.change(phone, match, "delete", "note", early, _base=99),
        ann.change(phone, match, "create", "note", late, title="Annabel's last", **hers),
        ann.change(phone, f"user:{ann.id}", "create", "shoe", f"shoe-{number}", owner=ann.id, colour="Annabel red"),
    ]
    assert {each["outcome"] for each in await ann.push(phone, *made)} == {"applied"}
    await house.server.parts.memberships.grant(RUNS_IT, match, olga.id, "scorer")
    about = [
        olga.change(tablet, match, "update", "event", goal, player_name="Annabel A.", _base=1),
        olga.change(tablet, match, "update", "event", goal, wish="what Annabel wishes"),
        olga.change(tablet, match, "update", "event", goal, player_id=olga.id, player_name="Olga", _base=6),
        olga.change(tablet, match, "update", "note", late, title="what Annabel said"),
    ]
    outcomes = await olga.push(tablet, *about, schema=2)
    assert [each["outcome"] for each in outcomes] == ["applied", "conflict", "applied", "conflict"], outcomes
    return ann, match


def pledges() -> App:
    app = App("club", 1)

    @app.resource(scope="match:{match_id}")
    class Pledge(Resource):
        match_id: str
        who: str | None = None
        label: str | None = personal(of="who")
        hope: str = personal("")

    return app


def pledges_renamed() -> App:
    app = App("club", 2)

    @app.resource(scope="match:{match_id}")
    class Pledge(Resource):
        match_id: str
        who: str | None = None
        name: str | None = personal(of="who", formerly=("label",))
        wish: str = personal("", formerly=("hope",))

    @app.upgrade(from_version=1, type=Pledge)
    def renamed(change: Intent) -> Intent:
        return change.renamed("label", "name").renamed("hope", "wish")

    return app


async def test_what_is_stored_under_a_name_that_a_field_had_before_goes_too(tmp_path: Path) -> None:
    """Upgrades lift changes, not what is stored."""
    async with club(tmp_path, pledges()) as house:
        ann = await house.join(EMAIL, NAME, DEVICE)
        fields = {"match_id": "1", "who": ann.id, "label": PLAYER, "hope": WISH}
        [made] = await ann.push("p", ann.change("p", "match:1", "create", "pledge", "a", **fields))
        assert made["outcome"] == "applied", made
        await house.server.stop()
        await house.server.start(pledges_renamed())
        status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
        assert (status, (await house.finished(job))["state"]) == (200, "done")
        _, reply = await house.operate("POST", "/sync/v1/pull", {"scopes": {"match:1": None}})
        [pledge] = reply["scopes"]["match:1"]["resources"]
        assert pledge["fields"] == {"match_id": "1", "who": ann.id, "label": None, "hope": ""}
        await house.server.stop()
        assert b"Annabel" not in bytes_of_files(house.server.database)
