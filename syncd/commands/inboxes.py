"""The conflicts of a database, or of a running server, as one inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from conflict_rules import CONFLICT_TYPE
from conflict_rules.values import JsonValue, valid_id
from syncd.app import App
from syncd.commands.database import current_database, user_text
from syncd.commands.remote import Refusal, ask
from syncd.engine.inbox_entry import Settlement, as_shown, fits
from syncd.errors import CommandError, SettingsError
from syncd.settings import Settings
from syncd.store.sqlite_in_use import in_use
from syncd.store.sqlite_readonly import one_moment
from syncd.store.sqlite_reads import read_of_type, read_states
from syncd.wiring import Server, open_server

__all__ = ["Answer", "FileInbox", "Inbox", "ServerInbox", "Which"]

_PAGE: Final = 500
_USUAL_URL: Final = "--url http://127.0.0.1:8000"

Facts = Mapping[str, Any]
Versions = Mapping[str, int]
"""By the ids of conflicts: the version in which each was shown (law 1)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The `choice` of a candidate by its key, or, where that is None, a `value`."""

    value: JsonValue = None
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class Which:
    """Open or settled, in one scope, about one type or one resource of it; None for any."""

    status: str | None = "open"
    scope: str | None = None
    type: str | None = None
    id: str | None = None

    @property
    def narrow(self) -> bool:
        """Whether others of that status are left out."""
        return (self.scope, self.type, self.id) != (None, None, None)


class Inbox(Protocol):
    """The conflicts, wherever they are."""

    @property
    def where(self) -> str:
        """The options of a command that answers one of them."""
        ...

    def conflicts(self, which: Which) -> AsyncIterator[Facts]:
        """Those that fit, by id, as the protocol has them."""
        ...

    async def get(self, conflict_id: str) -> Facts | None:
        """One of them; None if there is none."""
        ...

    async def settle(self, versions: Versions, answer: Answer) -> Sequence[Facts]:
        """Give each of these conflicts the same answer; an outcome for each, in order."""
        ...

    async def reopen(self, conflict_id: str) -> Facts:
        """Ask one again; its outcome."""
        ...


class FileInbox:
    """Of a database. It is read in use or not; answering needs it for itself, and the app for its rules."""

    def __init__(self, database: Path, app: App | None) -> None:
        self._database = database
        self._app = app

    @property
    def where(self) -> str:
        """See `Inbox.where`."""
        used = in_use(current_database(self._database)) is not None
        return _USUAL_URL if used else f"--database {self._database} --app PACKAGE.MODULE:APP"

    async def conflicts(self, which: Which) -> AsyncIterator[Facts]:
        """See `Inbox.conflicts`; all of one moment."""
        with one_moment(current_database(self._database)) as connection:
            after, more = "", True
            while more:
                rows = read_of_type(connection, CONFLICT_TYPE, scope=which.scope, after=after, limit=_PAGE)
                for row in rows:
                    conflict = as_shown(row)
                    if fits(conflict, which.status, which.type, which.id):
                        yield conflict
                more, after = len(rows) == _PAGE, rows[-1].id if rows else after

    async def get(self, conflict_id: str) -> Facts | None:
        """See `Inbox.get`."""
        key = (CONFLICT_TYPE, conflict_id)
        with one_moment(current_database(self._database)) as connection:
            row = read_states(connection, [key]).get(key)
        return None if row is None or row.deleted else as_shown(row)

    async def settle(self, versions: Versions, answer: Answer) -> Sequence[Facts]:
        """See `Inbox.settle`. Raises `CommandError` if a server is using the file, `SettingsError` without an app."""
        given = [Settlement(each, answer.value, answer.choice, version) for each, version in versions.items()]
        async with self._server("settle") as server:
            return await server.inbox.settle(given)

    async def reopen(self, conflict_id: str) -> Facts:
        """See `Inbox.reopen`; raises as `settle` does."""
        async with self._server("reopen") as server:
            return await server.inbox.reopen(conflict_id)

    @asynccontextmanager
    async def _server(self, what: str) -> AsyncIterator[Server]:
        database = current_database(self._database)
        user = in_use(database)
        if user is not None:
            raise CommandError(
                f"{user_text(database, user)}.",
                hint=f"Ask that server: syncd conflicts {what} ... {_USUAL_URL}",
                code="database_in_use",
            )
        if self._app is None:
            raise SettingsError(
                "an answer is merged by the rules of the app, and which app this database is of is not known here",
                hint="Name it, such as --app syncd.apps.grassroots:app; a running server, --url, knows its own.",
                field="app",
            )
        async with open_server(Settings(database=database, host="127.0.0.1"), self._app) as server:
            yield server


class ServerInbox:
    """Of a running server."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    @property
    def where(self) -> str:
        """See `Inbox.where`."""
        return f"--url {self._url}"

    async def conflicts(self, which: Which) -> AsyncIterator[Facts]:
        """See `Inbox.conflicts`."""
        given = {"scope": which.scope, "type": which.type, "id": which.id, "status": which.status or "any"}
        query = {name: value for name, value in given.items() if value is not None}
        after: str | None = ""
        while after is not None:
            page = await self._ask("GET", "", query={**query, "after": after, "limit": str(_PAGE)})
            for conflict in page["conflicts"]:
                yield conflict
            after = page["next"]

    async def get(self, conflict_id: str) -> Facts | None:
        """See `Inbox.get`."""
        if not valid_id(conflict_id):
            return None
        try:
            return await self._ask("GET", f"/{quote(conflict_id, safe='')}")
        except Refusal as refusal:
            if refusal.problem != "no_such_conflict":
                raise
            return None

    async def settle(self, versions: Versions, answer: Answer) -> Sequence[Facts]:
        """See `Inbox.settle`."""
        given = {"value": answer.value} if answer.choice is None else {"choice": answer.choice}
        items = [{"conflict": each, "version": version, **given} for each, version in versions.items()]
        results: list[Facts] = []
        for start in range(0, len(items), _PAGE):
            body = {"settlements": items[start : start + _PAGE]}
            results += (await self._ask("POST", "/settle", body=body))["results"]
        return results

    async def reopen(self, conflict_id: str) -> Facts:
        """See `Inbox.reopen`."""
        return await self._ask("POST", f"/{quote(conflict_id, safe='')}/reopen")

    async def _ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Facts:
        return await ask(self._url, self._token, method, f"sync/v1/conflicts{path}", query=query, body=body)
