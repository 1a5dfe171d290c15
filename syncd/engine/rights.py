"""Rights: what somebody may see and change in one scope, told from his role there and the app's declarations (law 6).

Pure. There are few of them, as many as roles in each kind of scope, so that each is worked out once: all who have equal
rights are one reader class. Where a role comes from (membership, one's own scope, an account-wide role, a share link)
is `authorise`'s to know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from conflict_rules import CONFLICT_TYPE
from syncd.app import App, ResourceType
from syncd.app.access import USER_PREFIX, ScopeAccess
from syncd.app.builtin import COMMANDED, MEMBERSHIP_TYPE, SHARE_LINK_TYPE
from syncd.engine.reader_class import SEES_ALL, ReaderClass, Redaction

__all__ = ["ALL", "LINK_RANK", "MOST_KNOWN", "Rights", "RightsOf", "TypeRights"]

LINK_RANK: Final = -1
"""Of whoever comes by a share link: below the lowest role."""

MOST_KNOWN: Final = 1024
"""Rights that are remembered: whoever pushes may name as many kinds of scopes as there are words, whatever the app has
declared."""


@dataclass(frozen=True, slots=True)
class TypeRights:
    """What may be done with resources of one type. `hidden`: fields that are not shown. `only`: the fields that are
    shown at all, None if unknown ones pass; of no others may any be set. `locked`: fields that may not be set.
    """

    sees: bool = True
    writes: bool = True
    hidden: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    locked: frozenset[str] = frozenset()

    def shows(self, name: str) -> bool:
        """Whether a field is shown."""
        return name not in self.hidden and (self.only is None or name in self.only)

    def sets(self, name: str) -> bool:
        """Whether a field may be set, where the resource may be written."""
        return name not in self.locked and (self.only is None or name in self.only)

    def sets_all(self, fields: Collection[str]) -> bool:
        """Whether all of these may be."""
        return self.locked.isdisjoint(fields) and (self.only is None or self.only.issuperset(fields))

    @property
    def redacts(self) -> bool:
        """Whether some field is not shown."""
        return bool(self.hidden) or self.only is not None


EVERYTHING: Final = TypeRights()
NOTHING: Final = TypeRights(sees=False, writes=False)


@dataclass(frozen=True)
class Rights:
    """What one role may do in scopes of one kind.

    `role`: its name. `types`: by type, of those that live there; `others`: of any other. `manages`: whether it lets
    others in, and makes share links.
    """

    role: str
    types: Mapping[str, TypeRights] = field(default_factory=dict)
    others: TypeRights = EVERYTHING
    manages: bool = True

    def of(self, type_name: str) -> TypeRights:
        """What may be done with resources of a type; commands write the built-in ones, and conflicts follow what they
        are about (law 8: see `ReaderClass.about`)."""
        return self.types.get(type_name, self.others)

    @cached_property
    def reader(self) -> ReaderClass:
        """The class of those who have these rights, under version 1 of the app, with every type that they may see."""
        told = {**self.types}
        all_visible = self.others.sees and all(each.sees for each in told.values())
        redactions = tuple(
            Redaction(name, each.hidden, each.only) for name, each in sorted(told.items()) if each.sees and each.redacts
        )
        writable = frozenset(name for name, each in told.items() if each.writes and each.sees and name not in COMMANDED)
        sees_all_conflicts = self.others.writes and all(
            each.writes and not each.redacts for name, each in told.items() if name not in COMMANDED
        )
        if all_visible and sees_all_conflicts:
            return ReaderClass(redactions=redactions)
        types = None if all_visible else frozenset(name for name, each in told.items() if each.sees)
        if types is not None and writable:
            types |= {CONFLICT_TYPE}
        return ReaderClass(types, redactions=redactions, about=None if sees_all_conflicts else writable)


ALL: Final = Rights("operator")
"""Of whoever runs the server, in every scope."""
assert ALL.reader == SEES_ALL


class RightsOf:
    """The rights that follow from the declarations of one app."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: dict[tuple[str, int], Rights] = {}

    def __len__(self) -> int:
        return len(self._known)

    def at(self, access: ScopeAccess, rank: int) -> Rights:
        """Of whoever has this rank (`ScopeAccess.rank`, or `LINK_RANK`) in scopes of this kind."""
        key = (access.prefix, rank)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._work_out(access, rank)
        return known

    def _work_out(self, access: ScopeAccess, rank: int) -> Rights:
        manages = rank >= (access.rank(access.manages) or 0)
        types = {
            declared.name: _of_type(declared, access, rank)
            for declared in self._app.types.values()
            if declared.template.prefix == access.prefix
        }
        if access.prefix == USER_PREFIX:
            types |= dict.fromkeys((MEMBERSHIP_TYPE, SHARE_LINK_TYPE), TypeRights(sees=rank >= 0, writes=False))
        if rank == LINK_RANK:
            others = NOTHING
        elif self._app.open:
            others = TypeRights(writes=rank >= min(1, len(access.roles) - 1))
        else:
            # What an earlier version of the app has left behind; whoever sees everything else sees that.
            others = TypeRights(sees=all(each.sees for each in types.values()), writes=False)
        return Rights("link" if rank == LINK_RANK else access.roles[rank], types, others, manages)


def _of_type(declared: ResourceType, access: ScopeAccess, rank: int) -> TypeRights:
    read = access.rank(declared.access.read) or 0
    write = access.rank(declared.access.write)
    if write is None:
        write = max(read, min(1, len(access.roles) - 1))
    if rank == LINK_RANK:
        if read > 0 or not declared.access.shared or declared.model is None:
            return NOTHING
        # Law 6: nobody has said that a field which is not declared may be shown to strangers.
        known = frozenset(declared.model.model_fields.keys() - declared.private.keys() - {"id"})
        return TypeRights(writes=False, only=known)
    hidden = frozenset(name for name, each in declared.private.items() if rank < (access.rank(each.read) or 0))
    locked = frozenset(name for name, each in declared.private.items() if rank < (access.rank(each.write) or 0))
    only = None
    if hidden and declared.model is not None:
        # Law 6: what is not declared may be what is hidden, by a name that it had once, or will have.
        only = frozenset(declared.model.model_fields.keys() - hidden - {"id"})
    return TypeRights(rank >= read, rank >= write, hidden, only, hidden | locked)
