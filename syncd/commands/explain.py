"""`syncd explain`: why a resource says what it says, from a database, in use or not, or from a running server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from conflict_rules import State
from conflict_rules.values import valid_id, valid_type
from conflict_rules.wire import decode_state
from syncd.app import App
from syncd.commands.database import current_database
from syncd.commands.figures import counted, printable, size_text, time_text, value_text
from syncd.commands.output import Output
from syncd.commands.remote import ask
from syncd.engine.explain import Explainer
from syncd.errors import SettingsError
from syncd.store.protocol import ResourceKey
from syncd.store.sqlite_ledger import read_history
from syncd.store.sqlite_readonly import Moment, one_moment
from syncd.store.sqlite_reads import read_states

__all__ = ["explain_in_file", "explain_on_server"]

_ROWS: Final = 500
_ROW_BYTES: Final = 4 * 1024 * 1024
_SHOWN: Final = 10
"""Candidates of one field that people are shown; programs get them all."""


def explain_in_file(database: Path, key: ResourceKey, field: str | None, app: App | None, output: Output) -> int:
    """Explain a resource of a database; 0, or 1 if nothing was ever sent about it. `app`: None where not known."""
    _check(key)
    declared = None if app is None else app.type(key[0])
    explainer = Explainer(
        None if declared is None else declared.rule, field=field, lift=None if app is None else app.upgrades.lift
    )
    with one_moment(current_database(database)) as connection:
        state = _state(connection, key)
        after, more = 0, True
        while more:
            page = read_history(connection, key, after=after, limit=_ROWS, limit_bytes=_ROW_BYTES)
            explainer.take(page.rows)
            more, after = page.more, page.rows[-1].no if page.rows else after
    return _show(explainer.told(key, state), output)


async def explain_on_server(url: str, token: str | None, key: ResourceKey, field: str | None, output: Output) -> int:
    """Ask a server; as for a file."""
    _check(key)
    query = {"type": key[0], "id": key[1], **({} if field is None else {"field": field})}
    return _show(await ask(url, token, "GET", "sync/v1/explain", query=query), output)


def _check(key: ResourceKey) -> None:
    if not (valid_type(key[0]) and valid_id(key[1])):
        raise SettingsError(f"{key[0]!r} {key[1]!r} cannot be the type and the id of a resource", field="type")


def _state(connection: Moment, key: ResourceKey) -> State | None:
    row = read_states(connection, [key]).get(key)
    return None if row is None else decode_state(json.loads(row.body), row.scope)


def _show(told: Mapping[str, Any], output: Output) -> int:
    output.fact("explained", **told)
    output.show(*_picture(told))
    return 0 if told["changes"] or told["stands"] != "nothing" else 1


def _picture(told: Mapping[str, Any]) -> list[Text]:
    where = f" in {told['scope']}, version {told['version']}" if "scope" in told else ""
    rule = f", rule {told['rule']}" if "rule" in told else ""
    lines = [Text(f"{told['type']} {told['id']}{where}{rule}: {told['stands']}", "bold"), Text(f"  {told['because']}")]
    for field in told["fields"]:
        lines.extend(_field(field))
    lines.extend(Text(f"  before: {_sentence(event['because'])} ({_when(event)})", "dim") for event in told["life"][1:])
    if "rule" not in told:
        lines.append(Text("Under which rules is not known here: name the app with --app.", "yellow"))
    elif not told["exact"]:
        words = "Some reasons are only what was noted then: the rules have changed since, or the beginning is gone."
        lines.append(Text(words, "yellow"))
    return lines


def _field(field: Mapping[str, Any]) -> list[Text]:
    value = value_text(field["value"]) if "value" in field else "no value"
    line = Text(f"{printable(field['field'])} = {value}", "bold cyan")
    details = [f"version {field['version']}"] if "version" in field else []
    details += [f"rule {field['rule']}"] if "rule" in field else []
    if details:
        line.append(f"  ({', '.join(details)})", "dim")
    lines = [line]
    if "set_by" in field:
        lines.append(Text(f"  by {field['set_by']['who']}, {_when(field['set_by'])}"))
    lines.append(Text(f"  {_sentence(field['because'])}"))
    candidates = field["candidates"]
    for each in candidates[:_SHOWN]:
        by = f" by {each['by']['who']}" if "by" in each else ""
        text = Text(f"  {each['fate']}{by}: ", "yellow" if each["fate"] in ("lost", "rejected", "asked") else "dim")
        text.append(f"{_offered(field, each)} of {each['who']}, {_when(each)}: {_sentence(each['because'])}")
        lines.append(text)
    left = len(candidates) - _SHOWN + field["older"] if len(candidates) > _SHOWN else field["older"]
    if left:
        lines.append(Text(f"  and {counted(left, 'earlier change')}", "dim"))
    return lines


def _offered(field: Mapping[str, Any], candidate: Mapping[str, Any]) -> str:
    value = candidate["value"]
    if field.get("rule") == "crdt" and isinstance(value, dict) and isinstance(value.get("update"), str):
        letters = value["update"].rstrip("=")
        return f"an edit of {size_text(len(letters) * 3 // 4)}"
    return value_text(value)


def _when(each: Mapping[str, Any]) -> str:
    arrived = f"arrived {time_text(each['arrived_at_ms'])}"
    return f"made {time_text(each['made_at_ms'])} by its clock, {arrived}" if "made_at_ms" in each else arrived


def _sentence(text: str) -> str:
    return printable(text)
