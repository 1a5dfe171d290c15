"""Questions about the past, which the server answers: what happened to a resource, why it says so, what takes it back.

A replica keeps the newest states only, so that these need the network; the change that takes something back is made
here, like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.errors import Refused, Unfit, Unreachable
from client_sdk.transport import Transport
from conflict_rules import Op
from conflict_rules.values import JsonValue

__all__ = ["Past"]


class Past:
    """Of one server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def history(self, type_name: str, resource_id: str, field: str | None) -> list[dict[str, Any]]:
        """Every settled change of the resource, or of one field of it, oldest first."""
        lines: list[dict[str, Any]] = []
        after: JsonValue = 0
        while after is not None:
            page = await self._ask("history", type_name, resource_id, field=field, after=str(after))
            changes, after = page.get("changes"), page.get("next")
            if not isinstance(changes, list) or (after is not None and not changes):
                raise Unreachable("the server's answer is no history")
            lines.extend(changes)
        return lines

    async def explain(self, type_name: str, resource_id: str, field: str | None) -> dict[str, Any]:
        """Why it says what it says."""
        return dict(await self._ask("explain", type_name, resource_id, field=field))

    async def undo(
        self,
        edits: Edits,
        type_name: str,
        resource_id: str,
        to: Mapping[str, str | None],
        group: GroupDraft | None,
    ) -> Draft:
        """Make the change that leads back, over what is shown here."""
        change = (await self._ask("undo", type_name, resource_id, **to)).get("change")
        if not isinstance(change, dict):
            raise Unreachable("the server's answer has no change")
        fields = change.get("fields", {})
        op = change.get("op")
        if op == Op.DELETE:
            return await edits.delete(type_name, resource_id, group)
        if op == Op.RESTORE:
            return await edits.restore(type_name, resource_id, fields, group)
        if op == Op.CREATE:
            return await edits.put(type_name, resource_id, change.get("scope"), fields, group)
        return await edits.update(type_name, resource_id, fields, group)

    async def _ask(self, what: str, type_name: str, resource_id: str, **query: str | None) -> Mapping[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        try:
            return await self._transport.ask(what, {"type": type_name, "id": resource_id, **given})
        except Refused as refused:
            raise Unfit(refused.message) from refused
