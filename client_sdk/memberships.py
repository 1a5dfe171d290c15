"""Memberships: which scopes a user is in, and as what. They are resources in his own scope, so that they come and go
like anything else, and are known offline.

A scope that a membership names is followed for as long as the membership stands. One that was followed by hand stays,
and one that was unfollowed by hand is left alone until the membership ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from client_sdk.departures import Departures
from client_sdk.errors import FileOfAnother, Unfit
from client_sdk.json_text import read_json
from client_sdk.local_rows import ResourceRow, ScopeRow
from client_sdk.replica import Replica
from conflict_rules.values import valid_scope
from syncd.app.access import USER_PREFIX
from syncd.app.builtin import MEMBERSHIP_TYPE

__all__ = ["Memberships"]

_FIRST: Final = -1
"""The priority of one's own scope: before those of which it tells."""


class Memberships:
    """Of `user`, in one replica. `on_changed` is told of scopes that he may see more or less of than before."""

    def __init__(
        self, replica: Replica, departures: Departures, user: str, on_changed: Callable[[Sequence[str]], None]
    ) -> None:
        self._replica = replica
        self._departures = departures
        self._user = user
        self._on_changed = on_changed
        self._own = f"{USER_PREFIX}:{user}"
        self._known: dict[str, ResourceRow] = {}
        self._whole = False

    async def begin(self) -> None:
        """Take up where the file was left; raises `FileOfAnother` if it is another user's, `Unfit` for no user."""
        if not valid_scope(self._own):
            raise Unfit(f"user: {self._user!r} is not the id of an account")
        replica = self._replica

        async def commit() -> None:
            if replica.row.user not in ("", self._user):
                raise FileOfAnother(
                    f"this file holds the work of the account {replica.row.user!r}, not of {self._user!r}; "
                    "open another file, and leave this one to its owner"
                )
            rows = [replace(row, priority=_FIRST) for row in replica.to_follow([self._own])]
            who = replace(replica.row, user=self._user)
            if rows or who != replica.row:
                async with replica.store.transaction():
                    await replica.store.save_replica(who)
                    for row in rows:
                        await replica.store.save_scope(row)
                replica.row = who
                replica.scopes.update({row.name: row for row in rows})
            await self._look_again()

        await replica.write(commit)

    async def took(self, scope: str, whole: bool | None) -> None:
        """Something came of a scope, or it is gone; inside a write of the replica. `whole`: whether all of it is here,
        None if that is as it was.
        """
        row = self._replica.scopes.get(scope)
        if scope == self._own and whole is not None:
            self._whole = whole
        if scope == self._own or (row is not None and row.granted and row.gone):
            await self._look_again()

    async def _look_again(self) -> None:
        replica = self._replica
        standing = await self._standing()
        known = self._known
        changed = [scope for scope in {**known, **standing} if known.get(scope) != standing.get(scope)]
        self._known = standing
        replica.memberships = {scope: str(_fields(row)["role"]) for scope, row in standing.items()}
        await self._follow([scope for scope in standing if scope not in replica.scopes])
        if self._whole:
            # What is missing has ended, rather than not come yet (invariant 11).
            for row in [row for row in replica.scopes.values() if row.granted and row.name not in standing]:
                await self._departures.lose(row.name)
                if not replica.outbox.waiting_in(row.name):
                    await self._departures.drop(row.name)
        if changed:
            self._on_changed(changed)

    async def _standing(self) -> dict[str, ResourceRow]:
        """The memberships that stand, by the scope that they are about."""
        rows = await self._replica.store.resources(MEMBERSHIP_TYPE, self._own)
        living = [row for row in rows if not row.deleted]
        return {str(of): row for row in living if valid_scope(of := _fields(row).get("of")) and "role" in _fields(row)}

    async def _follow(self, scopes: Sequence[str]) -> None:
        if not scopes:
            return
        rows = [ScopeRow(scope, granted=True) for scope in scopes]
        async with self._replica.store.transaction():
            for row in rows:
                await self._replica.store.save_scope(row)
        self._replica.scopes.update({row.name: row for row in rows})


def _fields(row: ResourceRow) -> dict[str, object]:
    body = read_json(row.body)
    assert isinstance(body, dict), "states were kept"
    fields = body.get("fields")
    return dict(fields) if isinstance(fields, dict) else {}
