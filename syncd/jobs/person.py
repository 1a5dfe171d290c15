"""A person's data, page by page: what the account holds, what his replicas have sent, and what he may see of the rest.

Each page is of one moment; between two of them others write. Secrets, and their digests, are never in it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from conflict_rules import CONFLICT_TYPE
from conflict_rules.crdt import marker_of
from syncd.app import App
from syncd.app.builtin import MEMBERSHIP_TYPE, SHARE_LINK_TYPE
from syncd.engine.authorise import Authoriser, own_scope
from syncd.engine.document_reader import DocumentReader
from syncd.engine.entry import Entry, read_entry
from syncd.engine.principal import Caller, Principal
from syncd.engine.quarantine_line import read_line
from syncd.engine.sight import EVERYTHING, Sight
from syncd.errors import DocumentError, NotFound
from syncd.store.accounts import AccountReads, AccountStatus
from syncd.store.protocol import DocumentKey, ResourceKey, StateRow, Store
from syncd.store.traces import Traces

__all__ = ["PersonData", "PersonSource", "ReadsLines"]

_ROWS: Final = 200
_PAGE_BYTES: Final = 1 << 20
_SECRETS: Final = {SHARE_LINK_TYPE: "secret_hash"}

Line = Mapping[str, Any]
Pages = AsyncIterator[Sequence[Line]]


class ReadsLines(Protocol):
    """The file with what the quarantine had no room for."""

    def lines_of(self, replicas: Collection[str]) -> Pages:
        """What these replicas have in it, in the order of the file, some of it at a time; raises `StoreError`."""
        ...


@dataclass(frozen=True, slots=True)
class PersonSource:
    """Where it is read from."""

    app: App
    store: Store
    traces: Traces
    accounts: AccountReads
    documents: DocumentReader
    file: ReadsLines

    async def of(self, account: str, *, contents: bool = True) -> PersonData:
        """Of one account; what he may see of others' is told by his roles of now. `contents`: it is to be read,
        documents too, and not only counted; of others' whoever is suspended reads nothing.
        """
        row = await self.accounts.account(account)
        roles = frozenset() if row is None else row.all_roles
        suspended = contents and row is not None and row.status is AccountStatus.SUSPENDED
        sight = Sight(Authoriser(self.app), Principal(Caller.USER, account, roles, suspended=suspended))
        return PersonData(self, account, sight, contents=contents)


class PersonData:
    """`sight`: what he may see now."""

    def __init__(self, source: PersonSource, account: str, sight: Sight, *, contents: bool) -> None:
        self._source = source
        self._account = account
        self._sight = sight
        self._contents = contents

    async def account(self) -> Pages:
        """The account itself."""
        row = await self._source.accounts.account(self._account)
        if row is None:
            yield [{"id": self._account}]
            return
        left_out = ("password_hash", "totp_secret", "totp_step")
        told = {key: value for key, value in row._asdict().items() if key not in left_out}
        yield [{**told, "roles": sorted(row.roles), "has_password": row.password_hash is not None}]

    async def identities(self) -> Pages:
        """Who he is elsewhere."""
        yield [row._asdict() for row in await self._source.accounts.identities_of(self._account)]

    async def devices(self) -> Pages:
        """Where he is signed in."""
        kept = ("id", "created_at_ms", "used_at_ms", "expires_at_ms", "device_id", "device_name", "platform")
        rows = await self._source.accounts.sessions_of(self._account)
        yield [{key: getattr(row, key) for key in kept} for row in rows]

    async def api_keys(self) -> Pages:
        """His API keys, without what opens anything."""
        rows = await self._source.accounts.api_keys_of(self._account)
        kept = ("id", "name", "created_at_ms", "used_at_ms", "expires_at_ms", "revoked_at_ms")
        yield [
            {**{key: getattr(row, key) for key in kept}, "scopes": None if row.scopes is None else sorted(row.scopes)}
            for row in rows
        ]

    async def replicas(self) -> Pages:
        """The copies on his devices, as the server knows them."""
        rows = await self._source.traces.replicas_of(self._account)
        yield [{"id": row.id, "settled": row.settled, "seen_at_ms": row.seen_at_ms} for row in rows]

    def memberships(self) -> Pages:
        """What he is in which scope."""
        return self._own(lambda type_name: type_name == MEMBERSHIP_TYPE)

    def share_links(self) -> Pages:
        """The links that he made."""
        return self._own(lambda type_name: type_name == SHARE_LINK_TYPE)

    def own_resources(self) -> Pages:
        """What else is in his own scope."""
        return self._own(lambda type_name: type_name not in (MEMBERSHIP_TYPE, SHARE_LINK_TYPE))

    async def resources(self) -> Pages:
        """What his replicas have made or changed elsewhere, as it is now and as far as he may see it."""
        after: ResourceKey = ("", "")
        while keys := await self._source.traces.touched_by(self._account, after=after, limit=_ROWS):
            yield await self._shown([key for key in keys if key[0] != CONFLICT_TYPE])
            after = keys[-1]

    async def changes(self) -> Pages:
        """What his replicas have sent, when, and what came of it."""
        for replica in await self._source.traces.replicas_of(self._account):
            after, more = 0, True
            while more:
                page = await self._source.traces.changes_of(
                    replica.id, after=after, limit=_ROWS, limit_bytes=_PAGE_BYTES
                )
                yield [_without_secrets(entry, entry.as_dict()) for entry in map(read_entry, page.rows)]
                more = page.more
                after = page.rows[-1].settled.n if page.rows else after

    async def quarantine(self) -> Pages:
        """What of it was rejected and waits, as it was sent."""
        after, more = 0, True
        while more:
            async with self._source.store.snapshot() as snapshot:
                page = await snapshot.quarantine(user=self._account, after=after, limit=_ROWS, limit_bytes=_PAGE_BYTES)
            yield [_without_secrets(entry, entry.as_waiting()) for entry in map(read_entry, page.rows)]
            more = page.more
            after = page.rows[-1].no if page.rows else after

    async def quarantine_overflow(self) -> Pages:
        """What of it was rejected and went to a file for want of room, whose payload the ledger has no more.

        It is to be read after `quarantine`: what goes from one to the other meanwhile is in both, and not in neither.
        """
        async for page in self._source.file.lines_of(await self._his_replicas()):
            yield [_of_the_file(told) for told in page]

    async def conflicts(self) -> Pages:
        """The questions that a change of his is a side of."""
        his = await self._his_replicas()
        after = ""
        while True:
            async with self._source.store.snapshot() as snapshot:
                rows = await snapshot.of_type(CONFLICT_TYPE, scope=None, after=after, limit=_ROWS)
            if not rows:
                return
            after = rows[-1].id
            yield await self._shown([(row.type, row.id) for row in rows if _takes_part(row, his)])

    async def _his_replicas(self) -> set[str]:
        return {row.id for row in await self._source.traces.replicas_of(self._account)}

    async def _own(self, wanted: Callable[[str], bool]) -> Pages:
        scope, after, more = own_scope(self._account), 0, True
        while more:
            async with self._source.store.snapshot() as snapshot:
                page = await snapshot.page(scope, after, _PAGE_BYTES)
            bodies = [json.loads(body) for body, type_name in zip(page.bodies, page.types, strict=True)
                      if wanted(type_name)]  # fmt: skip
            yield [await self._line(scope, body) for body in bodies if not body.get("deleted")]
            after, more = page.upto, page.more

    async def _shown(self, keys: Sequence[ResourceKey]) -> list[Line]:
        async with self._source.store.snapshot() as snapshot:
            rows = await snapshot.states(keys)
            rights = await self._sight.rights(snapshot, {row.scope for row in rows.values()})
        own, shown = own_scope(self._account), []
        for row in rows.values():
            may = rights[row.scope]
            body = None if may is None or row.deleted or row.scope == own else may.reader.shown_state(
                row.type, row.body
            )  # fmt: skip
            if body is not None:
                shown.append(await self._line(row.scope, json.loads(body)))
        return shown

    async def _line(self, scope: str, state: Mapping[str, Any]) -> Line:
        fields = dict(state["fields"])
        fields.pop(_SECRETS.get(state["type"], ""), None)
        for name, value in fields.items():
            if self._contents and marker_of(value) is not None:
                sight = EVERYTHING if scope == own_scope(self._account) else self._sight
                fields[name] = await self._content(DocumentKey(state["type"], state["id"], name), sight)
        told = {"scope": scope, "type": state["type"], "id": state["id"], "version": state["version"]}
        return {**told, "origin": state["origin"], "fields": fields}

    async def _content(self, key: DocumentKey, sight: Sight) -> Any:
        try:
            _, content = await self._source.documents.view(key, sight=sight)
        except (DocumentError, NotFound) as failure:
            return {"unreadable": failure.message}
        return content


def _takes_part(row: StateRow, replicas: set[str]) -> bool:
    fields = json.loads(row.body)["fields"]
    sides = [*fields.get("candidates", ()), *fields.get("settlements", ()), fields.get("settlement") or {}]
    return any(isinstance(side, dict) and side.get("replica") in replicas for side in sides)


def _of_the_file(told: Line) -> Line:
    """A change in the words of those that wait, as far as its line in the file tells them."""
    entry = read_line(told)
    waiting = {key: value for key, value in entry.as_waiting().items() if key != "no"}
    return _without_secrets(entry, {**waiting, "exported_at_ms": told["exported_at_ms"]})


def _without_secrets(entry: Entry, line: Line) -> Line:
    """A line of what was sent without what is a secret of its type, wherever that stands."""
    # What could not be read was settled without a type.
    secret = _SECRETS.get(entry.type or str(entry.sent.get("type")))
    told: Line = line if secret is None else _without(secret, line)
    return told


def _without(secret: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(secret, each) for key, each in value.items() if key != secret}
    if isinstance(value, list):
        return [_without(secret, each) for each in value]
    return value
