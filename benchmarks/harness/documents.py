"""The text of the workloads with documents: real writing, keystroke by keystroke.

It is the recording `json-crdt-blog-post` of `fixtures/crdt`, in which one person types 31,510 code points in 21,447
patches, typed into one text, and again in front of what is there already, until there are as many edits as are wanted
(in front, since pycrdt looks for a position from the beginning). One patch is one edit and one Yjs update.

The recordings of several people are left out: played by one writer, as the workloads have it, they would be a replay of
what they ended with, and not of what was typed.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pycrdt import Doc, Text, TransactionEvent, merge_updates

from benchmarks.peers.yjs_protocol import ROOT
from conflict_rules.documents.yjs_update import read_update, with_deletes

__all__ = ["Typing", "Typist", "merged", "read_updates", "text_of", "typed", "write_updates"]

_RECORDING: Final = Path(__file__).parents[2] / "fixtures" / "crdt" / "json-crdt-blog-post.json.gz"
_CLIENT: Final = 1


@dataclass(slots=True)
class Typing:
    """`updates`: one an edit. `text`: what stands at the end. `inserted`, `deleted`: how many units (of UTF-16, as Yjs
    counts them) had been by the end of each edit. `deletes`: what each edit deletes, by client."""

    updates: list[bytes] = field(default_factory=list)
    text: str = ""
    inserted: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    deletes: list[Mapping[int, Sequence[tuple[int, int]]]] = field(default_factory=list)


def typed(edits: int) -> Typing:
    """So many edits. Takes about 50 µs for each."""
    document: Doc[Text] = Doc(client_id=_CLIENT)
    document[ROOT] = text = Text()
    found = Typing()
    subscription = document.observe(lambda event: found.updates.append(_update(event)))
    inserted_units = deleted_units = 0
    copies: list[str] = []
    copy = ""
    patches: Iterator[tuple[int, int, str]] = iter(())
    for _ in range(edits):
        patch = next(patches, None)
        if patch is None:
            copies.append(copy)
            copy = ""
            patches = iter(_patches())
            patch = next(patches)
        position, deleted, inserted = patch
        removed = copy[position : position + deleted]
        # pycrdt counts the bytes of UTF-8, the recording code points.
        start = position if copy.isascii() else len(copy[:position].encode())
        with document.transaction():
            if removed:
                del text[start : start + len(removed.encode())]
            if inserted:
                text.insert(start, inserted)
        copy = copy[:position] + inserted + copy[position + deleted :]
        inserted_units += _units(inserted)
        deleted_units += _units(removed)
        found.inserted.append(inserted_units)
        found.deleted.append(deleted_units)
    document.unobserve(subscription)
    found.deletes = [read_update(update).deletes for update in found.updates]
    found.text = "".join([copy, *reversed(copies)])
    if len(found.updates) != edits or str(text) != found.text:
        raise RuntimeError("the recording was not typed as it stands")
    return found


class Typist:
    """The device that has typed it, which joins edits as the SDK does: what they bring, by state vectors, and what they
    delete."""

    def __init__(self, typing: Typing) -> None:
        self._typing = typing
        self._document: Doc[Text] = Doc()
        self._document[ROOT] = Text()

    def joined(self, start: int, end: int) -> bytes:
        """The edits from `start` to before `end` as one update; they follow on the last ones that were asked for."""
        document, typing = self._document, self._typing
        before = document.get_state()
        with document.transaction():
            for update in typing.updates[start:end]:
                document.apply_update(update)
        return with_deletes(document.get_update(before), typing.deletes[start:end])


def merged(updates: Sequence[bytes], size: int) -> list[bytes]:
    """The same in fewer updates, of `size` each."""
    return [merge_updates(*updates[start : start + size]) for start in range(0, len(updates), size)]


def text_of(updates: Sequence[bytes]) -> str:
    """What stands when these have been applied, in this order."""
    document: Doc[Text] = Doc()
    document[ROOT] = text = Text()
    with document.transaction():
        for update in updates:
            document.apply_update(update)
    return str(text)


def write_updates(path: Path, updates: Sequence[bytes]) -> None:
    """For another process: each with its length before it, in four bytes."""
    path.write_bytes(b"".join(len(update).to_bytes(4) + update for update in updates))


def read_updates(path: Path) -> list[bytes]:
    """What `write_updates` has written."""
    data = path.read_bytes()
    found: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4])
        found.append(data[at + 4 : end])
        at = end
    return found


def _update(event: TransactionEvent) -> bytes:
    return event.update


def _patches() -> list[tuple[int, int, str]]:
    with gzip.open(_RECORDING, "rt", encoding="utf-8") as file:
        recorded = json.load(file)
    return [tuple(patch) for transaction in recorded["txns"] for patch in transaction["patches"]]


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
