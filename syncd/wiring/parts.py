"""What a server consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from syncd.api.access import Access, Authenticates
from syncd.api.rate_limits import RateLimits
from syncd.api.sockets import Sockets
from syncd.app import App
from syncd.auth.identity import IdentityProvider
from syncd.auth.oauth import CodeFlow
from syncd.auth.people import People
from syncd.auth.revocations import Revoked
from syncd.auth.signing import SigningKeys
from syncd.auth.tokens import TokenIssuer, TokenVerifier
from syncd.bus.protocol import Bus
from syncd.documents.protocol import Documents
from syncd.engine.authorise import Authoriser
from syncd.engine.conflict_inbox import ConflictInbox
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.engine.limits import Limits
from syncd.engine.memberships import Memberships
from syncd.engine.presence import Presence
from syncd.engine.principal import Principal
from syncd.engine.pull import Puller
from syncd.engine.push import Pusher
from syncd.engine.quarantine import Quarantine
from syncd.engine.share_links import ShareLinks
from syncd.engine.visit import Visits
from syncd.engine.watch import Watcher
from syncd.jobs.privacy import Privacy
from syncd.jobs.runner import Jobs
from syncd.settings import Settings
from syncd.store.protocol import Store
from syncd.store.quarantine_file import QuarantineFile

__all__ = ["Server"]


@dataclass(slots=True)
class Server:
    """The parts of one server, filled in by the steps of its start."""

    settings: Settings
    app: App
    now_ms: Callable[[], int]
    accounts: Authenticates | None
    limits: Limits = field(init=False)
    access: Access = field(init=False)
    visits: Visits = field(init=False)
    people: People | None = field(init=False, default=None)
    signing_keys: SigningKeys = field(init=False)
    issuer: TokenIssuer = field(init=False)
    verifier: TokenVerifier = field(init=False)
    providers: dict[str, IdentityProvider] = field(init=False)
    google_flow: CodeFlow | None = field(init=False)
    rates: RateLimits = field(init=False)
    store: Store = field(init=False)
    bus: Bus = field(init=False)
    documents: Documents = field(init=False)
    authoriser: Authoriser = field(init=False)
    memberships: Memberships = field(init=False)
    links: ShareLinks = field(init=False)
    watcher: Watcher = field(init=False)
    presence: Presence = field(init=False)
    pusher: Pusher = field(init=False)
    puller: Puller = field(init=False)
    history: History = field(init=False)
    quarantine: Quarantine = field(init=False)
    quarantine_file: QuarantineFile = field(init=False)
    inbox: ConflictInbox = field(init=False)
    document_reader: DocumentReader = field(init=False)
    jobs: Jobs = field(init=False)
    privacy: Privacy = field(init=False)
    sockets: Sockets = field(init=False)
    web: web.Application = field(init=False)

    async def open_link(self, text: str) -> Principal:
        """Who comes by a share link."""
        principal = await self.links.open(text)
        if self.people is not None:
            self.people.link_uses.count(principal.session)
        return principal

    def as_of_now(self, principal: Principal) -> Principal:
        """See `AsOfNow`; where accounts are kept elsewhere, as he came."""
        return principal if self.people is None else self.people.authenticator.as_of_now(principal)

    async def roles_of(self, user: str) -> frozenset[str]:
        """The account-wide roles of an account, whatever its tokens say; none, where accounts are kept elsewhere."""
        row = None if self.people is None else await self.people.store.account(user)
        return frozenset() if row is None else row.all_roles

    def end_visits(self, revoked: Revoked) -> None:
        """Whoever has come in by what was ended has nothing more to see."""
        self.visits.end(revoked.sessions, revoked.accounts)
        assert self.people is not None
        for user in revoked.changed:
            self.visits.renew(user, partial(self.people.revocations.roles, user))
