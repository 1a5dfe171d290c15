"""What each role may see and change, on a real engine: a club whose matches have viewers, scorers and owners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import conflict_id
from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state
from syncd.app import App, Intent, Resource, private, roles
from syncd.documents.limits import WorkerLimits
from syncd.documents.pool import DocumentPool
from syncd.engine.authorise import Authoriser, membership_id
from syncd.engine.conflict_inbox import ConflictInbox
from syncd.engine.history import History
from syncd.engine.principal import OPERATOR, Principal
from syncd.engine.pull import ScopePage
from syncd.engine.rights import MOST_KNOWN, RightsOf
from syncd.engine.sight import Sight
from syncd.errors import Forbidden, InvalidMessage
from tests.access.world import typed
from tests.support.engine import Engine, Replica, open_engine, user
from tests.support.roles_club import roles_club

MATCH = "match:m1"
OWNER, SCORER, VIEWER, STRANGER = map(user, ("olga", "sam", "vera", "stan"))


def diaries() -> App:
    """Viewers see no diaries, and owners alone set moods."""
    app = App("diaries")
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Entry(Resource):
        match_id: str
        text: str = ""
        diary: str = private("", read="scorer")
        mood: str = private("", read="viewer", write="owner")

    return app


def journals() -> App:
    """The next version: diaries are journals now, and moods verdicts."""
    app = App("diaries", version=2)
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Entry(Resource):
        match_id: str
        text: str = ""
        journal: str = private("", read="scorer", formerly=("diary",))
        verdict: str = private("", read="viewer", write="owner", formerly=("mood",))

    @app.upgrade(from_version=1, type=Entry)
    def renamed(change: Intent) -> Intent:
        return change.renamed("diary", "journal").renamed("mood", "verdict")

    return app


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "club.db", app=roles_club()) as engine:
        yield engine


def event(replica: Replica, id: str, **fields: Any) -> dict[str, Any]:
    return replica.change("create", id, 0, _type="event", _scope=MATCH, match_id="m1", **fields)


async def found(engine: Engine) -> Replica:
    """A match that Olga has begun, with a goal, a lineup, a scorer and a viewer."""
    olga = engine.replica("olga-phone", principal=OWNER)
    goal = event(olga, "g1", player="Ann", rating=7)
    lineup = olga.change("create", "l1", 0, _type="lineup", _scope=MATCH, match_id="m1", names=["Ann"])
    outcomes = await olga.push(goal, lineup)
    assert [outcome["outcome"] for outcome in outcomes] == ["applied", "applied"]
    for name, role in (("sam", "scorer"), ("vera", "viewer")):
        await engine.memberships.grant(OWNER, MATCH, name, role)
    return olga


async def disputed(engine: Engine) -> None:
    """The score of the goal is asked about."""
    olga = await found(engine)
    await olga.push(olga.change("update", "g1", 1, _type="event", _scope=MATCH, score=1))
    tablet = engine.replica("olga-tablet", principal=OWNER)
    [asked] = await tablet.push(tablet.change("update", "g1", 1, _type="event", _scope=MATCH, score=2))
    assert asked["outcome"] == "conflict"


async def link(engine: Engine, by: Principal = OWNER) -> Principal:
    """Whoever holds a share link of the match."""
    return await engine.links.open((await engine.links.make(by, MATCH)).text)


async def pulled(engine: Engine, principal: Principal, scope: str = MATCH, cursor: str | None = None) -> ScopePage:
    return (await engine.puller.pull(None, {scope: cursor}, 1 << 20, principal=principal, digest=True))[scope]


async def stated(engine: Engine, principal: Principal) -> list[dict[str, Any]]:
    """The states that somebody is shown of the match."""
    return [json.loads(body) for body in (await pulled(engine, principal)).bodies]


async def seen(engine: Engine, principal: Principal, scope: str = MATCH) -> dict[str, dict[str, Any]]:
    """The fields that somebody is shown of each resource, by its id."""
    page = await pulled(engine, principal, scope)
    return {state["id"]: state["fields"] for state in map(json.loads, page.bodies)}


class TestFounding:
    async def test_whoever_first_creates_something_in_a_new_scope_is_its_highest_role(self, engine: Engine) -> None:
        await found(engine)
        [membership] = (await seen(engine, OWNER, "user:olga")).values()
        assert (membership["of"], membership["role"], membership["by"]) == (MATCH, "owner", "olga")

    async def test_whoever_comes_second_is_a_stranger(self, engine: Engine) -> None:
        await found(engine)
        stan = engine.replica("stan-phone", principal=STRANGER)
        [outcome] = await stan.push(event(stan, "g2"))
        assert (outcome["outcome"], outcome["code"], outcome.get("resource")) == ("rejected", "forbidden", None)

    async def test_whoever_comes_where_the_operator_has_let_people_in_does_not_found_it(self, engine: Engine) -> None:
        """Though nothing was written there yet. When all of them have left, it is as if they had never been."""

        async def begins(who: Principal, device: str) -> str:
            phone = engine.replica(f"{who.user}-{device}", principal=who)
            [outcome] = await phone.push(event(phone, f"{device}-{who.user}"))
            return str(outcome.get("code", outcome["outcome"]))

        await engine.memberships.grant(OPERATOR, MATCH, "vera", "viewer")
        assert [await begins(who, "phone") for who in (VIEWER, STRANGER)] == ["forbidden"] * 2
        await engine.memberships.revoke(OPERATOR, MATCH, "vera")
        assert [await begins(who, "tablet") for who in (VIEWER, STRANGER)] == ["applied", "forbidden"]
        [membership] = (await seen(engine, VIEWER, "user:vera")).values()
        assert membership["role"] == "owner"

    async def test_what_is_rejected_founds_nothing(self, engine: Engine) -> None:
        stan = engine.replica("stan-phone", principal=STRANGER)
        [outcome] = await stan.push(event(stan, "g1", kind=3))
        assert outcome["code"] == "invalid_field"
        assert (await pulled(engine, STRANGER)).gone
        assert await seen(engine, STRANGER, "user:stan") == {}
        await found(engine)

    async def test_two_who_begin_the_same_scope_in_one_commit_are_one_founder_and_one_stranger(
        self, engine: Engine
    ) -> None:
        phones = [engine.replica(f"{who.user}-phone", principal=who) for who in (OWNER, STRANGER)]
        replies = await asyncio.gather(*(phone.push(event(phone, f"g-{phone.id}")) for phone in phones))
        assert sorted(reply[0]["outcome"] for reply in replies) == ["applied", "rejected"]

    async def test_some_scopes_only_certain_accounts_may_begin(self, engine: Engine) -> None:
        admin = user("ada", "admin")
        outcomes = []
        for who in (STRANGER, admin):
            phone = engine.replica(f"{who.user}-phone", principal=who)
            outcomes += await phone.push(
                phone.change("create", f"c-{who.user}", 0, _type="court", _scope=f"court:c-{who.user}")
            )
        assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "applied"]


class TestReading:
    async def test_each_role_is_shown_what_it_may_see_and_strangers_nothing(self, engine: Engine) -> None:
        await found(engine)
        whole = {"match_id": "m1", "player": "Ann", "rating": 7}
        assert (await seen(engine, OPERATOR))["g1"] == whole
        assert await seen(engine, OWNER) == {"g1": whole, "l1": {"match_id": "m1", "names": ["Ann"]}}
        assert await seen(engine, SCORER) == await seen(engine, OWNER)
        assert await seen(engine, VIEWER) == {"g1": {"match_id": "m1", "player": "Ann"}}
        assert await seen(engine, await link(engine)) == {"g1": {"match_id": "m1"}}
        for nobody in (STRANGER, replace(await link(engine), scope="match:other"), user("olga", suspended=True)):
            assert (await pulled(engine, nobody)).gone

    async def test_a_scope_that_never_was_looks_like_one_that_may_not_be_seen(self, engine: Engine) -> None:
        await found(engine)
        assert await pulled(engine, STRANGER) == await pulled(engine, STRANGER, "match:never")

    async def test_a_role_that_is_raised_starts_the_scope_over(self, engine: Engine) -> None:
        """Counterexample 11: what was hidden below his cursor would never reach him."""
        await found(engine)
        before = await pulled(engine, VIEWER)
        assert not (await pulled(engine, VIEWER, cursor=before.cursor)).reset
        await engine.memberships.grant(OWNER, MATCH, "vera", "scorer")
        after = await pulled(engine, VIEWER, cursor=before.cursor)
        assert (after.reset, len(after.bodies)) == (True, 2)

    async def test_what_everybody_is_who_is_signed_in_opens_a_public_scope(self, engine: Engine) -> None:
        admin = user("ada", "admin")
        phone = engine.replica("ada-phone", principal=admin)
        await phone.push(phone.change("create", "c1", 0, _type="court", _scope="court:c1"))
        assert list(await seen(engine, STRANGER, "court:c1")) == ["c1"]

    async def test_an_account_wide_role_may_count_everywhere(self, engine: Engine) -> None:
        await found(engine)
        assert await seen(engine, user("ada", "admin")) == await seen(engine, OWNER)

    async def test_what_is_not_declared_is_kept_from_those_from_whom_a_field_is_hidden(self, engine: Engine) -> None:
        """It may be that field, by another name. They do not set it either, nor learn by trying what it says."""
        olga = await found(engine)
        await olga.push(olga.change("update", "g1", 9, _type="event", _scope=MATCH, nickname="Annie"))
        assert (await seen(engine, OWNER))["g1"]["nickname"] == "Annie"
        assert "nickname" not in (await seen(engine, SCORER))["g1"]
        sam = engine.replica("sam-phone", principal=SCORER)
        for name in ("Annie", "Nan"):
            [outcome] = await sam.push(sam.change("update", "g1", 9, _type="event", _scope=MATCH, nickname=name))
            assert outcome["code"] == "forbidden_field"
            assert "Annie" not in json.dumps(outcome)

    async def test_a_private_field_is_as_private_under_a_name_that_it_had_before(self, tmp_path: Path) -> None:
        """Upgrades lift changes. What is stored has the old name, until somebody edits it."""
        async with open_engine(tmp_path / "diaries.db", app=diaries()) as engine:
            olga = engine.replica("olga-phone", principal=OWNER)
            entry = {"match_id": "m1", "text": "won", "diary": "hm", "mood": "low"}
            await olga.push(olga.change("create", "e1", 0, _type="entry", _scope=MATCH, **entry))
            for name, role in (("sam", "scorer"), ("vera", "viewer")):
                await engine.memberships.grant(OWNER, MATCH, name, role)
            assert await seen(engine, VIEWER) == {"e1": {"match_id": "m1", "text": "won", "mood": "low"}}
        async with open_engine(tmp_path / "diaries.db", app=journals()) as engine:
            assert await seen(engine, OWNER) == {"e1": entry}
            assert await seen(engine, SCORER) == {"e1": entry}
            assert await seen(engine, VIEWER) == {"e1": {"match_id": "m1", "text": "won"}}
            assert await seen(engine, await link(engine)) == {"e1": {"match_id": "m1", "text": "won"}}
            sam = engine.replica("sam-phone", principal=SCORER)
            codes = {}
            for name in ("mood", "verdict", "diary", "text"):
                change = sam.change("update", "e1", 1, _type="entry", _scope=MATCH, **{name: "new"})
                [outcome] = await sam.push({**change, "schema": 2})
                codes[name] = outcome.get("code")
            assert codes == {"mood": "forbidden_field", "verdict": "forbidden_field", "diary": None, "text": None}

    async def test_the_digest_is_of_what_one_sees(self, engine: Engine) -> None:
        await found(engine)
        for who in (OPERATOR, OWNER, VIEWER, await link(engine)):
            page = await pulled(engine, who)
            states = [decode_state(json.loads(body), MATCH) for body in page.bodies]
            assert page.digest == digest_text(scope_digest(states))


class TestWriting:
    async def test_each_role_may_change_what_it_may_change(self, engine: Engine) -> None:
        await found(engine)
        told = {}
        for who in (OWNER, SCORER, VIEWER, STRANGER):
            phone = engine.replica(f"{who.user}-tablet", principal=who)
            mine = f"{who.user}-1"
            outcomes = await phone.push(
                event(phone, mine),
                phone.change("update", mine, 0, _type="event", _scope=MATCH, rating=3),
                phone.change("create", mine, 0, _type="lineup", _scope=MATCH, match_id="m1"),
                phone.change("delete", mine, 0, _type="event", _scope=MATCH),
            )
            told[who.user] = [outcome.get("code", outcome["outcome"]) for outcome in outcomes]
        assert told == {
            "olga": ["applied"] * 4,
            "sam": ["applied", "forbidden_field", "forbidden", "applied"],
            "vera": ["forbidden"] * 4,
            "stan": ["forbidden"] * 4,
        }

    async def test_a_field_that_may_not_be_set_may_be_told_as_it_stands_by_whoever_is_shown_it(
        self, engine: Engine
    ) -> None:
        """Under `lww` a change carries every field that its replica knows. Who is not shown it learns nothing so."""
        olga = await found(engine)
        await olga.push(olga.change("update", "g1", 1, _type="event", _scope=MATCH, secret="word"))
        sam = engine.replica("sam-phone", principal=SCORER)
        told: dict[str, str | None] = {}
        for name, value in (("rating", 7), ("rating", 6), ("secret", "word"), ("secret", "none")):
            change = sam.change("update", "g1", 2, _type="event", _scope=MATCH, kind="save", **{name: value})
            [outcome] = await sam.push(change)
            told[f"{name} {value}"] = outcome.get("code")
        refused = "forbidden_field"
        assert told == {"rating 7": None, "rating 6": refused, "secret word": refused, "secret none": refused}

    async def test_the_answer_to_a_change_shows_no_more_than_a_pull(self, engine: Engine) -> None:
        await found(engine)
        sam = engine.replica("sam-phone", principal=SCORER)
        [outcome] = await sam.push(sam.change("update", "g1", 1, _type="event", _scope=MATCH, rating=1))
        assert outcome["resource"]["fields"]["rating"] == 7
        vera = engine.replica("vera-phone", principal=VIEWER)
        [outcome] = await vera.push(vera.change("update", "g1", 1, _type="event", _scope=MATCH, player="Bo"))
        assert outcome["resource"]["fields"] == {"match_id": "m1", "player": "Ann"}

    async def test_of_what_lives_elsewhere_nobody_is_told_that_it_is_there(self, engine: Engine) -> None:
        await found(engine)
        stan = engine.replica("stan-phone", principal=STRANGER)
        outcomes = await stan.push(
            stan.change("update", "g1", 0, _type="event", _scope="", kind="foul"),
            stan.change("update", "never", 0, _type="event", _scope="", kind="foul"),
        )
        for outcome in outcomes:
            outcome.pop("n")
        assert outcomes[0] == {**outcomes[1], "message": outcomes[1]["message"].replace("'never'", "'g1'")}

    @pytest.mark.parametrize("op", ["update", "delete", "settle", "restore"])
    async def test_nor_if_he_names_a_scope_of_his_own(self, engine: Engine, op: str) -> None:
        """Whose id is taken, only a change that would make it anew here is told."""
        await found(engine)
        stan = engine.replica("stan-phone", principal=STRANGER)
        own = event(stan, "g9") | {"scope": "match:stans"}
        own["fields"] = {"match_id": "stans"}
        fields = {} if op in ("delete", "restore") else {"kind": "foul"}
        changes = [stan.change(op, name, 0, _type="event", _scope="match:stans", **fields) for name in ("g1", "never")]
        if op == "settle":
            changes = [change | {"conflict": conflict_id("event", "g1", "kind")} for change in changes]
        outcomes = await stan.push(own, *changes)
        told = [{**each, "n": 0, "message": each.get("message", "").replace("never", "g1")} for each in outcomes]
        assert told[1] == told[2]
        assert told[1].get("code") in ("unknown_resource", "nothing_to_delete")
        assert [state["id"] for state in await stated(engine, OWNER)] == ["g1", "l1"]
        sight = Sight(Authoriser(roles_club()), OWNER)
        lines: Any = (await History(engine.store, roles_club()).page("event", "g1", sight=sight))["changes"]
        assert [line["replica"] for line in lines] == ["olga-phone"]

    async def test_an_id_that_is_taken_is_told_to_whoever_may_create_it_and_to_nobody_else(
        self, engine: Engine
    ) -> None:
        await found(engine)
        stan, vera = engine.replica("stan-phone", principal=STRANGER), engine.replica("vera-phone", principal=VIEWER)
        taken = stan.change("create", "g1", 0, _type="event", _scope="match:stans", match_id="stans")
        assert (await stan.push(taken))[0]["code"] == "scope_is_for_life"
        assert (await pulled(engine, STRANGER, "match:stans")).gone, "nothing was begun by that"
        other = stan.change("create", "g1", 0, _type="event", _scope="user:olga", match_id="m1")
        assert (await stan.push(other))[0]["code"] == "forbidden"
        moved = vera.change("update", "g1", 0, _type="event", _scope="user:vera", kind="foul")
        assert (await vera.push(moved))[0]["code"] == "forbidden", "she sees it, and may not change it"

    async def test_whoever_sees_no_conflicts_does_not_learn_of_one_by_its_id(self, engine: Engine) -> None:
        await disputed(engine)
        vera = engine.replica("vera-phone", principal=VIEWER)
        told = []
        for name in (conflict_id("event", "g1", "score"), conflict_id("event", "g1", "kind")):
            for scope in ("user:vera", MATCH):
                change = vera.change("settle", name, 0, _type="conflict", _scope=scope, status="open")
                [outcome] = await vera.push({**change, "conflict": name})
                told.append((outcome["outcome"], outcome["code"], outcome["message"].replace(name, "")))
        assert told[0] == told[2]
        assert told[1] == told[3]

    @pytest.mark.parametrize("scope", ["", "match:stans", "match:new", "user:stan", MATCH])
    @pytest.mark.parametrize("type_name", ["event", "conflict", "membership", "lineup"])
    @pytest.mark.parametrize("op", ["create", "update", "delete"])
    async def test_nobody_learns_what_is_there_by_what_he_could_not_make_anyway(
        self, engine: Engine, op: str, type_name: str, scope: str
    ) -> None:
        await disputed(engine)
        there, never = {
            "event": ("g1", "g7"),
            "conflict": (conflict_id("event", "g1", "score"), conflict_id("event", "g1", "kind")),
            "membership": (membership_id(MATCH, "vera"), membership_id(MATCH, "nobody")),
            "lineup": ("l1", "l7"),
        }[type_name]
        stan = engine.replica("stan-phone", principal=STRANGER)
        await stan.push(event(stan, "g9") | {"scope": "match:stans", "fields": {"match_id": "stans"}})
        told = []
        for name in (there, never):
            fields = {} if op == "delete" else {"match_id": "m1"}
            [outcome] = await stan.push(stan.change(op, name, 0, _type=type_name, _scope=scope, **fields))
            message = str(outcome.get("message", "")).replace(name, "")
            told.append(outcome | {"n": 0, "message": message})
        assert told[0] == told[1]

    async def test_a_page_of_conflicts_names_none_that_is_not_shown(self, engine: Engine) -> None:
        """Their ids can be worked out from what they are about: where a page goes on must be no such id either."""
        for owner, number in (("olga", "m1"), ("zoe", "m2")):
            phone, tablet = [engine.replica(f"{owner}-{n}", principal=user(owner)) for n in range(2)]
            for n in range(4):
                of = {"_type": "event", "_scope": f"match:{number}"}
                await phone.push(phone.change("create", f"{number}-{n}", 0, match_id=number, **of))
                told = [
                    await each.push(each.change("update", f"{number}-{n}", 0, score=score, **of))
                    for score, each in enumerate((phone, tablet))
                ]
                assert told[1][0]["outcome"] == "conflict"
        inbox, sight = ConflictInbox(engine.store, engine.pusher.act), Sight(Authoriser(roles_club()), OWNER)
        shown: set[str] = set()
        after: Any = ""
        while after is not None:
            page: Any = await inbox.page(after=after, limit=1, sight=sight)
            shown |= {each["id"] for each in page["conflicts"]}
            after = page["next"]
            assert after is None or after in shown
        assert shown == {conflict_id("event", f"m1-{n}", "score") for n in range(4)}

    async def test_a_document_that_is_hidden_has_no_say_in_what_is_answered(self, tmp_path: Path) -> None:
        """As when it has no room for what would be added to it."""
        pool = DocumentPool(worker_limits=WorkerLimits(document_bytes=200))
        try:
            async with open_engine(tmp_path / "club.db", app=roles_club(), documents=pool) as engine:
                olga = await found(engine)
                notes = olga.change("update", "g1", 1, _type="event", _scope=MATCH, notes=typed("notes", "x" * 150))
                assert (await olga.push(notes))[0]["outcome"] == "applied"
                full = olga.change("update", "g1", 3, _type="event", _scope=MATCH, notes=typed("notes", "y" * 100))
                assert (await olga.push(full))[0]["code"] == "document_too_large"
                stan = engine.replica("stan-phone", principal=STRANGER)
                await stan.push(event(stan, "g9") | {"scope": "match:stans", "fields": {"match_id": "stans"}})
                for name in ("g1", "never"):
                    fields = {"notes": typed("notes", "z" * 100)}
                    [outcome] = await stan.push(
                        stan.change("update", name, 0, _type="event", _scope="match:stans", **fields)
                    )
                    assert outcome["code"] == "unknown_resource"
        finally:
            await pool.close()

    async def test_made_up_kinds_of_scopes_are_not_remembered_without_end(self, engine: Engine) -> None:
        rights = RightsOf(roles_club())
        for n in range(3 * MOST_KNOWN):
            rights.at(roles_club().scope_access(f"x{n}"), 0)
        assert len(rights) <= MOST_KNOWN

    async def test_a_share_link_only_reads(self, engine: Engine) -> None:
        await found(engine)
        who = await link(engine)
        guest = engine.replica("guest", principal=who)
        for tries in (
            guest.push(event(guest, "g2")),
            engine.memberships.grant(who, MATCH, "stan", "owner"),
            engine.memberships.revoke(who, MATCH, "sam"),
            engine.links.make(who, MATCH, label="a text to be kept"),
        ):
            with pytest.raises(Forbidden) as refused:
                await tries
            assert refused.value.problem_code == "read_only"
        async with engine.store.snapshot() as snapshot:
            waiting = await snapshot.quarantine(limit=50, limit_bytes=1 << 20)
        assert not waiting.rows, "and leaves nothing behind"

    async def test_a_replica_belongs_to_whoever_first_pushed_with_it(self, engine: Engine) -> None:
        await found(engine)
        thief = engine.replica("olga-phone", principal=STRANGER)
        with pytest.raises(Forbidden) as refused:
            await thief.push(event(thief, "g2"))
        assert refused.value.problem_code == "foreign_replica"
        page = (await engine.puller.pull("olga-phone", {MATCH: None}, principal=OWNER))[MATCH]
        assert page.settled == 2
        page = (await engine.puller.pull("olga-phone", {MATCH: None}, principal=SCORER))[MATCH]
        assert page.settled == 0

    async def test_a_replica_with_a_past_of_nobodys_becomes_nobodys(self, engine: Engine) -> None:
        """One from before there were accounts, or the operator's: its id stands in the origin of what it wrote."""
        await found(engine)
        old = engine.replica("old-phone")
        sent = [event(old, "o1"), event(old, "o2", kind=3)]
        assert [outcome["outcome"] for outcome in await old.push(*sent)] == ["applied", "rejected"]
        sam = engine.replica("old-phone", principal=SCORER)
        again = await sam.push(*sent)
        assert [(outcome["outcome"], outcome["repeat"]) for outcome in again] == [("applied", True), ("rejected", True)]
        for n in (2, 999):
            sam.n = n
            new = await sam.push(event(sam, "s1"), event(sam, "s2", kind=3), event(sam, "s3", _group="g"))
            assert {(outcome["outcome"], outcome["code"]) for outcome in new} == {("rejected", "id_reuse")}
            assert not any("expected" in outcome for outcome in new)
        mixed = await sam.push(sent[0], {**event(sam, "s1"), "n": 3})
        assert [outcome.get("code", outcome["outcome"]) for outcome in mixed] == ["applied", "id_reuse"]
        async with engine.store.snapshot() as snapshot:
            assert await snapshot.owners(["old-phone"]) == {"old-phone": ""}
            assert not (await snapshot.quarantine(user="sam", limit=9, limit_bytes=9999)).rows
        assert list(await seen(engine, SCORER)) == ["g1", "l1", "o1"]
        [outcome] = await old.push(event(old, "o3"))
        assert outcome["outcome"] == "applied"

    async def test_what_a_suspended_account_sends_is_kept_and_has_no_effect(self, engine: Engine) -> None:
        await found(engine)
        olga = engine.replica("olga-tablet", principal=user("olga", suspended=True))
        [outcome] = await olga.push(event(olga, "g9"))
        assert outcome["code"] == "account_suspended"
        assert "g9" not in await seen(engine, OWNER)


