"""The web application: which URL leads to which handler, and what every request passes on its way."""

from __future__ import annotations

from aiohttp import web

from syncd.api.access import Access
from syncd.api.conflicts import ConflictRoutes
from syncd.api.documents import DocumentRoutes
from syncd.api.edge import Edge
from syncd.api.health import HealthRoutes
from syncd.api.history import HistoryRoutes
from syncd.api.identify import Identifies
from syncd.api.live import LiveRoute
from syncd.api.members import MemberRoutes
from syncd.api.people_routes import PeopleRoutes
from syncd.api.privacy import PrivacyRoutes
from syncd.api.quarantine import QuarantineRoutes
from syncd.api.stream import StreamRoute
from syncd.api.sync import SyncRoutes

__all__ = ["make_application"]


def make_application(
    *,
    access: Access,
    edge: Edge,
    sync: SyncRoutes,
    live: LiveRoute,
    stream: StreamRoute,
    history: HistoryRoutes,
    quarantine: QuarantineRoutes,
    conflicts: ConflictRoutes,
    documents: DocumentRoutes,
    members: MemberRoutes,
    people: PeopleRoutes,
    privacy: PrivacyRoutes,
    health: HealthRoutes,
) -> web.Application:
    """Join the routes; sockets and streams are closed when the application shuts down."""
    open_routes = [
        web.get("/", health.about),
        web.get("/health/live", health.alive),
        web.get("/health/ready", health.ready),
        # Its token comes with the first frame, since browsers cannot send it earlier.
        web.get("/sync/v1/live", live.live),
        # Its token may be in the URL, for the same reason. No HEAD: it would never end.
        web.get("/sync/v1/stream", stream.stream, allow_head=False),
        *people.open_routes(),
        # Whoever was erased has no token any more, and hears of the end of it by an id that nobody can guess.
        web.get("/auth/v1/jobs/{id}", privacy.job),
    ]
    routes = [
        web.post("/sync/v1/push", sync.push),
        web.post("/sync/v1/pull", sync.pull),
        web.post("/sync/v1/documents", documents.read),
        web.get("/sync/v1/document", documents.view),
        web.get("/sync/v1/members", members.members),
        web.put("/sync/v1/members", members.grant),
        web.delete("/sync/v1/members", members.revoke),
        web.get("/sync/v1/links", members.links),
        web.post("/sync/v1/links", members.make_link),
        web.delete("/sync/v1/links", members.end_link),
        web.get("/sync/v1/history", history.history),
        web.get("/sync/v1/explain", history.explain),
        web.get("/sync/v1/undo", history.undo),
        web.get("/sync/v1/quarantine", quarantine.waiting),
        web.post("/sync/v1/quarantine/replay", quarantine.replay),
        web.post("/sync/v1/quarantine/dismiss", quarantine.dismiss),
        web.get("/sync/v1/conflicts", conflicts.page),
        web.post("/sync/v1/conflicts/settle", conflicts.settle),
        web.get("/sync/v1/conflicts/{id}", conflicts.get),
        web.post("/sync/v1/conflicts/{id}/reopen", conflicts.reopen),
        *people.routes(),
        web.post("/auth/v1/me/export", privacy.export),
        web.post("/auth/v1/me/erase", privacy.erase),
        web.get("/auth/v1/jobs/{id}/file", privacy.file),
        web.post("/admin/v1/users/{id}/export", privacy.export_of),
        web.post("/admin/v1/users/{id}/erase", privacy.erase_of),
    ]
    application = web.Application(middlewares=[edge.around(Identifies(access, {route.path for route in open_routes}))])
    application.on_response_prepare.append(edge.finish)
    application.add_routes([*open_routes, *routes])

    async def close_sockets(_: web.Application) -> None:
        await live.sockets.close_all()

    application.on_shutdown.append(close_sockets)
    return application
