"""Who may see and change what, as an app declares it: by scope, type and field, never by row (law 6).

    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Event(Resource):
        match_id: str
        player_id: str | None = private()

Declarations only; `syncd.engine.rights` says what follows from them. What few may see lives in a scope of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field
from pydantic.fields import FieldInfo

from conflict_rules.values import valid_type
from syncd.app.former import names_of
from syncd.errors import AppError

__all__ = [
    "DEFAULT_ROLES",
    "UNSAID",
    "USER_PREFIX",
    "USER_SCOPES",
    "Access",
    "Private",
    "ScopeAccess",
    "private",
    "private_fields",
    "roles",
]

DEFAULT_ROLES: Final = ("viewer", "editor", "owner")
"""Of scopes about which an app says nothing, the lowest first."""

USER_PREFIX: Final = "user"
"""Each account has a scope of its own, `user:ID`, which nobody else may read or write."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read and write resources of a type: the lowest role that may; None: the scope's lowest may read, and the
    one above it write. `shared`: whether share links show them.
    """

    read: str | None = None
    write: str | None = None
    shared: bool = True


UNSAID: Final = Access()
"""Of types about which an app says nothing."""


def roles(*, read: str | None = None, write: str | None = None, shared: bool = True) -> Access:
    """Who may read and write resources of a type, for `@app.resource(access=…)`: each role's betters may, too."""
    return Access(read, write, shared)


@dataclass(frozen=True, slots=True)
class Private:
    """A field that not everybody sees who sees the resource: never whoever comes by a share link, and of members those
    from `read` on. `write`: the lowest role that may set it, None: whoever may write the resource and see the field.
    `formerly`: what it was called under earlier versions of the app.
    """

    read: str | None = None
    write: str | None = None
    formerly: tuple[str, ...] = ()


def private(
    default: Any = None, *, read: str | None = None, write: str | None = None, formerly: Collection[str] = ()
) -> Any:
    """A field that never leaves through a share link: `player_id: str | None = private()`.

    `read`, `write`: the lowest role that may see it, and set it; for a field with a rule of its own:
    `notes: Annotated[str, rules.text, private("")]`. `formerly`: the names that it had under earlier versions of the
    app, under which stored resources have it still.
    """
    info = Field(default=default)
    assert isinstance(info, FieldInfo)
    info.metadata.append(Private(read, write, names_of(formerly)))
    return info


def private_fields(fields: Mapping[str, FieldInfo]) -> dict[str, Private]:
    """The private ones among the fields of a model."""
    found: dict[str, Private] = {}
    for name, info in fields.items():
        for each in info.metadata:
            if isinstance(each, Private):
                found[name] = each
    return found


@dataclass(frozen=True, slots=True)
class ScopeAccess:
    """The roles in scopes of one kind, the lowest first. A role may do what those below it may.

    `public`: what everybody is who is signed in. `founders`: the account-wide roles that may begin a new scope, and are
    its highest role then; None: everybody who is signed in. `manages`: the lowest role that lets others in, and makes
    share links. `everywhere`: account-wide roles, and what they are in each scope of this kind.
    """

    prefix: str
    roles: tuple[str, ...] = DEFAULT_ROLES
    public: str | None = None
    founders: frozenset[str] | None = None
    manages: str = ""
    everywhere: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def declared(
        cls,
        prefix: str,
        *,
        roles: Collection[str] = DEFAULT_ROLES,
        public: str | None = None,
        founders: Collection[str] | None = None,
        manages: str | None = None,
        everywhere: Mapping[str, str] | None = None,
    ) -> ScopeAccess:
        """The same, checked; raises `AppError` with a sentence for what cannot be."""
        ladder = tuple(roles)
        if not ladder or len(set(ladder)) < len(ladder) or not all(map(valid_type, ladder)):
            raise AppError(
                f"the roles of scopes {prefix!r} are {list(ladder)}",
                hint="Name each once, the lowest first, in lower-case letters, digits and _.",
            )
        named = {
            "public": public,
            "manages": manages,
            **{f"everywhere[{k!r}]": v for k, v in (everywhere or {}).items()},
        }
        for what, role in named.items():
            if role is not None and role not in ladder:
                raise AppError(
                    f"{what} of the scopes {prefix!r} names the role {role!r}, which they do not have",
                    hint=f"Their roles are: {', '.join(ladder)}.",
                )
        if isinstance(founders, str):
            raise AppError(
                f"founders of the scopes {prefix!r} is the text {founders!r}",
                hint=f"Name account-wide roles in a list: founders=[{founders!r}]; leave it out for everybody.",
            )
        return cls(
            prefix,
            ladder,
            public,
            None if founders is None else frozenset(founders),
            manages or ladder[-1],
            MappingProxyType(dict(everywhere or {})),
        )

    @property
    def highest(self) -> str:
        """What whoever begins a scope is in it."""
        return self.roles[-1]

    def rank(self, role: str | None) -> int | None:
        """A role's place, 0 for the lowest; None for what these scopes do not have."""
        return self.roles.index(role) if role in self.roles else None

    def check(self, model_name: str, access: Access, fields: Mapping[str, Private]) -> None:
        """Raise `AppError` unless each role that a type names is one of these."""
        named = [("read", access.read), ("write", access.write)]
        for name, each in fields.items():
            named += [(f"read of the private field {name!r}", each.read), (f"write of {name!r}", each.write)]
        for what, role in named:
            if role is not None and role not in self.roles:
                raise AppError(
                    f"{what} of {model_name} names the role {role!r}, which scopes {self.prefix!r} do not have",
                    hint=f"Their roles are: {', '.join(self.roles)}. Others are declared above the class, with "
                    f"app.scope({self.prefix!r}, roles=(…)).",
                )


USER_SCOPES: Final = ScopeAccess(USER_PREFIX, ("owner",), founders=frozenset(), manages="owner")
"""Whose it is is told by its name, so that nothing can be granted."""
