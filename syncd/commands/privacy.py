"""What `syncd user export` and `syncd user erase` do: they ask a running server, and wait until it has done it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from syncd.commands.output import Output
from syncd.commands.remote import ask, base_url, unreachable
from syncd.errors import CommandError

__all__ = ["erase", "export"]

_WAIT_S: Final = 0.2
_TIMEOUT_S: Final = 60.0

_WORDS: Final = {
    "devices": "devices signed in",
    "identities": "sign-ins by other providers",
    "api_keys": "API keys",
    "memberships": "memberships",
    "share_links": "share links",
    "own_resources": "resources in the account's own scope",
    "replicas": "replicas, which will belong to nobody",
    "quarantined": "rejected changes that wait",
    "resources": "resources elsewhere that the account made or changed",
    "about": "resources that name the account, and lose what is personal about it",
    "changes": "changes in the history, which stay without what is personal",
}


async def export(url: str, token: str | None, account: str, target: Path, output: Output, *, overwrite: bool) -> int:
    """Write all that is stored of an account to a file; the exit code. Raises `CommandError`."""
    if not overwrite and await asyncio.to_thread(target.exists):
        raise CommandError(f"{target} is there already.", hint="Name another file, or add --force.")
    job = await ask(url, token, "POST", f"{_user(account)}/export")
    job = await _finished(url, token, job, output, "Exporting")
    await _download(url, token, job["file"], target)
    output.fact("exported", account=account, file=str(target), **job["file"], receipt=job["receipt"])
    output.show(f"{target}: {job['file']['bytes']} bytes, SHA-256 {job['file']['sha256']}")
    output.note("The server keeps its copy for some days, and then deletes it.")
    return 0


async def erase(url: str, token: str | None, account: str, output: Output, confirm: Callable[[str], bool]) -> int:
    """Erase an account once `confirm(question)` says so; the exit code. Raises `CommandError`."""
    path = f"{_user(account)}/erase"
    told = await ask(url, token, "POST", path, body={"dry_run": True})
    counts: Mapping[str, int] = told["would_erase"]
    output.note(f"Of the account {account} there are:")
    for name, count in counts.items():
        output.note(f"  {count:>8}  {_WORDS.get(name, name)}")
    output.note("Fields that the app marks as personal are emptied too, wherever they are. What was typed stays where")
    output.note("it is not marked, and in backups: docs/privacy.md says what else there is to do.")
    if not confirm("This cannot be taken back. Erase it?"):
        raise CommandError("Nothing was erased.", hint="Answer y, or add --yes, to erase the account.")
    job = await ask(url, token, "POST", path, body={"confirm": account})
    job = await _finished(url, token, job, output, "Erasing")
    output.fact("erased", account=account, job=job["id"], receipt=job["receipt"])
    output.show(f"Erased. The receipt is job {job['id']}:")
    for name, count in job["receipt"].items():
        output.show(f"  {count:>8}  {name.replace('_', ' ')}")
    return 0


def _user(account: str) -> str:
    return f"admin/v1/users/{quote(account, safe='')}"


async def _finished(
    url: str, token: str | None, job: Mapping[str, Any], output: Output, words: str
) -> Mapping[str, Any]:
    with output.progress(words) as progress:
        while job["state"] in ("queued", "running"):
            progress(job["progress"]["done"], job["progress"]["total"])
            await asyncio.sleep(_WAIT_S)
            job = await ask(url, token, "GET", f"auth/v1/jobs/{job['id']}")
        progress(job["progress"]["total"], job["progress"]["total"])
    if job["state"] != "done":
        raise CommandError(
            f"The server could not do it: {job.get('message', 'it does not say why')}",
            hint="Mend that, and give the command again: it goes on where it was.",
        )
    return job


async def _download(url: str, token: str | None, file: Mapping[str, Any], target: Path) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_TIMEOUT_S)
    unfinished, digest = target.with_name(f"{target.name}.part"), hashlib.sha256()
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{base_url(url)}{file['url']}") as response,
        ):
            if response.status != 200:
                raise CommandError(f"The server does not give out the file: status {response.status}.")
            # All that is stored of a person is for nobody else on this machine.
            opened = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(opened, "wb") as out:
                async for chunk in response.content.iter_chunked(1 << 20):
                    digest.update(chunk)
                    await asyncio.to_thread(out.write, chunk)
    except aiohttp.ClientError as failure:
        raise unreachable(url, failure) from failure
    except OSError as failure:
        raise CommandError(f"{target} cannot be written: {failure.strerror or failure}") from failure
    if digest.hexdigest() != file["sha256"]:
        raise CommandError(f"What came from {url} is not what the server has made.", hint="Give the command again.")
    unfinished.replace(target)
