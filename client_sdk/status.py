"""What the user is told of his replica at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from client_sdk.sync_state import SyncState

__all__ = ["Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """`pending`: changes without an outcome. `oldest_ms`: the age of the oldest of them, None if there is none.
    `last_error`: a sentence, None once the server has answered again; `last_error_code`: the same as stable text, such
    as "upgrade_required" where the queue waits until the app here is updated. `connected`: whether the server answered
    last.
    `clock_offset_ms`: what the device's clock lacks to the server's. `clock_drift`: a sentence, if a stamp was shown
    that lies too far ahead to be followed. `rejected`: changes kept with the reason (see `Client.rejected`).
    `open_conflicts`: that wait for an answer, and have none from here either (see `Client.conflicts`).
    `repaired`: how often a scope differed from the server's by its digest and was brought anew, since it was opened.
    `gone`: scopes that are followed and may not be seen, or not any more: nothing of them is here.
    """

    state: SyncState
    pending: int
    oldest_ms: int | None
    last_error: str | None
    connected: bool
    clock_offset_ms: int
    clock_drift: str | None = None
    rejected: int = 0
    repaired: int = 0
    last_error_code: str | None = None
    open_conflicts: int = 0
    gone: tuple[str, ...] = ()
