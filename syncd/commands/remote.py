"""A server as it looks from outside: what it is, whether it is well, its limits and its clock."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from client_sdk.errors import Denied, TransportError, Unreachable
from client_sdk.messages import Page
from client_sdk.transport import Transport
from syncd.errors import CommandError, SettingsError

__all__ = ["Refusal", "RemoteServer", "ask", "base_url", "look_at", "next_page", "transport_failure", "unreachable"]

_TIMEOUT_S: Final = 10.0
_ASK_TIMEOUT_S: Final = 120.0
_PAGE_BYTES: Final = 1024 * 1024
_NEEDED_LIMITS: Final = {"max_changes": 1, "max_body_bytes": 64 * 1024}
"""Of a server that does not tell them."""


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """`trouble`: why it is not ready, None if it is. `clock_offset_ms`: its clock less this machine's, to within
    half of `round_trip_ms`.
    """

    url: str
    version: str
    app: str
    app_version: int
    trouble: str | None
    limits: Mapping[str, int]
    clock_offset_ms: int
    round_trip_ms: int


class Refusal(CommandError):
    """The server has answered that it will not. `problem`: its code for that, None if it gave none."""

    problem: str | None = None


async def look_at(url: str, token: str | None) -> RemoteServer:
    """Ask the server at `url` about itself.

    Raises `CommandError` if nobody answers there, it is no syncd, or it does not take the token.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with aiohttp.ClientSession(
            base_url=base_url(url) + "/", timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S), headers=headers
        ) as session:
            about = await _ask(session, "GET", "")
            if "syncd" not in about:
                raise _not_syncd(url)
            ready = await _ask(session, "GET", "health/ready")
            started, began = time.monotonic(), time.time_ns() // 1_000_000
            told = await _ask(session, "POST", "sync/v1/pull", {"scopes": {}})
            round_trip_ms = int((time.monotonic() - started) * 1000)
    except (aiohttp.ClientError, OSError, TimeoutError) as failure:
        raise unreachable(url, failure) from failure
    if told.get("code") in ("unauthenticated", "forbidden"):
        raise _denied(url)
    if told.get("code") is not None:
        raise CommandError(
            f"The server at {url} does not answer a pull: {told.get('detail', 'it gives no reason')}.",
            hint=str(told.get("hint", "Look into its log.")),
            code="unreachable",
        )
    well = ready.get("status") == "ready"
    try:
        return RemoteServer(
            url=url,
            version=str(about["syncd"]),
            app=str(about.get("app", "?")),
            app_version=int(ready["schema"]) if well else 1,
            trouble=None if well else str(ready.get("detail", "it does not say why")),
            limits={**_NEEDED_LIMITS, **{str(name): int(value) for name, value in told["limits"].items()}},
            clock_offset_ms=int(told["server_time_ms"]) - began - round_trip_ms // 2,
            round_trip_ms=round_trip_ms,
        )
    except (LookupError, TypeError, ValueError, AttributeError) as odd:
        raise _not_syncd(url) from odd


async def ask(
    url: str,
    token: str | None,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: object = None,
) -> Mapping[str, Any]:
    """One request, and the object that answers it.

    Raises `CommandError` if nobody answers or it is no syncd; `Refusal` if the server refuses, in its own words.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(
                base_url=base_url(url) + "/", timeout=aiohttp.ClientTimeout(total=_ASK_TIMEOUT_S), headers=headers
            ) as session,
            session.request(method, path, params=query, json=body) as response,
        ):
            status, text = response.status, await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as failure:
        raise unreachable(url, failure) from failure
    try:
        value = json.loads(text)
    except ValueError:
        raise _not_syncd(url) from None
    if not isinstance(value, dict):
        raise _not_syncd(url)
    if status == 401:
        raise _denied(url)
    if status != 200:
        refusal = Refusal(
            f"The server at {url} refuses: {value.get('detail', 'it gives no reason')}",
            hint=str(value.get("hint", "Is it as new as this syncd? Look into its log.")),
            code="unreachable",
        )
        refusal.problem = value.get("code")
        raise refusal
    return value


async def next_page(transport: Transport, replica: str, scope: str, cursor: str | None) -> Page:
    """What came in `scope` after `cursor`; raises `TransportError`, also for an answer that would be asked for ever."""
    reply, _ = await transport.pull(replica, {scope: cursor}, _PAGE_BYTES)
    if scope in reply.gone:
        raise Denied(f"{scope} may not be seen with this token, or is not there")
    page = reply.pages.get(scope)
    if page is None or (page.more and page.cursor == cursor):
        raise Unreachable("the server's answer to a pull did not bring what was asked for")
    return page


def base_url(url: str) -> str:
    """`url` without a slash at its end; raises `SettingsError` if it is none."""
    try:
        parsed = URL(url)
    except ValueError:
        parsed = URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(
            f"url: {url!r} is not the URL of a server",
            hint="It looks like http://127.0.0.1:8000; 'syncd serve' prints it.",
            field="url",
        )
    return url.rstrip("/")


def transport_failure(failure: TransportError) -> CommandError:
    """The command's error for one of the SDK's."""
    if isinstance(failure, Denied):
        return CommandError(f"{_sentence(failure.message)}.", hint=_TOKEN_HINT, code="unreachable")
    return CommandError(f"{_sentence(failure.message)}.", hint=_REACH_HINT, code="unreachable")


def unreachable(url: str, failure: BaseException) -> CommandError:
    """Nobody answers at `url`."""
    reason = (
        "it did not answer in time" if isinstance(failure, TimeoutError) else str(failure) or type(failure).__name__
    )
    return CommandError(f"There is no server at {url}: {reason}.", hint=_REACH_HINT, code="unreachable")


_REACH_HINT: Final = "Is it running, and is the URL the one that 'syncd serve' prints? Name it with --url."
_TOKEN_HINT: Final = "Set SYNCD_TOKEN to the token that the server was started with."


async def _ask(session: aiohttp.ClientSession, method: str, path: str, body: object = None) -> Mapping[str, Any]:
    """A JSON object, whatever the status; empty if it was something else."""
    async with session.request(method, path, json=body) as response:
        try:
            value = json.loads(await response.read())
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _not_syncd(url: str) -> CommandError:
    return CommandError(f"What answers at {url} is not a syncd.", hint=_REACH_HINT, code="unreachable")


def _denied(url: str) -> CommandError:
    return CommandError(f"The server at {url} does not take this token.", hint=_TOKEN_HINT, code="unreachable")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
