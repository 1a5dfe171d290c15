"""Long work, and what is done by the clock."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial

from syncd.auth.people import People
from syncd.engine.document_reader import DocumentReader
from syncd.engine.scrub import Scrubber
from syncd.jobs.erase import Erase
from syncd.jobs.export import Export
from syncd.jobs.person import PersonSource
from syncd.jobs.privacy import ERASE, EXPORT, Privacy
from syncd.jobs.results import Results
from syncd.jobs.runner import Jobs, Work
from syncd.jobs.schedule import HOUR_S, MINUTE_S, Task, scheduled
from syncd.store.sqlite import SqliteStore
from syncd.wiring.parts import Server

__all__ = ["open_jobs", "sweep_accounts"]


async def open_jobs(server: Server, undo: AsyncExitStack) -> None:
    """Long work on one account's data, and what is done by the clock. What was under way goes on."""
    settings, people, store = server.settings, server.people, server.store
    assert isinstance(store, SqliteStore)
    server.document_reader = DocumentReader(server.app, store, server.documents, server.history)
    source = PersonSource(
        server.app, store, store.traces, store.accounts, server.document_reader, server.quarantine_file
    )
    results = Results(settings.results_folder)
    erase = Erase(
        app=server.app,
        store=store,
        traces=store.traces,
        scrubber=Scrubber(store, server.app.version, server.pusher.publish, server.now_ms),
        file=server.quarantine_file,
        close=_nothing_to_close if people is None else people.leaving.erase,
        drop_results=lambda account: server.jobs.drop_results(account),
        end_links=lambda links: server.visits.end(links, ()),
    )
    works: dict[str, Work] = {EXPORT: Export(source, server.now_ms, settings.service_name), ERASE: erase}
    server.jobs = Jobs(store.jobs, works, results, server.now_ms, settings.export_kept_s * 1000)
    server.privacy = Privacy(server.jobs, source, None if people is None else people.leaving)
    running = asyncio.create_task(server.jobs.run(), name="jobs")
    undo.push_async_callback(_ended, running)
    tasks = [Task("sweep_results", HOUR_S, server.jobs.sweep)]
    if people is not None:
        tasks += [
            Task("sweep_accounts", HOUR_S, partial(sweep_accounts, server, people)),
            Task("write_key_uses", MINUTE_S, people.api_keys.write_uses),
            Task("write_link_uses", MINUTE_S, people.link_uses.write),
        ]
    await undo.enter_async_context(scheduled(tasks))


async def _nothing_to_close(account: str) -> None:
    """Who people are is known elsewhere."""


async def sweep_accounts(server: Server, people: People) -> None:
    """What has ended, and accounts that nobody has ever opened."""
    now_ms = server.now_ms()
    # Further back than a token lives.
    await people.store.sweep(now_ms - max(2 * server.settings.people_rules.kept_ms, 24 * HOUR_S * 1000))
    if server.settings.verified_email_only:
        await people.store.purge_unverified(now_ms - server.settings.unverified_kept_s * 1000)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
