"""What a person may ask for of all that is stored of him: a copy, and to be forgotten. Both are jobs.

What hangs on an erasure is told before: `consequences` counts it, and changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from syncd.errors import Forbidden
from syncd.jobs.person import PersonSource
from syncd.jobs.runner import Jobs
from syncd.store.jobs import JobRow

__all__ = ["ERASE", "EXPORT", "Leaves", "Privacy"]

EXPORT: Final = "export"
ERASE: Final = "erase"
_IDS: Final = 1000


class Leaves(Protocol):
    """Who knows the accounts (`syncd.auth.leaving`)."""

    async def check(self, account: str) -> None:
        """Raise `NotFound` if there is no such account, or it was erased."""
        ...

    async def check_owner(self, account: str, password: str, second_factor: str | None) -> None:
        """Raise `Forbidden` unless this is the account's password, `Unauthenticated` unless it is the code of the
        second factor that it asks for.
        """
        ...


class Privacy:
    """The use case. `leaving`: None where others than this server know who people are; then no password is known here,
    and whoever runs the server erases.
    """

    def __init__(self, jobs: Jobs, source: PersonSource, leaving: Leaves | None) -> None:
        self._jobs = jobs
        self._source = source
        self._leaving = leaving

    async def export(self, account: str) -> JobRow:
        """Begin to write everything of an account to a file; files from earlier are deleted. Raises `NotFound`."""
        await self._check(account)
        if not await self._jobs.unfinished(EXPORT, account):
            await self._jobs.drop_results(account)
        return await self._jobs.begin(EXPORT, account)

    async def consequences(self, account: str) -> Mapping[str, int]:
        """What goes when an account is erased, counted. Raises `NotFound`."""
        await self._check(account)
        person = await self._source.of(account, contents=False)
        counts: dict[str, int] = {}
        for name, read in {
            "devices": person.devices,
            "identities": person.identities,
            "api_keys": person.api_keys,
            "memberships": person.memberships,
            "share_links": person.share_links,
            "own_resources": person.own_resources,
            "replicas": person.replicas,
            "quarantined": person.quarantine,
            "resources": person.resources,
        }.items():
            counts[name] = sum([len(page) async for page in read()])
        counts["changes"] = await self._source.traces.change_count(account)
        counts["about"] = await self._about(account)
        return counts

    async def _about(self, account: str) -> int:
        """How many resources have him in a field that says whom another one is about, or had at some time."""
        count = 0
        for declared in self._source.app.types.values():
            if any(each.of is not None for each in declared.personal.values()):
                after = ""
                while ids := await self._source.traces.naming(declared.name, account, after=after, limit=_IDS):
                    count += len(ids)
                    after = ids[-1]
        return count

    async def erase_own(self, account: str, password: str, second_factor: str | None = None) -> JobRow:
        """Begin to erase whoever asks.

        Raises `Forbidden` if this is not his password, `Unauthenticated` for a code that is missing or wrong where he
        has a second factor, `NotFound`.
        """
        if self._leaving is None:
            raise Forbidden(
                "This server knows no passwords, and an account is not erased without one.",
                code="password_unknown",
                hint="Ask whoever runs the server to erase it.",
            )
        await self._check(account)
        await self._leaving.check_owner(account, password, second_factor)
        return await self._begin_erasing(account)

    async def erase(self, account: str) -> JobRow:
        """Begin to erase an account at the word of whoever runs the server. Raises `NotFound`.

        One that was begun and has failed goes on.
        """
        if not await self._jobs.unfinished(ERASE, account):
            await self._check(account)
        return await self._begin_erasing(account)

    async def job(self, id: str) -> JobRow:
        """A job; raises `NotFound`."""
        return await self._jobs.job(id)

    def result(self, job: JobRow) -> Path:
        """The file that it has made; raises `NotFound`."""
        return self._jobs.result(job)

    async def _begin_erasing(self, account: str) -> JobRow:
        return await self._jobs.begin(ERASE, account, {"pseudonym": f"erased-{secrets.token_hex(8)}"})

    async def _check(self, account: str) -> None:
        if self._leaving is not None:
            await self._leaving.check(account)
