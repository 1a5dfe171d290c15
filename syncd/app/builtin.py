"""The resource types that every app has. They change through their own commands only (law 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from conflict_rules import CONFLICT, CONFLICT_TYPE, MERGE, JsonValue
from syncd.app.resource import Resource, ResourceType
from syncd.app.scope_template import ScopeTemplate

__all__ = [
    "BUILTIN_MODELS",
    "BUILTIN_TYPES",
    "COMMANDED",
    "MEMBERSHIP_TYPE",
    "SHARE_LINK_TYPE",
    "Conflict",
    "Membership",
    "ShareLink",
]

MEMBERSHIP_TYPE: Final = "membership"
SHARE_LINK_TYPE: Final = "share_link"
COMMANDED: Final = frozenset({MEMBERSHIP_TYPE, SHARE_LINK_TYPE})
"""Types that nobody pushes: the server writes them, at the command of whoever may."""


class Conflict(Resource):
    """A question for a person (law 8), in the scope of the resource it is about.

    `about`: `{"type", "id"}`. `field`: the one in dispute, None for a hook's question. `question`: "values", or the
    hook's own code. `others`: further resources a hook's question is about. `accepted`: what stands meanwhile. `base`:
    what was shown to whoever disagreed first. `candidates`: `{"key", "value", "replica", "n", "stamp", "at_ms"}` each.
    `settlement`: `{"value", "key", "replica", "n", "stamp", "at_ms"}`; `settlements`: those that stand no more.
    """

    about: dict[str, str]
    field: str | None = None
    question: str = "values"
    message: str | None = None
    others: list[dict[str, str]] = Field(default_factory=list)
    accepted: Any = None
    base: Any = None
    candidates: list[dict[str, Any]] = Field(default_factory=list)
    status: Literal["open", "settled"] = "open"
    settlement: dict[str, Any] | None = None
    settlements: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether somebody still has to choose."""
        return self.status == "open"

    @property
    def pending(self) -> bool:
        """Whether the answer was given on this device, and the server has not confirmed it yet."""
        return self.settlement is not None and self.settlement.get("pending") is True

    @property
    def answer(self) -> Any:
        """What was chosen; None while it is open."""
        return None if self.settlement is None else self.settlement.get("value")


class Membership(Resource):
    """What somebody is in a scope. It lives in his own, `user:ID`, so that he hears of it like of any other change.

    `of`: the scope that it opens. `role`: one of that scope's. `by`: who let him in, "" for the server's operator.
    """

    of: str
    role: str
    by: str = ""
    since_ms: int = 0


class ShareLink(Resource):
    """A link by which strangers read a scope. It lives in the own scope of whoever made it.

    `of`: the scope that it opens. `label`: for people. `expires_at_ms`: when it ends. `revoked_at_ms`: when somebody
    ended it. `secret_hash`: SHA-256 of what the link carries, in hexadecimal; the secret itself, 256 bits, is told once
    and kept nowhere.
    """

    of: str
    label: str = ""
    by: str = ""
    created_at_ms: int = 0
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    secret_hash: str = ""


class _BuiltInType(ResourceType):
    """Whatever may be wrong with a change to one is said by its rule or its command, which name the scope as well."""

    def scope_of(self, resource_id: str, fields: Mapping[str, JsonValue]) -> str | None:
        return None

    def check_create(self, resource_id: str, scope: str, fields: Mapping[str, JsonValue]) -> None:
        return None

    def check_update(self, scope: str, fields: Mapping[str, JsonValue]) -> None:
        return None


BUILTIN_TYPES: Final[Mapping[str, ResourceType]] = {
    CONFLICT_TYPE: _BuiltInType(CONFLICT_TYPE, CONFLICT, Conflict, ScopeTemplate("conflict"), ()),
    MEMBERSHIP_TYPE: _BuiltInType(MEMBERSHIP_TYPE, MERGE, Membership, ScopeTemplate("user"), ()),
    SHARE_LINK_TYPE: _BuiltInType(SHARE_LINK_TYPE, MERGE, ShareLink, ScopeTemplate("share_link"), ()),
}
BUILTIN_MODELS: Final[Mapping[type[Resource], ResourceType]] = {
    Conflict: BUILTIN_TYPES[CONFLICT_TYPE],
    Membership: BUILTIN_TYPES[MEMBERSHIP_TYPE],
    ShareLink: BUILTIN_TYPES[SHARE_LINK_TYPE],
}
