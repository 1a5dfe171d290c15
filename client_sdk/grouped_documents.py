"""Documents inside of a group: edited in a copy that nobody else sees, until the group is done, or forgotten with it.

Under a Yjs client id of its own, so that what is edited outside meanwhile hangs on nothing that may never be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from client_sdk.document_rows import DocumentKey
from client_sdk.drafts import Draft, GroupDraft
from client_sdk.errors import NotHere, Unfit
from client_sdk.local_documents import as_value
from client_sdk.rebase import base_of
from conflict_rules import Op, State
from conflict_rules.crdt import update_of

if TYPE_CHECKING:
    from client_sdk.open_document import OpenDocument
    from client_sdk.replica import Replica

__all__ = ["draft_edits", "overlaid"]

Act = Callable[["OpenDocument"], Awaitable[list[bytes]]]


async def draft_edits(replica: Replica, group: GroupDraft, key: DocumentKey, act: Act) -> list[Draft]:
    """Do something to a document as it is inside of the group; a draft for each update that this made.

    Inside of a write of the replica. What `act` raises comes out, and then nothing of it was done. Raises `NotHere`.
    """
    if group.done:
        raise Unfit("this group has ended; open another one")
    confirmed, pending, shown = await replica.look((key.type, key.id), group)
    if shown is None or shown.deleted is not None:
        raise NotHere(f"there is no {key.type} {key.id!r} in this replica, or it was deleted")
    base = base_of(confirmed, pending, shown, {key.field})
    copy = group.documents.get(key)
    if copy is None:
        copy = await replica.documents.apart(key)
        for update in _drafted(group, key):
            copy.take(update)
    try:
        updates = await act(copy)
    except BaseException:
        # It may have done a part of it.
        group.documents.pop(key, None)
        raise
    group.documents[key] = copy
    made = [Draft(shown.scope, key.type, key.id, Op.UPDATE, base, {key.field: as_value(update)}) for update in updates]
    group.drafts += made
    return made


def overlaid(state: State | None, group: GroupDraft | None) -> State | None:
    """What is shown of a resource inside of the group: with what its documents say there."""
    if state is None or state.deleted is not None or group is None or group.done:
        return state
    said = {
        key.field: copy.view() for key, copy in group.documents.items() if (key.type, key.id) == (state.type, state.id)
    }
    return replace(state, fields={**state.fields, **said}) if said else state


def _drafted(group: GroupDraft, key: DocumentKey) -> list[bytes]:
    return [
        update_of(key.field, draft.fields[key.field])
        for draft in group.drafts
        if (draft.type, draft.id) == (key.type, key.id) and key.field in draft.fields
    ]
