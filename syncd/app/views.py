"""Views: pure functions over one scope's resources, such as a score. The server and the SDK, offline, run the same one.

A view sees no clock, no network and no other scope: the same states give the same answer everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from conflict_rules import JsonValue, State
from syncd.app.resource import Resource

if TYPE_CHECKING:
    from syncd.app.app import App

__all__ = ["Resources", "View", "ViewFunction"]

R = TypeVar("R", bound=Resource)


class Resources:
    """The living resources of one scope, as models; each is built when it is first asked for."""

    def __init__(self, app: App, states: Mapping[str, Mapping[str, State]]) -> None:
        self._app = app
        self._states = states
        self._built: dict[str, dict[str, Resource]] = {}

    @classmethod
    def from_states(cls, app: App, states: Iterable[State]) -> Resources:
        """From the states of one scope, in any order; tombstones are left out."""
        by_type: dict[str, dict[str, State]] = {}
        for state in states:
            if state.deleted is None:
                by_type.setdefault(state.type, {})[state.id] = state
        return cls(app, by_type)

    def all(self, model: type[R]) -> list[R]:
        """Every resource of a type, sorted by id: the same order wherever the view runs."""
        return list(self._of(model).values())

    def get(self, model: type[R], resource_id: str) -> R | None:
        """One resource; None if it is not there or deleted."""
        return self._of(model).get(resource_id)

    def _of(self, model: type[R]) -> dict[str, R]:
        name = self._app.type_of(model).name
        built = self._built.get(name)
        if built is None:
            states = self._states.get(name, {})
            built = {
                resource_id: model.from_fields(resource_id, states[resource_id].fields)
                for resource_id in sorted(states)
            }
            self._built[name] = built
        return built  # type: ignore[return-value]  # under a type's name lie only models of that type


ViewFunction = Callable[[Resources], JsonValue]


@dataclass(frozen=True, slots=True)
class View:
    """A declared view. `scope_prefix`: the first word of the scopes it is for, "match" for "match:9f"."""

    name: str
    scope_prefix: str
    function: ViewFunction

    def covers(self, scope: str) -> bool:
        """Whether the view can be asked of this scope."""
        return scope.partition(":")[0] == self.scope_prefix
