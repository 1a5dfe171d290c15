"""Share links: strangers read one scope by one, see nothing private by any way, and are out when it ends."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Text

from syncd.app import open_app
from syncd.documents.pool import DocumentPool
from syncd.engine.authorise import Authoriser
from syncd.engine.document_reader import AskedDocument, DocumentReader
from syncd.engine.history import History
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.share_links import LINK_PREFIX
from syncd.engine.sight import Sight
from syncd.engine.visit import Visit, Visits
from syncd.errors import Forbidden, InvalidMessage, NotFound, Unauthenticated
from syncd.store.protocol import DocumentKey
from tests.engine.test_rights import MATCH, OWNER, SCORER, STRANGER, VIEWER, found, pulled, seen
from tests.support.engine import Engine, open_engine, user
from tests.support.onlookers import frames_of
from tests.support.roles_club import roles_club
from tests.support.until import until

NOTES = DocumentKey("event", "g1", "notes")
SECRET = "Ann limps, do not tell"


class Notes:
    """The notes on somebody's device."""

    def __init__(self) -> None:
        self.doc: Any = Doc()
        self.doc["notes"] = Text()

    @property
    def text(self) -> str:
        return str(self.doc["notes"])

    def types(self, letters: str) -> dict[str, str]:
        """At the beginning; the value of the field that brings it."""
        return self._edited(lambda text: text.insert(0, letters))

    def deletes(self, count: int) -> dict[str, str]:
        """So many letters at the beginning."""
        return self._edited(lambda text: text.__delitem__(slice(0, count)))

    def _edited(self, edit: Callable[[Any], object]) -> dict[str, str]:
        before = self.doc.get_state()
        edit(self.doc["notes"])
        return {"update": base64.b64encode(self.doc.get_update(before)).decode()}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "club.db", app=roles_club()) as engine:
        await found(engine)
        yield engine


class TestMaking:
    async def test_whoever_lets_others_in_makes_one_and_is_told_its_text_once(self, engine: Engine) -> None:
        made = await engine.links.make(OWNER, MATCH, label="For the family", lifetime_ms=60_000)
        assert made.text.startswith(LINK_PREFIX)
        [listed] = await engine.links.links(OWNER, MATCH)
        assert listed == made.link
        assert (listed.label, listed.by, listed.expires_at_ms) == ("For the family", "olga", engine.clock() + 60_000)

    async def test_the_database_does_not_hold_the_secret(self, engine: Engine, tmp_path: Path) -> None:
        secret = (await engine.links.make(OWNER, MATCH)).text.rpartition(".")[2]
        files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
        assert files
        assert not any(secret.encode() in data for data in files)

    @pytest.mark.parametrize("who", [SCORER, VIEWER, STRANGER], ids=lambda who: who.user)
    async def test_nobody_else_makes_sees_or_ends_one(self, engine: Engine, who: Principal) -> None:
        made = await engine.links.make(OWNER, MATCH)
        for refused in (engine.links.make(who, MATCH), engine.links.links(who, MATCH)):
            with pytest.raises(Forbidden):
                await refused
        with pytest.raises(NotFound):
            await engine.links.revoke(who, made.link.id)
        assert (await engine.links.open(made.text)).scope == MATCH

    async def test_of_what_nobody_has_declared_nothing_is_shared(self, tmp_path: Path) -> None:
        async with open_engine(tmp_path / "open.db", app=open_app()) as engine:
            with pytest.raises(Forbidden) as refused:
                await engine.links.make(OPERATOR, "main")
            assert refused.value.problem_code == "nothing_to_share"

    @pytest.mark.parametrize("wrong", [{"label": "x" * 101}, {"lifetime_ms": 0}, {"lifetime_ms": 10**15}])
    async def test_what_cannot_be_is_refused(self, engine: Engine, wrong: dict[str, object]) -> None:
        with pytest.raises(InvalidMessage):
            await engine.links.make(OWNER, MATCH, **wrong)  # type: ignore[arg-type]


