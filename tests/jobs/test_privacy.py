"""Who may ask for what of a person's data, and what is asked of him for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest
from structlog.testing import capture_logs

from syncd.auth.accounts import new_account
from syncd.store.accounts import AccountCommit
from syncd.wiring.jobs import sweep_accounts
from tests.access.world import world
from tests.jobs.forgetful_club import PASSWORD, Club, club
from tests.support.accounts import club_with_accounts


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path) as built:
        yield built


async def test_a_key_opens_nothing_about_its_account(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    people = house.server.parts.people
    assert people is not None
    _, job = await ann.ask("POST", "/auth/v1/me/export")
    await house.finished(job)
    for scopes in (None, ["match:1"]):
        key = (await people.api_keys.create(ann.id, "a script", scopes=scopes)).text
        for path, body in (("export", None), ("erase", {"dry_run": True}), ("erase", {"password": PASSWORD})):
            status, refusal = await house.ask(key, "POST", f"/auth/v1/me/{path}", body)
            assert (status, refusal["code"]) == (403, "log_in_needed")
        for path in (job["id"], f"{job['id']}/file"):
            status, refusal = await house.ask(key, "GET", f"/auth/v1/jobs/{path}")
            assert (status, refusal["code"]) == (404, "no_such_job")
    assert (await ann.ask("GET", f"/auth/v1/jobs/{job['id']}/file"))[0] == 200


async def test_where_there_is_a_second_factor_the_password_is_not_enough(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    people = house.server.parts.people
    assert people is not None
    phone = pyotp.TOTP((await people.second_factor.enrol(ann.id, PASSWORD)).secret)
    await people.second_factor.confirm(ann.id, phone.at(house.clock() // 1000))
    house.clock.advance(30)
    for given, code in (({}, "second_factor_required"), ({"second_factor": "000000"}, "wrong_second_factor")):
        status, refusal = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD, **given})
        assert (status, refusal["code"]) == (401, code)
    shown = phone.at(house.clock() // 1000)
    status, job = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD, "second_factor": shown})
    assert status == 200, job
    assert (await house.finished(job))["state"] == "done"


async def test_tries_at_the_password_count_like_those_of_a_log_in(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path, rate_limiting="auto", rate_limits="login=2/hour") as built:
        ann = await built.member()
        tries = [await built.post("me/erase", {"password": "a guess"}, token=ann.access) for _ in range(2)]
        assert [answer.code for answer in tries] == ["wrong_password"] * 2
        assert (await built.post("me/erase", {"password": PASSWORD}, token=ann.access)).status == 429
        assert (await built.post("me/erase", {"dry_run": True}, token=ann.access)).status == 200


async def test_what_whoever_runs_the_server_asks_for_is_in_the_log(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    with capture_logs() as logs:
        for path, body in (("export", None), ("erase", {"confirm": ann.id})):
            status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/{path}", body)
            assert status == 200, job
            await house.finished(job)
        status, refusal = await house.operate("POST", "/admin/v1/users/an%20id/export")
        assert (status, refusal["code"]) == (404, "not_found")
    acts = [entry for entry in logs if entry["event"] == "operator_act"]
    assert [(act["method"], act["route"], act["account"]) for act in acts] == [
        ("POST", "/admin/v1/users/{id}/export", ann.id),
        ("POST", "/admin/v1/users/{id}/erase", ann.id),
        ("POST", "/admin/v1/users/{id}/export", "an id"),
    ]


async def test_a_suspended_person_gets_a_copy_and_is_erased_by_whoever_runs_the_server(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    people = house.server.parts.people
    assert people is not None
    await people.standing.suspend(ann.id)
    status, job = await ann.ask("POST", "/auth/v1/me/export")
    assert status == 200, job
    assert (await house.finished(job))["state"] == "done"
    status, refusal = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
    assert (status, refusal["code"]) == (403, "account_suspended")
    status, job = await house.operate("POST", f"/admin/v1/users/{ann.id}/erase", {"confirm": ann.id})
    assert (await house.finished(job))["state"] == "done"


async def test_where_others_know_who_people_are_no_password_is_asked_for_in_vain(tmp_path: Path) -> None:
    async with world(tmp_path) as built:
        response = await built.ask("olga", "POST", "/auth/v1/me/erase", json={"password": "any"})
        assert (response.status, (await response.json())["code"]) == (403, "password_unknown")
        response = await built.ask("operator", "POST", "/admin/v1/users/olga/erase", json={"confirm": "olga"})
        job = await response.json()
        while job["state"] in ("queued", "running"):
            await asyncio.sleep(0.05)
            job = await (await built.ask("operator", "GET", f"/auth/v1/jobs/{job['id']}")).json()
        assert job["state"] == "done"
        response = await built.ask("nobody", "GET", f"/auth/v1/jobs/{job['id']}")
        assert (await response.json())["receipt"] == job["receipt"]
        response = await built.ask("olga", "POST", "/sync/v1/pull", json={"scopes": {"match:m1": None}})
        assert (await response.json())["scopes"]["match:m1"] == {"gone": True}


async def test_accounts_that_nobody_opened_go_by_the_clock(house: Club) -> None:
    ann = await house.join("ann@club.example", "Ann", "phone")
    parts = house.server.parts
    assert parts.people is not None
    row = new_account(house.clock())._replace(email="never@club.example")
    async with parts.store.accounts.transaction() as transaction:  # type: ignore[attr-defined]
        await transaction.commit(AccountCommit(accounts=[row]))
    house.clock.advance(parts.settings.unverified_kept_s)
    await sweep_accounts(parts, parts.people)
    assert await parts.people.store.account(row.id) is not None
    house.clock.advance(1)
    await sweep_accounts(parts, parts.people)
    assert await parts.people.store.account(row.id) is None
    assert await parts.people.store.account(ann.id) is not None
