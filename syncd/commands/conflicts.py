"""`syncd conflicts`: what waits for a person, listed, answered, or asked again; on a file or through a server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from rich.text import Text

from syncd.commands.conflict_lines import answer_text, conflict_lines, settled_text
from syncd.commands.figures import counted, printable
from syncd.commands.inboxes import Answer, Inbox, Which
from syncd.commands.output import Output
from syncd.errors import SettingsError

__all__ = ["answer_of", "list_conflicts", "reopen", "settle"]

Conflict = Mapping[str, Any]

_DONE: Final = ("applied", "merged")


async def list_conflicts(inbox: Inbox, which: Which, output: Output, *, limit: int) -> int:
    """Tell which there are, `limit` of them, 0 for all; 0."""
    now_ms = _now_ms()
    told = more = waiting = 0
    first: Conflict | None = None
    async for conflict in inbox.conflicts(which):
        if conflict["status"] == "open":
            waiting += 1
            first = first or conflict
        if limit and told == limit:
            more += 1
            continue
        told += 1
        output.fact("conflict", **conflict)
        output.show(*conflict_lines(conflict, now_ms), Text())
    output.fact("listed", found=told + more, open=waiting, listed=told)
    output.show(_sum(told + more, told, which))
    if first is not None:
        output.show(Text(f"Answer one like this: {_example(first, inbox)}", "dim"))
    return 0


async def settle(inbox: Inbox, ids: Sequence[str], choice: str | None, value: str | None, output: Output) -> int:
    """Give each the same answer, the key of a candidate or a value as JSON; 0, or 1 if any was not settled by it."""
    named, answer = _named(ids), answer_of(choice, value)
    found = {each: await inbox.get(each) for each in named}
    versions = {
        each: int(conflict["version"]) for each, conflict in found.items() if conflict and conflict["status"] == "open"
    }
    outcomes = {str(each["conflict"]): each for each in await inbox.settle(versions, answer)} if versions else {}
    done = 0
    for each, conflict in found.items():
        if conflict is None:
            _tell_unknown(each, "settle", output)
        elif conflict["status"] != "open":
            why = f"it was settled before, {settled_text(conflict, _now_ms())}; 'syncd conflicts reopen' asks again."
            output.fact("settle", conflict=each, result="settled_before", settlement=conflict["settlement"])
            _show(each, "not settled", why, output)
        else:
            now = await inbox.get(each) or conflict
            done += _tell_settled(now, outcomes[each], output)
    return _end("settled", len(named), done, output)


async def reopen(inbox: Inbox, ids: Sequence[str], output: Output) -> int:
    """Ask each again; 0, or 1 if any was not reopened."""
    named = _named(ids)
    done = 0
    for each in named:
        conflict = await inbox.get(each)
        if conflict is None:
            _tell_unknown(each, "reopen", output)
        elif conflict["status"] == "open":
            output.fact("reopen", conflict=each, result="open_already")
            _show(each, "not reopened", "it is open, and waits for an answer.", output)
        else:
            outcome = await inbox.reopen(each)
            well = outcome["outcome"] in _DONE
            done += well
            output.fact("reopen", conflict=each, result="reopened" if well else outcome["outcome"], outcome=outcome)
            before = f"it was settled {settled_text(conflict, _now_ms())}; that stands until somebody answers."
            _show(each, "reopened" if well else "not reopened", before if well else _reason(outcome), output, well=well)
    return _end("reopened", len(named), done, output)


def answer_of(choice: str | None, value: str | None) -> Answer:
    """What `--choose` or `--value` says; raises `SettingsError` unless there is exactly one of the two."""
    if (choice is None) is (value is None):
        raise SettingsError(
            "say what is right: either --choose with the key of a candidate, or --value",
            hint="'syncd conflicts list' shows the candidates, each behind its key.",
            field="choose",
        )
    if value is None:
        return Answer(choice=choice)
    try:
        return Answer(json.loads(value, parse_constant=_no_json))
    except ValueError:
        raise SettingsError(
            f"value: {value!r} is not JSON",
            hint="""A number is written 2, a text '"two"' with both kinds of quotes, no value null.""",
            field="value",
        ) from None


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _named(ids: Sequence[str]) -> list[str]:
    if not ids:
        raise SettingsError(
            "name the conflicts, such as c-5f0f",
            hint="'syncd conflicts list' shows them; several may be named at once.",
            field="id",
        )
    return list(dict.fromkeys(ids))


def _tell_settled(conflict: Conflict, outcome: Mapping[str, Any], output: Output) -> bool:
    well = outcome["outcome"] in _DONE
    result = "settled" if well else outcome["outcome"]
    output.fact("settle", conflict=conflict["id"], result=result, outcome=dict(outcome))
    why = answer_text(conflict) if well else _reason(outcome)
    _show(conflict["id"], "settled" if well else "not settled", why, output, well=well)
    return well


def _tell_unknown(conflict_id: str, what: str, output: Output) -> None:
    output.fact(what, conflict=conflict_id, result="no_such_conflict")
    _show(conflict_id, "unknown", "there is no such conflict; 'syncd conflicts list --status any' shows all.", output)


def _show(conflict_id: str, word: str, why: str, output: Output, *, well: bool = False) -> None:
    line = Text(printable(conflict_id), "bold")
    line.append(f"  {word}", "green" if well else "yellow")
    output.show(line.append(f": {why}"))


def _reason(outcome: Mapping[str, Any]) -> str:
    return printable(f"{outcome.get('message', outcome['outcome'])} ({outcome.get('code', 'no code')})")


def _end(word: str, asked: int, done: int, output: Output) -> int:
    output.fact("answered", asked=asked, done=done)
    output.show(f"{done:,} of {counted(asked, 'conflict')} {word}.")
    return 0 if done == asked else 1


def _example(conflict: Conflict, inbox: Inbox) -> str:
    key = printable(str(conflict["candidates"][-1]["key"]))
    return f"syncd conflicts settle {printable(conflict['id'])} --choose {key} {inbox.where}"


def _sum(found: int, told: int, which: Which) -> str:
    word = "" if which.status is None else f"{which.status} "
    if not found:
        return f"There is no {word}conflict{' that fits --scope, --type and --id' if which.narrow else ''}."
    shown = "" if told == found else f", {told:,} of them listed; --limit 0 lists all"
    return f"{counted(found, f'{word}conflict')}{shown}."


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
