"""The sideline scorer with the SDK: taps, the clock and substitutions, without a signal and with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk import Client
from syncd.apps.grassroots import Event, Lineup, Match, Substitution, app, clock, mobile_response, moment
from tests.apps.grassroots.make import KICK_OFF, MATCH, SCOPE, a_match, after, change, listed
from tests.support.clocks import ahead
from tests.support.served import served


async def test_a_scorer_without_a_signal_has_clock_score_and_field(tmp_path: Path) -> None:
    async with Client(None, replica=tmp_path / "phone.db", app=app, scopes=[SCOPE]) as phone:
        await phone.collection(Match).put(a_match(half_minutes=25))
        await phone.collection(Lineup).put(listed("Ada"))
        await phone.collection(Match).update(MATCH, first_half_started_at=KICK_OFF.isoformat())
        match = await phone.collection(Match).get(MATCH)
        assert match is not None
        at = moment(match, after(12, 34))
        assert at is not None
        await phone.collection(Event).put(Event(match_id=MATCH, kind="goal", team="home", player="Ada", **at))
        await phone.collection(Substitution).put(
            Substitution(match_id=MATCH, team="home", player_off="Ada", player_on="Bo", **at)
        )
        response = mobile_response(await phone.view("match_summary", SCOPE), after(13))
        field = await phone.view("on_field", SCOPE)
    assert (response["match"]["score"], response["match"]["clock_time"]) == ({"home": 1, "away": 0}, "13:00")
    assert response["recent_events"][0]["timestamp"] == "12:34"
    assert isinstance(field, dict)
    assert [person["player"] for person in field["home"]] == ["Bo"]


async def test_a_double_substitution_is_one_group_and_the_family_never_sees_half_of_it(tmp_path: Path) -> None:
    """And with it the line-up entry of the one who came late."""
    async with (
        served(tmp_path / "server.db", app) as server,
        Client(server.url, replica=tmp_path / "phone.db", app=app, scopes=[SCOPE]) as phone,
        Client(server.url, replica=tmp_path / "family.db", app=app, scopes=[SCOPE]) as family,
    ):
        for name in ("Ada", "Bo"):
            await phone.collection(Lineup).put(listed(name))
        await phone.synced()
        await family.synced()
        deltas = family.watch(SCOPE)
        async with phone.group():
            await phone.collection(Lineup).put(listed("Cy", starter=False, shirt_number=14))
            await phone.collection(Substitution).put(change("s1", "Ada", "Cy"))
            await phone.collection(Substitution).put(change("s2", "Bo", "Di"))
        delta = await anext(aiter(deltas))
        assert {state.id for state in delta.states} == {"l-home-Cy", "s1", "s2"}
        on_field = await family.view("on_field", SCOPE)
        assert on_field == await phone.view("on_field", SCOPE)
    assert isinstance(on_field, dict)
    assert [(person["player"], person["shirt_number"]) for person in on_field["home"]] == [("Cy", 14), ("Di", None)]


async def test_a_group_that_fails_leaves_everybody_where_he_was(tmp_path: Path) -> None:
    async with Client(None, replica=tmp_path / "phone.db", app=app, scopes=[SCOPE]) as phone:
        await phone.collection(Lineup).put(listed("Ada"))
        with pytest.raises(RuntimeError, match="the phone fell"):
            await _drop_the_phone_within_a_group(phone)
        field = await phone.view("on_field", SCOPE)
    assert isinstance(field, dict)
    assert [person["player"] for person in field["home"]] == ["Ada"]


async def _drop_the_phone_within_a_group(phone: Client) -> None:
    async with phone.group():
        await phone.collection(Substitution).put(change("s1", "Ada", "Di"))
        raise RuntimeError("the phone fell")


async def test_the_clock_of_every_phone_is_that_of_all_taps(tmp_path: Path) -> None:
    """One scorer kicks off and the other one whistles, neither having heard of the other's tap."""
    async with served(tmp_path / "server.db", app) as server:
        async with Client(server.url, replica=tmp_path / "a.db", app=app, scopes=[SCOPE]) as one:
            await one.collection(Match).put(a_match())
            await one.synced()
        async with Client(server.url, replica=tmp_path / "b.db", app=app, scopes=[SCOPE], now_ms=ahead(500)) as other:
            await other.synced()
        await server.stop()
        async with (
            Client(server.url, replica=tmp_path / "a.db", app=app, scopes=[SCOPE]) as one,
            Client(server.url, replica=tmp_path / "b.db", app=app, scopes=[SCOPE], now_ms=ahead(500)) as other,
        ):
            await one.collection(Match).update(MATCH, first_half_started_at=KICK_OFF.isoformat())
            await other.collection(Match).update(MATCH, first_half_started_at=after(0, 3).isoformat())
            await other.collection(Match).update(MATCH, first_half_ended_at=after(46).isoformat())
            await server.start()
            await one.synced()
            await other.synced()
            await one.synced()
            seen = [await phone.collection(Match).get(MATCH) for phone in (one, other)]
    readings = [clock(match, after(50)) for match in seen if match is not None]
    assert len(readings) == 2
    assert readings[0] == readings[1]
    assert readings[0] == {"status": "half_time", "current_period": 1, "clock_time": "45:57"}
