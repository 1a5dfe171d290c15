"""Memberships are resources in one's own scope: they come and go like anything else, and lead the replica."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from client_sdk import Client, FileOfAnother, Unfit
from client_sdk.departures import Departures
from client_sdk.edits import Edits
from client_sdk.intake import Intake
from client_sdk.memberships import Memberships
from client_sdk.numbering import Numbering
from client_sdk.replica import Replica
from client_sdk.shown_changes import ShownChanges
from conflict_rules import State
from syncd.app import new_id
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.make import Parts, page, state
from tests.client_sdk.members import MATCH, Event, Memo, club, event, grant, ids, member, quarantined, revoke
from tests.support.served import Served
from tests.support.until import until


async def test_what_one_is_a_member_of_is_followed_and_brought(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    assert sam.memberships() == {MATCH: "scorer"}
    assert list(sam.scopes) == ["user:sam", MATCH]
    await sam.synced(10)
    assert await ids(sam) == ["g1"]
    assert await sam.check(MATCH, 10)


async def test_a_grant_starts_a_bootstrap_and_a_revocation_purges_and_unfollows(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    stan = await member(open_client, club_server, "stan", user="stan", scopes=[])
    await until(lambda: stan.status.state == "live")
    told: list[str] = []
    stan.on_gone(told.append)
    for _ in range(2):
        watch = stan.watch(MATCH)
        await grant(club_server, "stan", "viewer")
        assert [each.id for each in (await anext(watch)).states] == ["g1"]
        assert stan.memberships() == {MATCH: "viewer"}
        await revoke(club_server, "stan")
        await until(lambda: MATCH not in stan.scopes)
        assert (stan.memberships(), await ids(stan)) == ({}, [])
        assert stan.status.gone == ()
        await until(lambda: stan.status.state == "live")
    assert told == [MATCH] * 2


async def test_a_scope_that_was_given_by_hand_stays_followed_and_comes_back_with_a_membership(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam")
    await revoke(club_server, "sam")
    await until(lambda: sam.memberships() == {} and sam.status.gone == (MATCH,))
    assert list(sam.scopes) == ["user:sam", MATCH]
    await grant(club_server, "sam", "viewer")
    await until(lambda: sam.status.gone == ())
    assert await ids(sam) == ["g1"]


async def test_one_that_is_followed_by_hand_later_stays_too(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    await sam.follow(MATCH)
    await revoke(club_server, "sam")
    await until(lambda: sam.memberships() == {} and sam.status.gone == (MATCH,))
    assert list(sam.scopes) == ["user:sam", MATCH]


async def test_one_that_is_unfollowed_by_hand_is_left_alone_until_the_membership_ends(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    await sam.unfollow(MATCH)
    await grant(club_server, "sam", "viewer")
    await until(lambda: sam.memberships() == {MATCH: "viewer"})
    await sam.close()
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    assert list(sam.scopes) == ["user:sam"]
    assert await ids(sam) == []
    await revoke(club_server, "sam")
    await until(lambda: sam.memberships() == {})
    await grant(club_server, "sam", "viewer")
    await until(lambda: MATCH in sam.scopes)


async def test_they_are_known_offline(
    club_server: Served, olga: Client, open_client: OpenClient, tmp_path: Path
) -> None:
    await grant(club_server, "sam", "viewer", "match:m2")
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    await sam.close()
    sam = await open_client("sam", None, app=club, user="sam", scopes=[])
    assert sam.memberships() == {MATCH: "scorer", "match:m2": "viewer"}
    assert set(sam.scopes) == {MATCH, "match:m2", "user:sam"}
    assert await ids(sam) == ["g1"]


async def test_a_member_removed_while_offline_has_his_queue_refused_and_kept_and_no_scope(
    club_server: Served, olga: Client, open_client: OpenClient, tmp_path: Path
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[])
    await until(lambda: MATCH in sam.scopes)
    await sam.synced(10)
    await sam.pause()
    for index in range(20):
        await sam.collection(Event).put(event(f"s{index}"))
    await revoke(club_server, "sam")
    await sam.resume()
    await sam.synced(10)
    await until(lambda: MATCH not in sam.scopes)
    assert (await sam.collection(Event).all(), sam.status.pending, sam.status.rejected) == ([], 0, 20)
    assert await quarantined(club_server, "sam") == ["forbidden"] * 20
    assert await sam.export_outbox(tmp_path / "kept.jsonl") == 20
    assert sam.status.last_error is None


async def test_whoever_begins_a_scope_is_a_member_of_it(club_server: Served, open_client: OpenClient) -> None:
    olga = await member(open_client, club_server, "olga", user="olga", scopes=[])
    told: list[str] = []
    olga.on_gone(told.append)
    await olga.collection(Event).put(event("g1"))
    await olga.synced(10)
    await until(lambda: olga.memberships() == {MATCH: "owner"})
    await until(lambda: olga.status.state == "live")
    assert (await ids(olga), told) == (["g1"], [])
    assert await olga.check(MATCH, 10)


async def test_the_own_scope_holds_what_one_puts_there(club_server: Served, open_client: OpenClient) -> None:
    olga = await member(open_client, club_server, "olga", user="olga", scopes=[])
    await olga.collection(Memo).put(Memo(id="m", owner="olga", text="mine"))
    await olga.synced(10)
    assert await olga.check("user:olga", 10)


async def test_only_some_types_and_memberships_all_the_same(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    sam = await member(open_client, club_server, "sam", user="sam", scopes=[], types=["memo"])
    assert sam.memberships() == {MATCH: "scorer"}
    await sam.synced(10)
    assert await ids(sam) == []


async def test_a_file_that_holds_the_work_of_one_account_is_not_opened_for_another(
    open_client: OpenClient, tmp_path: Path
) -> None:
    sam = await open_client("phone", None, app=club, user="sam", scopes=[])
    await sam.collection(Event).put(event("s1"))
    await sam.close()
    with pytest.raises(FileOfAnother, match="'sam', not of 'vera'"):
        await open_client("phone", None, app=club, user="vera", scopes=[])
    sam = await open_client("phone", None, app=club, user="sam", scopes=[])
    assert sam.status.pending == 1


async def test_whose_they_are_has_to_be_said(open_client: OpenClient) -> None:
    client = await open_client("phone", None, app=club)
    with pytest.raises(Unfit, match="user="):
        client.memberships()
    with pytest.raises(Unfit, match="not the id of an account"):
        await open_client("other", None, app=club, user="no such id!")


class Phone:
    """A replica of Sam's, and pages of his own scope."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.changed: list[str] = []
        shown = ShownChanges(replica, tuple, lambda scope, states: None)
        departures = Departures(replica, shown, lambda scope: None)
        self.memberships = Memberships(replica, departures, "sam", self.changed.extend)
        self.intake = Intake(replica, Numbering(replica), shown, departures, self.memberships.took)

    async def bring(self, *states: State, more: bool = False, reset: bool = False) -> list[str]:
        """Apply a page of the own scope; what is followed beside it then."""
        sent = self.replica.scopes["user:sam"].cursor
        brought = page(*states, cursor=new_id(), more=more, reset=reset, scope="user:sam")
        assert await self.intake.apply_page("user:sam", sent, self.replica.id, brought)
        return [scope for scope in self.replica.followed() if scope != "user:sam"]


