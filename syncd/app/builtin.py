"""The resource types that every app has. They change through their own commands only (law 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from conflict_rules import CONFLICT, CONFLICT_TYPE, JsonValue
from syncd.app.resource import Resource, ResourceType
from syncd.app.scope_template import ScopeTemplate

__all__ = ["BUILTIN_MODELS", "BUILTIN_TYPES", "Conflict"]


class Conflict(Resource):
    """A question for a person (law 8), in the scope of the resource it is about.

    `about`: `{"type", "id"}`. `field`: the one in dispute, None for a hook's question. `question`: "values", or the
    hook's own code. `others`: further resources a hook's question is about. `accepted`: what stands meanwhile. `base`:
    what was shown to whoever disagreed first. `candidates`: `{"key", "value", "replica", "n", "stamp", "at_ms"}` each.
    `settlement`: `{"value", "key", "replica", "n", "stamp", "at_ms"}`; `settlements`: those that stand no more.
    """

    about: dict[str, str]
    field: str | None = None
    question: str = "values"
    message: str | None = None
    others: list[dict[str, str]] = Field(default_factory=list)
    accepted: Any = None
    base: Any = None
    candidates: list[dict[str, Any]] = Field(default_factory=list)
    status: Literal["open", "settled"] = "open"
    settlement: dict[str, Any] | None = None
    settlements: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether somebody still has to choose."""
        return self.status == "open"

    @property
    def pending(self) -> bool:
        """Whether the answer was given on this device, and the server has not confirmed it yet."""
        return self.settlement is not None and self.settlement.get("pending") is True

    @property
    def answer(self) -> Any:
        """What was chosen; None while it is open."""
        return None if self.settlement is None else self.settlement.get("value")


class _ConflictType(ResourceType):
    """Whatever may be wrong with a change to one, its rule says; the scope is that of what it is about."""

    def scope_of(self, resource_id: str, fields: Mapping[str, JsonValue]) -> str | None:
        return None

    def check_create(self, resource_id: str, scope: str, fields: Mapping[str, JsonValue]) -> None:
        return None

    def check_update(self, scope: str, fields: Mapping[str, JsonValue]) -> None:
        return None


BUILTIN_TYPES: Final[Mapping[str, ResourceType]] = {
    CONFLICT_TYPE: _ConflictType(CONFLICT_TYPE, CONFLICT, Conflict, ScopeTemplate("conflict"), ())
}
BUILTIN_MODELS: Final[Mapping[type[Resource], ResourceType]] = {Conflict: BUILTIN_TYPES[CONFLICT_TYPE]}
