"""The conflict inbox: what waits for a person's answer, listed and answered by whoever has no replica.

Answers are ordinary settlements, which the rules merge like those of any device; here is only what is read and which
change says it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Literal

from conflict_rules import CONFLICT_TYPE, Op, Outcome
from conflict_rules.values import JsonValue
from conflict_rules.wire import encode_outcome
from syncd.engine.inbox_entry import Settlement, as_shown, fits, state_of
from syncd.engine.incoming import rejected
from syncd.engine.principal import Principal
from syncd.engine.sight import EVERYTHING, Sight, shows
from syncd.errors import NotFound
from syncd.store.protocol import Snapshot, StateRow, Store

__all__ = ["ConflictInbox"]

_PORTION: Final = 500

Draft = Mapping[str, JsonValue]
Act = Callable[[Sequence[Draft], Principal], Awaitable[Sequence[Mapping[str, JsonValue]]]]


class ConflictInbox:
    """The use case. `act` makes changes of wire-form drafts, and returns their outcomes (`Pusher.act`). Who asks sees
    the conflicts of what he may change (law 8), and settles them with his own rights.
    """

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
        sight: Sight = EVERYTHING,
    ) -> dict[str, JsonValue]:
        """Conflicts by id, those above `after`: in a scope, open or settled, about a type or a resource of it.

        `next`: where to go on, None at the end: the last that is shown, since the id of one tells what it is about.
        """
        found: list[JsonValue] = []
        async with self._store.snapshot() as snapshot:
            while True:
                rows = await snapshot.of_type(CONFLICT_TYPE, scope=scope, after=after, limit=_PORTION)
                seen = await _seen(snapshot, rows, sight)
                for row in rows:
                    after = row.id
                    if row.id in seen and fits(conflict := as_shown(row), status, type, id):
                        if len(found) == limit:
                            return {"conflicts": found, "next": _id_of(found[-1])}
                        found.append(conflict)
                if len(rows) < _PORTION:
                    return {"conflicts": found, "next": None}

    async def get(self, conflict_id: str, sight: Sight = EVERYTHING) -> dict[str, JsonValue]:
        """One conflict; raises `NotFound`."""
        return as_shown((await self._rows([conflict_id], sight))[conflict_id])

    async def settle(self, settlements: Sequence[Settlement], sight: Sight = EVERYTHING) -> list[dict[str, JsonValue]]:
        """Give these answers; for each, in order, its outcome. What can be settled is, whatever becomes of the rest."""
        rows = await self._rows({each.conflict for each in settlements}, sight, missing_ok=True)
        told: dict[int, dict[str, JsonValue]] = {}
        drafts: dict[int, Draft] = {}
        for place, settlement in enumerate(settlements):
            row = rows.get(settlement.conflict)
            draft = _draft(row, settlement)
            if isinstance(draft, Outcome):
                told[place] = encode_outcome(None, draft)
            else:
                drafts[place] = draft
        outcomes = await self._act(list(drafts.values()), sight.principal) if drafts else []
        told.update({place: dict(outcome) for place, outcome in zip(drafts, outcomes, strict=True)})
        return [_result(settlement.conflict, told[place]) for place, settlement in enumerate(settlements)]

    async def reopen(self, conflict_id: str, sight: Sight = EVERYTHING) -> dict[str, JsonValue]:
        """Ask again; the outcome. Raises `NotFound`."""
        row = (await self._rows([conflict_id], sight))[conflict_id]
        draft = _change(row, CONFLICT_TYPE, conflict_id, {"status": "open"}, row.version)
        [outcome] = await self._act([draft], sight.principal)
        return _result(conflict_id, outcome)

    async def _rows(
        self, ids: Sequence[str] | set[str], sight: Sight, *, missing_ok: bool = False
    ) -> dict[str, StateRow]:
        async with self._store.snapshot() as snapshot:
            states = await snapshot.states([(CONFLICT_TYPE, each) for each in ids])
            seen = await _seen(snapshot, states.values(), sight)
        rows = {row.id: row for row in states.values() if not row.deleted and row.id in seen}
        missing = [each for each in ids if each not in rows]
        if missing and not missing_ok:
            raise NotFound(f"there is no conflict {missing[0][:128]!r}", code="no_such_conflict")
        return rows


async def _seen(snapshot: Snapshot, rows: Collection[StateRow], sight: Sight) -> set[str]:
    rights = await sight.rights(snapshot, {row.scope for row in rows})
    return {row.id for row in rows if (may := rights[row.scope]) is not None and shows(may, row)}


def _id_of(conflict: JsonValue) -> JsonValue:
    return conflict["id"] if isinstance(conflict, dict) else None


def _draft(row: StateRow | None, settlement: Settlement) -> Draft | Outcome:
    """The change that gives this answer, or the outcome of one that cannot be given."""
    if row is None:
        return rejected("no_such_conflict", f"there is no conflict {settlement.conflict[:128]!r}", "conflict")
    fields, version = state_of(row).fields, row.version if settlement.version is None else settlement.version
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