class TestOpening:
    async def test_it_opens_its_scope_for_reading_without_anything_private(self, engine: Engine) -> None:
        guest = await engine.links.open((await engine.links.make(OWNER, MATCH)).text)
        assert guest.caller is Caller.LINK
        assert guest.user == ""
        assert await seen(engine, guest) == {"g1": {"match_id": "m1"}}
        assert (await pulled(engine, guest, "user:olga")).gone
        assert (await pulled(engine, guest, "match:other")).gone

    async def test_a_field_that_the_app_does_not_know_is_not_shown(self, engine: Engine) -> None:
        """Law 6: nobody has said that strangers may see it."""
        olga = engine.replica("olga-laptop", principal=OWNER)
        await olga.push(olga.change("update", "g1", 9, _type="event", _scope=MATCH, nickname="Annie"))
        guest = await engine.links.open((await engine.links.make(OWNER, MATCH)).text)
        assert (await seen(engine, OWNER))["g1"]["nickname"] == "Annie"
        assert "nickname" not in (await seen(engine, guest))["g1"]

    async def test_neither_marks_nor_rule_data_nor_what_a_tombstone_keeps_name_a_private_field(
        self, engine: Engine
    ) -> None:
        phones = [engine.replica(name, principal=OWNER) for name in ("olga-1", "olga-2")]
        for phone, value in zip(phones, (1, 2), strict=True):
            await phone.push(phone.change("update", "g1", 0, _type="event", _scope=MATCH, score=value, rating=value))
        guest = await engine.links.open((await engine.links.make(OWNER, MATCH)).text)
        [body] = (await pulled(engine, guest)).bodies
        state = json.loads(body)
        assert "rule_data" not in state, "whoever sees no conflicts is not told which fields are in one"
        for hidden in (b"rating", b"player", b"Ann"):
            assert hidden not in body
        await phones[0].push(phones[0].change("delete", "g1", 99, _type="event", _scope=MATCH))
        [body] = (await pulled(engine, guest)).bodies
        assert b"Ann" not in body

    async def test_what_a_replica_has_settled_is_not_told_to_whoever_has_no_name(self, engine: Engine) -> None:
        guest = await engine.links.open((await engine.links.make(OWNER, MATCH)).text)
        for who, settled in ((OWNER, 2), (OPERATOR, 2), (guest, 0)):
            page = (await engine.puller.pull("olga-phone", {MATCH: None}, principal=who))[MATCH]
            assert page.settled == settled

    @pytest.mark.parametrize("change", ["x", "", "id", "other"])
    async def test_any_other_text_opens_nothing(self, engine: Engine, change: str) -> None:
        text = (await engine.links.make(OWNER, MATCH)).text
        other = (await engine.links.make(OWNER, MATCH)).text
        wrong = {
            "x": text[:-1] + ("A" if text[-1] != "A" else "B"),
            "": text.rpartition(".")[0],
            "id": text.replace(LINK_PREFIX, f"{LINK_PREFIX}0"),
            "other": f"{text.rpartition('.')[0]}.{other.rpartition('.')[2]}",
        }[change]
        with pytest.raises(Unauthenticated) as refused:
            await engine.links.open(wrong)
        assert refused.value.problem_code == "link_unknown"


class TestDocuments:
    """A link shows no past: what was written and deleted again is part of it."""

    @pytest.fixture
    async def typed(self, tmp_path: Path) -> AsyncIterator[Engine]:
        """Sam has written of Ann in the notes, has taken it back, and written something else."""
        pool, app = DocumentPool(), roles_club()
        try:
            async with open_engine(tmp_path / "notes.db", app=app, documents=pool) as engine:
                await found(engine)
                sam, document = engine.replica("sam-phone", principal=SCORER), Notes()
                for update in (document.types(SECRET), document.deletes(len(SECRET)), document.types("2-1")):
                    [outcome] = await sam.push(sam.change("update", "g1", 0, _type="event", _scope=MATCH, notes=update))
                    assert outcome["outcome"] in ("applied", "merged"), outcome
                yield engine
        finally:
            await pool.close()

    async def test_it_brings_what_a_document_says_and_nothing_that_was_deleted(self, typed: Engine) -> None:
        app = roles_club()
        reader = DocumentReader(app, typed.store, typed.documents, History(typed.store, app))
        guest, member = (
            Sight(Authoriser(app), who)
            for who in (await typed.links.open((await typed.links.make(OWNER, MATCH)).text), VIEWER)
        )
        whole = await reader.read(AskedDocument(NOTES), member)
        assert SECRET.encode() in b"".join(whole.updates)
        since, seq = whole.since, whole.seq
        for asked in ((0, 0, None), (since, 1, None), (since, 1, b"\0"), (since, seq - 1, None)):
            part = await reader.read(AskedDocument(NOTES, *asked), guest)
            assert (part.since, part.seq) == (since, seq)
            assert SECRET.encode() not in b"".join(part.updates)
            document = Notes()
            for update in part.updates:
                document.doc.apply_update(update)
            assert document.text == "2-1"
        assert (await reader.read(AskedDocument(NOTES, since, seq), guest)).updates == []

    async def test_updates_do_not_travel_with_its_deltas(self, typed: Engine) -> None:
        guest = await typed.links.open((await typed.links.make(OWNER, MATCH)).text)
        connections = []
        for who in (guest, VIEWER):
            connection = typed.watcher.connect()
            cursor = (await pulled(typed, who)).cursor
            await typed.watcher.subscribe(connection, {MATCH: cursor}, documents=True, principal=who)
            connections.append(connection)
        sam = typed.replica("sam-laptop", principal=SCORER)
        await sam.push(sam.change("update", "g1", 0, _type="event", _scope=MATCH, notes=Notes().types("!")))
        relayed = []
        for connection in connections:
            async with asyncio.timeout(5):
                frame = await connection.take()
            assert frame is not None
            relayed.append("documents" in json.loads(frame.body))
        assert relayed == [False, True]


