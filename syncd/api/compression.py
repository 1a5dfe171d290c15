"""Compressed bodies, both ways: gzip (RFC 1952) and zstd (RFC 8878).

What arrives is never unpacked beyond its limit: a few hundred bytes can unfold to gigabytes. Large bodies are worked on
beside the event loop.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from syncd.api.preferences import preferences
from syncd.errors import InvalidMessage, TooLarge, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["LARGE_BYTES", "MIN_COMPRESSED_BYTES", "compress_answer", "unpack"]

MIN_COMPRESSED_BYTES: Final = 1024
"""Of an answer: what fits into one packet is not made smaller."""
LARGE_BYTES: Final = 64 * 1024
"""From here on a body is worked on in a thread."""

_GZIP_WBITS: Final = 31
# Levels at which a page takes less time to compress than a fast line takes to send what is saved. Of pages of records,
# zstd makes no more at 1 than at 3, in half the time.
_GZIP_LEVEL: Final = 3
_ZSTD_LEVEL: Final = 1
_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB: what every reader of zstd over HTTP has to take, and the most that need be taken (RFC 9659)."""


async def unpack(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """`body` without its `encoding`, the header `Content-Encoding`.

    Raises `UnsupportedMedia` for another than gzip or zstd, `TooLarge` before more than `max_bytes` come out, and
    `InvalidMessage` for what is not one whole body in that encoding.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return body
    unpacker = _UNPACKERS.get(name)
    if unpacker is None:
        raise UnsupportedMedia(
            f"the body is encoded as {(encoding or '')[:80]!r}, which is not read here",
            hint="Send it compressed with gzip or zstd, or as it is.",
            field="Content-Encoding",
        )
    if len(body) < LARGE_BYTES:
        return _unpack(unpacker(), body, max_bytes)
    return await asyncio.to_thread(_unpack, unpacker(), body, max_bytes)


async def compress_answer(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """`response`, compressed as the caller prefers if it has more than `MIN_COMPRESSED_BYTES`; streams are left as
    they are."""
    if not isinstance(response, web.Response):
        return response
    vary = response.headers.get("Vary")
    response.headers["Vary"] = "Accept-Encoding" if vary is None else f"{vary}, Accept-Encoding"
    body = response.body
    if not isinstance(body, bytes) or len(body) < MIN_COMPRESSED_BYTES:
        return response
    coding = _preferred(preferences(request.headers.getall("Accept-Encoding", ())))
    if coding is not None:
        compress = _COMPRESSORS[coding]
        response.body = compress(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(compress, body)
        response.headers["Content-Encoding"] = coding
    return response


def _preferred(weights: Mapping[str, float]) -> str | None:
    """The coding to answer in, None for none. Of two that are as welcome, zstd: it is smaller and quicker."""
    best, liked = None, weights.get("identity", 0.0)
    for coding in _COMPRESSORS:
        weight = weights.get(coding, weights.get("*", 0.0) if coding == "gzip" else 0.0)
        if weight > liked or (weight == liked > 0 and best is None):
            best, liked = coding, weight
    return best


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _GZIP_LEVEL, _GZIP_WBITS)


def _zstd(body: bytes) -> bytes:
    return zstd.compress(body, _ZSTD_LEVEL)


_COMPRESSORS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"zstd": _zstd, "gzip": _gzip}


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(_GZIP_WBITS)


def _unzstd() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_UNPACKERS: Final[Mapping[str, Callable[[], zlib._Decompress | zstd.ZstdDecompressor]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}


def _unpack(unpacker: zlib._Decompress | zstd.ZstdDecompressor, body: bytes, max_bytes: int) -> bytes:
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except (zlib.error, zstd.ZstdError) as wrong:
        raise _invalid(str(wrong)) from None
    if len(unpacked) > max_bytes:
        raise TooLarge(f"unpacked, the body is larger than the {max_bytes} bytes allowed (max_body_bytes)")
    if not unpacker.eof:
        raise _invalid("it ends too early")
    if unpacker.unused_data:
        raise _invalid("after its end there is more")
    return unpacked


def _invalid(why: str) -> InvalidMessage:
    return InvalidMessage(
        f"the body is not in the encoding that 'Content-Encoding' names: {why[:200]}",
        code="invalid_encoding",
        hint="Compress it with a library, as one gzip member or one zstd frame, or send it as it is.",
        field="Content-Encoding",
    )
