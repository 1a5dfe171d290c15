"""The `id` of an event: the cursors of all scopes of a stream, in one short text.

Opaque to readers. Short, since it comes back in one header: names are left to the URL, which lists the scopes in the
same order, and of cursors that differ only in how far they are the versions are enough. A fingerprint of the names
keeps an id from being read for other scopes than it was given for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from syncd.engine.cursor import Cursor

__all__ = ["decode_positions", "encode_positions"]


def encode_positions(cursors: Mapping[str, str | None]) -> str:
    """`3f0c9d.2,.7,,.9`: what is before the dot where it changes, nothing for a scope without a cursor."""
    series = None
    texts = []
    for text in cursors.values():
        cursor = None if text is None else Cursor.parse(text)
        if cursor is None:
            texts.append("")
        elif cursor.series == series:
            texts.append(f".{cursor.version}")
        else:
            texts.append(str(cursor))
            series = cursor.series
    return f"{_fingerprint(cursors)}-{','.join(texts)}"


def decode_positions(text: str, scopes: Sequence[str]) -> dict[str, str | None] | None:
    """The cursors that `text` holds for `scopes`; None if it is no id of theirs."""
    fingerprint, dash, rest = text.partition("-")
    texts = rest.split(",")
    if not dash or fingerprint != _fingerprint(scopes) or len(texts) != len(scopes):
        return None
    series = ""
    cursors: dict[str, str | None] = {}
    for scope, short in zip(scopes, texts, strict=True):
        cursor = Cursor.parse(series + short if short.startswith(".") else short)
        if cursor is not None:
            series = cursor.series
        elif short:
            return None
        cursors[scope] = None if cursor is None else str(cursor)
    return cursors


def _fingerprint(scopes: Iterable[str]) -> str:
    return f"{zlib.crc32(' '.join(scopes).encode('utf-8', 'surrogatepass')):08x}"
