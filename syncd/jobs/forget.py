"""Forget: what an app's own function leaves of a resource when somebody is erased, checked like any other write."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from conflict_rules import InvalidValue, State
from conflict_rules.crdt import Collaborative
from conflict_rules.values import JsonValue, clean_fields
from syncd.app import App, ResourceType
from syncd.errors import AppError

__all__ = ["Forgetting"]

log = structlog.get_logger(__name__)


class Forgetting:
    """The erasures of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def of_state(self, declared: ResourceType, state: State, user: str) -> Mapping[str, JsonValue] | None:
        """The fields to set, {} to leave it as it is, None to delete it. Raises `AppError` if the function fails, or
        says what cannot be.

        `state`: living, or a tombstone with all that it keeps.
        """
        assert declared.model is not None
        try:
            left = self._app.erasures[declared.name](declared.model.from_fields(state.id, state.fields), user)
        except Exception as failure:
            log.exception("erasure_failed", type=declared.name, id=state.id)
            raise _failed(declared, "raised an error") from failure
        if left is None:
            return None
        try:
            fields = clean_fields({**left})
            declared.check_update(state.scope, fields)
        except InvalidValue as invalid:
            raise _failed(declared, f"set what cannot be: {invalid}") from invalid
        if any(isinstance(declared.rule.field_rule(name), Collaborative) for name in fields):
            raise _failed(declared, "set a document, which can only be deleted with its resource")
        return fields


def _failed(declared: ResourceType, what: str) -> AppError:
    return AppError(
        f"The app's on_erase function for {declared.name} {what}.",
        hint="Correct it, start the server again, and ask for the erasure once more: it goes on.",
    )
