"""Tokens that end: asked for again when the server takes one no more, and renewed on a live connection that stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from client_sdk import Unreachable
from client_sdk.credentials import Credentials, TokenSource
from syncd.engine.principal import Caller, Principal
from syncd.errors import Unauthenticated
from syncd.wiring import wall_clock_ms
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.members import MATCH, Event, club, event
from tests.support.lossy_network import Fate, LossyNetwork, lossy_network
from tests.support.served import Served, served
from tests.support.until import until


@dataclass
class Tokens:
    """Tokens `NAME-NUMBER`, of which some have ended, or will."""

    ended: set[str] = field(default_factory=set)
    expires_at_ms: dict[str, int] = field(default_factory=dict)

    async def authenticate(self, token: str | None) -> Principal:
        if token is None or token in self.ended:
            raise Unauthenticated("the token has expired", code="token_expired")
        return Principal(Caller.USER, token.partition("-")[0], expires_at_ms=self.expires_at_ms.get(token))


class Source:
    """Gives one token after the other."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
async def guarded(tmp_path: Path, tokens: Tokens) -> AsyncIterator[Served]:
    async with served(tmp_path / "server.db", club, accounts=tokens) as server:
        yield server


@pytest.fixture
async def wire(guarded: Served) -> AsyncIterator[LossyNetwork]:
    async with lossy_network(guarded.port) as network:
        yield network


def sockets(wire: LossyNetwork) -> int:
    return sum(request.what == "live" for request in wire.requests)


class TestAskedFor:
    async def test_at_first_and_again_when_the_server_takes_the_last_one_no_more(
        self, guarded: Served, tokens: Tokens, open_client: OpenClient
    ) -> None:
        source = Source("sam-1", "sam-2")
        phone = await open_client("phone", guarded.url, app=club, token=source, scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await phone.synced(10)
        assert source.asked == 1
        tokens.ended.add("sam-1")
        for index in range(5):
            await phone.collection(Event).put(event(f"s{index}"))
        await phone.synced(10)
        assert (source.asked, phone.status.pending, phone.status.last_error) == (2, 0, None)

    async def test_when_the_live_connection_is_closed_since_it_has_expired(
        self, guarded: Served, tokens: Tokens, wire: LossyNetwork, open_client: OpenClient
    ) -> None:
        tokens.expires_at_ms["sam-1"] = wall_clock_ms() + 300
        source = Source("sam-1", "sam-2")
        phone = await open_client("phone", wire.url, app=club, token=source, scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await until(lambda: source.asked == 2 and phone.status.state == "live")
        assert sockets(wire) == 2

    async def test_a_token_that_just_stands_is_told_as_refused(
        self, guarded: Served, tokens: Tokens, open_client: OpenClient
    ) -> None:
        tokens.ended.add("sam-1")
        phone = await open_client("phone", guarded.url, app=club, token="sam-1", scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await until(lambda: phone.status.last_error_code == "denied")
        phone.set_token("sam-2")
        await phone.synced(10)

    async def test_what_gives_them_may_fail_and_is_asked_again(
        self, guarded: Served, open_client: OpenClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = [OSError("secret-1"), ValueError("secret-2")]

        def source() -> str:
            if failures:
                raise failures.pop()
            return "sam-1"

        caplog.set_level("DEBUG")
        phone = await open_client("phone", guarded.url, app=club, token=source, scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await phone.synced(10)
        assert failures == []
        assert "no token could be had" in caplog.text
        assert "secret" not in caplog.text


class TestRenewal:
    async def test_a_live_connection_goes_on_with_a_fresh_token(
        self, guarded: Served, tokens: Tokens, wire: LossyNetwork, open_client: OpenClient
    ) -> None:
        expires_at_ms = tokens.expires_at_ms["sam-1"] = wall_clock_ms() + 700
        phone = await open_client("phone", wire.url, app=club, token="sam-1", scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await until(lambda: phone.status.state == "live")
        phone.set_token("sam-2")
        await until(lambda: wall_clock_ms() > expires_at_ms + 200)
        assert (phone.status.state, sockets(wire)) == ("live", 1)

    async def test_another_account_gets_another_connection_and_nothing_of_what_waits(
        self, guarded: Served, wire: LossyNetwork, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", wire.url, app=club, token="sam-1", scopes=[MATCH])
        await phone.collection(Event).put(event("g1"))
        await phone.synced(10)
        await until(lambda: phone.status.state == "live")
        wire.fate_of = lambda request: Fate.LOSE if request.what == "push" else Fate.PASS
        waiting = await phone.collection(Event).put(event("g2"))
        phone.set_token("vera-1")
        await until(lambda: sockets(wire) == 2)
        wire.fate_of = lambda request: Fate.PASS
        await until(lambda: phone.status.last_error_code == "foreign_replica")
        assert [change.n for change in phone.outbox()] == [waiting.n]


class TestCredentials:
    @pytest.mark.parametrize("source", [None, "a", lambda: "a", lambda: None, Source("a")])
    async def test_give_what_their_source_gives(self, source: TokenSource) -> None:
        credentials = Credentials(source, 1)
        assert await credentials.current() in ("a", None)

    async def test_ask_once_for_all_who_wait_and_once_for_each_refusal(self) -> None:
        source = Source("a", "b", "c")
        credentials = Credentials(source, 1)
        assert await asyncio.gather(*(credentials.current() for _ in range(3))) == ["a", "a", "a"]
        assert [credentials.refused("a") for _ in range(3)] == [True, True, True]
        assert await asyncio.gather(*(credentials.current() for _ in range(3))) == ["b", "b", "b"]
        assert credentials.refused("a"), "that was the one before"
        assert (await credentials.current(), source.asked) == ("b", 2)

    async def test_have_no_other_where_one_was_given(self) -> None:
        credentials = Credentials("a", 1)
        assert not credentials.refused("a")
        renewals = credentials.renewals
        credentials.use("b")
        assert credentials.renewals != renewals
        assert credentials.refused("a"), "there is another one by now"

    async def test_one_that_is_given_while_another_is_awaited_counts(self) -> None:
        asked = asyncio.Event()

        async def slow() -> str:
            asked.set()
            await asyncio.sleep(0.01)
            return "slow"

        credentials = Credentials(slow, 1)
        waiting = asyncio.create_task(credentials.current())
        await asked.wait()
        credentials.use("given")
        assert await waiting == "given"

    async def test_whoever_gives_them_too_late_holds_up_nothing_for_ever(self) -> None:
        with pytest.raises(Unreachable, match="no token could be had: TimeoutError"):
            await Credentials(asyncio.Event().wait, 0.01).current()  # type: ignore[arg-type]