class TestEnding:
    async def test_when_its_time_is_over_it_opens_nothing(self, engine: Engine) -> None:
        made = await engine.links.make(OWNER, MATCH, lifetime_ms=60_000)
        engine.clock.advance(59)
        assert (await engine.links.open(made.text)).expires_at_ms == made.link.expires_at_ms
        engine.clock.advance(1)
        with pytest.raises(Unauthenticated) as refused:
            await engine.links.open(made.text)
        assert refused.value.problem_code == "link_ended"

    async def test_once_revoked_it_opens_nothing_not_even_for_who_is_in(self, engine: Engine) -> None:
        made = await engine.links.make(OWNER, MATCH)
        guest = await engine.links.open(made.text)
        await engine.links.revoke(OWNER, made.link.id)
        await engine.links.revoke(OWNER, made.link.id)
        with pytest.raises(Unauthenticated):
            await engine.links.open(made.text)
        assert (await pulled(engine, guest)).gone

    async def test_another_who_lets_people_in_may_end_it(self, engine: Engine) -> None:
        made = await engine.links.make(OWNER, MATCH)
        await engine.links.revoke(user("ada", "admin"), made.link.id)
        with pytest.raises(Unauthenticated):
            await engine.links.open(made.text)

    async def test_it_goes_with_its_makers_right_to_let_people_in(self, engine: Engine) -> None:
        await engine.memberships.grant(OPERATOR, MATCH, "oscar", "owner")
        guest = await engine.links.open((await engine.links.make(user("oscar"), MATCH)).text)
        assert not (await pulled(engine, guest)).gone
        await engine.memberships.grant(OPERATOR, MATCH, "oscar", "scorer")
        assert (await pulled(engine, guest)).gone

    async def test_one_of_somebody_who_lets_people_in_everywhere_goes_with_that_role(self, engine: Engine) -> None:
        """She is a member of nothing."""
        roles = {"ada": frozenset({"admin"})}

        async def roles_of(name: str) -> frozenset[str]:
            return roles[name]

        engine.links.roles_of = roles_of
        made = await engine.links.make(user("ada", "admin"), MATCH)
        guest = await engine.links.open(made.text)
        assert await seen(engine, guest) == {"g1": {"match_id": "m1"}}
        connection, visits = engine.watcher.connect(), Visits()
        ended: list[object] = []
        visit = Visit(engine.watcher, connection, engine.clock, ended.append, ended.append, visits)
        await visit.admit(guest)
        await visit.subscribe({MATCH: None})
        roles["ada"] = frozenset()
        visits.renew("ada", lambda _: roles["ada"])
        await until(lambda: bool(ended))
        assert await frames_of(connection) == [{"type": "gone", "scopes": [MATCH]}]
        assert (await pulled(engine, await engine.links.open(made.text))).gone
        visit.close()
        engine.watcher.disconnect(connection)

    async def test_by_a_role_that_only_a_token_says_nobody_makes_one(self, engine: Engine) -> None:
        """It would open nothing, or nobody could tell for how long."""
        with pytest.raises(Forbidden) as refused:
            await engine.links.make(user("ada", "admin"), MATCH)
        assert "your token" in refused.value.message
        assert await engine.links.links(OWNER, MATCH) == []

    @pytest.mark.parametrize("maker", [OWNER, OPERATOR], ids=["a member", "the operator"])
    async def test_whoever_watches_by_it_is_told_and_sees_no_more(self, engine: Engine, maker: Principal) -> None:
        made = await engine.links.make(maker, MATCH)
        connection = engine.watcher.connect()
        ended: list[object] = []
        visit = Visit(engine.watcher, connection, engine.clock, ended.append, ended.append, Visits())
        await visit.admit(await engine.links.open(made.text))
        await visit.subscribe({MATCH: None})
        await engine.links.revoke(maker, made.link.id)
        await until(lambda: bool(ended))
        assert await frames_of(connection) == [{"type": "gone", "scopes": [MATCH]}]
        visit.close()
        engine.watcher.disconnect(connection)

    @pytest.mark.parametrize(("maker", "ends"), [(OWNER, True), (OPERATOR, False)], ids=["olga", "the operator"])
    async def test_whoever_watches_by_it_goes_with_its_maker(
        self, engine: Engine, maker: Principal, ends: bool
    ) -> None:
        connection, visits, ended = engine.watcher.connect(), Visits(), list[object]()
        visit = Visit(engine.watcher, connection, engine.clock, ended.append, ended.append, visits)
        await visit.admit(await engine.links.open((await engine.links.make(maker, MATCH)).text))
        visits.end((), {"vera", ""})
        assert ended == []
        visits.end((), {"olga"})
        assert [type(why) for why in ended] == [Unauthenticated] * ends
        visit.close()
        engine.watcher.disconnect(connection)

    async def test_nobody_pushes_one(self, engine: Engine) -> None:
        olga = engine.replica("olga-laptop", principal=OWNER)
        [outcome] = await olga.push(
            olga.change("create", "own", 0, _type="share_link", _scope="user:olga", of=MATCH, secret_hash="x")
        )
        assert outcome["code"] == "built_in_type"
