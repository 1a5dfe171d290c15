"""A conflict in words, for people: what it asks, who said what, and what stands meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from syncd.commands.figures import age_text, counted, printable, time_text, value_text

__all__ = ["answer_text", "conflict_lines", "settled_text"]

Conflict = Mapping[str, Any]


def conflict_lines(conflict: Conflict, now_ms: int) -> Iterator[Text]:
    """All of it: what it is about, what was shown before, every candidate behind its key, and the answer."""
    head = Text(printable(conflict["id"]), "bold")
    head.append(f"  {conflict['status']}", "yellow" if conflict["status"] == "open" else "green")
    yield head.append(f"  {_about(conflict)} in {conflict['scope']}")
    if conflict["message"]:
        yield Text(f"  {printable(conflict['message'])}")
    if conflict["field"] is not None:
        told = conflict["base"] is not None
        yield _row("base", value_text(conflict["base"]) if told else "not told", "dim", _BASE if told else "")
        yield _row("accepted", value_text(conflict["accepted"]), "dim", _ACCEPTED[conflict["status"]])
    width = max((len(printable(str(each["key"]))) for each in conflict["candidates"]), default=0)
    for each in conflict["candidates"]:
        key, value = printable(str(each["key"])), value_text(each["value"])
        words = "" if each["key"] == each["value"] else value
        yield _row(key.ljust(width), words, "cyan", _origin(each, now_ms), mark="--choose ")
    if conflict["settlement"] is not None:
        yield _row("settled", settled_text(conflict, now_ms), "green")
    for earlier in conflict["settlements"]:
        yield _row("earlier", _settlement(earlier, now_ms), "dim")


def settled_text(conflict: Conflict, now_ms: int) -> str:
    """Its answer, whose it is, and when it was given."""
    return _settlement(conflict["settlement"] or {}, now_ms)


def answer_text(conflict: Conflict) -> str:
    """What stands now that it is settled."""
    value = value_text((conflict["settlement"] or {}).get("value"))
    if conflict["field"] is None:
        return f"{value} answers {printable(conflict['question'])} about {_resource(conflict['about'])}"
    return f"{printable(conflict['field'])} = {value} in {_resource(conflict['about'])}"


_SERVER = "server-"
"""How the names of the replicas begin under which a server answers for those who have none."""
_BASE = "what was shown to whoever disagreed first"
_ACCEPTED = {"open": "stands until somebody answers", "settled": "stands"}


def _about(conflict: Conflict) -> str:
    if conflict["field"] is not None:
        return f"{printable(conflict['field'])} of {_resource(conflict['about'])}"
    about = " and ".join(_resource(each) for each in (conflict["about"], *conflict["others"]))
    return f"{printable(conflict['question'])} about {about}"


def _resource(named: Mapping[str, Any]) -> str:
    return printable(f"{named['type']} {named['id']}")


def _row(name: str, value: str, style: str, note: str = "", *, mark: str = "") -> Text:
    line = Text("  ")
    line.append(mark, "dim")
    line.append(name if mark else name.ljust(8), style)
    if value:
        line.append(f"  {value}")
    return line.append(f"  ({note})" if note else "", "dim")


def _settlement(settlement: Mapping[str, Any], now_ms: int) -> str:
    deleted = settlement.get("deleted")
    what = "by deleting what it was about" if deleted else f"with {value_text(settlement.get('value'))}"
    origin = _origin(settlement, now_ms)
    return f"{what}, {origin}" if origin else what


def _origin(each: Mapping[str, Any], now_ms: int) -> str:
    """Which device, and when by its clock."""
    if "replica" not in each:
        return ""
    when = f", {time_text(each['at_ms'])}, {age_text(each['at_ms'], now_ms)}" if "at_ms" in each else ""
    group = f", in a group of {counted(len(each['group']), 'change')}" if each.get("group") else ""
    replica = each["replica"]
    who = f"by {replica}" if not replica.startswith(_SERVER) else "by command line or HTTP"
    return printable(f"{who}{when}{group}")
