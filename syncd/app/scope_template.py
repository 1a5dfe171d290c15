"""Scope templates: `match:{match_id}`, `match:{id}`, or a constant such as `club`. Text only; knows no models.

A template's first word, the part before the first ":", is always written out: views are declared for it, and it keeps
the scopes of different kinds apart whatever is filled in behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from conflict_rules import InvalidValue, JsonValue
from conflict_rules.values import valid_scope
from syncd.errors import AppError

__all__ = ["ScopeTemplate"]

_HINT = "Write it like 'match:{match_id}', 'match:{id}' or 'club': a word, then fields of the resource in braces."


class ScopeTemplate:
    """A template taken apart once, so that filling it for each change is cheap."""

    def __init__(self, text: str) -> None:
        """Raises `AppError` if no scope can come of it."""
        self.text = text
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise AppError(f"the scope template {text!r} cannot be read: {error}", hint=_HINT) from error
        self._parts: list[tuple[str, str | None]] = []
        for literal, name, spec, conversion in parsed:
            if name is not None and (not name.isidentifier() or spec or conversion):
                raise AppError(f"the scope template {text!r} has braces without a plain field name in them", hint=_HINT)
            self._parts.append((literal, name))
        self.placeholders: tuple[str, ...] = tuple(dict.fromkeys(name for _, name in self._parts if name is not None))
        self.prefix: str = self._parts[0][0].partition(":")[0] if self._parts else ""
        """The word before the first ":"."""

        if not valid_scope("".join(literal + ("x" if name else "") for literal, name in self._parts)):
            raise AppError(
                f"the scope template {text!r} makes no scope name: 1 to 200 characters of A-Z a-z 0-9 _ . : ~ @ -",
                hint=_HINT,
            )
        if not self.prefix or (self.placeholders and ":" not in self._parts[0][0]):
            raise AppError(f"the scope template {text!r} must begin with a word and ':', written out", hint=_HINT)

    def fill(self, resource_id: str, fields: Mapping[str, JsonValue]) -> str | None:
        """The scope of a resource; None where a field it needs is missing or is not text.

        Raises `InvalidValue` if what is filled in makes no scope name.
        """
        pieces: list[str] = []
        for literal, name in self._parts:
            pieces.append(literal)
            if name is None:
                continue
            value = resource_id if name == "id" else fields.get(name)
            if not isinstance(value, str):
                return None
            if not valid_scope(value):
                raise _no_scope_name(name)
            pieces.append(value)
        scope = "".join(pieces)
        if not valid_scope(scope):
            raise _no_scope_name(self.placeholders[-1])
        return scope

    def contradiction(self, scope: str, fields: Mapping[str, JsonValue]) -> str | None:
        """The field among `fields` that would put a resource of `scope` into another scope, or None.

        Fields of the template that are not given are taken to be as they were.
        """
        given = [name for name in self.placeholders if name in fields]
        if not given:
            return None
        pattern = "".join(
            re.escape(literal) + ("" if name is None else re.escape(str(fields[name])) if name in fields else ".+")
            for literal, name in self._parts
        )
        return None if re.fullmatch(pattern, scope) else given[0]


def _no_scope_name(field: str) -> InvalidValue:
    return InvalidValue(
        "invalid_scope",
        field,
        f"{field}: it names the scope, so it holds only A-Z a-z 0-9 _ . : ~ @ - and is not too long",
    )
