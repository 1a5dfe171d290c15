"""Tokens that somebody forges, steals, mistakes or shows twice: at a real server with real accounts, over real sockets.

That the cookie counts for pages of this server only, and how it is set, is in tests/api/test_sessions.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pyotp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from syncd.auth.passwords import Passwords
from tests.attacks.test_strings import STRINGS
from tests.auth.issuers import pem_of, private_key, public_pem_of
from tests.auth.test_tokens import by_hand
from tests.support.accounts import ANN, BOB, OPERATOR_TOKEN, PASSWORD, Answer, Club, Member, club_with_accounts
from tests.support.bad_input import naughty_strings

KEY = private_key("EdDSA", "of the server under attack")
PUSH = {"replica": "thief", "changes": []}


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path, secret_key=pem_of(KEY), access_token_s=60 * 60) as club:
        yield club


@pytest.fixture
async def ann(club: Club) -> Member:
    return await club.member(device="phone")


def change(n: int, match: str, **more: Any) -> dict[str, Any]:
    fields = {"match_id": match.partition(":")[2]}
    return {"n": n, "scope": match, "type": "event", "id": f"{match}-{n}", "op": "create", "fields": fields, **more}


async def socket_of(club: Club, token: str) -> ClientWebSocketResponse:
    socket = await club.http.ws_connect("/sync/v1/live")
    await socket.send_json({"type": "hello", "token": token})
    assert (await socket.receive_json(timeout=5))["type"] == "welcome"
    return socket


async def closed(socket: ClientWebSocketResponse) -> int | None:
    """The code with which the server closes it, whatever comes before."""
    while (message := await socket.receive(timeout=5)).type is WSMsgType.TEXT:
        pass
    return int(message.data) if message.type is WSMsgType.CLOSE else None


async def goes_on(socket: ClientWebSocketResponse) -> bool:
    await socket.send_json({"type": "ping"})
    return bool((await socket.receive_json(timeout=5))["type"] == "pong")


async def told_everywhere(club: Club, token: str) -> set[str]:
    """What a token is told by requests, a stream with it in the header and in the URL, and a socket."""
    answers = [
        await club.ask("GET", "/auth/v1/me", token=token),
        await club.ask("POST", "/sync/v1/push", PUSH, token=token),
        await club.ask("POST", "/sync/v1/pull", {"scopes": {}}, token=token),
        await club.ask("GET", "/sync/v1/conflicts", token=token),
        await club.ask("GET", "/admin/v1/users", token=token),
        await club.ask("GET", "/sync/v1/stream?scope=match:m1", token=token),
        await club.ask("GET", f"/sync/v1/stream?scope=match:m1&token={token}"),
    ]
    assert {answer.status for answer in answers} == {401}, answers
    async with club.http.ws_connect("/sync/v1/live") as socket:
        await socket.send_json({"type": "hello", "token": token})
        assert (await socket.receive_json(timeout=5))["type"] == "error"
        assert await closed(socket) == 4401
    return {answer.code for answer in answers}


class TestForged:
    """Tokens that nobody has issued, or that say something else than what was signed."""

    @pytest.fixture
    def claims(self, club: Club, ann: Member) -> dict[str, Any]:
        return dict(jwt.decode(ann.access, options={"verify_signature": False}))

    @pytest.fixture
    def header(self, ann: Member) -> dict[str, Any]:
        return dict(jwt.get_unverified_header(ann.access))

    @pytest.mark.parametrize("spelt", ["none", "None", "NONE", "nOnE", ""])
    async def test_without_a_signature(self, club: Club, claims: Any, header: Any, spelt: str) -> None:
        for signature in (b"", b"x"):
            assert await told_everywhere(club, by_hand({**header, "alg": spelt}, claims, signature)) == {
                "token_invalid"
            }

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_by_the_public_key_as_a_secret(self, club: Club, claims: Any, header: Any, algorithm: str) -> None:
        (jwk,) = (await club.ask("GET", "/.well-known/jwks.json")).body["keys"]
        for secret in (public_pem_of(KEY), jwk["x"], json.dumps(jwk)):
            # By hand: no library signs with a public key by a mistake any more.
            head = {"alg": algorithm, "kid": header["kid"], "typ": header["typ"]}
            signing_input = by_hand(head, claims).rpartition(".")[0]
            signature = jwt.get_algorithm_by_name(algorithm).sign(signing_input.encode(), secret.encode())
            assert await told_everywhere(club, by_hand(head, claims, signature)) == {"token_invalid"}

    async def test_by_a_key_of_ones_own_also_if_the_token_brings_it(self, club: Club, claims: Any, header: Any) -> None:
        mine = private_key("EdDSA", "of the thief")
        jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk(mine.public_key(), as_dict=True)
        for more in ({}, {"jwk": jwk}, {"jku": "http://127.0.0.1:1/jwks"}, {"kid": "../../../dev/null"}):
            token = jwt.encode(claims, mine, "EdDSA", {**header, **more})
            assert await told_everywhere(club, token) == {"token_invalid"}

    async def test_by_changing_what_it_says(self, club: Club, ann: Member, claims: Any, header: Any) -> None:
        _, _, signature = ann.access.split(".")
        for changed in ({"sub": "bob"}, {"roles": ["admin"]}, {"exp": claims["exp"] + 10**6}, {"sid": "another"}):
            forged = by_hand(header, {**claims, **changed}).rpartition(".")[0] + f".{signature}"
            assert await told_everywhere(club, forged) == {"token_invalid"}

    async def test_for_another_audience_issuer_or_purpose_by_the_right_key(
        self, club: Club, claims: Any, header: Any
    ) -> None:
        for changed, kind in (
            ({"aud": "another"}, "at+jwt"),
            ({"aud": []}, "at+jwt"),
            ({"iss": "https://evil.example"}, "at+jwt"),
            ({}, "JWT"),
        ):
            token = jwt.encode({**claims, **changed}, KEY, "EdDSA", {**header, "typ": kind})
            assert await told_everywhere(club, token) == {"token_invalid"}

    async def test_before_and_after_its_time(self, club: Club, ann: Member, claims: Any, header: Any) -> None:
        later = jwt.encode({**claims, "nbf": claims["iat"] + 3600}, KEY, "EdDSA", header)
        assert await told_everywhere(club, later) == {"token_not_yet_valid"}
        club.clock.advance(3600 + 61)
        assert await told_everywhere(club, ann.access) == {"token_expired"}


class TestMistaken:
    """One kind of secret where another is expected."""

    @pytest.fixture
    async def secrets(self, club: Club, ann: Member) -> dict[str, str]:
        await club.ask(
            "POST", "/sync/v1/push", {"replica": "phone", "changes": [change(1, "match:m1")]}, token=ann.access
        )
        link = await club.ask("POST", "/sync/v1/links", {"scope": "match:m1"}, token=ann.access)
        key = await club.post("api-keys", {"name": "script", "password": PASSWORD}, token=ann.access)
        mails = len(club.mails(ANN))
        await club.post("password/forgot", {"email": ANN})
        return {
            "access": ann.access,
            "refresh": ann.refresh,
            "key": key.body["text"],
            "key id": key.body["id"],
            "link": link.body["link"],
            "code": await club.mailed_code(ANN, mails),
            "session": ann.session,
            "account": ann.id,
            "password": PASSWORD,
        }

    @pytest.mark.parametrize("kind", ["refresh", "key id", "code", "session", "account", "password"])
    async def test_opens_nothing_as_an_access_token(self, club: Club, secrets: dict[str, str], kind: str) -> None:
        await told_everywhere(club, secrets[kind])

    @pytest.mark.parametrize("kind", ["access", "key", "key id", "link", "code", "session", "account"])
    async def test_opens_nothing_as_a_refresh_token(self, club: Club, secrets: dict[str, str], kind: str) -> None:
        answer = await club.post("refresh", {"refresh_token": secrets[kind], "device": "phone"})
        assert (answer.status, answer.code) == (401, "invalid_refresh_token")
        by_cookie = await club.post("refresh", Cookie=f"syncd_refresh={secrets[kind]}", Origin=club.server.url)
        assert (by_cookie.status, by_cookie.code) == (401, "invalid_refresh_token")
        # And nothing of its session has ended by that.
        assert (await club.post("refresh", {"refresh_token": secrets["refresh"], "device": "phone"})).status == 200

    @pytest.mark.parametrize("kind", ["access", "refresh", "key", "link", "session", "account"])
    async def test_opens_nothing_as_a_mailed_code(self, club: Club, secrets: dict[str, str], kind: str) -> None:
        for path, more in (("verify-email", {}), ("email/confirm", {}), ("password/reset", {"password": PASSWORD})):
            assert (await club.post(path, {"code": secrets[kind], **more})).code == "invalid_code"

    async def test_a_code_is_good_for_what_it_was_sent_for_only(self, club: Club, secrets: dict[str, str]) -> None:
        for path in ("verify-email", "email/confirm"):
            assert (await club.post(path, {"code": secrets["code"]})).code == "invalid_code"
        body = {"email": ANN, "password": PASSWORD, "second_factor": secrets["code"]}
        assert (await club.post("log-in", body)).status == 200

    async def test_a_link_reads_its_scope_and_no_account(self, club: Club, secrets: dict[str, str]) -> None:
        for method, path, body in (
            ("GET", "/auth/v1/devices", None),
            ("POST", "/auth/v1/api-keys", {"name": "mine"}),
            ("POST", "/auth/v1/password/change", {"old": PASSWORD, "new": "other words than before"}),
            ("GET", "/admin/v1/users", None),
        ):
            assert (await club.ask(method, path, body, token=secrets["link"])).status == 403

    async def test_a_token_in_a_url_opens_the_stream_and_nothing_else(self, club: Club, ann: Member) -> None:
        for method, path, body in (
            ("GET", "/auth/v1/me", None),
            ("GET", "/auth/v1/devices", None),
            ("GET", "/sync/v1/conflicts", None),
            ("GET", "/sync/v1/quarantine", None),
            ("POST", "/sync/v1/pull", {"scopes": {}}),
            ("POST", "/auth/v1/api-keys", {"name": "mine"}),
            ("GET", "/admin/v1/users", None),
        ):
            for name in ("token", "access_token"):
                assert (await club.ask(method, f"{path}?{name}={ann.access}", body)).status == 401
        async with club.http.get("/sync/v1/stream", params={"scope": "match:m1", "token": ann.access}) as stream:
            assert stream.status == 200


class TestStolen:
    """Refresh tokens of which there are copies."""

    async def refreshed(self, club: Club, token: str) -> Answer:
        return await club.post("refresh", {"refresh_token": token, "device": "phone"})

    async def test_one_shown_again_ends_its_session_and_closes_its_sockets(self, club: Club, ann: Member) -> None:
        tablet = await club.logged_in(device="tablet")
        phone_socket, tablet_socket = await socket_of(club, ann.access), await socket_of(club, tablet.access)
        second = (await self.refreshed(club, ann.refresh)).body
        third = (await self.refreshed(club, second["refresh_token"])).body
        again = await self.refreshed(club, ann.refresh)
        assert (again.status, again.code) == (401, "refresh_token_reused")
        assert await closed(phone_socket) == 4401
        for token in (ann.access, second["access_token"], third["access_token"]):
            assert not await club.works(token)
        assert (await self.refreshed(club, third["refresh_token"])).code == "session_ended"
        assert await goes_on(tablet_socket)
        assert await club.works(tablet.access)

    async def test_a_lost_reply_is_asked_for_again_and_gets_the_same_token(self, club: Club, ann: Member) -> None:
        lost = await self.refreshed(club, ann.refresh)
        again = await self.refreshed(club, ann.refresh)
        assert again.body["refresh_token"] == lost.body["refresh_token"]
        club.clock.advance(31)
        assert (await self.refreshed(club, ann.refresh)).code == "refresh_token_reused"

    async def test_two_at_once_get_the_same_and_both_go_on(self, club: Club, ann: Member) -> None:
        answers = await asyncio.gather(*(self.refreshed(club, ann.refresh) for _ in range(8)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body["refresh_token"] for answer in answers}) == 1
        assert (await self.refreshed(club, answers[0].body["refresh_token"])).status == 200

    async def test_one_of_another_device_is_refused_and_its_session_goes_on(self, club: Club, ann: Member) -> None:
        for device in ("", "tablet", "PHONE"):
            answer = await club.post("refresh", {"refresh_token": ann.refresh, "device": device})
            assert (answer.status, answer.code) == (401, "wrong_device")
        assert (await self.refreshed(club, ann.refresh)).status == 200

    async def test_a_session_that_was_planted_is_not_taken_over_by_a_log_in(self, club: Club, ann: Member) -> None:
        bob = await club.member(BOB)
        page = {"Origin": club.server.url, "Cookie": f"syncd_refresh={bob.refresh}"}
        body = {"email": ANN, "password": PASSWORD, "cookie": True, "refresh_token": bob.refresh}
        answer = await club.post("log-in", body, **page)
        assert (answer.status, answer.body["account"]) == (200, ann.id)
        assert answer.body["session"] not in (bob.session, ann.session)
        assert answer.cookie()[0] != bob.refresh
        # Whoever planted it still has his own session, and no more.
        his = await club.post("refresh", {"refresh_token": bob.refresh})
        assert his.body["account"] == bob.id


class TestEnded:
    """What is taken away is gone at once, also where it is open."""

    async def test_a_log_out_closes_the_sockets_of_its_session(self, club: Club, ann: Member) -> None:
        tablet = await club.logged_in(device="tablet")
        sockets = [await socket_of(club, each.access) for each in (ann, tablet)]
        await club.post("log-out", token=ann.access)
        assert await closed(sockets[0]) == 4401
        assert await goes_on(sockets[1])
        assert await told_everywhere(club, ann.access) == {"session_ended"}

    async def test_a_new_password_closes_those_of_everybody_else(self, club: Club, ann: Member) -> None:
        thief = await club.logged_in(device="thief")
        sockets = [await socket_of(club, each.access) for each in (ann, thief)]
        body = {"old": PASSWORD, "new": "other words than before"}
        assert (await club.post("password/change", body, token=ann.access)).status == 200
        assert await closed(sockets[1]) == 4401
        assert await goes_on(sockets[0])

    async def test_a_suspension_closes_all_and_what_is_pushed_is_kept(self, club: Club, ann: Member) -> None:
        key = (await club.post("api-keys", {"name": "script", "password": PASSWORD}, token=ann.access)).body["text"]
        sockets = [await socket_of(club, token) for token in (ann.access, key)]
        await club.admin("POST", f"users/{ann.id}/suspend")
        assert [await closed(socket) for socket in sockets] == [4401, 4401]
        body = {"replica": "phone", "changes": [change(1, "match:m1")]}
        pushed = await club.ask("POST", "/sync/v1/push", body, token=ann.access)
        assert [outcome["code"] for outcome in pushed.body["outcomes"]] == ["account_suspended"]
        waiting = await club.ask("GET", "/sync/v1/quarantine", token=ann.access)
        assert len(waiting.body["changes"]) == 1

    async def test_a_revoked_key_closes_its_sockets(self, club: Club, ann: Member) -> None:
        key = (await club.post("api-keys", {"name": "script", "password": PASSWORD}, token=ann.access)).body
        socket = await socket_of(club, key["text"])
        await club.ask("DELETE", f"/auth/v1/api-keys/{key['id']}", token=ann.access)
        assert await closed(socket) == 4401


async def test_a_key_to_one_scope_opens_no_other_though_its_owner_may(club: Club, ann: Member) -> None:
    changes = [change(1, "match:m1"), change(2, "match:m2")]
    await club.ask("POST", "/sync/v1/push", {"replica": "phone", "changes": changes}, token=ann.access)
    wanted = {"scopes": ["match:m1"], "password": PASSWORD}
    key = (await club.post("api-keys", wanted, token=ann.access)).body["text"]
    own = f"user:{ann.id}"
    scopes = {"match:m1": None, "match:m2": None, own: None}
    pages = (await club.ask("POST", "/sync/v1/pull", {"scopes": scopes}, token=key)).body["scopes"]
    assert [name for name, page in pages.items() if not page.get("gone")] == ["match:m1"]
    body = {"replica": "script", "changes": [change(1, "match:m1"), change(2, "match:m2"), change(3, "match:new")]}
    body["changes"][0]["id"] = "by-the-script"
    outcomes = (await club.ask("POST", "/sync/v1/push", body, token=key)).body["outcomes"]
    assert [outcome["outcome"] for outcome in outcomes] == ["applied", "rejected", "rejected"]
    socket = await socket_of(club, key)
    await socket.send_json({"type": "subscribe", "scopes": scopes})
    told = (await socket.receive_json(timeout=5))["scopes"]
    assert [name for name, standing in told.items() if not standing.get("gone")] == ["match:m1"]
    for path in ("history", "explain"):
        answer = await club.ask("GET", f"/sync/v1/{path}?type=event&id=match:m2-2", token=key)
        assert not answer.body.get("changes")
    for method, path, sent in (
        ("POST", "/auth/v1/api-keys", {"name": "wider"}),
        ("DELETE", f"/auth/v1/devices/{ann.session}", None),
        ("POST", "/auth/v1/log-out", {"everywhere": True}),
        ("PUT", "/sync/v1/members", {"scope": "match:m2", "user": "thief", "role": "owner"}),
        ("POST", "/sync/v1/links", {"scope": "match:m2"}),
    ):
        assert (await club.ask(method, path, sent, token=key)).status in (403, 404), path


class TestStrangers:
    """Whoever has no account, and wants to know or to flood."""

    @pytest.fixture
    def hashes(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """One for each password that is hashed: work done, which does not depend on how busy the machine is."""
        counted: list[str] = []
        for name in ("hash", "verify"):
            monkeypatch.setattr(Passwords, name, counting(getattr(Passwords, name), counted, name))
        return counted

    async def test_as_much_is_computed_for_an_address_as_for_another(
        self, club: Club, ann: Member, hashes: list[str]
    ) -> None:
        def work() -> list[str]:
            done = list(hashes)
            hashes.clear()
            return done

        for path, body in (
            ("register", {"password": PASSWORD}),
            ("log-in", {"password": "guess"}),
            ("password/forgot", {}),
            ("verify-email/send", {}),
        ):
            work()
            done = []
            for email in (ANN, "nobody@club.example"):
                await club.post(path, {"email": email, **body})
                done.append(work())
            assert done[0] == done[1], path

    async def test_a_flood_of_registrations_is_stopped_where_it_comes_from(self, tmp_path: Path) -> None:
        async with club_with_accounts(tmp_path, rate_limiting="auto", trusted_proxies="1") as club:
            flood = []
            for n in range(10):
                body = {"email": f"flood{n}@club.example", "password": PASSWORD}
                flood.append(await club.post("register", body, X_Forwarded_For=f"192.0.2.{n}, 198.51.100.1"))
            assert [answer.status for answer in flood] == [200] * 3 + [429] * 7
            assert flood[-1].headers["Retry-After"]
            ann = await club.member(ANN)
            here = {"X_Forwarded_For": "198.51.100.1"}
            one_more = {"email": "one-more@club.example", "password": PASSWORD}
            assert (await club.post("register", one_more, token=ann.access, **here)).status == 429

    async def test_nobody_is_flooded_with_mail_that_others_ask_for(self, tmp_path: Path) -> None:
        async with club_with_accounts(
            tmp_path, rate_limiting="auto", trusted_proxies="1", rate_limits="login.account=4/hour"
        ) as club:
            more: dict[str, dict[str, str]] = {"register": {"password": PASSWORD}}
            asked = [
                (await club.post(path, {"email": ANN, **more.get(path, {})}, X_Forwarded_For=f"192.0.2.{n}")).status
                for n, path in enumerate(["register", "password/forgot", "verify-email/send"] * 3)
            ]
            assert asked == [200] * 4 + [429] * 5
            assert (await club.post("password/forgot", {"email": BOB}, X_Forwarded_For="192.0.2.9")).status == 200


def counting(method: Callable[..., Any], counted: list[str], name: str) -> Callable[..., Any]:
    async def counts(*arguments: Any) -> Any:
        counted.append(name)
        return await method(*arguments)

    return counts


DEVICE = {"device": {"id": "HERE", "name": "HERE", "platform": "HERE"}}
FIELDS: dict[str, list[dict[str, Any]]] = {
    "POST /auth/v1/register": [
        {"email": "HERE", "password": PASSWORD},
        {"email": "new@club.example", "password": "HERE"},
        {"email": "new@club.example", "password": PASSWORD, "name": "HERE"},
    ],
    "POST /auth/v1/verify-email": [{"code": "HERE"}],
    "POST /auth/v1/verify-email/send": [{"email": "HERE"}],
    "POST /auth/v1/password/forgot": [{"email": "HERE"}],
    "POST /auth/v1/password/reset": [{"code": "HERE", "password": PASSWORD}],
    "POST /auth/v1/password/change": [{"old": "HERE", "new": PASSWORD}, {"old": PASSWORD, "new": "HERE!"}],
    "POST /auth/v1/email/change": [{"password": PASSWORD, "email": "HERE"}, {"password": "HERE", "email": BOB}],
    "POST /auth/v1/email/confirm": [{"code": "HERE"}],
    "POST /auth/v1/log-in": [
        {"email": "HERE", "password": PASSWORD},
        {"email": ANN, "password": "HERE"},
        {"email": ANN, "password": PASSWORD, "second_factor": "HERE", "refresh_token": "HERE"},
        {"email": ANN, "password": PASSWORD, **DEVICE},
    ],
    "POST /auth/v1/refresh": [{"refresh_token": "HERE"}, {"refresh_token": "HERE", "device": "HERE"}],
    "POST /auth/v1/log-out": [{"refresh_token": "HERE"}],
    "POST /auth/v1/providers/google": [{"id_token": "HERE", "nonce": "HERE", **DEVICE}],
    "POST /auth/v1/second-factor/confirm": [{"code": "HERE"}],
    "POST /auth/v1/second-factor/remove": [{"password": PASSWORD, "code": "HERE"}],
    "POST /auth/v1/api-keys": [
        {"name": "HERE", "lifetime_s": 1, "password": PASSWORD},
        {"scopes": ["HERE"], "lifetime_s": 1, "password": PASSWORD},
        {"name": "script", "lifetime_s": 1, "password": "HERE"},
    ],
    "POST /admin/v1/users": [{"email": "HERE"}, {"email": ANN, "name": "HERE"}, {"email": ANN, "roles": ["HERE"]}],
    "PUT /admin/v1/users/ANN/roles": [{"roles": ["HERE"]}],
    "PUT /admin/v1/users/ANN/tier": [{"tier": "HERE"}],
    "POST /admin/v1/tokens/revoke": [{"id": "HERE", "expires_at_ms": 2_000_000_000_000}],
}


def filled(shape: Any, text: str) -> Any:
    if isinstance(shape, dict):
        return {key: filled(value, text) for key, value in shape.items()}
    if isinstance(shape, list):
        return [filled(value, text) for value in shape]
    return shape.replace("HERE", text) if isinstance(shape, str) else shape


def texts() -> Iterator[str]:
    yield from STRINGS
    # Every eighth: all kinds are among them.
    yield from naughty_strings()[::8]
    yield from ("\ud800", "\udfff\ud800", "a" * 1024, "ﬀ" * 500, "\u0000", "ann@club.example\nBcc: bob@club.example")


@pytest.mark.parametrize("what", list(FIELDS))
async def test_in_every_field_each_string_is_answered_and_opens_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    google = {"client_ids": ["web"], "jwks_url": "http://127.0.0.1:1/jwks"}
    async with club_with_accounts(tmp_path, google=google) as club:
        ann = await club.member()
        method, path = what.split()
        path = path.replace("ANN", ann.id)
        token = None if path == "/auth/v1/log-out" else ann.access
        for shape in FIELDS[what]:
            for text in texts():
                answer = (
                    await club.admin(method, path.removeprefix("/admin/v1/"), filled(shape, text))
                    if path.startswith("/admin/")
                    else await club.ask(method, path, filled(shape, text), token=token)
                )
                assert answer.status < 500, (text, answer)
                if answer.status >= 400:
                    assert answer.code
                    assert answer.body["hint"]
                assert "Set-Cookie" not in answer.headers
                if "X-Forged" in answer.headers:
                    pytest.fail(text)
        if not path.endswith("/password/change"):
            assert await club.works((await club.logged_in()).access)
    log = capsys.readouterr().out
    assert [
        sign for sign in ("Traceback", "unexpected_failure", PASSWORD, ann.access, ann.refresh) if sign in log
    ] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/auth/v1/devices/HERE"),
        ("DELETE", "/auth/v1/api-keys/HERE"),
        ("GET", "/admin/v1/users/HERE"),
        ("GET", "/admin/v1/users?email=HERE"),
        ("GET", "/admin/v1/users?after=HERE"),
        ("POST", "/admin/v1/users/HERE/suspend"),
        ("DELETE", "/admin/v1/users/HERE/api-keys/HERE"),
        ("GET", "/auth/v1/providers/google/begin?return_to=HERE"),
        ("GET", "/auth/v1/providers/google/callback?code=HERE&state=HERE"),
    ],
)
async def test_in_every_url_each_string_leads_to_nothing(tmp_path: Path, method: str, path: str) -> None:
    google = {"client_ids": ["web"], "client_secret": "hidden", "redirect_uris": ["https://club.example/back"]}
    async with club_with_accounts(tmp_path, google=google) as club:
        ann = await club.member()
        token = OPERATOR_TOKEN if path.startswith("/admin/") else ann.access
        for text in texts():
            url = path.replace("HERE", quote(text.encode("utf-8", "surrogatepass"), safe=""))
            answer = await club.ask(method, url, token=token)
            nothing = answer.status == 200 and answer.body == {"users": [], "next": None}
            sent_on = answer.status == 302 and answer.headers["Location"].startswith("https://accounts.google.com/")
            assert nothing or sent_on or 400 <= answer.status < 500 or "after=" in path, (text, answer)
        assert await club.works(ann.access)


async def test_no_secret_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with club_with_accounts(tmp_path, log_requests="info") as club:
        ann = await club.member()
        key = (await club.post("api-keys", {"name": "script", "password": PASSWORD}, token=ann.access)).body["text"]
        await club.post("refresh", {"refresh_token": ann.refresh})
        await club.post("log-in", {"email": ANN, "password": "a-guess-at-it"})
        await club.post("password/forgot", {"email": ANN})
        code = await club.mailed_code(ANN, 1)
        await club.ask("GET", f"/auth/v1/me?token={key}")
        await club.ask("GET", f"/auth/v1/providers/google/callback?code={code}&state=secret-state")
        await club.ask(
            "POST", "/sync/v1/push", {"replica": "phone", "changes": [change(1, "match:m1")]}, token=ann.access
        )
        link = (await club.ask("POST", "/sync/v1/links", {"scope": "match:m1"}, token=ann.access)).body["link"]
        await club.ask("POST", "/sync/v1/pull", {"scopes": {"match:m1": None}}, token=link)
        await club.ask("GET", f"/sync/v1/stream?token={link}", token=f"{link}-mistyped")
        await club.post("providers/google", {"id_token": "an.id.token-of-hers", "nonce": "her-nonce"})
        second = (await club.post("second-factor/enrol", {"password": PASSWORD}, token=ann.access)).body["secret"]
        shown = pyotp.TOTP(second).at(club.clock() // 1000)
        confirmed = await club.post("second-factor/confirm", {"code": shown}, token=ann.access)
        recovery = confirmed.body["recovery_codes"]
        for answer in (recovery[0], "wrong-recovery-code"):
            await club.post("log-in", {"email": ANN, "password": PASSWORD, "second_factor": answer})
    log = capsys.readouterr().out
    assert log.count("route=/auth/v1/") >= 12
    secrets = [
        *(PASSWORD, "a-guess-at-it", ann.access, ann.refresh, key, code, "secret-state", ANN, "argon2"),
        *(link, "token-of-hers", "her-nonce", second, *recovery, "wrong-recovery-code"),
    ]
    assert [secret for secret in secrets if secret in log] == []
