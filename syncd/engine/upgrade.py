"""Upgrade: a change that was made under another version of the app is read in the words of the one that runs here.

Pure: decides before anything is locked or loaded. History and digest stay those of what was sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from conflict_rules import Change, Kind, Outcome
from syncd.app import App, Veto
from syncd.app.upgrades import UpgradeFailed, concerns

__all__ = ["OTHER_VERSION", "behind", "lift"]

log = structlog.get_logger(__name__)

OTHER_VERSION: Final = frozenset({"upgrade_required", "server_outdated"})
"""Codes of changes that wait for another version of the app, on the device or here; what follows them waits too."""


def lift(change: Change, app: App) -> Change | Outcome:
    """`change` under the app's version, or what becomes of it instead.

    `rejected`: an upgrade refuses it, or fails; that is about this change alone (invariant 6). `retry_later`: it was
    made under a version that this app cannot read; not settled, so that nothing is lost.
    """
    if app.open or not concerns(change):
        # Every shape is right where nothing is declared.
        return change
    oldest = app.upgrades.oldest
    made_under = f"it was made under version {change.schema} of the app {app.name!r}"
    if change.schema > app.version:
        message = (
            f"{made_under}, and this server still runs version {app.version}; it waits until the server has it too"
        )
        return Outcome(Kind.RETRY_LATER, code="server_outdated", message=message, field="schema")
    if change.schema < oldest:
        message = (
            f"{made_under}, and this server reads changes from version {oldest} on; "
            "it is kept on the device, and waits until the app there is updated"
        )
        return Outcome(Kind.RETRY_LATER, code="upgrade_required", message=message, field="schema")
    try:
        return app.upgrades.lift(change)
    except Veto as veto:
        return Outcome(Kind.REJECTED, 0, veto.code, str(veto), veto.field)
    except UpgradeFailed:
        log.exception("upgrade_failed", type=change.type, id=change.id, schema=change.schema)
        message = f"{made_under}, and could not be lifted; the author of the app should look at the server's log"
        return Outcome(Kind.REJECTED, code="upgrade_failed", message=message)


def behind(n: int | None, waits: Outcome) -> Outcome:
    """What becomes of the changes after change `n`, which `waits`: numbers are settled in order (law 3)."""
    return replace(waits, message=f"it waits behind change {n}: {waits.message}", field=None)
