"""Rule `crdt`: documents that several people edit at once, character by character. For notes, boards and plans.

Pure, and without the bytes: the content of a document lies beside the resource, as Yjs updates, and a field holds a
marker that says how far it is. Whether an update can be read at all is found out before (`syncd.documents`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Literal

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Fate, Held, Offer, Settled
from conflict_rules.guide import Guide
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.several import shared_mark
from conflict_rules.values import InvalidValue, JsonValue

__all__ = ["CRDT", "Collaborative", "DocumentKind", "Marker", "marker_of", "update_of"]

DocumentKind = Literal["text", "map", "array"]
"""What the root of a document is: characters, a map of names, or a list; maps and lists may nest all of them."""

_EMPTY: Final[dict[DocumentKind, JsonValue]] = {"text": "", "map": {}, "array": []}


@dataclass(frozen=True, slots=True)
class Marker:
    """What a field holds in the place of its document.

    `since`: the version at which this life of the document began; after a delete another one may begin. `seq`: how
    many updates it has taken, without gaps.
    """

    since: int
    seq: int

    def value(self) -> JsonValue:
        """As the field holds it."""
        return {"document": {"since": self.since, "seq": self.seq}}


def marker_of(value: JsonValue) -> Marker | None:
    """The marker that a field holds, None if it holds something else."""
    if not isinstance(value, dict) or value.keys() != {"document"}:
        return None
    marker = value["document"]
    if not isinstance(marker, dict):
        return None
    since, seq = marker.get("since"), marker.get("seq")
    return Marker(since, seq) if isinstance(since, int) and isinstance(seq, int) else None


def update_of(name: str, value: JsonValue) -> bytes:
    """The Yjs update that is offered for the field `name`; raises `InvalidValue` for anything else."""
    text = value.get("update") if isinstance(value, dict) and value.keys() == {"update"} else None
    if isinstance(text, str) and text:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise InvalidValue(
        "invalid_document_update",
        name,
        f'{name}: it is a document; bring an edit of it, {{"update": "<a Yjs update in base64>"}}',
    )


@dataclass(frozen=True, slots=True)
class Collaborative:
    """A document of one kind. Its updates may come in any order; a repeat is known by its number (law 3)."""

    kind: DocumentKind

    name = "crdt"
    asks = False
    replaced_in_sight = False
    algebra = Algebra(commutative=True, associative=True, idempotent=False)
    guide = Guide(
        good_for="Notes, boards, plans: what several people edit at once, down to the single character.",
        offers='An edit, `{"update": "…"}`: a Yjs update (version 1) in base64. Never the plain text: two devices that '
        "made a document of the same text would have made two.",
        example={"update": "AAA="},
        in_sight="It is merged.",
        concurrently="All edits are merged, whatever their order; neither base nor stamp matter, and none is lost. An "
        "edit whose predecessors are missing waits for them.",
        codes=("invalid_document_update", "document_update_failed", "document_too_large"),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        update_of(offer.name, offer.value)
        marker = None if held is None else marker_of(held.value)
        if held is None or marker is None:
            first = Marker(offer.version, 1)
            return Settled(Fate.TAKEN, Held(first.value(), offer.mark))
        further = Marker(marker.since, marker.seq + 1)
        return Settled(Fate.TAKEN, Held(further.value(), shared_mark(held.mark, offer)))

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`: of a document, however full, a model can say only of what kind it is."""
        return _EMPTY[self.kind]


CRDT: Final = register_rule(RecordRule("crdt", Collaborative("map")))
"""A resource all of whose declared fields are documents; `syncd.app` finds the kind of each by its annotation."""
