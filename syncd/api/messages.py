"""What a request about data may say.

Single changes stay as they were sent: the engine answers each by itself, so that one bad change cannot take its
neighbours down (invariant 6). docs/protocol.md shows every message.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from conflict_rules.values import MAX_INTEGER
from syncd.api.envelope import Envelope, UrlQuery

__all__ = [
    "ConflictQuery",
    "DismissRequest",
    "DocumentItem",
    "DocumentQuery",
    "DocumentsRequest",
    "ExplainQuery",
    "HistoryQuery",
    "LinkQuery",
    "LinkRequest",
    "LinksQuery",
    "MemberQuery",
    "MemberRequest",
    "MembersQuery",
    "PullRequest",
    "PushRequest",
    "QuarantineQuery",
    "ReplayRequest",
    "SettleRequest",
    "SettlementItem",
    "UndoQuery",
]

Cursor = Annotated[str, Field(max_length=256)]
Scopes = dict[str, Cursor | None]
Types = list[str] | None
Name = Annotated[str, Field(max_length=256)]
FieldName = Annotated[str, Field(min_length=1, max_length=128)]
Place = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
PageSize = Annotated[int, Field(ge=1, le=500)]


class PushRequest(Envelope):
    """The changes of one replica, oldest first. `schema`: the app version they were made under. `user`: the account
    that made them, so that nobody else's token sends them.
    """

    replica: str
    user: str | None = None
    schema_: Annotated[int, Field(ge=0, le=MAX_INTEGER, alias="schema")] = 1
    changes: list[Any]


class PullRequest(Envelope):
    """Scopes by name, each with the cursor it is known up to, or null. `replica`: whose numbers to report.

    `types`: of the resources to tell of, in all of these scopes; None for all. `digest`: whether to tell the digest of
    each scope that ends with its page.
    """

    replica: str | None = None
    scopes: Scopes
    types: Types = None
    limit_bytes: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    digest: bool = False


class DocumentItem(Envelope):
    """What a replica holds of one document: `seq` updates of its life `since`; `state`: its state vector, in base64."""

    type: Name
    id: Name
    field: FieldName
    since: Place | None = None
    seq: Place = 0
    state: Annotated[str, Field(max_length=1_048_576)] | None = None


class DocumentsRequest(Envelope):
    """The documents whose news a replica asks for."""

    documents: Annotated[list[DocumentItem], Field(max_length=200)]


class HistoryQuery(UrlQuery):
    """What happened to a resource, or to one field of it, above `after`."""

    type: Name
    id: Name
    field: FieldName | None = None
    after: Place = 0
    limit: PageSize = 100


class DocumentQuery(UrlQuery):
    """The content of a document, as it is, or as it was at a version of its scope."""

    type: Name
    id: Name
    field: FieldName
    version: Place | None = None


class ExplainQuery(UrlQuery):
    """Why a resource, or one field of it, says what it says."""

    type: Name
    id: Name
    field: FieldName | None = None


class UndoQuery(UrlQuery):
    """The change that brings back what a resource, or one field of it, said at a version, or before a change.

    `change`: such as `phone.3`, the replica and its number.
    """

    type: Name
    id: Name
    field: FieldName | None = None
    version: Place | None = None
    change: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[1-9][0-9]{0,15}$")] | None = None


class QuarantineQuery(UrlQuery):
    """What waits in the quarantine: of one replica, in one scope, of one type."""

    replica: Name | None = None
    scope: Name | None = None
    type: Name | None = None
    after: Place = 0
    limit: PageSize = 100


class QuarantineItem(Envelope):
    """One change in the quarantine."""

    replica: Name
    n: Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class _QuarantineRequest(Envelope):
    items: Annotated[list[QuarantineItem], Field(max_length=500)]


class ReplayRequest(_QuarantineRequest):
    """Settle these changes anew."""


class DismissRequest(_QuarantineRequest):
    """Take these changes out of the quarantine."""


class ConflictQuery(UrlQuery):
    """Which conflicts: in one scope, about one type or resource; `after`: the id of the last one had."""

    scope: Name | None = None
    status: Literal["open", "settled", "any"] = "open"
    type: Name | None = None
    id: Name | None = None
    after: Name = ""
    limit: PageSize = 100


class SettlementItem(Envelope):
    """One answer: `choice`, the key of a candidate, or `value`. `version`: of the conflict as it was shown."""

    conflict: Name
    choice: Name | None = None
    value: Any = None
    version: Place | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.choice is None) is ("value" not in self.model_fields_set):
            raise ValueError("either choice, the key of a candidate, or value")
        return self


class SettleRequest(Envelope):
    """Answer these conflicts."""

    settlements: Annotated[list[SettlementItem], Field(min_length=1, max_length=500)]


class MembersQuery(UrlQuery):
    """Who is in a scope, above `after`, the id of an account."""

    scope: Name
    after: Name = ""
    limit: PageSize = 100


class MemberQuery(UrlQuery):
    """Somebody in a scope."""

    scope: Name
    user: Name


class MemberRequest(Envelope):
    """What somebody is in a scope from now on."""

    scope: Name
    user: Name
    role: Annotated[str, Field(max_length=64)]


class LinksQuery(UrlQuery):
    """The share links of a scope."""

    scope: Name


class LinkQuery(UrlQuery):
    """One share link."""

    id: Name


class LinkRequest(Envelope):
    """A new share link. `lifetime_s`: null for one that only ends by command."""

    scope: Name
    label: Annotated[str, Field(max_length=100)] = ""
    lifetime_s: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
