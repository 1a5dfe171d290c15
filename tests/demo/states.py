"""Resources as the states that a store would hold."""

from __future__ import annotations

from conflict_rules import Mark, Origin, Stamp, State
from syncd.app import Resource
from syncd.apps.grassroots import app

__all__ = ["state_of"]


def state_of(resource: Resource, version: int = 1) -> State:
    """The resource at that version, written by a replica "r"."""
    declared = app.type_of(type(resource))
    fields = resource.to_fields()
    scope = declared.scope_of(resource.id, fields)
    assert scope is not None
    mark = Mark(version, Stamp(1, 0, "r"))
    return State(scope, declared.name, resource.id, version, fields, dict.fromkeys(fields, mark), Origin("r", version))
