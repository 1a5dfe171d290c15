"""An account in a database that no server is using, and an access token for it: for servers in another process."""

from __future__ import annotations

from pathlib import Path

from syncd.app import open_app
from syncd.auth.accounts import new_account
from syncd.auth.sessions import Device
from syncd.settings import Settings
from syncd.store.accounts import AccountCommit
from syncd.store.sqlite import SqliteStore
from syncd.wiring import open_server, wall_clock_ms

__all__ = ["signed_in"]

PASSWORD = "four words in a row"


async def signed_in(database: Path, secret_key: str) -> tuple[str, str]:
    """The account's id, and a token of a session that was begun just now."""
    settings = Settings(
        database=database, accounts=True, secret_key=secret_key, mail_folder=database.parent / "mail",
        password_hash_passes=1, password_hash_bytes=8 * 1024, password_hash_lanes=1,
    )  # type: ignore[arg-type]  # fmt: skip
    async with open_server(settings, open_app()) as server:
        assert server.people is not None
        assert isinstance(server.store, SqliteStore)
        now_ms = wall_clock_ms()
        row = new_account(now_ms)._replace(
            email="annabel@club.example", verified_at_ms=now_ms,
            password_hash=await server.people.accounts._passwords.hash(PASSWORD),
        )  # fmt: skip
        async with server.store.accounts.transaction() as transaction:
            await transaction.commit(AccountCommit(accounts=[row]))
        tokens = await server.people.log_in.with_password("annabel@club.example", PASSWORD, Device("d", "Anna's"))
        return row.id, tokens.access
