"""Sight: what somebody may see of single resources, for whoever is asked about one by its type and id.

What may not be seen looks like what never was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from conflict_rules import Kind, Outcome
from conflict_rules.values import JsonValue
from syncd.engine.authorise import Authoriser
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.rights import ALL, Rights, TypeRights
from syncd.store.protocol import ResourceKey, Snapshot, StateRow

__all__ = ["EVERYTHING", "Seen", "Sight", "SightOf", "shown_line", "shows"]


class Seen(NamedTuple):
    """What may be done with a resource, and in which scope it lives; None where that does not matter."""

    rights: Rights
    scope: str | None

    def shows(self, type_name: str, field: str | None) -> bool:
        """Whether a field is shown; None: the resource is."""
        return field is None or self.rights.of(type_name).shows(field)

    def includes(self, scope: str) -> bool:
        """Whether what was sent to `scope` is of its past: under its id something may have been sent to another."""
        return self.scope in (None, scope)

    def tells_why(self, type_name: str, outcome: Outcome) -> bool:
        """Whether the sentence of an outcome is told, or its code alone."""
        return self.rights is ALL or _tells_why(self.rights.of(type_name), outcome.kind, outcome.code, outcome.field)


@dataclass(frozen=True, slots=True)
class Sight:
    """Of `principal`; without an `authoriser`, of everything."""

    authoriser: Authoriser | None = None
    principal: Principal = OPERATOR

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing that it does not see."""
        return self.authoriser is None or self.principal.caller is Caller.OPERATOR

    async def rights(self, snapshot: Snapshot, scopes: Collection[str]) -> Mapping[str, Rights | None]:
        """What may be done in each of these scopes."""
        if self.authoriser is None or self.is_whole:
            return dict.fromkeys(scopes, ALL)
        return await self.authoriser.rights_in(self.principal, scopes, snapshot.states)

    async def of(self, snapshot: Snapshot, key: ResourceKey) -> Seen | None:
        """What may be seen of a resource and its past, told by its scope; None: nothing. A share link shows no past."""
        return None if self.principal.caller is Caller.LINK else await self.now(snapshot, key)

    async def now(self, snapshot: Snapshot, key: ResourceKey) -> Seen | None:
        """What may be seen of a resource as it is; None: nothing."""
        if self.is_whole:
            return Seen(ALL, None)
        row = (await snapshot.states([key])).get(key)
        if row is None:
            return None
        rights = (await self.rights(snapshot, [row.scope]))[row.scope]
        return Seen(rights, row.scope) if rights is not None and shows(rights, row) else None


SightOf = Callable[[Principal], Sight]
"""What somebody may see."""

EVERYTHING = Sight()
"""Of whoever runs the server."""


def shows(rights: Rights, row: StateRow) -> bool:
    """Whether a resource is shown to whoever has these rights in its scope."""
    return rights.reader.shown_state(row.type, row.body) is not None


def shown_line(line: dict[str, JsonValue], type_name: str, rights: Rights) -> dict[str, JsonValue]:
    """A line of a history without the fields that are not shown, and without a sentence that may quote them."""
    if rights is ALL:
        return line
    of_type, shown = rights.of(type_name), dict(line)
    for key in ("fields", "over", "stands_instead"):
        held = shown.get(key)
        if isinstance(held, dict):
            shown[key] = {name: value for name, value in held.items() if of_type.shows(name)}
    for key in ("lost", "told"):
        names = shown.get(key)
        if isinstance(names, list):
            shown[key] = [name for name in names if of_type.shows(str(name))]
    code, field = (None if shown.get(key) is None else str(shown[key]) for key in ("code", "field"))
    if not _tells_why(of_type, Kind(str(shown["outcome"])), code, field):
        shown.pop("message", None)
    if field is not None and not of_type.shows(_root(field)):
        del shown["field"]
    return shown


def _tells_why(of_type: TypeRights, kind: Kind, code: str | None, field: str | None) -> bool:
    """Whether the sentence of an outcome may be told to whoever has these rights. What is said of a field may quote it;
    what names none may quote any; and what is said of a group is of another of its changes, whatever that was about.
    """
    if (code or "").startswith("group_"):
        return False
    if not of_type.redacts:
        return True
    if field is None or field == "fields":
        return kind is not Kind.REJECTED
    return of_type.shows(_root(field))


def _root(path: str) -> str:
    """The field that a path such as `tags[2].name` begins with."""
    return path.partition(".")[0].partition("[")[0]
