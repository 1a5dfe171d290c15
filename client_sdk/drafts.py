"""Drafts: intents before they are numbered. Inside a group they wait here until all of it is made at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client_sdk.document_rows import DocumentKey
from client_sdk.outbox import Entry
from conflict_rules import Change, Op, Stamp
from conflict_rules.values import JsonValue

if TYPE_CHECKING:
    from client_sdk.open_document import OpenDocument

__all__ = ["Draft", "GroupDraft"]


@dataclass(slots=True)
class Draft:
    """An intent that is not numbered yet; `entry` is set once it is."""

    scope: str
    type: str
    id: str
    op: Op
    base: int
    fields: Mapping[str, JsonValue]
    entry: Entry | None = None
    was: Mapping[str, JsonValue] = field(default_factory=dict)
    conflict: str | None = None

    def change(self, replica: str, n: int, stamp: Stamp, group: str | None, schema: int) -> Change:
        """The change that it becomes."""
        return Change(
            replica,
            n,
            self.scope,
            self.type,
            self.id,
            self.op,
            stamp,
            self.base,
            self.fields,
            group,
            schema,
            self.was,
            self.conflict,
        )


@dataclass(slots=True)
class GroupDraft:
    """Drafts that become changes together, or not at all. What was drafted shows inside the group. `documents`: those
    that were edited in it, as they are there.
    """

    name: str
    drafts: list[Draft] = field(default_factory=list)
    documents: dict[DocumentKey, OpenDocument] = field(default_factory=dict)
    done: bool = False

    def open_drafts(self) -> list[Draft]:
        """What shows inside it; nothing more once it has ended."""
        return [] if self.done else self.drafts
