"""`syncd quarantine`: what was rejected, listed, exported, settled anew or dismissed; on a file or through a server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from rich.text import Text

from syncd.app import App
from syncd.commands.database import current_database, user_text
from syncd.commands.export import opened, target_name
from syncd.commands.figures import age_text, counted, printable
from syncd.commands.output import Output
from syncd.commands.remote import ask
from syncd.engine.entry import read_entry
from syncd.errors import CommandError, SettingsError
from syncd.settings import Settings
from syncd.store.quarantine_file import quarantine_file
from syncd.store.sqlite_in_use import in_use
from syncd.store.sqlite_ledger import read_quarantine
from syncd.store.sqlite_readonly import one_moment
from syncd.wiring import open_server

__all__ = ["FileWard", "ServerWard", "Ward", "Which", "deal_with", "export_waiting", "list_waiting"]

_PAGE: Final = 500
_PAGE_BYTES: Final = 4 * 1024 * 1024

Number = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Which:
    """Of one replica, in one scope, of one type; None for any."""

    replica: str | None = None
    scope: str | None = None
    type: str | None = None

    def given(self) -> dict[str, str]:
        """Those that were named."""
        all_of_them = {"replica": self.replica, "scope": self.scope, "type": self.type}
        return {name: value for name, value in all_of_them.items() if value is not None}


class Ward(Protocol):
    """A quarantine, wherever it is."""

    def waiting(self, which: Which) -> AsyncIterator[Mapping[str, Any]]:
        """What waits, oldest first, as the protocol has it."""
        ...

    async def deal(self, what: str, numbers: Sequence[Number]) -> Sequence[Mapping[str, Any]]:
        """`what`: "replay" or "dismiss"; a result for each."""
        ...


class FileWard:
    """Of a database. It is read in use or not; dealing with it needs it for itself, and the app for its rules."""

    def __init__(self, database: Path, app: App) -> None:
        self._database = database
        self._app = app

    async def waiting(self, which: Which) -> AsyncIterator[Mapping[str, Any]]:
        """See `Ward.waiting`; all of one moment."""
        with one_moment(current_database(self._database)) as connection:
            after, more = 0, True
            while more:
                page = read_quarantine(connection, **which.given(), after=after, limit=_PAGE, limit_bytes=_PAGE_BYTES)
                for row in page.rows:
                    yield read_entry(row).as_waiting()
                more, after = page.more, page.rows[-1].no if page.rows else after

    async def deal(self, what: str, numbers: Sequence[Number]) -> Sequence[Mapping[str, Any]]:
        """See `Ward.deal`. Raises `CommandError` if a server is using the file."""
        database = current_database(self._database)
        user = in_use(database)
        if user is not None:
            raise CommandError(
                f"{user_text(database, user)}.",
                hint=f"Ask that server: syncd quarantine {what} ... --url http://127.0.0.1:8000",
                code="database_in_use",
            )
        async with open_server(Settings(database=database, host="127.0.0.1"), self._app) as server:
            quarantine = server.quarantine
            return await (quarantine.replay(numbers) if what == "replay" else quarantine.dismiss(numbers))


class ServerWard:
    """Of a running server."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    async def waiting(self, which: Which) -> AsyncIterator[Mapping[str, Any]]:
        """See `Ward.waiting`."""
        after: int | None = 0
        while after is not None:
            query = {**which.given(), "after": str(after), "limit": str(_PAGE)}
            page = await ask(self._url, self._token, "GET", "sync/v1/quarantine", query=query)
            for change in page["changes"]:
                yield change
            after = page["next"]

    async def deal(self, what: str, numbers: Sequence[Number]) -> Sequence[Mapping[str, Any]]:
        """See `Ward.deal`."""
        items = [{"replica": replica, "n": n} for replica, n in numbers]
        answer = await ask(self._url, self._token, "POST", f"sync/v1/quarantine/{what}", body={"items": items})
        return list(answer["results"])


