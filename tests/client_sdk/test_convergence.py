"""Replicas and a real server: what was done offline arrives once, everywhere, whatever the network loses."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from client_sdk import Client, SyncState
from conflict_rules import Kind
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.league import Goal, Note, Profile, league
from tests.support.clocks import ahead
from tests.support.lossy_network import Fate, LossyNetwork, Request, lossy_network
from tests.support.served import Served
from tests.support.until import until


async def shown(client: Client, type_name: str = "note") -> dict[str, dict[str, object]]:
    resources = await client.collection(type_name).all()
    return {str(resource.pop("id")): resource for resource in resources}


async def settled_numbers(server: Served, replica: str) -> int:
    reply = await server.parts.pusher.push(replica, 1, [])
    return reply.settled


async def test_what_was_done_offline_reaches_the_other_replica(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    network.cut()
    scorer = await open_client("scorer", network.url)
    family = await open_client("family", server.url)
    notes = scorer.collection("note")
    await notes.put({"id": "x", "minute": 47})
    await notes.update("x", minute=48)
    await notes.put({"id": "y", "minute": 50})
    await notes.delete("y")
    assert await shown(scorer) == {"x": {"minute": 48}}
    assert scorer.status.pending == 4
    network.heal()
    await scorer.synced()
    await family.synced()
    assert await shown(family) == await shown(scorer) == {"x": {"minute": 48}}
    assert scorer.status.pending == 0


async def test_a_live_watcher_sees_a_change_without_pulling_for_it(server: Served, open_client: OpenClient) -> None:
    async with lossy_network(server.port) as network:
        scorer = await open_client("scorer", server.url)
        family = await open_client("family", network.url)
        await until(lambda: family.status.state is SyncState.LIVE)
        await family.synced()
        pulls = len([request for request in network.requests if request.what == "pull"])
        watch = family.watch("main")
        await scorer.collection("note").put({"id": "x", "text": "goal"})
        delta = await anext(watch)
        assert [(state.id, state.fields) for state in delta.states] == [("x", {"text": "goal"})]
        assert await shown(family) == {"x": {"text": "goal"}}
        assert len([request for request in network.requests if request.what == "pull"]) == pulls


async def test_replicas_that_write_themselves_see_each_other_live_without_pulling(
    server: Served, open_client: OpenClient
) -> None:
    async with lossy_network(server.port) as network:
        a, b = [await open_client(name, network.url) for name in "ab"]
        watches = {a: a.watch("main"), b: b.watch("main")}
        for client in (a, b):
            await until(lambda client=client: client.status.state is SyncState.LIVE)
            await client.synced()
        pulls = len([request for request in network.requests if request.what == "pull"])
        for step in range(5):
            for writer, reader in ((a, b), (b, a)):
                await writer.collection("note").put({"id": "x", "step": f"{step}{writer is a}"})
                (state,) = (await anext(watches[reader])).states
                assert state.fields == {"step": f"{step}{writer is a}"}
        assert len([request for request in network.requests if request.what == "pull"]) == pulls


async def test_a_lost_reply_is_asked_for_again_and_counts_once(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    client = await open_client("phone", network.url)
    await client.synced()
    await client.pause()
    network.fate_of = _lose_replies_of_pushes(3)
    handles = [await client.collection("note").put({"id": f"n{i}", "v": i}) for i in range(5)]
    await client.resume()
    outcomes = [await handle.outcome() for handle in handles]
    assert [outcome.kind for outcome in outcomes] == [Kind.APPLIED] * 5
    assert [outcome.version for outcome in outcomes] == [1, 2, 3, 4, 5]
    bodies = [push["changes"] for push in network.pushes() if push["changes"]]
    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies), "a repeat has the same content, or it would be another change"


def _lose_replies_of_pushes(count: int) -> Callable[[Request], Fate]:
    left = Counter(push=count)

    def fate(request: Request) -> Fate:
        if request.what == "push" and left["push"] > 0:
            left["push"] -= 1
            return Fate.LOSE_REPLY
        return Fate.PASS

    return fate


async def test_a_request_that_arrives_after_its_repeat_counts_once(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    client = await open_client("phone", network.url)
    await client.synced()
    network.fates.append(Fate.HOLD)
    handle = await client.collection("note").put({"id": "x", "v": 1})
    await handle.outcome()
    await client.collection("note").update("x", v=2)
    await client.synced()
    assert b" 200 " in await network.deliver(network.late[0])
    await client.synced()
    assert await shown(client) == {"x": {"v": 2}}
    assert await settled_numbers(server, client.replica_id) == 2


async def test_edits_of_different_fields_combine_and_of_one_field_converge(
    server: Served, open_client: OpenClient
) -> None:
    a = await open_client("a", server.url)
    await a.collection("note").put({"id": "x", "text": "t", "color": "white"})
    await a.synced()
    b = await open_client("b", server.url, now_ms=ahead(500))
    await b.synced()
    await a.pause()
    await b.pause()
    await a.collection("note").update("x", text="from a", place="a")
    await b.collection("note").update("x", color="red", place="b")
    await b.resume()
    await b.synced()
    await a.resume()
    await a.synced()
    await b.synced()
    assert await shown(a) == await shown(b)
    assert (await shown(a))["x"] == {"text": "from a", "color": "red", "place": "b"}, "b's stamp is the later one"


async def test_an_overruled_change_leaves_the_view_and_says_so(server: Served, open_client: OpenClient) -> None:
    a = await open_client("a", server.url)
    await a.collection("note").put({"id": "x", "v": 0})
    await a.synced()
    b = await open_client("b", server.url, now_ms=ahead(500))
    await b.synced()
    await a.pause()
    early = await a.collection("note").update("x", v="early")
    await b.collection("note").update("x", v="late")
    await b.synced()
    await a.resume()
    assert (await early.outcome()).kind is Kind.OVERRULED
    await a.synced()
    assert await shown(a) == await shown(b) == {"x": {"v": "late"}}


async def test_a_vetoed_change_is_kept_with_the_reason_and_blocks_nothing(
    league_server: Served, open_client: OpenClient
) -> None:
    client = await open_client("phone", league_server.url, app=league)
    notes = client.collection(Note)
    bad = await notes.put(Note(id="bad", text="damn"))
    good = await notes.put(Note(id="good", text="well played"))
    assert (await bad.outcome()).code == "swearing"
    assert (await good.outcome()).kind is Kind.APPLIED
    await client.synced()
    assert [note.id for note in await notes.all()] == ["good"]
    ((change, outcome),) = await client.rejected()
    assert (change.fields["text"], outcome.message) == ("damn", "mind your words")
    assert client.status.rejected == 1
    await client.dismiss(change)
    assert await client.rejected() == []
    assert client.status.rejected == 0


async def test_a_group_is_applied_as_a_whole_or_not_at_all(league_server: Served, open_client: OpenClient) -> None:
    client = await open_client("phone", league_server.url, app=league)
    notes = client.collection(Note)
    async with client.group():
        innocent = await notes.put(Note(id="innocent"))
        culprit = await notes.put(Note(id="culprit", text="damn"))
    assert (await innocent.outcome()).code == "group_rejected"
    assert (await culprit.outcome()).code == "swearing"
    await client.synced()
    assert await notes.all() == []


async def test_a_whole_record_is_never_a_mixture(league_server: Served, open_client: OpenClient) -> None:
    """Counterexample 5: an lww change carries every field its replica knows."""
    a = await open_client("a", league_server.url, app=league)
    await a.collection(Profile).put(Profile(id="p", name="old", bio="old"))
    await a.synced()
    b = await open_client("b", league_server.url, app=league, now_ms=ahead(500))
    await b.synced()
    await a.pause()
    await a.collection(Profile).update("p", name="from a")
    await b.collection(Profile).update("p", bio="from b")
    await b.synced()
    await a.resume()
    await a.synced()
    await b.synced()
    in_a, in_b = await a.collection(Profile).get("p"), await b.collection(Profile).get("p")
    assert in_a == in_b == Profile(id="p", name="old", bio="from b")


async def test_views_agree_offline_and_online(league_server: Served, open_client: OpenClient) -> None:
    a = await open_client("a", league_server.url, app=league, scopes=["match:9f"])
    b = await open_client("b", league_server.url, app=league, scopes=["match:9f"])
    await a.pause()
    await a.collection(Goal).put(Goal(match_id="9f", side="home", minute=3))
    assert await a.view("score", "match:9f") == {"home": 1, "away": 0}
    await b.collection(Goal).put(Goal(match_id="9f", side="away", minute=9))
    await b.synced()
    await a.resume()
    await a.synced()
    await b.synced()
    assert await a.view("score", "match:9f") == await b.view("score", "match:9f") == {"home": 1, "away": 1}


async def test_a_server_that_restarts_is_found_again(server: Served, open_client: OpenClient) -> None:
    client = await open_client("phone", server.url)
    other = await open_client("other", server.url)
    await client.collection("note").put({"id": "x", "v": 1})
    await client.synced()
    await server.stop()
    await client.collection("note").put({"id": "y", "v": 2})
    await server.start()
    await client.synced()
    await other.synced()
    assert await shown(client) == await shown(other) == {"x": {"v": 1}, "y": {"v": 2}}


async def test_a_restored_server_gets_back_what_it_forgot(server: Served, open_client: OpenClient) -> None:
    """Law 10: cursors of a past that the database no longer has are reset. The outbox is kept, and what was settled is
    sent again as far as the file still has it."""
    client = await open_client("phone", server.url)
    notes = client.collection("note")
    await notes.put({"id": "before", "v": 1})
    await client.synced()
    await server.stop()
    copy = server.database.with_suffix(".backup")
    await server.back_up(copy)
    await server.start()
    await notes.put({"id": "forgotten", "v": 2})
    await client.synced()
    await server.stop()
    await server.restore(copy)
    await notes.put({"id": "after", "v": 3})
    await server.start()
    await client.synced()
    fresh = await open_client("fresh", server.url)
    await fresh.synced()
    assert await shown(fresh) == await shown(client)
    assert set(await shown(fresh)) == {"before", "forgotten", "after"}


async def test_a_phone_restored_from_a_backup_loses_nothing_and_repeats_nothing(
    server: Served, open_client: OpenClient
) -> None:
    """Counterexample 7."""
    async with Client(server.url, replica=server.database.with_name("phone.db"), scopes=["main"]) as phone:
        for i in range(1, 8):
            await phone.collection("note").put({"id": f"n{i}", "v": i})
        await phone.synced()
        original = phone.replica_id
    file = server.database.with_name("phone.db")
    backup = file.read_bytes()
    async with Client(server.url, replica=file) as phone:
        for i in range(8, 11):
            await phone.collection("note").put({"id": f"n{i}", "v": i})
        await phone.synced()
    file.write_bytes(backup)

    restored = await open_client("phone")
    goals = [await restored.collection("note").put({"id": f"new{i}", "v": i}) for i in range(8, 12)]
    await restored.collection("note").update("new8", v="corrected")
    assert [goal.n for goal in goals] == [8, 9, 10, 11]
    await restored.close()
    restored = await open_client("phone", server.url)
    await restored.synced()
    assert restored.replica_id != original
    assert restored.status.rejected == 0
    expected = {f"n{i}": {"v": i} for i in range(1, 11)} | {f"new{i}": {"v": i} for i in range(9, 12)}
    expected["new8"] = {"v": "corrected"}
    assert await shown(restored) == expected
    fresh = await open_client("fresh", server.url)
    await fresh.synced()
    assert await shown(fresh) == expected


async def test_a_clock_three_hours_wrong_is_corrected_and_overrules_nobody(
    server: Served, open_client: OpenClient
) -> None:
    wrong = await open_client("wrong", None, now_ms=ahead(3 * 3_600_000))
    handle = await wrong.collection("note").put({"id": "x", "v": "offline"})
    minted = handle.change.stamp
    await wrong.close()
    wrong = await open_client("wrong", server.url, now_ms=ahead(3 * 3_600_000))
    await wrong.synced()
    assert abs(wrong.status.clock_offset_ms + 3 * 3_600_000) < 5_000
    assert (await wrong.change(1)).change.stamp == minted, "a change that was made keeps its stamp"
    later = await wrong.collection("note").put({"id": "y", "v": 1})
    assert later.change.stamp.wall_ms < minted.wall_ms - 3_000_000
    right = await open_client("right", server.url)
    await right.synced()
    correction = await right.collection("note").update("x", v="seen and corrected")
    assert (await correction.outcome()).kind is Kind.APPLIED
    await wrong.synced()
    assert (await shown(wrong))["x"] == {"v": "seen and corrected"}


async def test_many_replicas_converge_over_a_network_that_loses_every_third_message(
    server: Served, open_client: OpenClient
) -> None:
    """Offline edits, lost requests and replies, late arrivals, broken connections; then quiet, and all are equal."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def fate(request: Request) -> Fate:
        return dice.choices(list(Fate), [0.6, 0.15, 0.15, 0.1])[0]

    async with lossy_network(server.port) as network:
        network.fate_of = fate
        clients = [await open_client(f"r{i}", network.url) for i in range(4)]
        counts: Counter[str] = Counter()

        async def work(client: Client, name: str) -> None:
            notes = client.collection("note")
            for step in range(25):
                mine = f"{name}-{dice.randrange(5)}"
                shared = f"shared-{dice.randrange(3)}"
                match dice.randrange(5):
                    case 0 | 1:
                        await notes.put({"id": f"{name}-fact-{step}", "v": step})
                        counts[name] += 1
                    case 2:
                        await notes.put({"id": shared, name: step, "who": name})
                    case 3 if await notes.get(mine) is None:
                        async with client.group():
                            await notes.put({"id": f"{mine}-{step}-left", "v": 1})
                            await notes.put({"id": f"{mine}-{step}-right", "v": 1})
                    case _:
                        network.break_live()
                await asyncio.sleep(0)

        await asyncio.gather(*(work(client, f"r{i}") for i, client in enumerate(clients)))
        for request in list(network.late):
            await network.deliver(request)
        network.fate_of = lambda request: Fate.PASS
        for _ in range(2):
            for client in clients:
                await client.synced()
        views = [await shown(client) for client in clients]
        assert all(view == views[0] for view in views)
        for name, count in counts.items():
            assert sum(key.startswith(f"{name}-fact-") for key in views[0]) == count
        assert all(client.status.pending == 0 and client.status.rejected == 0 for client in clients)
        fresh = await open_client("fresh", server.url)
        await fresh.synced()
        assert await shown(fresh) == views[0]


async def test_state_goes_live_and_back_as_the_signal_comes_and_goes(
    network: LossyNetwork, open_client: OpenClient
) -> None:
    network.cut()
    client = await open_client("phone", network.url)
    await until(lambda: client.status.last_error is not None)
    assert client.status.state is SyncState.OFFLINE
    assert not client.status.connected
    network.heal()
    await until(lambda: client.status.state is SyncState.LIVE)
    assert client.status.last_error is None
    network.cut()
    await until(lambda: client.status.state is SyncState.OFFLINE)
    network.heal()
    await until(lambda: client.status.state is SyncState.LIVE)
