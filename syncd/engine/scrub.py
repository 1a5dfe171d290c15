"""Scrub: what is about one person goes out of the resources that others share, and everybody who has them is told.

Each resource gets a new version, written by the server and told like any other; no rule and no hook is asked, since
there is nothing to decide. Doing it again changes nothing, so that whoever was stopped in between begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from conflict_rules import Change, Clock, Kind, Op, Outcome, State
from conflict_rules.scrubbed import by_scrubber, is_bare, scrubbed, scrubber_replica
from conflict_rules.state import Mark, Origin
from conflict_rules.values import JsonValue, canonical_json
from conflict_rules.wire import change_digest, encode_change, encode_outcome
from syncd.engine.workspace import Workspace, encode_body
from syncd.store.protocol import Commit, ReplicaRow, ResourceKey, SettledRow, Store, Wanted

__all__ = ["Left", "Scrubber"]

Left = Callable[[State], Mapping[str, JsonValue] | None]
"""What is left of a resource: the fields to set, {} to leave it as it is, None to delete it with all it keeps."""

_PORTION: Final = 100
"""Resources in one commit: others write between two."""


class Scrubber:
    """`publish`: tells of a commit, and of where its scopes stood before (`Pusher.publish`)."""

    def __init__(
        self,
        store: Store,
        schema: int,
        publish: Callable[[Commit, Mapping[str, int]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._schema = schema
        self._publish = publish
        self._now_ms = now_ms
        # One of its own: the numbers of the other replica of this server are the pusher's to give.
        self._replica = scrubber_replica(store.incarnation)
        self._clock = Clock(self._replica, now_ms)

    async def scrub(self, keys: Sequence[ResourceKey], left: Left) -> int:
        """Leave of each of these resources what `left` says; how many were changed. Durable when this returns.

        A tombstone that keeps fields is asked about like a resource. One that keeps none has nothing to lose; if
        anything is to go, it is stamped anew, once, so that who still has what it held lets go of that. What never was
        is passed over.
        """
        changed = 0
        for start in range(0, len(keys), _PORTION):
            changed += await self._portion(keys[start : start + _PORTION], left)
            await asyncio.sleep(0)
        return changed

    async def _portion(self, keys: Sequence[ResourceKey], left: Left) -> int:
        changed = 0
        while keys:
            async with self._store.snapshot() as snapshot:
                scopes = {row.scope for row in (await snapshot.states(keys)).values()}
            if not scopes:
                break
            async with self._store.transaction(replicas=[self._replica], scopes=scopes) as transaction:
                loaded = await transaction.load(Wanted([self._replica], scopes, keys))
                workspace = Workspace()
                workspace.add(loaded, keys)
                for key, row in loaded.states.items():
                    if row.scope in scopes:
                        changed += self._leave(workspace, key, left)
                commit = workspace.commit(self._now_ms())
                if commit is not None:
                    await transaction.commit(commit)
            if commit is not None:
                self._publish(commit, loaded.scopes)
            # Law 5: what came up in another scope meanwhile is written with the lock of that one, and after its head.
            keys = [key for key, row in loaded.states.items() if row.scope not in scopes]
        return changed

    def _leave(self, workspace: Workspace, key: ResourceKey, left: Left) -> bool:
        state = workspace.state(key)
        assert state is not None
        if is_bare(state) and by_scrubber(state.origin.replica):
            return False
        fields = left(state)
        if fields and is_bare(state):
            fields = None
        if fields is not None and all(
            state.fields.get(name) == value and name not in state.rule_data for name, value in fields.items()
        ):
            return False
        n, stamp = workspace.replica(self._replica).settled + 1, self._clock.tick()
        mark = Mark(workspace.head(state.scope) + 1, stamp)
        after = scrubbed(state, fields, mark, Origin(self._replica, n))
        workspace.put(after, encode_body(after))
        change = Change(
            replica=self._replica,
            n=n,
            scope=state.scope,
            type=state.type,
            id=state.id,
            op=Op.DELETE if fields is None else Op.UPDATE,
            stamp=stamp,
            base=state.version,
            fields=fields or {},
            schema=self._schema,
        )
        raw = encode_change(change)
        workspace.settle(
            SettledRow(
                replica=self._replica,
                n=n,
                digest=change_digest(raw),
                scope=state.scope,
                type=state.type,
                id=state.id,
                version=mark.version,
                kind=Kind.APPLIED.value,
                at_ms=self._now_ms(),
                stamp=str(stamp),
                change=canonical_json(raw),
                outcome=canonical_json(encode_outcome(n, Outcome(Kind.APPLIED, version=mark.version))),
            ),
            ReplicaRow(self._replica, n, str(stamp)),
        )
        return True
