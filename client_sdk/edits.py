"""Edits: what the user does becomes changes, checked before anything is queued, in one local commit each.

Works the same with and without a network. Law 1: the base of each is the version of what is shown at this moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

from client_sdk.document_rows import DocumentKey
from client_sdk.drafts import Draft, GroupDraft
from client_sdk.errors import NotHere, Unfit
from client_sdk.field_edits import as_edits, differences, was_shown, whole_record, without_documents
from client_sdk.local_documents import as_value
from client_sdk.messages import Limits
from client_sdk.observers import changed_pairs
from client_sdk.outbox import Entry, ResourceKey
from client_sdk.rebase import ABOVE_ALL, Pending, base_of
from client_sdk.replica import Replica
from conflict_rules import CONFLICT_TYPE, InvalidValue, Kind, Op, Stamp, State, apply_change
from conflict_rules.crdt import marker_of
from conflict_rules.values import JsonValue, clean_fields, valid_id, valid_scope
from syncd.app import ResourceType

__all__ = ["Edits"]


class Edits:
    """Of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def put(
        self,
        type_name: str,
        resource_id: str,
        scope: str | None,
        raw: Mapping[str, JsonValue],
        group: GroupDraft | None,
        *,
        unsaid: Collection[str] = (),
    ) -> Draft:
        """Create the resource, or set the fields in which it differs from what is shown. `unsaid`: fields that have
        only their defaults, and count where something else is shown.

        Raises `InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        resource_type = self._replica.type(type_name)
        given = clean_fields(dict(raw))
        if not valid_id(resource_id):
            raise InvalidValue("invalid_id", "id", "id: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look((type_name, resource_id), group)
            if shown is not None and shown.deleted is not None:
                raise NotHere(
                    f"the {type_name} {resource_id!r} was deleted; bring it back with restore, or put it under a new id"
                )
            told = {} if shown is None else shown.fields
            said = {name: value for name, value in given.items() if name not in unsaid or name in told}
            fields = without_documents(resource_type.rule, shown, said)
            if shown is not None:
                if scope is not None and scope != shown.scope:
                    raise InvalidValue(
                        "scope_is_for_life", "scope", f"scope: this {type_name} lives in {shown.scope!r} for life"
                    )
                changed = differences(resource_type.rule, shown, fields)
                return self._update(resource_type, resource_id, changed, confirmed, pending, shown)
            home = scope or resource_type.scope_of(resource_id, fields)
            if home is None or not valid_scope(home):
                raise InvalidValue(
                    "missing_scope", "scope", f"scope: where this {type_name} belongs cannot be told; name a scope"
                )
            resource_type.check_create(resource_id, home, fields)
            # Law 1: the version of the scope that is shown, in which there is no such resource.
            here = self._replica.scopes.get(home)
            base = 0 if here is None else here.version_of(type_name)
            return self._checked(Draft(home, type_name, resource_id, Op.CREATE, base, fields), resource_type, None)

        return await self._make(draft, group)

    async def update(
        self, type_name: str, resource_id: str, raw: Mapping[str, JsonValue], group: GroupDraft | None
    ) -> Draft:
        """Set fields of a resource that is shown; raises `NotHere` or `InvalidValue` before anything is queued."""
        resource_type = self._replica.type(type_name)
        fields = clean_fields(as_edits(raw))

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look((type_name, resource_id), group)
            living = _living(shown, type_name, resource_id)
            return self._update(resource_type, resource_id, fields, confirmed, pending, living)

        return await self._make(draft, group)

    async def delete(self, type_name: str, resource_id: str, group: GroupDraft | None) -> Draft:
        """Delete a resource that is shown; raises `NotHere`."""

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look((type_name, resource_id), group)
            living = _living(shown, type_name, resource_id)
            base = base_of(confirmed, pending, living, None)
            return Draft(living.scope, type_name, resource_id, Op.DELETE, base, {})

        return await self._make(draft, group)

    async def restore(
        self, type_name: str, resource_id: str, raw: Mapping[str, JsonValue], group: GroupDraft | None
    ) -> Draft:
        """Bring back a resource that was deleted, as it was last known here, with the fields of `raw` laid over that.

        Raises `NotHere` if it was never here, or nothing is known of what it held; `Unfit` if it is not deleted.
        """
        resource_type = self._replica.type(type_name)
        key, given = (type_name, resource_id), clean_fields(as_edits(raw))

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look(key, group)
            if shown is None:
                raise NotHere(f"there is no {type_name} {resource_id!r} in this replica")
            if shown.deleted is None:
                raise Unfit(f"the {type_name} {resource_id!r} is not deleted")
            base = base_of(confirmed, pending, shown, None)
            restored = Draft(shown.scope, type_name, resource_id, Op.RESTORE, base, given)
            if shown.fields:
                # The tombstone keeps them, here and on the server: told again, a counter would count them twice.
                restored.fields = differences(resource_type.rule, shown, given)
                resource_type.check_update(shown.scope, restored.fields)
                return self._checked(restored, resource_type, shown)
            last = await self._replica.last_fields(key, confirmed, pending)
            if not last and not given:
                raise NotHere(
                    f"what the {type_name} {resource_id!r} held is not known here any more; say what it is to hold"
                )
            restored.fields = {**await self._with_documents(key, last), **given}
            resource_type.check_create(resource_id, shown.scope, restored.fields)
            return self._checked(restored, resource_type, shown)

        return await self._make(draft, group)

    async def settle_field(
        self, about: ResourceKey, conflict_id: str, field: str, value: JsonValue, group: GroupDraft | None
    ) -> Draft:
        """Choose the value of a field in dispute; raises `NotHere` or `InvalidValue` before anything is queued."""
        resource_type = self._replica.type(about[0])
        fields = clean_fields({field: value})

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look(about, group)
            living = _living(shown, *about)
            resource_type.check_update(living.scope, fields)
            base = base_of(confirmed, pending, living, fields)
            settled = Draft(living.scope, *about, Op.SETTLE, base, fields, conflict=conflict_id)
            return self._checked(settled, resource_type, living)

        return await self._make(draft, group)

    async def settle_conflict(
        self, conflict_id: str, fields: Mapping[str, JsonValue], group: GroupDraft | None
    ) -> Draft:
        """Answer a hook's question, or open a conflict again; raises `NotHere` or `InvalidValue`."""
        resource_type = self._replica.type(CONFLICT_TYPE)

        async def draft() -> Draft:
            confirmed, pending, shown = await self._replica.look((CONFLICT_TYPE, conflict_id), group)
            living = _living(shown, CONFLICT_TYPE, conflict_id)
            base = base_of(confirmed, pending, living, None)
            settled = Draft(
                living.scope, CONFLICT_TYPE, conflict_id, Op.SETTLE, base, clean_fields(fields), conflict=conflict_id
            )
            return self._checked(settled, resource_type, living)

        return await self._make(draft, group)

    async def queue(self, drafts: Sequence[Draft]) -> None:
        """Make each draft a change, inside of a write of the replica; whoever drafted them has checked them."""
        await self._queue(drafts, None)

    async def commit_group(self, group: GroupDraft, limits: Limits) -> None:
        """Make everything drafted in the group a change, in one local commit; raises `Unfit` if it is too large."""

        async def commit() -> None:
            if len(group.drafts) > limits.max_changes:
                raise Unfit(
                    f"a group of {len(group.drafts)} changes is more than the server takes at once "
                    f"({limits.max_changes}); nothing of it was done, divide it"
                )
            if group.drafts:
                self._replica.documents.mine(group.documents)
                await self._queue(group.drafts, group.name if len(group.drafts) > 1 else None)
            group.done = True

        await self._replica.write(commit)

    async def _with_documents(self, key: ResourceKey, last: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """`last` with all that is here of its documents in the place of their markers, which say nothing any more."""
        fields = {name: value for name, value in last.items() if marker_of(value) is None}
        for name in last.keys() - fields.keys():
            update = await self._replica.documents.whole(DocumentKey(*key, name))
            if update is not None:
                fields[name] = as_value(update)
        return fields

    def _update(
        self,
        resource_type: ResourceType,
        resource_id: str,
        fields: Mapping[str, JsonValue],
        confirmed: State | None,
        pending: list[Pending],
        shown: State,
    ) -> Draft:
        resource_type.check_update(shown.scope, fields)
        was = was_shown(resource_type.rule, shown, fields)
        fields = whole_record(resource_type.rule, shown, fields)
        base = base_of(confirmed, pending, shown, fields)
        updated = Draft(shown.scope, resource_type.name, resource_id, Op.UPDATE, base, fields, was=was)
        return self._checked(updated, resource_type, shown)

    def _checked(self, draft: Draft, resource_type: ResourceType, shown: State | None) -> Draft:
        """`draft`, if its rule takes it over what is shown; raises `InvalidValue` with what the server would say."""
        replica = self._replica
        last = replica.clock.last or Stamp(replica.clock.now_ms(), 0, replica.id)
        change = draft.change(replica.id, replica.row.next_n, last.next(replica.id), None, replica.app.version)
        try:
            outcome = apply_change(resource_type.rule, shown, change, ABOVE_ALL + replica.next_seq).outcome
        except Exception as failure:
            # A rule of the author's.
            raise InvalidValue(
                "check_failed", "fields", f"the rule of {draft.type} failed on this change: {failure!r}"
            ) from failure
        if outcome.kind is Kind.REJECTED:
            raise InvalidValue(outcome.code or "rejected", outcome.field or "fields", outcome.message or "")
        return draft

    async def _make(self, draft: Callable[[], Awaitable[Draft]], group: GroupDraft | None) -> Draft:
        made: list[Draft] = []

        async def commit() -> None:
            made.append(await draft())
            if group is None:
                await self._queue(made, None)
            elif group.done:
                raise Unfit("this group has ended; open another one")
            else:
                group.drafts.append(made[0])

        await self._replica.write(commit)
        return made[0]

    async def _queue(self, drafts: Sequence[Draft], group: str | None) -> None:
        """Number, stamp and keep changes: the one local commit of a put."""
        replica = self._replica
        entries: list[Entry] = []
        for index, draft in enumerate(drafts):
            change = draft.change(
                replica.id, replica.row.next_n + index, replica.clock.tick(), group, replica.app.version
            )
            entries.append(Entry.of(replica.next_seq + index, change, replica.clock.device_ms()))
        row = replica.with_clock(replace(replica.row, next_n=replica.row.next_n + len(entries)))
        new_scopes = replica.to_follow({draft.scope for draft in drafts})
        observed = replica.observers.types
        touched = {key for entry in entries for key in replica.touched_by(entry)}
        before = await replica.look_at({key for key in touched if key[0] in observed})
        async with replica.store.transaction():
            await replica.store.add_changes(entry.row() for entry in entries)
            await replica.store.save_replica(row)
            for scope in new_scopes:
                await replica.store.save_scope(scope)
        replica.row = row
        replica.next_seq += len(entries)
        replica.scopes.update({scope.name: scope for scope in new_scopes})
        for draft, entry in zip(drafts, entries, strict=True):
            draft.entry = entry
            replica.outbox.add(entry)
        await replica.open_conflicts.look_again(entry.key for entry in entries)
        await replica.documents.look_again(entry.key for entry in entries)
        if before:
            replica.observers.tell(changed_pairs(before, await replica.look_at(before)))


def _living(shown: State | None, type_name: str, resource_id: str) -> State:
    if shown is None:
        raise NotHere(f"there is no {type_name} {resource_id!r} in this replica")
    if shown.deleted is not None:
        raise NotHere(f"the {type_name} {resource_id!r} was deleted")
    return shown
