"""What becomes of a delete and an edit that have not seen each other: a choice of each resource type."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Deletes"]


class Deletes(StrEnum):
    """Which of the two stands."""

    DELETE_WINS = "delete_wins"
    """What somebody deleted stays deleted; the edit is kept in the history."""
    UPDATE_WINS = "update_wins"
    """What somebody still works on stays, or comes back."""
