"""Lifting: what a change that was made on this device under an older version of the app means in the words of this one.

The same functions as on the server, for what is shown here. What is sent stays as it was made. Pure.
"""

from __future__ import annotations

import logging

from conflict_rules import Change
from syncd.app import App, Veto
from syncd.app.upgrades import UpgradeFailed

__all__ = ["lifted", "why_not"]

log = logging.getLogger(__name__)


def lifted(app: App, change: Change) -> Change | None:
    """`change` as it reads under the version of `app`: itself where no upgrades lead there, None if the app refuses it.

    What is refused will be rejected by the server, and is not shown until then.
    """
    if app.open or not app.upgrades.oldest <= change.schema <= app.version:
        return change
    try:
        return app.upgrades.lift(change)
    except (Veto, UpgradeFailed) as refusal:
        log.warning("change %d means nothing to version %d of the app: %s", change.n, app.version, refusal)
        return None


def why_not(app: App, change: Change) -> tuple[str, str]:
    """Why the app refuses a change that `lifted` gives None for: code and sentence, as the server would say it."""
    try:
        app.upgrades.lift(change)
    except Veto as veto:
        return veto.code, veto.message
    except UpgradeFailed as failure:
        return "upgrade_failed", str(failure)
    raise ValueError(f"the app lifts change {change.n}")
