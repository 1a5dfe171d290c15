"""Accounts over HTTP: registering, the address, the password, and who one is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.accounts import ANN, BOB, OPERATOR_TOKEN, PASSWORD, Club, club_with_accounts
from tests.support.served import served
from tests.support.until import until

OTHER = "other words than before"


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with club_with_accounts(tmp_path) as club:
        yield club


async def test_somebody_registers_verifies_logs_in_and_is_told_who_he_is(club: Club) -> None:
    registered = await club.post("register", {"email": " Ann@Club.example", "password": PASSWORD, "name": "Ann"})
    assert (registered.status, registered.body) == (200, {"mailed": True})
    early = await club.post("log-in", {"email": ANN, "password": PASSWORD})
    assert (early.status, early.code) == (403, "email_not_verified")
    verified = await club.post("verify-email", {"code": await club.mailed_code(ANN)})
    ann = await club.logged_in()
    assert verified.body == {"account": ann.id}
    me = await club.ask("GET", "/auth/v1/me", token=ann.access)
    assert me.headers["Cache-Control"] == "no-store"
    assert me.body == {
        "caller": "user",
        "account": ann.id,
        "roles": [],
        "scopes": None,
        "suspended": False,
        "expires_at_ms": club.clock() // 1000 * 1000 + 900_000,
        "session": ann.session,
        "email": ANN,
        "email_verified": True,
        "name": "Ann",
        "tier": "",
        "has_password": True,
        "second_factor": False,
        "created_at_ms": club.clock(),
    }


async def test_the_mail_is_sent_once_more(club: Club) -> None:
    await club.register()
    first = await club.mailed_code(ANN)
    again = await club.post("verify-email/send", {"email": ANN})
    assert (again.status, again.body) == (200, {"mailed": True})
    second = await club.mailed_code(ANN, 1)
    assert first != second
    assert (await club.post("verify-email", {"code": second})).status == 200
    assert (await club.post("verify-email", {"code": first})).code == "invalid_code"


async def test_a_forgotten_password_is_set_anew_and_every_session_ends(club: Club) -> None:
    ann = await club.member()
    mails = len(club.mails(ANN))
    assert (await club.post("password/forgot", {"email": ANN})).body == {"mailed": True}
    code = await club.mailed_code(ANN, mails)
    weak = await club.post("password/reset", {"code": code, "password": "short"})
    assert (weak.status, weak.code) == (400, "weak_password")
    assert (await club.post("password/reset", {"code": code, "password": OTHER})).body == {"account": ann.id}
    assert not await club.works(ann.access)
    assert (await club.post("refresh", {"refresh_token": ann.refresh})).code == "session_ended"
    assert (await club.post("log-in", {"email": ANN, "password": PASSWORD})).code == "wrong_credentials"
    assert await club.works((await club.logged_in(password=OTHER)).access)


async def test_a_password_is_changed_by_the_one_before_and_other_devices_are_logged_out(club: Club) -> None:
    phone = await club.member(device="phone")
    tablet = await club.logged_in(device="tablet")
    wrong = await club.post("password/change", {"old": OTHER, "new": OTHER}, token=phone.access)
    assert (wrong.status, wrong.code) == (403, "wrong_password")
    changed = await club.post("password/change", {"old": PASSWORD, "new": OTHER}, token=phone.access)
    assert changed.status == 200
    assert (await club.works(phone.access), await club.works(tablet.access)) == (True, False)


async def test_an_address_is_changed_by_a_code_sent_to_the_new_one(club: Club) -> None:
    ann = await club.member()
    asked = await club.post("email/change", {"password": PASSWORD, "email": BOB}, token=ann.access)
    assert (asked.status, asked.body) == (200, {"mailed": True})
    assert (await club.post("email/confirm", {"code": await club.mailed_code(BOB)})).body == {"account": ann.id}
    assert (await club.ask("GET", "/auth/v1/me", token=ann.access)).body["email"] == BOB
    assert (await club.post("log-in", {"email": ANN, "password": PASSWORD})).code == "wrong_credentials"


async def test_others_than_people_are_told_what_they_are_and_nothing_personal(club: Club) -> None:
    ann = await club.member()
    body = {"name": "script", "scopes": ["match:m1"], "password": PASSWORD}
    key = (await club.post("api-keys", body, token=ann.access)).body["text"]
    by_key = await club.ask("GET", "/auth/v1/me", token=key)
    assert (by_key.body["account"], by_key.body["scopes"]) == (ann.id, ["match:m1"])
    assert "email" not in by_key.body
    assert (await club.ask("GET", "/auth/v1/me", token=OPERATOR_TOKEN)).body == {"caller": "operator"}
    assert (await club.ask("GET", "/auth/v1/me")).status == 401


async def test_messages_are_read_in_msgpack_too(club: Club) -> None:
    import msgpack

    headers = {"Content-Type": "application/msgpack"}
    body = msgpack.packb({"email": ANN, "password": PASSWORD})
    async with club.http.post("/auth/v1/register", data=body, headers=headers) as response:
        assert response.content_type == "application/msgpack"
        assert msgpack.unpackb(await response.read()) == {"mailed": True}


async def test_messages_are_checked_strictly_and_bounded(club: Club) -> None:
    for body in ({"email": ANN}, {"email": 3, "password": ""}, {"email": ANN, "password": PASSWORD, "admin": True}, []):
        assert (await club.post("register", body)).code == "invalid_message"
    assert (await club.post("register", {"email": "x" * 100_000, "password": ""})).status == 413
    assert (await club.post("register", {"email": "nobody", "password": PASSWORD})).code == "invalid_email"


async def test_without_accounts_there_is_nothing_here(tmp_path: Path) -> None:
    async with served(tmp_path / "club.db") as server:
        paths = [
            (route.method, route.resource.canonical.replace("{id}", "x").replace("{key}", "y"))
            for route in server.parts.web.router.routes()
            if route.resource is not None
            and route.resource.canonical.startswith(("/auth/", "/admin/", "/.well"))
            # Data of one's own there is also where others keep the accounts.
            and not re.search(r"/(export|erase)$|/jobs/", route.resource.canonical)
        ]
        assert len(paths) > 35
        club = Club(server, None, None, tmp_path)  # type: ignore[arg-type]
        from aiohttp import ClientSession

        async with ClientSession(server.url) as club.http:
            for method, path in paths:
                if method != "HEAD":
                    answer = await club.ask(method, path)
                    assert (answer.status, answer.code) == (404, "not_found"), path
                    assert "SYNCD_ACCOUNTS" in answer.body["hint"]


class TestNobodyIsToldWhichAddressesHaveAccounts:
    """Status, body, headers and cookies are the same, and a mail goes out either way."""

    async def test_by_registering(self, club: Club) -> None:
        await club.member(ANN)
        known, unknown = [await club.register(email) for email in (ANN, BOB)]
        assert same(known) == same(unknown)
        await until(lambda: len(club.mails(ANN)) == 2 and len(club.mails(BOB)) == 1)

    @pytest.mark.parametrize("path", ["password/forgot", "verify-email/send"])
    async def test_by_asking_for_mail(self, club: Club, path: str) -> None:
        await club.member(ANN)
        known, unknown = [await club.post(path, {"email": email}) for email in (ANN, BOB)]
        assert same(known) == same(unknown)
        await until(lambda: len(club.mails(ANN)) == 2 and len(club.mails(BOB)) == 1)

    async def test_by_logging_in(self, club: Club) -> None:
        await club.member(ANN)
        answers = [
            await club.post("log-in", {"email": email, "password": OTHER}) for email in (ANN, BOB, "no address", "")
        ]
        assert {answer.code for answer in answers} == {"wrong_credentials"}
        assert all(same(answer) == same(answers[0]) for answer in answers)


def same(answer: object) -> tuple[object, ...]:
    """All of an answer but what is of its moment."""
    from tests.support.accounts import Answer

    assert isinstance(answer, Answer)
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-ID", "Date")}
    body = {name: value for name, value in answer.body.items() if name != "request_id"}
    return answer.status, body, headers