class TestMemberships:
    """Law 7: they change by command only, authorised against the scope that they are about."""

    async def test_nobody_pushes_one(self, engine: Engine) -> None:
        """Counterexample 12: user 42 may write `user:42`, and memberships are resources there."""
        await found(engine)
        stan = engine.replica("stan-phone", principal=STRANGER)
        change = stan.change(
            "create", membership_id(MATCH, "stan"), 0,
            _type="membership", _scope="user:stan", of=MATCH, role="owner",
        )  # fmt: skip
        [outcome] = await stan.push(change)
        assert (outcome["outcome"], outcome["code"]) == ("rejected", "built_in_type")
        assert (await pulled(engine, STRANGER)).gone

    @pytest.mark.parametrize("by", [SCORER, VIEWER, STRANGER, user("olga", suspended=True)], ids=lambda who: who.user)
    async def test_only_who_lets_others_in_may_turn_them_away(self, engine: Engine, by: Principal) -> None:
        await found(engine)
        with pytest.raises(Forbidden):
            await engine.memberships.grant(by, MATCH, "stan", "viewer")
        with pytest.raises(Forbidden):
            await engine.memberships.revoke(by, MATCH, "vera" if by is not VIEWER else "sam")

    async def test_everybody_may_leave_and_come_back_if_he_is_let_in(self, engine: Engine) -> None:
        await found(engine)
        await engine.memberships.revoke(VIEWER, MATCH, "vera")
        assert (await pulled(engine, VIEWER)).gone
        await engine.memberships.revoke(VIEWER, MATCH, "vera")
        await engine.memberships.grant(OWNER, MATCH, "vera", "scorer")
        assert list(await seen(engine, VIEWER)) == ["g1", "l1"]

    @pytest.mark.parametrize("by", [OWNER, OPERATOR], ids=["its owner", "the operator"])
    @pytest.mark.parametrize("scope", ["user:olga", "syncd:operator"])
    async def test_nobody_is_let_into_an_accounts_own_scope(self, engine: Engine, by: Principal, scope: str) -> None:
        """Not even by its owner, or by whoever has taken her token: it would open to him when that has ended."""
        await found(engine)
        for role, who in (("owner", "olga"), ("viewer", "stan")):
            with pytest.raises(Forbidden):
                await engine.memberships.grant(by, scope, who, role)
        with pytest.raises(Forbidden):
            await engine.links.make(by, scope)
        assert await engine.memberships.of_user("olga") == {MATCH: "owner"}

    @pytest.mark.parametrize("by", [OWNER, OPERATOR], ids=["a member", "the operator"])
    async def test_a_role_that_the_scope_does_not_have_is_refused(self, engine: Engine, by: Principal) -> None:
        await found(engine)
        with pytest.raises(InvalidMessage) as refused:
            await engine.memberships.grant(by, MATCH, "stan", "referee")
        assert refused.value.problem_code == "unknown_role"
        assert await engine.memberships.of_user("stan") == {}

    async def test_nobody_gives_or_takes_a_role_above_his_own(self, tmp_path: Path) -> None:
        app = App("guild")
        app.scope("hall", roles=("guest", "keeper", "master"), manages="keeper")

        @app.resource(scope="hall:{hall}")
        class Note(Resource):
            hall: str

        async with open_engine(tmp_path / "guild.db", app=app) as engine:
            keeper, memberships = user("kim"), engine.memberships
            mia = engine.replica("mia-phone", principal=user("mia"))
            await mia.push(mia.change("create", "n1", 0, _scope="hall:h", hall="h"))
            await memberships.grant(user("mia"), "hall:h", "kim", "keeper")
            await memberships.grant(keeper, "hall:h", "gus", "guest")
            await memberships.grant(keeper, "hall:h", "gus", "keeper")
            with pytest.raises(Forbidden, match="above your own"):
                await memberships.grant(keeper, "hall:h", "gus", "master")
            with pytest.raises(Forbidden, match="above your own"):
                await memberships.grant(keeper, "hall:h", "mia", "guest")
            with pytest.raises(Forbidden, match="above your own"):
                await memberships.revoke(keeper, "hall:h", "mia")

    async def test_members_are_listed_for_members(self, engine: Engine) -> None:
        await found(engine)
        members = await engine.memberships.members(VIEWER, MATCH)
        assert [(member.user, member.role) for member in members] == [
            ("olga", "owner"),
            ("sam", "scorer"),
            ("vera", "viewer"),
        ]
        assert await engine.memberships.of_user("vera") == {MATCH: "viewer"}
        for who in (STRANGER, await link(engine)):
            with pytest.raises(Forbidden):
                await engine.memberships.members(who, MATCH)

    async def test_who_is_turned_away_finds_his_queue_in_the_quarantine(self, engine: Engine) -> None:
        await found(engine)
        sam = engine.replica("sam-phone", principal=SCORER)
        queue = [event(sam, f"q{i}") for i in range(20)]
        await engine.memberships.revoke(OWNER, MATCH, "sam")
        outcomes = await sam.push(*queue)
        assert {outcome["code"] for outcome in outcomes} == {"forbidden"}
        assert (await pulled(engine, SCORER)).gone
        async with engine.store.snapshot() as snapshot:
            waiting = await snapshot.quarantine(replica="sam-phone", limit=50, limit_bytes=1 << 20)
        assert len(waiting.rows) == 20
