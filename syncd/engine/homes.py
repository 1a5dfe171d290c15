"""Which scopes a push is about, as far as that is known before anything is read: those are the locks to take (law 5).

A change need not name its scope. What is wrong here costs a lock too many, or one more run; nothing is decided by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from conflict_rules import Change, InvalidValue, Op
from syncd.app import App
from syncd.store.protocol import ResourceKey, StateRow

__all__ = ["Homes"]

_MAX_KNOWN: Final = 10_000


class Homes:
    """Remembers where the resources live that were written last."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: OrderedDict[ResourceKey, str] = OrderedDict()

    def of(self, change: Change) -> str:
        """The scope that a change is about; "" if that is not known."""
        if change.scope:
            return change.scope
        if change.op is not Op.CREATE:
            return self._known.get((change.type, change.id), "")
        resource_type = self._app.type(change.type)
        try:
            return (resource_type and resource_type.scope_of(change.id, change.fields)) or ""
        except InvalidValue:
            # Whoever applies it says so.
            return ""

    def note(self, states: Iterable[StateRow]) -> None:
        """These have been written."""
        known = self._known
        for row in states:
            key = (row.type, row.id)
            known[key] = row.scope
            known.move_to_end(key)
        while len(known) > _MAX_KNOWN:
            known.popitem(last=False)
