"""Which of those who ask may ask about an account: anybody, a person who has logged in, or whoever runs the server.

An API key and a share link act in the place of a person where data is concerned, and nowhere else: who has stolen one
can neither change a password nor make himself another key.
"""

from __future__ import annotations

import re
from typing import Final

import structlog
from aiohttp import web

from syncd.api.body import BodyReader
from syncd.api.envelope import Message, read_message
from syncd.api.formats import JSON, Format, answer_format
from syncd.api.request_keys import principal_of, route_of
from syncd.auth.people import People
from syncd.engine.principal import Caller, Principal
from syncd.errors import Forbidden, NotFound

__all__ = ["AccountGate", "answered", "check_operator", "id_in", "log_in_needed"]

log = structlog.get_logger(__name__)

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class AccountGate:
    """One for a server. `people`: None where there are no accounts. `bodies`: reads what is sent."""

    def __init__(self, people: People | None, bodies: BodyReader) -> None:
        self._people = people
        self._bodies = bodies

    @property
    def people(self) -> People:
        """The use cases; raises `NotFound` where there are no accounts."""
        if self._people is None:
            raise NotFound("This server has no accounts.", hint="Start it with SYNCD_ACCOUNTS=true.")
        return self._people

    async def person(self, request: web.Request) -> Principal:
        """Somebody by the access token of a session here.

        Raises `Forbidden` for API keys, share links, the shared token and tokens of other issuers: whoever comes by one
        of those has no session here to look after. And for a suspended account.
        """
        people, principal = self.people, principal_of(request)
        of_a_user = principal.caller is Caller.USER and principal.scopes is None
        session = await people.store.session(principal.session) if of_a_user else None
        if session is None or session.account != principal.user:
            raise log_in_needed()
        if principal.suspended:
            raise Forbidden(
                "This account is suspended.",
                code="account_suspended",
                hint="Ask whoever runs the server; nothing on the device is lost meanwhile.",
            )
        return principal

    def operator(self, request: web.Request) -> None:
        """See `check_operator`; where there are no accounts there is nothing to do about them."""
        _ = self.people
        check_operator(request)

    async def message(self, request: web.Request, kind: type[Message]) -> tuple[Message, Format]:
        """The body, and the format to answer in. Without accounts nothing is read."""
        _ = self.people
        value, answer_in = await self._bodies.read(request)
        return read_message(kind, value), answer_in


def check_operator(request: web.Request) -> None:
    """Raise `Forbidden` for everybody but the holder of the shared token; what he does is logged."""
    if principal_of(request).caller is not Caller.OPERATOR:
        raise Forbidden(
            "Only whoever runs the server may do this.", hint="Send the server's shared token, SYNCD_TOKEN."
        )
    if request.method != "GET":
        account = request.match_info.get("id", "")[:64]
        log.info("operator_act", method=request.method, route=route_of(request), account=account)


def log_in_needed() -> Forbidden:
    """What whoever comes by a key or a link is told, where an account itself is concerned."""
    return Forbidden(
        "This takes somebody who has logged in here; an API key or a share link is not enough.",
        code="log_in_needed",
        hint="Send the access token that POST /auth/v1/log-in gives.",
    )


def id_in(request: web.Request, name: str = "id") -> str:
    """An id that the URL names; raises `NotFound` for what can be none."""
    id_ = request.match_info[name]
    if _ID.fullmatch(id_) is None:
        raise NotFound("There is nothing of that id.", hint="An id is 1 to 64 of A-Z a-z 0-9 -; list them again.")
    return id_


def answered(request: web.Request, value: object, answer_in: Format | None = None) -> web.Response:
    """An answer that nobody keeps; where there was no body, in the format that the request likes best."""
    answer_in = answer_in or answer_format(request.headers.getall("Accept", ()), JSON)
    return web.Response(
        body=answer_in.encode(value),
        content_type=answer_in.content_type,
        headers={"Cache-Control": "no-store", "Vary": "Accept"},
    )
