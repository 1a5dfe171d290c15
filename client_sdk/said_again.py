"""Saying again what was edited after an edit that does not count. Runs pycrdt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pycrdt import UndoManager

from client_sdk.document_loading import load
from conflict_rules.crdt import DocumentKind
from conflict_rules.documents.difference import become
from conflict_rules.documents.yjs_update import read_update

__all__ = ["edited_after", "said_again"]

_REFUSED: Final = "refused"


def edited_after(own: Mapping[int, bytes], refused: Collection[int]) -> list[int]:
    """Which of the updates made here, by place, cannot be merged without the refused ones."""
    lacking: set[int] = set()
    behind: list[int] = []
    for seq, update in sorted(own.items()):
        extent = read_update(update)
        if seq in refused:
            lacking |= extent.ranges.keys()
        elif lacking & extent.needs.keys():
            behind.append(seq)
            lacking |= extent.ranges.keys()
    return behind


def said_again(
    kind: DocumentKind,
    field: str,
    confirmed: Sequence[bytes],
    own: Mapping[int, bytes],
    refused: Collection[int],
    stays: Mapping[int, bytes],
) -> bytes | None:
    """An update, by a client that nobody has heard of, after which `confirmed` and `stays` say what `confirmed` and
    `own` say once the `refused` ones of these are undone. None if they do already. Raises `DocumentUnreadable`.
    """
    meant = load(kind, field, confirmed)
    undo = UndoManager(scopes=[meant.root], capture_timeout_millis=0)
    undo.include_origin(_REFUSED)
    for seq, update in sorted(own.items()):
        if seq in refused:
            with meant.doc.transaction(origin=_REFUSED):
                meant.doc.apply_update(update)
            meant.edited(update)
        else:
            meant.offer(update)
    while undo.can_undo():
        undo.undo()
    again = load(kind, field, [*confirmed, *(update for _, update in sorted(stays.items()))])
    made: list[bytes] = []
    subscription = again.doc.observe(lambda event: made.append(event.update))
    with again.doc.transaction():
        become(again.root, meant.root)
    again.doc.unobserve(subscription)
    return made[0] if made else None
