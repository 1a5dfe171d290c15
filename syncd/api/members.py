"""Who is in a scope, and by which links strangers come in: over HTTP, for those who may let others in."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from syncd.api.body import BodyReader
from syncd.api.envelope import read_message, read_query
from syncd.api.history import answer
from syncd.api.messages import LinkQuery, LinkRequest, LinksQuery, MemberQuery, MemberRequest, MembersQuery
from syncd.api.request_keys import principal_of
from syncd.auth.link_uses import LinkUses
from syncd.engine.memberships import Memberships
from syncd.engine.share_links import ShareLink, ShareLinks
from syncd.engine.visit import Visits

__all__ = ["MemberRoutes"]


class MemberRoutes:
    """Six requests: members listed, made, turned away; links listed, made, ended."""

    def __init__(
        self,
        *,
        memberships: Memberships,
        links: ShareLinks,
        visits: Visits,
        uses: LinkUses | None,
        bodies: BodyReader,
    ) -> None:
        self._memberships = memberships
        self._links = links
        self._visits = visits
        self._uses = uses
        self._bodies = bodies

    async def members(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/members`: who is in a scope, by the ids of accounts, in pages."""
        query = read_query(MembersQuery, request.query.items())
        found = await self._memberships.members(
            principal_of(request), query.scope, after=query.after, limit=query.limit + 1
        )
        shown = found[: query.limit]
        following = shown[-1].user if len(found) > query.limit else None
        return answer(request, {"members": [asdict(member) for member in shown], "next": following})

    async def grant(self, request: web.Request) -> web.Response:
        """`PUT /sync/v1/members`: somebody is something in a scope from now on."""
        value, _ = await self._bodies.read(request)
        message = read_message(MemberRequest, value)
        await self._memberships.grant(principal_of(request), message.scope, message.user, message.role)
        return answer(request, {"scope": message.scope, "user": message.user, "role": message.role})

    async def revoke(self, request: web.Request) -> web.Response:
        """`DELETE /sync/v1/members`: somebody is nothing there any more."""
        query = read_query(MemberQuery, request.query.items())
        await self._memberships.revoke(principal_of(request), query.scope, query.user)
        return answer(request, {"scope": query.scope, "user": query.user, "role": None})

    async def links(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/links`: the share links of a scope, ended ones too; how often each has opened something, and
        how many watch by it now.
        """
        query = read_query(LinksQuery, request.query.items())
        found = await self._links.links(principal_of(request), query.scope)
        watching = self._visits.by_session()
        used = {} if self._uses is None else await self._uses.of([link.id for link in found])
        told = []
        for link in found:
            row = used.get(link.id)
            counted = {"uses": 0} if row is None else {"uses": row.uses, "used_at_ms": row.used_at_ms}
            told.append({**_told(link), **counted, "watching": watching[link.id]})
        return answer(request, {"links": told})

    async def make_link(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/links`: the link with its text, which is told this once."""
        value, _ = await self._bodies.read(request)
        message = read_message(LinkRequest, value)
        made = await self._links.make(
            principal_of(request),
            message.scope,
            label=message.label,
            lifetime_ms=None if message.lifetime_s is None else message.lifetime_s * 1000,
        )
        return answer(request, {**_told(made.link), "link": made.text})

    async def end_link(self, request: web.Request) -> web.Response:
        """`DELETE /sync/v1/links`: it opens nothing any more, also where it is open now."""
        query = read_query(LinkQuery, request.query.items())
        await self._links.revoke(principal_of(request), query.id)
        self._visits.end({query.id}, ())
        return answer(request, {"id": query.id, "ended": True})


def _told(link: ShareLink) -> dict[str, object]:
    return {key: value for key, value in asdict(link).items() if value is not None}
