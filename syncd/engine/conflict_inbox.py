"""The conflict inbox: what waits for a person's answer, listed and answered by whoever has no replica.

Answers are ordinary settlements, which the rules merge like those of any device; here is only what is read and which
change says it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from conflict_rules import CONFLICT_TYPE, Op, Outcome, State
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_state, encode_outcome
from syncd.engine.incoming import rejected
from syncd.errors import NotFound
from syncd.store.protocol import StateRow, Store

__all__ = ["ConflictInbox", "Settlement"]

_PORTION: Final = 500

Draft = Mapping[str, JsonValue]
Act = Callable[[Sequence[Draft]], Awaitable[Sequence[Mapping[str, JsonValue]]]]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One answer: the `choice` of a candidate by its key, or, over a field, a `value`.

    `version`: of the conflict as it was shown (law 1); None: as it is.
    """

    conflict: str
    value: JsonValue = None
    choice: str | None = None
    version: int | None = None


class ConflictInbox:
    """The use case. `act` makes changes of wire-form drafts, and returns their outcomes (`Pusher.act`)."""

    def __init__(self, store: Store, act: Act) -> None:
        self._store = store
        self._act = act

    async def page(
        self,
        *,
        scope: str | None = None,
        status: Literal["open", "settled"] | None = None,
        type: str | None = None,
        id: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> dict[str, JsonValue]:
        """Conflicts by id, those above `after`: in a scope, open or settled, about a type or a resource of it.

        `next`: where to go on, None at the end.
        """
        found: list[JsonValue] = []
        async with self._store.snapshot() as snapshot:
            while True:
                rows = await snapshot.of_type(CONFLICT_TYPE, scope=scope, after=after, limit=_PORTION)
                for row in rows:
                    conflict = _shown(row)
                    after = row.id
                    if not _fits(conflict, status, type, id):
                        continue
                    if len(found) == limit:
                        return {"conflicts": found, "next": _id_of(found[-1])}
                    found.append(conflict)
                if len(rows) < _PORTION:
                    return {"conflicts": found, "next": None}

    async def get(self, conflict_id: str) -> dict[str, JsonValue]:
        """One conflict; raises `NotFound`."""
        return _shown((await self._rows([conflict_id]))[conflict_id])

    async def settle(self, settlements: Sequence[Settlement]) -> list[dict[str, JsonValue]]:
        """Give these answers; for each, in order, its outcome. What can be settled is, whatever becomes of the rest."""
        rows = await self._rows({each.conflict for each in settlements}, missing_ok=True)
        told: dict[int, dict[str, JsonValue]] = {}
        drafts: dict[int, Draft] = {}
        for place, settlement in enumerate(settlements):
            row = rows.get(settlement.conflict)
            draft = _draft(row, settlement)
            if isinstance(draft, Outcome):
                told[place] = encode_outcome(None, draft)
            else:
                drafts[place] = draft
        outcomes = await self._act(list(drafts.values())) if drafts else []
        told.update({place: dict(outcome) for place, outcome in zip(drafts, outcomes, strict=True)})
        return [_result(settlement.conflict, told[place]) for place, settlement in enumerate(settlements)]

    async def reopen(self, conflict_id: str) -> dict[str, JsonValue]:
        """Ask again; the outcome. Raises `NotFound`."""
        row = (await self._rows([conflict_id]))[conflict_id]
        [outcome] = await self._act([_change(row, CONFLICT_TYPE, conflict_id, {"status": "open"}, row.version)])
        return _result(conflict_id, outcome)

    async def _rows(self, ids: Sequence[str] | set[str], *, missing_ok: bool = False) -> dict[str, StateRow]:
        async with self._store.snapshot() as snapshot:
            states = await snapshot.states([(CONFLICT_TYPE, each) for each in ids])
        rows = {row.id: row for row in states.values() if not row.deleted}
        missing = [each for each in ids if each not in rows]
        if missing and not missing_ok:
            raise NotFound(f"there is no conflict {missing[0][:128]!r}", code="no_such_conflict")
        return rows


def _state(row: StateRow) -> State:
    return decode_state(json.loads(row.body), row.scope)


def _shown(row: StateRow) -> dict[str, JsonValue]:
    return {"id": row.id, "scope": row.scope, "version": row.version, **_state(row).fields}


def _id_of(conflict: JsonValue) -> JsonValue:
    return conflict["id"] if isinstance(conflict, dict) else None


def _fits(conflict: Mapping[str, JsonValue], status: str | None, type_name: str | None, resource: str | None) -> bool:
    others = conflict["others"]
    about = [conflict["about"], *(others if isinstance(others, list) else [])]
    return status in (None, conflict["status"]) and any(
        isinstance(each, dict) and type_name in (None, each["type"]) and resource in (None, each["id"])
        for each in about
    )


def _draft(row: StateRow | None, settlement: Settlement) -> Draft | Outcome:
    """The change that gives this answer, or the outcome of one that cannot be given."""
    if row is None:
        return rejected("no_such_conflict", f"there is no conflict {settlement.conflict[:128]!r}", "conflict")
    fields, version = _state(row).fields, row.version if settlement.version is None else settlement.version
    value, candidates = settlement.value, fields["candidates"]
    if settlement.choice is not None:
        known = {each["key"]: each for each in candidates} if isinstance(candidates, list) else {}
        if settlement.choice not in known:
            return rejected("unknown_choice", f"choice: one of {', '.join(map(str, known))}", "choice")
        value = known[settlement.choice]["value"]
    field, about = fields["field"], fields["about"]
    if isinstance(field, str) and isinstance(about, dict):
        return _change(row, str(about["type"]), str(about["id"]), {field: value}, version)
    if settlement.choice is None:
        message = "choice: this question has given answers; name one by its key"
        return rejected("unknown_choice", message, "choice")
    return _change(row, CONFLICT_TYPE, row.id, {"choice": settlement.choice}, version)


def _change(row: StateRow, type_name: str, resource_id: str, fields: Mapping[str, JsonValue], base: int) -> Draft:
    return {
        "scope": row.scope,
        "type": type_name,
        "id": resource_id,
        "op": Op.SETTLE.value,
        "conflict": row.id,
        "fields": dict(fields),
        "base": base,
    }


def _result(conflict_id: str, outcome: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"conflict": conflict_id, **{key: value for key, value in outcome.items() if key != "n"}}
