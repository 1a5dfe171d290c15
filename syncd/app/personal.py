"""What of a resource is about one person, as an app declares it: it goes when that person is erased.

    @app.resource(scope="match:{match_id}")
    class Event(Resource):
        match_id: str
        kind: str = "goal"
        player_id: str | None = None                              # the id of an account
        player_name: str | None = personal(of="player_id")        # goes with that account
        wish: str = personal("")                                  # goes with whoever made the resource

    @app.on_erase(Note)
    def forget(note, user):
        return None if note.author_id == user else {}             # None: delete it; or the fields to set

The fact stays: the goal counts, without the name. Declarations only; `syncd.engine.scrub` does what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from conflict_rules.values import JsonValue
from syncd.app.former import names_of

__all__ = ["Erasure", "Personal", "blank_of", "personal", "personal_fields"]

Erasure = Callable[[Any, str], Mapping[str, Any] | None]
"""`forget(resource, user)`: what is left of it when `user` is erased: the fields to set, {} to leave it as it is, None
to delete it. Pure: it may run more than once for a resource. Of a document it sees no content."""


@dataclass(frozen=True, slots=True)
class Personal:
    """A field that is about the person whose account the field `of` names; None: about whoever made the resource.
    `formerly`: what it was called under earlier versions of the app.
    """

    of: str | None = None
    formerly: tuple[str, ...] = ()


def personal(default: Any = None, *, of: str | None = None, formerly: Collection[str] = ()) -> Any:
    """A field that is about one person, and has its default again when that person is erased.

    `of`: the field that holds the id of the person's account; without it, it is about whoever made the resource. With a
    mark or a rule of its own beside it: `name: Annotated[str | None, private()] = personal(of="player_id")`.
    `formerly`: the names that it had under earlier versions of the app, under which stored resources have it still.
    """
    info = Field(default=default)
    assert isinstance(info, FieldInfo)
    info.metadata.append(Personal(of, names_of(formerly)))
    return info


def personal_fields(fields: Mapping[str, FieldInfo]) -> dict[str, Personal]:
    """The personal ones among the fields of a model."""
    return {name: each for name, info in fields.items() for each in info.metadata if isinstance(each, Personal)}


def blank_of(info: FieldInfo) -> JsonValue:
    """What stands in a personal field when the person is gone: its default, as it is stored."""
    blank: JsonValue = to_jsonable_python(info.get_default(call_default_factory=True))
    return blank
