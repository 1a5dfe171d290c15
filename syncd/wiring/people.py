"""Who people are: tokens, accounts, and who has come in."""

from __future__ import annotations

from contextlib import AsyncExitStack

from syncd.api.access import Access
from syncd.auth.fetching import Fetcher
from syncd.auth.mailers import FileMailer, SmtpMailer
from syncd.auth.people import open_people as people_of
from syncd.auth.tokens import TokenIssuer, TokenVerifier
from syncd.engine.share_links import LINK_PREFIX
from syncd.engine.visit import Visits
from syncd.store.sqlite import SqliteStore
from syncd.wiring.parts import Server

__all__ = ["open_people", "open_tokens"]


async def open_tokens(server: Server, undo: AsyncExitStack) -> None:
    """Whoever issues and verifies tokens, and others who say who somebody is; keys by URL are fetched when needed."""
    settings, now_ms = server.settings, server.now_ms
    fetcher = Fetcher()
    undo.push_async_callback(fetcher.close)
    server.signing_keys = settings.signing_keys
    server.issuer = TokenIssuer(
        server.signing_keys,
        now_ms,
        issuer=settings.token_issuer,
        audiences=settings.token_audiences,
        lifetime_s=settings.access_token_s,
    )
    policies = [server.issuer.policy(), *(trusted.policy(fetcher, now_ms) for trusted in settings.trusted_issuers)]
    server.verifier = TokenVerifier(policies, now_ms, settings.leeway_s)
    sources = [policy.keys for policy in policies]
    server.providers, server.google_flow = {}, None
    for sign_in in (settings.google, settings.apple):
        if sign_in is not None:
            provider, keys = sign_in.provider(fetcher, now_ms, settings.leeway_s)
            server.providers[provider.name] = provider
            sources.append(keys)
    if settings.google is not None:
        server.google_flow = settings.google.code_flow(server.providers["google"], fetcher, now_ms)
    for source in sources:
        undo.push_async_callback(source.close)


async def open_people(server: Server, undo: AsyncExitStack) -> None:
    """Accounts, sessions and the mail about them, if the server has any; and who may come in at all."""
    settings = server.settings
    server.visits = Visits()
    authenticates = server.accounts
    if settings.accounts and authenticates is None:
        assert isinstance(server.store, SqliteStore)
        smtp = settings.smtp
        mailer = FileMailer(settings.mail_folder, settings.mail_from) if smtp is None else None
        people = people_of(
            server.store.accounts,
            server.issuer,
            server.verifier,
            mailer or SmtpMailer(smtp, settings.mail_from),  # type: ignore[arg-type]  # one of them is there
            server.now_ms,
            settings.people_rules,
            issuer=settings.token_issuer,
            links={LINK_PREFIX: server.open_link},
        )
        server.people = await undo.enter_async_context(people)
        undo.callback(server.people.revocations.on_revoked(server.end_visits))
        authenticates = server.people.authenticator
    server.access = Access(settings.shared_token, settings.socket_origins, authenticates)
