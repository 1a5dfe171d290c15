"""A person's own data over HTTP: a copy of it, and to be forgotten; what has become of either; and the file.

Whoever runs the server asks the same for anybody, under `/admin/v1/users/{id}`. By an API key nobody asks for any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web

from syncd.api.account_gate import check_operator, id_in, log_in_needed
from syncd.api.account_messages import EraseAccount, EraseMe
from syncd.api.body import BodyReader
from syncd.api.envelope import read_message
from syncd.api.guesses import Guesses
from syncd.api.history import answer
from syncd.api.request_keys import principal_of
from syncd.engine.principal import Caller, Principal
from syncd.errors import Forbidden, InvalidMessage, NotFound
from syncd.store.jobs import JobRow, JobState

__all__ = ["AsksForData", "PrivacyRoutes"]

_ERASE: Final = "erase"


class AsksForData(Protocol):
    """See `syncd.jobs.privacy.Privacy`."""

    async def export(self, account: str) -> JobRow: ...
    async def consequences(self, account: str) -> Mapping[str, int]: ...
    async def erase_own(self, account: str, password: str, second_factor: str | None) -> JobRow: ...
    async def erase(self, account: str) -> JobRow: ...
    async def job(self, id: str) -> JobRow: ...
    def result(self, job: JobRow) -> Path: ...


class PrivacyRoutes:
    """Six requests. `guesses`: counts tries at the password that an erasure takes."""

    def __init__(self, *, privacy: AsksForData, bodies: BodyReader, guesses: Guesses) -> None:
        self._privacy = privacy
        self._bodies = bodies
        self._guesses = guesses

    async def export(self, request: web.Request) -> web.Response:
        """`POST /auth/v1/me/export`: begins to write it."""
        return answer(request, _told(await self._privacy.export(_own_account(request))))

    async def erase(self, request: web.Request) -> web.Response:
        """`POST /auth/v1/me/erase`: what would go, or, with the password and the second factor, begins it."""
        account = _own_account(request)
        message = read_message(EraseMe, (await self._bodies.read(request))[0])
        if principal_of(request).suspended:
            raise Forbidden(
                "this account is suspended: what it has done stays until somebody has looked at it",
                code="account_suspended",
                hint="Ask whoever runs the server to erase it.",
            )
        if message.dry_run:
            return answer(request, {"would_erase": await self._privacy.consequences(account)})
        if message.password is None:
            raise InvalidMessage(
                "password: it is missing; to be erased cannot be taken back",
                hint="Send the account's password, or 'dry_run': true to see what would go.",
                field="password",
            )
        async with self._guesses.counted(request, account):
            job = await self._privacy.erase_own(account, message.password, message.second_factor)
        return answer(request, _told(job))

    async def export_of(self, request: web.Request) -> web.Response:
        """`POST /admin/v1/users/{id}/export`: the same of anybody."""
        return answer(request, _told(await self._privacy.export(_account_named(request))))

    async def erase_of(self, request: web.Request) -> web.Response:
        """`POST /admin/v1/users/{id}/erase`: the same of anybody; `confirm` names the account once more."""
        account = _account_named(request)
        message = read_message(EraseAccount, (await self._bodies.read(request))[0])
        if message.dry_run:
            return answer(request, {"would_erase": await self._privacy.consequences(account)})
        if message.confirm != account:
            raise InvalidMessage(
                "confirm: it does not name the account; to be erased cannot be taken back",
                hint="Send the id of the account once more, or 'dry_run': true to see what would go.",
                field="confirm",
            )
        return answer(request, _told(await self._privacy.erase(account)))

    async def job(self, request: web.Request) -> web.Response:
        """`GET /auth/v1/jobs/{id}`: how far it is, and its receipt.

        Of an erasure for whoever knows its id: no token of that account opens anything any more.
        """
        job = await self._privacy.job(request.match_info["id"])
        if job.kind != _ERASE:
            _check_own(principal_of(request), job)
        return answer(request, _told(job))

    async def file(self, request: web.Request) -> web.StreamResponse:
        """`GET /auth/v1/jobs/{id}/file`: what it has made."""
        job = await self._privacy.job(request.match_info["id"])
        _check_own(principal_of(request), job)
        return web.FileResponse(
            self._privacy.result(job),
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": f'attachment; filename="{job.kind}-{job.id[:8]}.zip"',
                "Cache-Control": "no-store",
            },
        )


def _own_account(request: web.Request) -> str:
    principal = principal_of(request)
    if principal.caller is not Caller.USER:
        raise Forbidden(
            "only somebody with an account has data of his own here",
            code="no_account",
            hint="Log in; whoever runs the server asks for others under /admin/v1/users/ID.",
        )
    if principal.by_key:
        raise log_in_needed()
    return principal.user


def _account_named(request: web.Request) -> str:
    check_operator(request)
    return id_in(request)


def _check_own(principal: Principal, job: JobRow) -> None:
    if principal.caller is Caller.OPERATOR:
        return
    if principal.caller is Caller.USER and principal.user == job.account and not principal.by_key:
        return
    # As if there were none: not even that somebody has asked is others' to know.
    raise NotFound("There is no job of that id.", code="no_such_job", hint="Ask for it again, and keep the id.")


def _told(job: JobRow) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "progress": {"done": job.done, "total": job.total},
        "created_at_ms": job.created_at_ms,
        "started_at_ms": job.started_at_ms,
        "finished_at_ms": job.finished_at_ms,
    }
    if job.message:
        told["message"] = job.message
    if job.state is JobState.DONE:
        told["receipt"] = json.loads(job.detail)
    if job.file:
        told["file"] = {
            "url": f"/auth/v1/jobs/{job.id}/file",
            "bytes": job.bytes,
            "sha256": job.digest,
            "expires_at_ms": job.expires_at_ms,
        }
    return told
