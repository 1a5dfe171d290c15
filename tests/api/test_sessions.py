"""Sessions over HTTP: refresh tokens in the body and as cookies, log-out, devices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType

from tests.support.accounts import ANN, BOB, PASSWORD, Answer, Club, club_with_accounts

DAY_S = 24 * 60 * 60
LOG_IN = {"email": ANN, "password": PASSWORD}


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


async def test_a_refresh_token_brings_the_next_one_and_a_new_access_token(club: Club) -> None:
    ann = await club.member(device="phone")
    club.clock.advance(1000)
    assert not await club.works(ann.access)
    next_ = await club.post("refresh", {"refresh_token": ann.refresh, "device": "phone"})
    assert (next_.status, next_.body["session"]) == (200, ann.session)
    assert next_.body["refresh_token"] != ann.refresh
    assert await club.works(next_.body["access_token"])
    other = await club.post("refresh", {"refresh_token": next_.body["refresh_token"], "device": "tablet"})
    assert (other.status, other.code) == (401, "wrong_device")


async def test_without_rotation_the_refresh_token_stays(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path, refresh_rotation=False) as club:
        ann = await club.member()
        for _ in range(2):
            answer = await club.post("refresh", {"refresh_token": ann.refresh})
            assert answer.status == 200
            assert "refresh_token" not in answer.body


@pytest.mark.parametrize(("access_s", "idle_s"), [(15 * 60, 7 * DAY_S), (2 * 60 * 60, 14 * DAY_S)])
async def test_tokens_last_as_long_as_is_set(tmp_path: Path, access_s: int, idle_s: int) -> None:
    """The two pairs are those of the pickleball and of the pickup app."""
    async with club_with_accounts(tmp_path, access_token_s=access_s, session_idle_s=idle_s, leeway_s=0) as club:
        ann = await club.member()
        club.clock.advance(access_s - 1)
        assert await club.works(ann.access)
        club.clock.advance(1)
        assert not await club.works(ann.access)
        club.clock.advance(idle_s - access_s - 1)
        fresh = await club.post("refresh", {"refresh_token": ann.refresh})
        assert (fresh.status, await club.works(fresh.body["access_token"])) == (200, True)
        club.clock.advance(idle_s)
        late = await club.post("refresh", {"refresh_token": fresh.body["refresh_token"]})
        assert (late.status, late.code) == (401, "session_ended")


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": "syncd_refresh_x"}])
async def test_what_is_no_refresh_token_opens_nothing(club: Club, body: dict[str, Any]) -> None:
    answer = await club.post("refresh", body)
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


async def test_devices_are_listed_and_removed(club: Club) -> None:
    phone, tablet = await club.member(device="phone"), await club.logged_in(device="tablet")
    devices = (await club.ask("GET", "/auth/v1/devices", token=phone.access)).body["devices"]
    assert [(each["session"], each["device"]["id"], each["current"]) for each in devices] == [
        (phone.session, "phone", True),
        (tablet.session, "tablet", False),
    ]
    removed = await club.ask("DELETE", f"/auth/v1/devices/{tablet.session}", token=phone.access)
    assert removed.status == 200
    assert (await club.works(tablet.access), await club.works(phone.access)) == (False, True)
    assert (await club.post("refresh", {"refresh_token": tablet.refresh, "device": "tablet"})).code == "session_ended"


async def test_nobody_removes_the_devices_of_others(club: Club) -> None:
    ann, bob = await club.member(ANN), await club.member(BOB)
    answer = await club.ask("DELETE", f"/auth/v1/devices/{ann.session}", token=bob.access)
    assert (answer.status, answer.code) == (404, "no_such_session")
    assert await club.works(ann.access)


class TestLoggingOut:
    async def test_by_the_access_token_ends_this_device_only(self, club: Club) -> None:
        phone, tablet = await club.member(device="phone"), await club.logged_in(device="tablet")
        assert (await club.post("log-out", token=phone.access)).status == 200
        assert (await club.works(phone.access), await club.works(tablet.access)) == (False, True)

    async def test_by_the_refresh_token_where_the_access_token_is_over(self, club: Club) -> None:
        ann = await club.member()
        club.clock.advance(1000)
        answer = await club.post("log-out", {"refresh_token": ann.refresh}, token=ann.access)
        nothing = await club.post("log-out", {"refresh_token": "syncd_refresh_x"})
        assert (answer.status, answer.body) == (nothing.status, nothing.body) == (200, {})
        assert (await club.post("refresh", {"refresh_token": ann.refresh})).code == "session_ended"

    async def test_everywhere_and_everywhere_else(self, club: Club) -> None:
        one, two, three = (
            await club.member(device="1"),
            await club.logged_in(device="2"),
            await club.logged_in(device="3"),
        )
        others = await club.post("log-out", {"everywhere": True, "keep_this": True}, token=one.access)
        assert others.body == {"sessions": 2}
        assert [await club.works(each.access) for each in (one, two, three)] == [True, False, False]
        assert (await club.post("log-out", {"everywhere": True}, token=one.access)).body == {"sessions": 1}
        assert not await club.works(one.access)

    async def test_of_nobody(self, club: Club) -> None:
        assert (await club.post("log-out")).status == 401
        assert (await club.post("log-out", {"everywhere": True})).status == 403

    async def test_closes_the_live_sockets_of_the_session_at_once(self, club: Club) -> None:
        phone, tablet = await club.member(device="phone"), await club.logged_in(device="tablet")
        sockets = []
        for each in (phone, tablet):
            socket = await club.http.ws_connect("/sync/v1/live")
            await socket.send_json({"type": "hello", "token": each.access})
            assert (await socket.receive_json(timeout=5))["type"] == "welcome"
            sockets.append(socket)
        await club.post("log-out", token=phone.access)
        while (message := await sockets[0].receive(timeout=5)).type is WSMsgType.TEXT:
            pass
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4401)
        await sockets[1].send_json({"type": "ping"})
        assert (await sockets[1].receive_json(timeout=5))["type"] == "pong"


class TestTheCookie:
    """The refresh token of a web page, out of the reach of its scripts."""

    @pytest.fixture
    def page(self, club: Club) -> str:
        return club.server.url

    @pytest.fixture
    async def logged_in(self, club: Club, page: str) -> Answer:
        await club.member()
        return await club.post("log-in", {**LOG_IN, "cookie": True}, Origin=page)

    async def test_is_for_requests_about_accounts_and_for_no_script(self, logged_in: Answer) -> None:
        assert "refresh_token" not in logged_in.body
        value, attributes = logged_in.cookie()
        assert value.startswith("syncd_refresh_")
        assert attributes == {
            "httponly": "",
            "samesite": "Strict",
            "path": "/auth/v1",
            "max-age": str(7 * 24 * 3600),
        }

    async def test_opens_a_new_access_token_and_is_renewed(self, club: Club, page: str, logged_in: Answer) -> None:
        value, _ = logged_in.cookie()
        answer = await club.post("refresh", Origin=page, Cookie=f"syncd_refresh={value}")
        assert (answer.status, "refresh_token" in answer.body) == (200, False)
        assert answer.cookie()[0] != value
        assert await club.works(answer.body["access_token"])

    @pytest.mark.parametrize("path", ["refresh", "log-out"])
    @pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost"])
    async def test_counts_for_no_page_but_our_own(
        self, club: Club, page: str, logged_in: Answer, path: str, origin: str | None
    ) -> None:
        cookie = f"syncd_refresh={logged_in.cookie()[0]}"
        forged = await club.post(path, Cookie=cookie, **({} if origin is None else {"Origin": origin}))
        assert (forged.status, forged.code) == (403, "wrong_origin")
        assert "Set-Cookie" not in forged.headers
        # Nothing has happened: it still works where it may.
        assert (await club.post("refresh", Cookie=cookie, Origin=page)).status == 200

    async def test_a_page_of_others_logs_nobody_in(self, club: Club) -> None:
        await club.member()
        for origin in ({}, {"Origin": "https://evil.example"}):
            answer = await club.post("log-in", {**LOG_IN, "cookie": True}, **origin)
            assert (answer.status, answer.code) == (403, "wrong_origin")

    async def test_is_no_access_token(self, club: Club, page: str, logged_in: Answer) -> None:
        answer = await club.ask("GET", "/auth/v1/me", Cookie=f"syncd_refresh={logged_in.cookie()[0]}", Origin=page)
        assert answer.status == 401

    async def test_goes_with_the_log_out(self, club: Club, page: str, logged_in: Answer) -> None:
        cookie = f"syncd_refresh={logged_in.cookie()[0]}"
        out = await club.post("log-out", Cookie=cookie, Origin=page)
        value, attributes = out.cookie()
        assert (value, attributes["max-age"], attributes["path"]) == ("", "0", "/auth/v1")
        assert (await club.post("refresh", Cookie=cookie, Origin=page)).code == "session_ended"
        assert not await club.works(logged_in.body["access_token"])

    async def test_goes_over_https_only_unless_the_server_is_on_this_machine(self, tmp_path: Path) -> None:
        async with club_with_accounts(tmp_path, trusted_proxies="1", cors_origins="https://app.club.example") as club:
            await club.member()
            https = {"X-Forwarded-Proto": "https"}
            for host, origin, more in (
                ("club.example", "https://club.example", https),
                ("club.example", "https://app.club.example", https),
                ("club.example", "http://club.example", {}),
                ("127.0.0.1", "https://127.0.0.1", https),
            ):
                answer = await club.post("log-in", {**LOG_IN, "cookie": True}, Host=host, Origin=origin, **more)
                assert answer.status == 200, answer
                _, attributes = answer.cookie("__Host-syncd_refresh")
                assert ("secure" in attributes, attributes["path"], "domain" in attributes) == (True, "/", False)
            from_between = {"Host": "club.example", "Origin": "http://club.example", **https}
            assert (await club.post("log-in", {**LOG_IN, "cookie": True}, **from_between)).code == "wrong_origin"

    async def test_is_none_that_a_neighbour_has_planted(self, tmp_path: Path) -> None:
        async with club_with_accounts(tmp_path, trusted_proxies="1") as club:
            ann, bob = await club.member(ANN), await club.member(BOB)
            page = {"Host": "sync.club.example", "Origin": "https://sync.club.example", "X-Forwarded-Proto": "https"}
            planted = await club.post("refresh", Cookie=f"syncd_refresh={bob.refresh}", **page)
            assert (planted.status, planted.code) == (401, "invalid_refresh_token")
            both = f"syncd_refresh={bob.refresh}; __Host-syncd_refresh={ann.refresh}; syncd_refresh={bob.refresh}"
            own = await club.post("refresh", Cookie=both, **page)
            assert (own.status, own.body["account"]) == (200, ann.id)
            value, _ = own.cookie("__Host-syncd_refresh")
            out = await club.post("log-out", Cookie=f"__Host-syncd_refresh={value}", **page)
            gone, attributes = out.cookie("__Host-syncd_refresh")
            assert (gone, attributes["max-age"], attributes["path"], "secure" in attributes) == ("", "0", "/", True)

    async def test_is_refused_if_it_is_there_twice(self, club: Club, page: str, logged_in: Answer) -> None:
        value, _ = logged_in.cookie()
        for other in ("syncd_refresh=planted", "syncd_refresh=", f'syncd_refresh="{value}"'):
            for pair in (f"syncd_refresh={value}; {other}", f"{other};syncd_refresh={value}"):
                answer = await club.post("refresh", Cookie=pair, Origin=page)
                assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_message", "Cookie")
        assert (await club.post("refresh", Cookie=f'a=b; syncd_refresh="{value}"', Origin=page)).status == 200

    async def test_with_any_origin_let_in_none_may_use_it(self, tmp_path: Path) -> None:
        async with club_with_accounts(tmp_path, cors_origins="*") as club:
            await club.member()
            evil = {"Origin": "https://evil.example"}
            assert (await club.post("log-in", {**LOG_IN, "cookie": True}, **evil)).code == "wrong_origin"
            assert (await club.post("log-in", LOG_IN, **evil)).status == 200


class TestGuessing:
    """Passwords that somebody tries."""

    @pytest.fixture
    async def limited(self, tmp_path: Path) -> AsyncIterator[Club]:
        rates = "login=3/15 minutes,register=100/hour,password=100/hour,anonymous=1000/minute"
        async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates) as club:
            yield club

    async def test_is_slowed_down_alike_for_accounts_that_are_not_there(self, limited: Club) -> None:
        await limited.member(ANN)
        for email in (ANN, "nobody@club.example"):
            guesses = [await limited.post("log-in", {"email": email, "password": f"guess {n}"}) for n in range(5)]
            assert [guess.status for guess in guesses] == [401, 401, 401, 429, 429]
            assert int(guesses[-1].headers["Retry-After"]) == 300

    async def test_right_ones_cost_nothing(self, limited: Club) -> None:
        await limited.member(ANN)
        for _ in range(6):
            await limited.logged_in()

    async def test_of_the_second_factor_counts_too(self, limited: Club) -> None:
        ann = await limited.member(ANN)
        import pyotp

        enrolled = await limited.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)
        code = pyotp.TOTP(enrolled.body["secret"]).at(limited.clock() // 1000)
        assert (await limited.post("second-factor/confirm", {"code": code}, token=ann.access)).status == 200
        asked = [await limited.post("log-in", LOG_IN) for _ in range(5)]
        assert {answer.code for answer in asked} == {"second_factor_required"}
        guesses = [await limited.post("log-in", {**LOG_IN, "second_factor": f"{n:06}"}) for n in range(4)]
        assert [guess.code for guess in guesses] == ["wrong_second_factor"] * 3 + ["rate_limited"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("password/change", {"old": "guess", "new": "other words than before"}),
            ("api-keys", {"name": "backup", "password": "guess"}),
        ],
    )
    async def test_by_an_open_session_counts_too(self, limited: Club, path: str, body: dict[str, Any]) -> None:
        ann = await limited.member(ANN)
        guesses = [await limited.post(path, body, token=ann.access) for _ in range(4)]
        assert [guess.code for guess in guesses] == ["wrong_password"] * 3 + ["rate_limited"]

    async def test_a_crowd_does_not_keep_the_owner_out_of_a_device_that_was_logged_in_before(
        self, tmp_path: Path
    ) -> None:
        rates = "login.account=2/hour,register=100/hour"
        async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates, trusted_proxies="1") as club:
            ann, bob = await club.member(ANN), await club.member(BOB)
            for n in range(4):
                await club.post("log-in", {"email": ANN, "password": "guess"}, X_Forwarded_For=f"192.0.2.{n}")
            assert (await club.post("log-in", LOG_IN)).status == 429
            assert (await club.post("log-in", {**LOG_IN, "refresh_token": bob.refresh})).status == 429
            assert (await club.post("log-in", {**LOG_IN, "refresh_token": ann.refresh})).status == 200

    async def test_a_device_that_its_owner_has_removed_counts_like_any_other(self, tmp_path: Path) -> None:
        rates = "login.account=2/hour,register=100/hour"
        async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates, trusted_proxies="1") as club:
            phone, lost = await club.member(ANN, device="phone"), await club.logged_in(ANN, device="lost")
            await club.ask("DELETE", f"/auth/v1/devices/{lost.session}", token=phone.access)
            for n in range(4):
                await club.post("log-in", {"email": ANN, "password": "guess"}, X_Forwarded_For=f"192.0.2.{n}")
            assert (await club.post("log-in", {**LOG_IN, "refresh_token": lost.refresh})).status == 429
            assert (await club.post("log-in", {**LOG_IN, "refresh_token": phone.refresh})).status == 200

    async def test_a_device_that_was_logged_in_before_has_a_limit_of_its_own(self, tmp_path: Path) -> None:
        rates = "login.account=2/hour,register=100/hour"
        async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits=rates, trusted_proxies="1") as club:
            ann = await club.member(ANN)
            body = {"email": ANN, "password": "guess", "refresh_token": ann.refresh}
            guesses = [await club.post("log-in", body, X_Forwarded_For=f"192.0.2.{n}") for n in range(3)]
            assert [guess.status for guess in guesses] == [401, 401, 429]
            assert (await club.post("log-in", LOG_IN)).status == 200

    async def test_whoever_has_guessed_in_vain_can_still_have_the_password_reset(self, limited: Club) -> None:
        await limited.member(ANN)
        guesses = [await limited.post("log-in", {"email": ANN, "password": "guess"}) for _ in range(4)]
        assert guesses[-1].status == 429
        # The registration has brought one mail to this address.
        spellings = (ANN, f"  {ANN}", ANN.upper())
        asked = [await limited.post("password/forgot", {"email": email}) for email in spellings]
        assert [answer.status for answer in asked] == [200, 200, 429]
