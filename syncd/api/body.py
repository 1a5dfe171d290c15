"""Reading a request's body: its type, its size, and the time it takes to arrive are all bounded."""

from __future__ import annotations

import asyncio

from aiohttp import web

from syncd.api.compression import unpack
from syncd.api.formats import FORMATS, Format, answer_format, decode
from syncd.errors import TooLarge, TooSlow, UnsupportedMedia

__all__ = ["BodyReader"]


class BodyReader:
    """Reads bodies of at most `max_bytes`, unpacked too, that arrive within `timeout_s`."""

    def __init__(self, *, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def read(self, request: web.Request) -> tuple[object, Format]:
        """The decoded body, and the format to answer in.

        Raises `UnsupportedMedia`, `TooLarge`, `TooSlow` or `InvalidMessage`.
        """
        asked_in = _format_of(request)
        if (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        if request.content.is_eof():
            # All of it is here, as a rule: nothing to wait for, and no clock to set.
            body = await self._arriving(request)
        else:
            try:
                async with asyncio.timeout(self._timeout_s):
                    body = await self._arriving(request)
            except TimeoutError:
                raise TooSlow(f"the body did not arrive within {self._timeout_s:g} seconds") from None
        unpacked = await unpack(body, request.headers.get("Content-Encoding"), self._max_bytes)
        answer_in = answer_format(request.headers.getall("Accept", ()), asked_in)
        return await decode(asked_in, unpacked), answer_in

    async def _arriving(self, request: web.Request) -> bytes:
        body = bytearray()
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than the {self._max_bytes} bytes allowed (max_body_bytes)")


def _format_of(request: web.Request) -> Format:
    if "Content-Type" not in request.headers:
        raise UnsupportedMedia("the request does not say what its body is", field="Content-Type")
    asked_in = FORMATS.get(request.content_type)
    if asked_in is None:
        raise UnsupportedMedia(
            f"the body is {request.headers['Content-Type'][:80]!r}, which is not read here",
            field="Content-Type",
        )
    charset = request.charset
    if charset is not None and charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia(
            f"the body's charset is {charset[:80]!r}, and only UTF-8 is read",
            field="Content-Type",
        )
    return asked_in
