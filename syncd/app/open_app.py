"""The open app: what `syncd serve` runs when it is given no app. Any type, rule `merge`, any scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from conflict_rules import InvalidValue, JsonValue
from conflict_rules.values import valid_scope, valid_type
from syncd.app import rules
from syncd.app.app import App
from syncd.app.resource import ResourceType
from syncd.app.scope_template import ScopeTemplate

__all__ = ["open_app"]

DEFAULT_SCOPE: Final = ScopeTemplate("main")
"""Where a resource lives whose creation names no scope."""

_MOST_KNOWN: Final = 1_000
"""Types that are remembered; a stranger may think of any number of names."""


class _OpenType(ResourceType):
    """A type that nobody declared: any fields, in any scope."""

    def check_create(self, resource_id: str, scope: str, fields: Mapping[str, JsonValue]) -> None:
        """See `ResourceType.check_create`: any valid scope will do."""
        if not valid_scope(scope):
            raise InvalidValue("invalid_scope", "scope", "scope: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -")
        self._check_values(fields)


def open_app() -> App:
    """An app for the first ten minutes: takes whatever is pushed, and checks only that it can be kept."""
    return _OpenApp("open")


class _OpenApp(App):
    open = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._known: dict[str, ResourceType] = {}

    def type(self, name: str) -> ResourceType | None:
        declared = super().type(name)
        if declared is not None:
            return declared
        known = self._known.get(name)
        if known is None and valid_type(name):
            known = _OpenType(name, rules.merge, None, DEFAULT_SCOPE, ())
            if len(self._known) < _MOST_KNOWN:
                self._known[name] = known
        return known
