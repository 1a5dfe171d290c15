"""Reading a request's body: its type, its size, and the time it takes to arrive are all bounded."""

from __future__ import annotations

import asyncio

from aiohttp import web

from syncd.api.codec import CODECS, Codec
from syncd.errors import TooLarge, TooSlow, UnsupportedMedia

__all__ = ["BodyReader"]


class BodyReader:
    """Reads bodies of at most `max_bytes` that arrive within `timeout_s`."""

    def __init__(self, *, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def read(self, request: web.Request) -> tuple[object, Codec]:
        """The decoded body, and the codec to answer in.

        Raises `UnsupportedMedia`, `TooLarge`, `TooSlow` or `InvalidMessage`.
        """
        codec = _codec_of(request)
        if (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise self._too_large()
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {self._timeout_s:g} seconds") from None
        return codec.decode(bytes(body)), codec

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than the {self._max_bytes} bytes allowed (max_body_bytes)")


def _codec_of(request: web.Request) -> Codec:
    # Never decompressed: a few hundred bytes can unfold to gigabytes.
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise UnsupportedMedia(
            f"the body is encoded as {encoding[:80]!r}, which is not read here", field="Content-Encoding"
        )
    if "Content-Type" not in request.headers:
        raise UnsupportedMedia("the request does not say what its body is", field="Content-Type")
    codec = CODECS.get(request.content_type)
    if codec is None:
        raise UnsupportedMedia(
            f"the body is {request.headers['Content-Type'][:80]!r}, which is not read here", field="Content-Type"
        )
    charset = request.charset
    if charset is not None and charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia(f"the body's charset is {charset[:80]!r}, and only UTF-8 is read", field="Content-Type")
    return codec
