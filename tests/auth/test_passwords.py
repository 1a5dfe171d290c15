"""Passwords: what may be one, how it is kept, and that none is computed on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from syncd.auth.passwords import Passwords
from syncd.auth.rules import HashCost, PasswordRules
from syncd.errors import InvalidMessage, RateLimited
from tests.auth.house import ANN, CHEAP, PASSWORD, open_house
from tests.support.until import until


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP)
    yield passwords
    passwords.close()


def allowed(passwords: Passwords, password: str, email: str | None = None) -> bool:
    try:
        passwords.check(password, email)
    except InvalidMessage as refusal:
        return (refusal.problem_code, refusal.field) != ("weak_password", "password")
    return True


async def test_the_right_password_matches_and_no_other(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert await passwords.hash(PASSWORD) != stored, "salted"
    assert (await passwords.verify(stored, PASSWORD)).matches
    for other in ("", PASSWORD + " ", PASSWORD.upper(), "x" * 2000, "\ud800", "\0"):
        assert not (await passwords.verify(stored, other)).matches


async def test_nobodys_password_matches_nothing(passwords: Passwords) -> None:
    for password in ("", PASSWORD, "x" * 2000):
        assert not (await passwords.verify(None, password)).matches


@pytest.mark.parametrize("case", ["known", "unknown"])
async def test_an_answer_costs_one_hash_of_the_same_kind_whether_there_is_a_hash_or_not(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    stored = await passwords.hash(PASSWORD)
    verified: list[str] = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, hash: str, password: str) -> bool:
        verified.append(hash)
        return bool(verify(hasher, hash, password))

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    assert not (await passwords.verify(stored if case == "known" else None, "wrong")).matches
    (used,) = verified
    parameters, lengths = used.split("$")[1:4], [len(part) for part in used.split("$")]
    assert parameters == stored.split("$")[1:4]
    assert lengths == [len(part) for part in stored.split("$")]


async def test_it_is_the_same_however_a_keyboard_composes_it(passwords: Passwords) -> None:
    stored = await passwords.hash("Ω café ﬁne")
    assert (await passwords.verify(stored, "Ω café fine")).matches


async def test_a_hash_of_another_cost_is_made_anew_at_log_in(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert (await passwords.verify(stored, PASSWORD)).new_hash is None
    dearer = Passwords(HashCost(passes=2, memory_bytes=16 * 1024, lanes=1))
    assert (await dearer.verify(stored, "wrong")).new_hash is None
    matches, new_hash = await dearer.verify(stored, PASSWORD)
    assert matches
    assert new_hash is not None
    assert "m=16,t=2,p=1" in new_hash
    assert await dearer.verify(new_hash, PASSWORD) == (True, None)
    dearer.close()


async def test_a_log_in_stores_the_new_hash(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("house") / "club.db"
    async with open_house(path) as house:
        account = await house.member()
        clock = house.clock
    async with open_house(path, clock=clock, cost=HashCost(passes=2, memory_bytes=8 * 1024, lanes=1)) as house:
        await house.signed_in()
        row = await house.store.account(account)
        assert row is not None
        assert "t=2" in (row.password_hash or "")
        await house.signed_in()


async def test_a_damaged_hash_is_nobodys(passwords: Passwords) -> None:
    for damaged in ("", "plain text", "$argon2id$v=19$m=8,t=1,p=1$AAAA"):
        assert not (await passwords.verify(damaged, PASSWORD)).matches


async def test_the_event_loop_goes_on_and_only_so_many_are_computed_at_once(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_, go_on = PasswordHasher.hash, threading.Event()
    running, most, threads = 0, 0, set[int]()
    counting = threading.Lock()

    def slow(hasher: PasswordHasher, password: str) -> str:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
            threads.add(threading.get_ident())
        go_on.wait(10)
        with counting:
            running -= 1
        return str(hash_(hasher, password))

    monkeypatch.setattr(PasswordHasher, "hash", slow)
    hashing = asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(6)))
    await until(lambda: running == 2)
    await asyncio.sleep(0.02)
    go_on.set()
    assert len(await hashing) == 6
    assert most == 2
    assert threading.get_ident() not in threads


async def test_of_too_many_who_wait_the_last_are_asked_to_come_again(passwords: Passwords) -> None:
    results = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(70)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, RateLimited)]
    assert len(refused) == 6
    assert refused[0].retry_after_s
    assert await passwords.hash(PASSWORD), "and then there is room again"


@pytest.mark.parametrize(
    ("password", "may"),
    [
        ("x9$kfQ2", False),
        ("x9$kfQ2z", True),
        ("correct horse battery staple", True),
        ("ab" * 64, True),
        ("ab" * 64 + "c", False),
        ("密码密码密码密码", True),
        ("密码密码密码密", False),
        ("\ufdfa" * 8, False),
        ("password", False),
        ("PassWord", False),
        ("12345678", False),
        ("qwerty123", False),
        ("zzzzzzzzzzzz", False),
        ("\ud800" * 8, False),
        ("x" * 100_000, False),
    ],
)
def test_what_may_be_a_password(passwords: Passwords, password: str, may: bool) -> None:
    assert allowed(passwords, password) is may


def test_it_is_not_the_address(passwords: Passwords) -> None:
    assert not allowed(passwords, ANN, ANN)
    assert not allowed(passwords, ANN.upper(), ANN)
    assert not allowed(passwords, "annabelle", "annabelle@club.example")
    assert allowed(passwords, f"{ANN} and more", ANN)


@pytest.mark.parametrize(
    ("password", "may"),
    [
        ("SecureP@ss123", True),
        ("securep@ss123", False),
        ("SECUREP@SS123", False),
        ("SecureP@ssword", False),
        ("SecurePass123", False),
        ("Ännchen 5 Äpfel", True),
    ],
)
def test_classes_of_characters_can_be_asked_for(password: str, may: bool) -> None:
    passwords = Passwords(CHEAP, PasswordRules(classes=True))
    assert allowed(passwords, password) is may
    passwords.close()
