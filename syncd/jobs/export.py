"""Export: everything that is there of one person, as one file for him."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from syncd.jobs.archive import Archive
from syncd.jobs.person import Pages, PersonData, PersonSource
from syncd.jobs.runner import Progress
from syncd.store.jobs import JobRow

__all__ = ["FILES", "Export"]

FILES: Final[Mapping[str, tuple[Callable[[PersonData], Pages], str]]] = {
    "account": (PersonData.account, "your account: address, name, roles; your password is kept by nobody"),
    "identities": (PersonData.identities, "who you are elsewhere, if you signed in by another provider"),
    "devices": (PersonData.devices, "the devices on which you are signed in"),
    "api_keys": (PersonData.api_keys, "your keys for scripts, without what makes them open anything"),
    "replicas": (PersonData.replicas, "the copies on your devices: how many changes each has sent, and when last"),
    "memberships": (PersonData.memberships, "what you are in which scope, and who let you in"),
    "share_links": (PersonData.share_links, "the links that you made for others, without what opens them"),
    "own_resources": (PersonData.own_resources, "what is stored in your own scope, which nobody else sees"),
    "resources": (
        PersonData.resources,
        "what you made or changed elsewhere, as it is now and as far as you may see it",
    ),
    "changes": (PersonData.changes, "every change that your devices have sent: what, when, and what came of it"),
    "quarantine": (PersonData.quarantine, "changes of yours that were rejected and wait, with the reason"),
    # Behind those that wait: see there.
    "quarantine_overflow": (
        PersonData.quarantine_overflow,
        "changes of yours that were rejected, and for which there was no room where such wait",
    ),
    "conflicts": (PersonData.conflicts, "questions in which a change of yours is one of the sides"),
}
"""Each file, by name without its ending: what is in it, and what it says of itself."""


class Export:
    """The work of jobs of the kind "export"."""

    def __init__(self, source: PersonSource, now_ms: Callable[[], int], service: str) -> None:
        self._source = source
        self._now_ms = now_ms
        self._service = service

    async def __call__(self, job: JobRow, progress: Progress, result: Path, /) -> Mapping[str, Any]:
        """See `Work`. The receipt says how many lines each file has."""
        person = await self._source.of(job.account)
        archive = Archive(result)
        counts: dict[str, int] = {}
        try:
            await archive.write_text("README.txt", self._about(job))
            for done, (name, (read, _)) in enumerate(FILES.items()):
                await progress(done, len(FILES))
                counts[name] = await archive.write(f"{name}.jsonl", read(person))
        finally:
            await archive.close()
        return {"lines": counts}

    def _about(self, job: JobRow) -> str:
        when = datetime.fromtimestamp(self._now_ms() / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        width = max(map(len, FILES)) + len(".jsonl")
        lines = [f"{f'{name}.jsonl':<{width}}  {what}" for name, (_, what) in FILES.items()]
        return "\n".join(
            [
                f"What {self._service} has stored of the account {job.account}, begun {when}.",
                "",
                "Each file is JSON lines (UTF-8): one JSON object to a line. Times that end in _ms are milliseconds",
                "since 1970-01-01 UTC. A file of no lines means that there is nothing of the kind.",
                "",
                *lines,
                "",
            ]
        )
