"""Counts of share links: each request and each socket that came in by one counts, also over a restart."""

from pathlib import Path

from syncd.auth.committer import Committer
from syncd.auth.link_uses import LinkUses
from syncd.store.accounts import LinkUseRow
from tests.auth.house import House
from tests.support.accounts import ANN, Club, Member, club_with_accounts


async def test_what_was_counted_is_told_before_and_after_it_is_written_down(house: House) -> None:
    uses = LinkUses(house.store, Committer(house.store, house.revocations), house.clock)
    assert await uses.of(["l"]) == {}
    assert await uses.write() == 0
    uses.count("l")
    house.clock.advance(5)
    uses.count("l")
    first = LinkUseRow("l", 2, house.clock())
    assert await uses.of(["l", "other"]) == {"l": first}
    assert await uses.write() == 1
    assert await uses.of(["l"]) == {"l": first}
    house.clock.advance(5)
    uses.count("l")
    uses.count("other")
    assert await uses.of(["l"]) == {"l": LinkUseRow("l", 3, house.clock())}
    assert await uses.write() == 2
    assert (await uses.of(["l"]))["l"].uses == 3


async def test_whoever_made_a_link_sees_how_often_it_was_used(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path) as club:
        ann = await club.member(ANN)
        begun = {"n": 1, "scope": "match:m1", "type": "event", "id": "e", "op": "create", "fields": {"match_id": "m1"}}
        await club.ask("POST", "/sync/v1/push", {"replica": "phone", "changes": [begun]}, token=ann.access)
        made = (await club.ask("POST", "/sync/v1/links", {"scope": "match:m1"}, token=ann.access)).body
        assert await listed(club, ann) == {"uses": 0, "used_at_ms": None, "watching": 0}
        for _ in range(2):
            club.clock.advance(1)
            pull = {"replica": "r", "scopes": {"match:m1": None}}
            assert (await club.ask("POST", "/sync/v1/pull", pull, token=made["link"])).status == 200
        counted = {"uses": 2, "used_at_ms": club.clock(), "watching": 0}
        assert await listed(club, ann) == counted
        assert (await club.ask("POST", "/sync/v1/pull", pull, token=made["link"] + "x")).status == 401
        assert await listed(club, ann) == counted
    async with club_with_accounts(tmp_path) as club:
        assert await listed(club, await club.logged_in(ANN)) == counted


async def listed(club: Club, member: Member) -> dict[str, object]:
    answer = await club.ask("GET", "/sync/v1/links?scope=match:m1", token=member.access)
    assert answer.status == 200, answer
    [link] = answer.body["links"]
    return {name: link.get(name) for name in ("uses", "used_at_ms", "watching")}
