"""An app with one document of each kind, named as the roots of what `fixtures/crdt` holds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from syncd.app import App, Resource, rules

__all__ = ["SCOPE", "Page", "writing_desk"]

SCOPE: Final = "desk:a"

writing_desk = App("writing_desk")


@writing_desk.resource(scope="desk:{desk}")
class Page(Resource):
    """What is written at a desk."""

    desk: str
    text: Annotated[str, rules.crdt] = ""
    map: Annotated[dict[str, Any], rules.crdt] = Field(default_factory=dict)
    array: Annotated[list[Any], rules.crdt] = Field(default_factory=list)
