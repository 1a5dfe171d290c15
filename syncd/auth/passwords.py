"""Passwords: what may be one, and argon2id, in threads of its own. Knows no account.

A hash takes a tenth of a second and 64 MiB on purpose. So few are computed at once, off the event loop, and only so
many may wait: beyond that the caller is asked to come again, before anything was looked up.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from syncd.auth.common_passwords import COMMON
from syncd.auth.rules import HashCost, PasswordRules
from syncd.errors import Exceeded, InvalidMessage, RateLimited

__all__ = ["Passwords", "Verified"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

_MAX_RAW_LENGTH: Final = 1024
"""Before normalisation, which may make one character eighteen."""
_MAX_WAITING: Final = 64
_LOOK_AGAIN_MS: Final = 5000
_HASH_BYTES: Final = 32
_SALT_BYTES: Final = 16


class Verified(NamedTuple):
    """`new_hash`: to be stored in the old one's place, which cost less or more than it should; None if it may stay."""

    matches: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies. `workers`: how many hashes are computed at once."""

    def __init__(self, cost: HashCost | None = None, rules: PasswordRules | None = None, *, workers: int = 2) -> None:
        cost = cost or HashCost()
        self._rules = rules or PasswordRules()
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_bytes // 1024,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._nobodys = _hash_of_nobody(cost)
        # An executor, not a semaphore: whoever stops waiting does not stop the thread, which must go on counting.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._waiting = 0

    def check(self, password: str, email: str | None = None) -> None:
        """Raise `InvalidMessage` unless this may be a new password of whoever has this address."""
        normal = _normal(password)
        rules = self._rules
        if normal is None or not rules.min_length <= len(normal) <= rules.max_length:
            raise _weak(f"A password has {rules.min_length} to {rules.max_length} characters.")
        if rules.classes and not _all_classes(normal):
            raise _weak("A password has at least one capital letter, one small one, one digit and one other character.")
        plain = normal.casefold()
        if email is not None and plain in (email, email.partition("@")[0]):
            raise _weak("A password must not be the e-mail address.")
        if plain in COMMON or len(set(plain)) == 1:
            raise _weak("This password is among the first that anybody would try.")

    async def hash(self, password: str) -> str:
        """The text to store; raises `RateLimited` if too many wait already."""
        normal = _normal(password)
        assert normal is not None, "checked before"
        return await self._in_thread(self._hasher.hash, normal)

    async def verify(self, password_hash: str | None, password: str) -> Verified:
        """Whether it is the password. `password_hash` None: of nobody; that takes as long, and is never right.

        Raises `RateLimited` if too many wait already.
        """
        normal = _normal(password)
        return await self._in_thread(self._verify, password_hash, normal)

    def close(self) -> None:
        """Take no more, and let go of the threads once they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str | None, normal: str | None) -> Verified:
        matches = self._matches(password_hash or self._nobodys, normal or "")
        if password_hash is None or normal is None or not matches:
            return Verified(matches=False)
        if self._hasher.check_needs_rehash(password_hash):
            return Verified(matches=True, new_hash=self._hasher.hash(normal))
        return Verified(matches=True)

    def _matches(self, password_hash: str, normal: str) -> bool:
        try:
            return self._hasher.verify(password_hash, normal)
        except VerifyMismatchError:
            return False
        except (Argon2Error, InvalidHashError):
            log.exception("password_hash_unusable")
            return False

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        if self._waiting >= _MAX_WAITING:
            raise RateLimited("Too many people are logging in at this moment.", Exceeded(_MAX_WAITING, _LOOK_AGAIN_MS))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str | None:
    """As it is hashed: the same however a keyboard composes it (NFKC); None if nobody can have it."""
    if len(password) > _MAX_RAW_LENGTH:
        return None
    normal = unicodedata.normalize("NFKC", password)
    try:
        normal.encode()
    except UnicodeEncodeError:
        return None
    return normal


def _all_classes(password: str) -> bool:
    others = (not each.isalnum() for each in password)
    return all(
        (any(map(str.isupper, password)), any(map(str.islower, password)), any(map(str.isdigit, password)))
    ) and any(others)


def _weak(sentence: str) -> InvalidMessage:
    return InvalidMessage(
        sentence, code="weak_password", hint="Choose another one; four words in a row are a good one.", field="password"
    )


def _hash_of_nobody(cost: HashCost) -> str:
    """A hash that costs as much as any and that no password has: its digest is random."""

    def spelled(count: int) -> str:
        return base64.b64encode(secrets.token_bytes(count)).decode().rstrip("=")

    parameters = f"m={cost.memory_bytes // 1024},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v=19${parameters}${spelled(_SALT_BYTES)}${spelled(_HASH_BYTES)}"
