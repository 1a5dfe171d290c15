"""The formats of messages, by content type: which one a request is in, and which one its answer gets.

A further format is one more entry of `FORMATS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from syncd.api.codec import decode_json, encode_json
from syncd.api.containers import MANY, json_containers, msgpack_containers
from syncd.api.msgpack_codec import decode_msgpack, encode_msgpack
from syncd.api.preferences import preferences

__all__ = ["FORMATS", "JSON", "MSGPACK", "Format", "answer_format", "decode"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format on the wire. `decode` raises `InvalidMessage`; `containers`: how many arrays and objects at most."""

    content_type: str
    decode: Callable[[bytes], object]
    encode: Callable[[object], bytes]
    containers: Callable[[bytes], int]


JSON: Final = Format("application/json", decode_json, encode_json, json_containers)
MSGPACK: Final = Format("application/msgpack", decode_msgpack, encode_msgpack, msgpack_containers)

FORMATS: Final[Mapping[str, Format]] = {
    "application/json": JSON,
    "application/msgpack": MSGPACK,
    "application/x-msgpack": MSGPACK,
    "application/vnd.msgpack": MSGPACK,
}


_ASIDE: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="heavy-bodies")
"""One at a time: a megabyte of brackets becomes a hundred of lists."""


async def decode(format: Format, body: bytes) -> object:
    """The value of `body`; raises `InvalidMessage`. What may take a second to read is read beside the event loop."""
    if len(body) > MANY and format.containers(body) > MANY:
        return await asyncio.get_running_loop().run_in_executor(_ASIDE, format.decode, body)
    return format.decode(body)


def answer_format(accept: Iterable[str], asked_in: Format) -> Format:
    """The format that `accept`, the header, likes best; that of the request where it does not choose."""
    best, liked = asked_in, 0.0
    for content_type, weight in preferences(accept).items():
        known = FORMATS.get(content_type)
        if known is not None and (weight > liked or (weight == liked > 0 and known is asked_in)):
            best, liked = known, weight
    return best
