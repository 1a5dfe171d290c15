"""Every 429 says of the limit that was exceeded, whichever it was, how large it is and when to come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from syncd.auth import passwords
from tests.support.accounts import ANN, BOB, PASSWORD, Club, club_with_accounts
from tests.support.edge import behind_the_edge

START_S = 1_763_640_000
PLENTY = "register=100/hour,password=100/hour,anonymous=1000/minute"
GUESS = {"email": ANN, "password": "guess"}
LIVE = "/sync/v1/live"
HERE = {"X_Forwarded_For": "192.0.2.1"}

Refused = tuple[int, Mapping[str, str]]
"""The status and the headers of an answer."""


def told(refused: Refused) -> tuple[int, int, int, int, int]:
    """What a 429 says: how many there may be, how many are left, when it is full again, and twice when to come."""
    status, headers = refused
    assert status == 429
    names = (
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-RateLimit-Retry-After",
        "Retry-After",
    )
    limit, left, reset, wait, retry_after = (int(headers[name]) for name in names)
    return limit, left, reset, wait, retry_after


async def asked(
    club: Club, path: str, body: object = None, *, times: int = 1, token: str | None = None, method: str = "POST"
) -> Refused:
    """What the last of so many equal requests is answered."""
    for _ in range(times):
        answer = await club.ask(method, path, body, token=token, **HERE)
    return answer.status, answer.headers


async def one_more_socket(club: Club, token: str = "", *, held: int = 1) -> Refused:
    """What is answered to another socket, while so many are open."""
    headers = {"X-Forwarded-For": "192.0.2.1"} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with AsyncExitStack() as undo:
        for _ in range(held):
            await undo.enter_async_context(club.http.ws_connect(LIVE, headers=headers))
        with pytest.raises(WSServerHandshakeError) as refused:
            await club.http.ws_connect(LIVE, headers=headers)
    assert refused.value.headers is not None
    return refused.value.status, refused.value.headers


async def second_stream(club: Club, token: str) -> Refused:
    """What is answered to a second stream, while one is open."""
    url = f"/sync/v1/stream?scope=court:1&token={token}"
    async with club.http.get(url) as first, club.http.get(url) as second:
        assert first.status == 200
        return second.status, second.headers


async def test_a_guess_too_many_is_told_of_the_limit_of_guesses(tmp_path: Path) -> None:
    rates = f"login=3/15 minutes,{PLENTY}"
    async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates) as club:
        await club.member(ANN)
        now_s = club.clock() // 1000
        assert told(await asked(club, "/auth/v1/log-in", GUESS, times=4)) == (3, 0, now_s + 900, 300, 300)
        club.clock.advance(100)
        assert told(await asked(club, "/auth/v1/log-in", GUESS)) == (3, 0, now_s + 900, 200, 200)


async def test_of_several_limits_of_guesses_it_is_told_of_the_one_to_wait_for_longest(tmp_path: Path) -> None:
    rates = f"login=3/15 minutes,login.account=3/hour,{PLENTY}"
    async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates) as club:
        now_s = club.clock() // 1000
        assert told(await asked(club, "/auth/v1/log-in", GUESS, times=4)) == (3, 0, now_s + 3600, 1200, 1200)


@pytest.mark.parametrize("path", ["password/forgot", "verify-email/send"])
async def test_a_mail_too_many_is_told_of_the_limit_of_mails_to_one_address(tmp_path: Path, path: str) -> None:
    rates = f"login=2/15 minutes,{PLENTY}"
    async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates) as club:
        now_s = club.clock() // 1000
        refused = await asked(club, f"/auth/v1/{path}", {"email": ANN}, times=3)
        assert told(refused) == (2, 0, now_s + 900, 450, 450)


async def test_who_has_used_up_the_bytes_of_the_day_is_told_of_them() -> None:
    async with behind_the_edge(rates={"bytes": "10000/day", "authenticated": "9/minute"}) as edge:
        # The answer has 13 bytes, and a byte takes 8.64 seconds to come back.
        async with edge.http.post("/things", headers={"As": "asha"}, data=b"x" * 8000) as response:
            assert response.status == 200
        async with edge.http.post("/things", headers={"As": "asha"}, data=b"x" * 4000) as response:
            assert told((response.status, response.headers)) == (10_000, 0, START_S + 69_233, 17_393, 17_393)


async def test_a_body_larger_than_a_whole_days_bytes_is_not_told_to_come_again_at_once() -> None:
    async with (
        behind_the_edge(rates={"bytes": "1000/day"}) as edge,
        edge.http.post("/things", headers={"As": "asha"}, data=b"x" * 1001) as response,
    ):
        assert told((response.status, response.headers)) == (1000, 0, START_S + 86_400, 86_400, 86_400)


async def test_with_neither_bytes_nor_requests_left_it_is_told_what_takes_longer() -> None:
    async with behind_the_edge(rates={"bytes": "86400/day", "authenticated": "1/hour"}) as edge:
        async with edge.http.post("/things", headers={"As": "asha"}, data=b"x" * 86_386) as response:
            assert response.status == 200
        # One more byte is not there either, and comes back in a second.
        async with edge.http.get("/things", headers={"As": "asha"}) as response:
            assert told((response.status, response.headers)) == (1, 0, START_S + 3600, 3600, 3600)


async def test_a_socket_too_many_is_told_how_many_may_be_open_and_to_try_again_soon(tmp_path: Path) -> None:
    """When one of them closes nobody knows: it may try in five seconds, and that is the time of both headers."""
    async with club_with_accounts(
        tmp_path, rate_limiting="auto", rate_limits=PLENTY, max_user_sockets=1, max_address_sockets=1
    ) as club:
        ann = await club.member(ANN)
        now_s = club.clock() // 1000
        assert told(await one_more_socket(club, ann.access)) == (1, 0, now_s + 5, 5, 5)
        assert told(await one_more_socket(club)) == (1, 0, now_s + 5, 5, 5)


async def test_who_comes_while_too_many_log_in_is_told_how_many_may_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with club_with_accounts(tmp_path) as club:
        monkeypatch.setattr(passwords, "_MAX_WAITING", 0)
        refused = await asked(club, "/auth/v1/log-in", GUESS)
        assert told(refused) == (0, 0, club.clock() // 1000 + 5, 5, 5)


Exceed = Callable[[Club, str], Awaitable[Refused]]

EVERY_KIND: dict[str, tuple[str, int, Exceed]] = {
    "anonymous": ("anonymous=2/hour", 2, lambda club, _: asked(club, "/auth/v1/me", method="GET", times=3)),
    "wrong tokens": (
        "anonymous=2/hour",
        2,
        lambda club, _: asked(club, "/sync/v1/conflicts", method="GET", token="wrong", times=3),
    ),
    "authenticated": (
        "authenticated=2/hour",
        2,
        lambda club, ann: asked(club, "/auth/v1/me", method="GET", token=ann, times=3),
    ),
    "an endpoint": (
        "GET /auth/v1/me=2/hour",
        2,
        lambda club, ann: asked(club, "/auth/v1/me", method="GET", token=ann, times=3),
    ),
    "address": ("address=4/hour", 4, lambda club, ann: asked(club, "/auth/v1/me", method="GET", token=ann, times=5)),
    "register": (
        "register=2/hour",
        2,
        lambda club, _: asked(club, "/auth/v1/register", {"email": BOB, "password": PASSWORD}, times=3),
    ),
    "refresh": ("refresh=2/hour", 2, lambda club, _: asked(club, "/auth/v1/refresh", times=3)),
    "password": ("password=2/hour", 2, lambda club, _: asked(club, "/auth/v1/password/reset", times=3)),
    "privacy": ("privacy=2/hour", 2, lambda club, ann: asked(club, "/auth/v1/me/erase", token=ann, times=3)),
    "push": ("push.user=2/hour", 2, lambda club, ann: asked(club, "/sync/v1/push", token=ann, times=3)),
    "pull": ("pull.device=2/hour", 2, lambda club, ann: asked(club, "/sync/v1/pull", token=ann, times=3)),
    "live": ("live.user=1/hour", 1, lambda club, ann: one_more_socket(club, ann)),
    "live, by a token in the URL": (
        "live.user=1/hour",
        1,
        lambda club, ann: second_stream(club, ann),
    ),
    "login": ("login=2/hour", 2, lambda club, _: asked(club, "/auth/v1/log-in", {**GUESS, "email": BOB}, times=3)),
    "login.address": ("login.address=2/hour", 2, lambda club, _: asked(club, "/auth/v1/log-in", GUESS, times=3)),
    "passwords of who has logged in": (
        "login=2/hour",
        2,
        lambda club, ann: asked(
            club, "/auth/v1/password/change", {"old": "guess", "new": "other words"}, token=ann, times=3
        ),
    ),
    "mail": ("login=2/hour", 2, lambda club, _: asked(club, "/auth/v1/password/forgot", {"email": BOB}, times=3)),
    "bytes": ("bytes=2/day", 2, lambda club, ann: asked(club, "/auth/v1/me", method="GET", token=ann, times=2)),
    "sockets": ("live.user=9/hour", 2, lambda club, ann: one_more_socket(club, ann, held=2)),
    "sockets of an address": ("live.address=9/hour", 3, lambda club, _: one_more_socket(club, held=3)),
}


@pytest.mark.parametrize(("rate", "limit", "exceed"), EVERY_KIND.values(), ids=EVERY_KIND)
async def test_every_kind_of_refusal_tells_of_its_own_limit(
    tmp_path: Path, rate: str, limit: int, exceed: Exceed
) -> None:
    async with club_with_accounts(
        tmp_path,
        rate_limiting="auto",
        rate_limits=f"{PLENTY},{rate}",
        trusted_proxies="1",
        max_user_sockets=2,
        max_address_sockets=3,
    ) as club:
        # By another address, so that nothing of it counts at the one that is refused later.
        ann = await club.member(ANN)
        now_s = club.clock() // 1000
        told_limit, left, reset, wait, retry_after = told(await exceed(club, ann.access))
        assert (told_limit, left, wait) == (limit, 0, retry_after)
        assert 0 < wait <= reset - now_s
