"""`syncd share`: the share links of a running server, made, listed and ended by its shared token."""

from __future__ import annotations

import time
from typing import Final

from rich.table import Table

from syncd.commands.figures import age_text, printable, time_text
from syncd.commands.output import Output
from syncd.commands.people import PeopleServer

__all__ = ["create_link", "end_link", "list_links"]

_DAY_S: Final = 24 * 3600


async def create_link(server: PeopleServer, scope: str, label: str, days: int | None, output: Output) -> int:
    """Make a link by which strangers read a scope; 0."""
    lifetime_s = None if days is None else days * _DAY_S
    made = await server.ask("POST", "sync/v1/links", body={"scope": scope, "label": label, "lifetime_s": lifetime_s})
    output.fact("link_created", **made)
    output.show(made["link"])
    output.note("This is shown once. Whoever has it reads the scope, but no private field of it.")
    return 0


async def list_links(server: PeopleServer, scope: str, output: Output) -> int:
    """Tell which links a scope has, without their texts, how often each opened something, and who watches by it; 0."""
    links = (await server.ask("GET", "sync/v1/links", query={"scope": scope}))["links"]
    table, now_ms = Table(box=None, pad_edge=False), int(time.time() * 1000)
    for head in ("id", "label", "made", "uses", "watching", "state"):
        table.add_column(head, overflow="fold", no_wrap=head == "id")
    for link in links:
        output.fact("share_link", **link)
        ends_at_ms = link.get("expires_at_ms")
        state = "does not end" if ends_at_ms is None else f"ends {time_text(ends_at_ms)}"
        if link.get("revoked_at_ms") is not None or (ends_at_ms is not None and ends_at_ms <= now_ms):
            state = "ended"
        made = age_text(link["created_at_ms"], now_ms)
        table.add_row(link["id"], printable(link["label"]), made, str(link["uses"]), str(link["watching"]), state)
    output.fact("end", links=len(links))
    output.show(table if links else f"Nobody has shared {printable(scope)}.")
    return 0


async def end_link(server: PeopleServer, id: str, output: Output) -> int:
    """End a link, also where it is open; 0."""
    ended = await server.ask("DELETE", "sync/v1/links", query={"id": id})
    output.fact("link_ended", **ended)
    output.show(f"{printable(id)} opens nothing any more.")
    return 0
