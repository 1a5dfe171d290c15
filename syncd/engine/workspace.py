"""What one transaction has loaded, and what it means to write: reads see every earlier write (law 5).

Pure: rows come in, a `Commit` comes out. `mark` and `undo` are the way back for a vetoed change or a failed group.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from conflict_rules import State
from conflict_rules.crdt import marker_of
from conflict_rules.digest import EMPTY_DIGEST, updated_digest
from conflict_rules.wire import decode_state, encode_state
from syncd.app.builtin import MEMBERSHIP_TYPE
from syncd.errors import AppError
from syncd.store.protocol import (
    Commit,
    DocumentHead,
    DocumentKey,
    Loaded,
    ReplicaRow,
    ResourceKey,
    SettledRow,
    StateRow,
    UpdateRow,
)

__all__ = ["Workspace", "encode_body"]

_MISSING = object()


def encode_body(state: State) -> bytes:
    """The bytes of a state as they are stored and sent."""
    return orjson.dumps(encode_state(state))


def _decode(body: bytes, scope: str) -> State:
    return decode_state(orjson.loads(body), scope)


_remembered = lru_cache(maxsize=4096)(_decode)


class Workspace:
    """Rows by key, overlaid with what has been written since.

    `missing`: scopes that were needed and are not locked. Then all is to be done again with their locks (law 5), and
    the run goes on only to find out what else it needs: nothing of it is committed. With `may_grow` false that was
    done often enough.
    """

    def __init__(self, *, may_grow: bool = True) -> None:
        self.missing: set[str] = set()
        self._may_grow = may_grow
        self.scopes: dict[str, int] = {}
        self.replicas: dict[str, ReplicaRow] = {}
        self.documents: dict[DocumentKey, DocumentHead] = {}
        self._loaded: dict[ResourceKey, StateRow | None] = {}
        self._states: dict[ResourceKey, State | None] = {}
        self._digests: dict[str, bytes] = {}
        self._settled: dict[tuple[str, int], SettledRow] = {}
        # What was written, looked at first: each write is one entry here and one way back.
        self._new_scopes: dict[str, tuple[int, bytes]] = {}
        self._new_states: dict[ResourceKey, tuple[State, bytes]] = {}
        self._new_replicas: dict[str, ReplicaRow] = {}
        self._new_settled: dict[tuple[str, int], SettledRow] = {}
        self._new_updates: dict[tuple[DocumentKey, int, int], tuple[UpdateRow, bytes]] = {}
        self._dropped: dict[DocumentKey, bool] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def add(self, loaded: Loaded, asked: Iterable[ResourceKey] = ()) -> None:
        """Take in loaded rows; what this workspace knows already stands. `asked`: keys that were looked for."""
        for scope, version in loaded.scopes.items():
            self.scopes.setdefault(scope, version)
        for scope, digest in loaded.digests.items():
            self._digests.setdefault(scope, digest)
        for replica, row in loaded.replicas.items():
            self.replicas.setdefault(replica, row)
        for number, settled in loaded.settled.items():
            self._settled.setdefault(number, settled)
        self.documents.update(loaded.documents)
        for key, state in loaded.states.items():
            self._loaded.setdefault(key, state)
        for key in asked:
            self._loaded.setdefault(key, None)

    def knows(self, key: ResourceKey) -> bool:
        """Whether `key` has been looked for."""
        return key in self._loaded

    def need(self, scope: str) -> None:
        """Say that `scope` is read or written; its lock is held if its version was loaded.

        Raises `AppError` if it is not, and locks cannot be taken anew any more.
        """
        if scope in self.scopes or scope in self._new_scopes:
            return
        if not self._may_grow:
            raise AppError(
                f"each run of the hooks touches further scopes, {scope!r} for one",
                hint="Give what a hook creates an id made from that of its change, so that every run does the same.",
            )
        self.missing.add(scope)

    def head(self, scope: str) -> int:
        """The scope's version, with what was written here; 0 if it was never written."""
        written = self._new_scopes.get(scope)
        return self.scopes.get(scope, 0) if written is None else written[0]

    def replica(self, replica: str) -> ReplicaRow:
        """The replica's row; a fresh one for a replica never heard of."""
        return self._new_replicas.get(replica) or self.replicas.get(replica) or ReplicaRow(replica)

    def settled(self, replica: str, n: int) -> SettledRow | None:
        """What a number was settled with, if that is known."""
        return self._new_settled.get((replica, n)) or self._settled.get((replica, n))

    def state(self, key: ResourceKey) -> State | None:
        """The resource as of now, tombstones included; None if it never was. Decoded once."""
        written = self._new_states.get(key)
        if written is not None:
            return written[0]
        if key not in self._states:
            row = self._loaded[key]
            # A membership is looked at for every push of a member's.
            decode = _remembered if key[0] == MEMBERSHIP_TYPE else _decode
            self._states[key] = None if row is None else decode(row.body, row.scope)
        return self._states[key]

    def written(self, scope: str) -> list[State]:
        """The states of `scope` that were written here."""
        return [state for state, _ in self._new_states.values() if state.scope == scope]

    def written_of(self, type_name: str) -> list[State]:
        """The states of that type that were written here, in whatever scope."""
        return [state for state, _ in self._new_states.values() if state.type == type_name]

    def put(self, state: State, body: bytes) -> None:
        """Write a state; its version becomes the scope's."""
        key = (state.type, state.id)
        before = self.state(key)
        written = self._new_scopes.get(state.scope)
        digest = self._digests.get(state.scope, EMPTY_DIGEST) if written is None else written[1]
        self._set(self._new_states, key, (state, body))
        self._set(self._new_scopes, state.scope, (state.version, updated_digest(digest, before, state)))
        if state.deleted is not None and before is not None:
            for name in before.fields.keys() - state.fields.keys():
                if marker_of(before.fields[name]) is not None:
                    self._drop(DocumentKey(*key, name))

    def append(self, row: UpdateRow, digest: bytes) -> None:
        """Keep an update of a document. `digest`: of the change that brought it."""
        self._set(self._new_updates, (row.key, row.since, row.seq), (row, digest))

    def appended(self, key: DocumentKey) -> list[tuple[UpdateRow, bytes]]:
        """The updates that were kept here of a document, in order, each with the digest of its change."""
        return [entry for entry in self._new_updates.values() if entry[0].key == key]

    def _drop(self, key: DocumentKey) -> None:
        """A document goes with its resource, and what was kept of it here."""
        for row, _ in self.appended(key):
            place = (key, row.since, row.seq)
            self._undo.append((self._new_updates, place, self._new_updates.pop(place)))
        self._set(self._dropped, key, True)

    def settle(self, row: SettledRow, replica: ReplicaRow) -> None:
        """Settle a change, and with it move its replica on."""
        self._set(self._new_settled, (row.replica, row.n), row)
        self._set(self._new_replicas, replica.id, replica)

    def mark(self) -> int:
        """A point to come back to."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back everything that was written since `mark`."""
        while len(self._undo) > mark:
            table, key, before = self._undo.pop()
            if before is _MISSING:
                table.pop(key, None)
            else:
                table[key] = before

    def commit(self, at_ms: int) -> Commit | None:
        """Everything that was written, or None if nothing was."""
        if not self._new_settled and not self._new_states:
            return None
        states = [
            StateRow(state.scope, state.type, state.id, state.version, state.deleted is not None, body)
            for state, body in self._new_states.values()
        ]
        states.sort(key=lambda row: (row.scope, row.version))
        replicas = [row._replace(seen_at_ms=at_ms) for row in self._new_replicas.values()]
        return Commit(
            states,
            {scope: version for scope, (version, _) in self._new_scopes.items()},
            list(self._new_settled.values()),
            replicas,
            {scope: digest for scope, (_, digest) in self._new_scopes.items()},
            updates=[row for row, _ in self._new_updates.values()],
            dropped=list(self._dropped),
        )

    def _set(self, table: dict[Any, Any], key: object, value: object) -> None:
        self._undo.append((table, key, table.get(key, _MISSING)))
        table[key] = value