def membership(of: str, version: int, role: str = "viewer", *, deleted: bool = False) -> State:
    """What Sam is in a scope."""
    made = state(version, id=of, scope="user:sam", deleted=deleted, **({} if deleted else {"of": of, "role": role}))
    return replace(made, type="membership")


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    replica = await Replica.open(tmp_path / "phone.db", club, lambda: 0, lambda: None)
    phone = Phone(replica)
    await phone.memberships.begin()
    yield phone
    await replica.close()


async def test_what_has_not_come_yet_has_not_ended(phone: Phone) -> None:
    """Invariant 11: absence from a page never means deleted."""
    assert await phone.bring(membership("match:a", 1), membership("match:b", 2)) == ["match:a", "match:b"]
    await phone.intake.lose(["user:sam"])
    assert phone.replica.followed() == ["user:sam", "match:a", "match:b"]
    assert phone.replica.memberships == {}
    assert await phone.bring(membership("match:b", 2), more=True) == ["match:a", "match:b"]
    assert await phone.bring() == ["match:b"]
    assert await phone.bring(more=True, reset=True) == ["match:b"]
    assert await phone.bring() == []


async def test_each_that_comes_changes_or_ends_has_its_scope_brought_once(phone: Phone) -> None:
    await phone.bring(membership("match:a", 1))
    await phone.bring(membership("match:b", 2))
    await phone.bring()
    assert phone.changed == ["match:a", "match:b"]
    await phone.intake.lose(["match:a"])
    await phone.bring()
    assert phone.changed == ["match:a", "match:b"]
    await phone.bring(membership("match:a", 3, "scorer"))
    await phone.bring(membership("match:b", 4, deleted=True))
    assert phone.changed == ["match:a", "match:b", "match:a", "match:b"]


async def test_one_that_ends_while_its_changes_wait_is_let_go_of_when_they_are_settled(phone: Phone) -> None:
    await phone.bring(membership("match:a", 1))
    await phone.intake.apply_page("match:a", None, phone.replica.id, page(state(1, scope="match:a"), scope="match:a"))
    edits = Edits(phone.replica)
    await edits.put("memo", "m", "user:sam", {"owner": "sam"}, None)
    draft = await edits.put("event", "e", "match:a", {"match_id": "a"}, None)
    assert await phone.bring(membership("match:a", 2, deleted=True)) == ["match:a"]
    assert phone.replica.outbox.shown_in("match:a") == []
    assert [entry.change.id for entry in phone.replica.outbox.waiting()] == ["m", "e"]
    settlement = Parts(phone.replica).settlement
    assert draft.entry is not None
    await settlement.reject([draft.entry], "forbidden", "not any more")
    await phone.intake.lose(["match:a"])
    assert phone.replica.followed() == ["user:sam"]


async def test_one_that_says_nothing_that_can_be_read_is_passed_over(phone: Phone) -> None:
    nonsense = replace(state(1, id="x", scope="user:sam", of="no scope!", role=3), type="membership")
    assert await phone.bring(nonsense, membership("match:a", 2)) == ["match:a"]