async def list_waiting(ward: Ward, which: Which, output: Output, *, limit: int, file: Path | None) -> int:
    """Tell what waits, `limit` of it, 0 for all; 0. `file`: the database, to say what was exported beside it."""
    now_ms = time.time_ns() // 1_000_000
    told = more = 0
    async for change in ward.waiting(which):
        if limit and told == limit:
            more += 1
            continue
        told += 1
        output.fact("waiting", **change)
        output.show(_line(change, now_ms))
    exported = None if file is None else quarantine_file(current_database(file))
    there = exported is not None and exported.exists()
    output.fact("listed", waiting=told + more, listed=told, exported_to=str(exported) if there else None)
    output.show(f"{counted(told + more, 'change')} in the quarantine." if told + more else "The quarantine is empty.")
    if there:
        output.show(f"Those that it had no room for are in {exported}.")
    return 0


async def export_waiting(ward: Ward, which: Which, target: str, output: Output, *, overwrite: bool) -> int:
    """Write what waits as JSON lines, and leave it there; 0."""
    count = 0
    with opened(target, overwrite=overwrite) as file:
        async for change in ward.waiting(which):
            count += 1
            file.write(json.dumps(change, separators=(",", ":")).encode("ascii") + b"\n")
    if target != "-":
        output.fact("exported", file=target, changes=count)
    output.note(f"Exported {counted(count, 'change')} to {target_name(target)}; they are still in the quarantine.")
    return 0


async def deal_with(
    ward: Ward, what: str, named: Sequence[str], which: Which, output: Output, *, everything: bool
) -> int:
    """Replay or dismiss the changes that are named as REPLICA.N, or all that wait; 0, or 1 if any was not."""
    if everything == bool(named):
        raise SettingsError(
            "name the changes, such as phone.3, or say --all",
            hint="'syncd quarantine list' shows them; --replica, --scope and --type choose among all.",
        )
    if named:
        numbers = [_number(text) for text in named]
    else:
        numbers = [(change["replica"], change["n"]) async for change in ward.waiting(which)]
    done = 0
    for start in range(0, len(numbers), _PAGE):
        for result in await ward.deal(what, numbers[start : start + _PAGE]):
            well = result["result"] in ("replayed", "dismissed")
            done += well
            output.fact(what, **result)
            output.show(_result(result, well))
    word = "replayed" if what == "replay" else "dismissed"
    output.fact("dealt", asked=len(numbers), done=done)
    output.show(f"{done:,} of {counted(len(numbers), 'change')} {word}.")
    return 0 if done == len(numbers) else 1


def _number(text: str) -> Number:
    replica, _, n = text.rpartition(".")
    if not replica or not (n.isascii() and n.isdigit()):
        raise SettingsError(
            f"{text!r} names no change",
            hint="It is named by its replica and its number, such as phone.3; 'syncd quarantine list' shows them.",
        )
    return (replica, int(n))


def _line(change: Mapping[str, Any], now_ms: int) -> Text:
    what = f"{change['op']} {change['type']} {change['id']}" if change["type"] else "a change that cannot be read"
    where = f" in {change['scope']}" if change["scope"] else ""
    line = Text(f"{change['replica']}.{change['n']}", "bold")
    line.append(f"  {age_text(change['arrived_at_ms'], now_ms)}: {printable(what)}{where}: ")
    return line.append(printable(f"{change.get('message', '')} ({change.get('code', 'no code')})"), "yellow")


def _result(result: Mapping[str, Any], well: bool) -> Text:
    outcome = result.get("outcome") or {}
    line = Text(f"{result['replica']}.{result['n']}", "bold")
    line.append(f"  {str(result['result']).replace('_', ' ')}", "green" if well else "yellow")
    if outcome:
        reason = f": {outcome['message']} ({outcome.get('code', 'no code')})" if "message" in outcome else ""
        line.append(printable(f", {outcome['outcome']}{reason}"))
    return line
