"""Commands on accounts: decided in a transaction, committed, and told to whoever has to know.

A command that was begun is finished, even if whoever asked has gone: a session that is revoked in the database and not
in memory would go on until its token ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from syncd.auth.revocations import Revocations
from syncd.store.accounts import AccountCommit, AccountStore, AccountTransaction

__all__ = ["Committer"]

T = TypeVar("T")
Decide = Callable[[AccountTransaction], Awaitable[tuple[AccountCommit | None, T]]]


class Committer:
    """`on_mail`: called, without waiting, when a commit has left mail to send."""

    def __init__(
        self, store: AccountStore, revocations: Revocations, on_mail: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._on_mail = on_mail
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, decide: Decide[T]) -> T:
        """Commit what `decide` says, None for nothing, and return the rest of what it says.

        It reads from the transaction; what it raises ends the command, and nothing is written.
        """
        task = asyncio.create_task(self._run(decide), name="account-command")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, decide: Decide[T]) -> T:
        async with self._store.transaction() as transaction:
            commit, result = await decide(transaction)
            if commit is None:
                return result
            await transaction.commit(commit)
            # Before the lock is let go: the next command finds memory and database agreeing.
            self._revocations.committed(commit)
        if commit.mails:
            self._on_mail()
        return result

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has heard of it, unless he has gone
