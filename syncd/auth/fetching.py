"""Asking the servers of others for keys and tokens: the one file of `syncd.auth` that opens connections.

Only what the operator has configured is asked; no address ever comes from a token. Answers are bounded in size and
time, and redirects are not followed: whoever can place one elsewhere would otherwise say who everybody is.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

__all__ = ["Answer", "FetchFailed", "Fetcher", "checked_url"]

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})", re.IGNORECASE)
_USER_AGENT: Final = "syncd"


class FetchFailed(Exception):
    """There is no answer that can be used. The text says why, in words of ours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`document`: the body, read as JSON. `max_age_s`: how long it may be kept (RFC 9111, section 5.2.2.1), if said."""

    status: int
    document: Any
    max_age_s: int | None = None


def checked_url(url: str) -> str:
    """`url`, if it is https, or http to this machine; else raises `ValueError`."""
    parts = urlsplit(url)
    host = parts.hostname
    if not host or parts.username is not None or parts.password is not None:
        raise ValueError("a URL is https://host/path, without a name or password in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("a URL begins with https://; http:// is for this machine only")
    return url


class Fetcher:
    """One pool of connections. `timeout_s`: for a whole exchange. `max_bytes`: of an answer's body."""

    def __init__(self, *, timeout_s: float = 5.0, max_bytes: int = 256 * 1024) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str) -> Answer:
        """The answer with status 200; raises `FetchFailed` for any other."""
        answer = await self._ask("GET", url)
        if answer.status != 200:
            raise FetchFailed(f"the status is {answer.status}")
        return answer

    async def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """The answer to a form, whatever its status; raises `FetchFailed` if there is none in JSON."""
        return await self._ask("POST", url, form)

    async def close(self) -> None:
        """End the connections. May be called twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Answer:
        try:
            async with self._open().request(method, checked_url(url), data=form, allow_redirects=False) as response:
                if 300 <= response.status < 400:
                    raise FetchFailed("it redirects elsewhere")
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise FetchFailed("the body is compressed, which was not asked for")
                body = await self._body(response)
                said = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
                return Answer(response.status, _read(body), None if said is None else int(said[1]))
        except TimeoutError:
            raise FetchFailed("it took too long") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise FetchFailed(f"it cannot be reached: {type(error).__name__}") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchFailed(f"the body is over {self._max_bytes} bytes")
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": _USER_AGENT},
                # A few bytes of compressed body may stand for any number.
                auto_decompress=False,
            )
        return self._session


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FetchFailed("the body is not JSON") from None


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
