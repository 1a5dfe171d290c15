"""The formats of messages, by content type: which one a request is in, and which one its answer gets.

A further format is one more entry of `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from syncd.api.codec import decode_json, encode_json
from syncd.api.msgpack_codec import decode_msgpack, encode_msgpack
from syncd.api.preferences import preferences

__all__ = ["FORMATS", "JSON", "MSGPACK", "Format", "answer_format"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format on the wire. `decode` raises `InvalidMessage`."""

    content_type: str
    decode: Callable[[bytes], object]
    encode: Callable[[object], bytes]


JSON: Final = Format("application/json", decode_json, encode_json)
MSGPACK: Final = Format("application/msgpack", decode_msgpack, encode_msgpack)

FORMATS: Final[Mapping[str, Format]] = {
    "application/json": JSON,
    "application/msgpack": MSGPACK,
    "application/x-msgpack": MSGPACK,
    "application/vnd.msgpack": MSGPACK,
}


def answer_format(accept: Iterable[str], asked_in: Format) -> Format:
    """The format that `accept`, the header, likes best; that of the request where it does not choose."""
    best, liked = asked_in, 0.0
    for content_type, weight in preferences(accept).items():
        known = FORMATS.get(content_type)
        if known is not None and (weight > liked or (weight == liked > 0 and known is asked_in)):
            best, liked = known, weight
    return best
