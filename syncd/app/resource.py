"""Resource: what an author subclasses. ResourceType: the same, declared, as the engine and the SDK ask about it.

Declarations and checks only: nothing here knows of stores, networks or merging.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Annotated, Any, Self, cast

import uuid_utils
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from conflict_rules import InvalidValue, JsonValue, RecordRule, Rule
from conflict_rules.crdt import Collaborative
from conflict_rules.values import valid_id
from syncd.app.access import UNSAID, Access, Private
from syncd.app.personal import Personal, blank_of
from syncd.app.scope_template import ScopeTemplate
from syncd.app.validation import check_fields, patch_model

__all__ = ["Resource", "ResourceType", "new_id"]


def new_id() -> str:
    """A new id, UUIDv7 (RFC 9562) as text: ids made later sort later, which stores and readers like."""
    return str(uuid_utils.uuid7())


def _check_id(text: str) -> str:
    if not valid_id(text):
        raise ValueError("an id is 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -")
    return text


class Resource(BaseModel):
    """One record of an app: a pydantic model with an id. Fields that it does not know are kept (invariant 10)."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, AfterValidator(_check_id)] = Field(default_factory=new_id)

    def to_fields(self) -> dict[str, JsonValue]:
        """Every field as a JSON value, defaults and unknown fields included, without the id."""
        left_out = {"id", *type(self).model_computed_fields}
        # A required field that old data did not have reads as None; it was never set, so it is not sent.
        left_out.update(
            name
            for name, info in type(self).model_fields.items()
            if info.is_required() and name not in self.model_fields_set
        )
        return self.model_dump(mode="json", exclude=left_out, warnings=False)

    @classmethod
    def from_fields(cls, resource_id: str, fields: Mapping[str, JsonValue], /) -> Self:
        """The resource that these fields describe. Never raises: it reads what older and newer versions wrote.

        A value that does not fit its field is kept as it came, a missing field has its default, and a missing field
        without a default is None. Unknown fields are kept.
        """
        values: dict[str, Any] = {**fields, "id": resource_id}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            unreadable = {detail["loc"][0] for detail in error.errors(include_url=False, include_input=False)}
        except Exception:
            # An author's validator that counts on a field which did not fit: then every value stays as it came.
            unreadable = set(values)
        return cls._from_partly_readable(values, unreadable)

    @classmethod
    def _from_partly_readable(cls, values: dict[str, Any], unreadable: Collection[int | str]) -> Self:
        given = set(values)
        readable = {
            name: value for name, value in values.items() if name not in unreadable and name in cls.model_fields
        }
        with suppress(Exception):
            converted = patch_model(cls).model_validate(readable)
            values.update({name: getattr(converted, name) for name in readable})
        missing = [name for name, info in cls.model_fields.items() if info.is_required() and name not in given]
        values.update(dict.fromkeys(missing))
        return cast("Self", cls.model_construct(_fields_set=given, **values))


class ResourceType:
    """A declared resource type: its name, its rule, its scope, and what its fields may hold."""

    def __init__(
        self,
        name: str,
        rule: Rule,
        model: type[Resource] | None,
        template: ScopeTemplate,
        required: tuple[str, ...],
        access: Access = UNSAID,
        private: Mapping[str, Private] = MappingProxyType({}),
        personal: Mapping[str, Personal] = MappingProxyType({}),
        former: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`private`, `personal`: by former names too; `former`: these, each with the one of now."""
        self.name = name
        self.rule = rule
        self.model = model
        self.template = template
        self.may_hold_documents = not isinstance(rule, RecordRule) or any(
            isinstance(field_rule, Collaborative) for field_rule in (rule.default, *rule.fields.values())
        )
        """Whether a field of it can be a document."""
        self.access = access
        self.private = private
        """Those of its fields that not everybody sees, by all the names that they ever had."""
        self.personal = personal
        """Those of its fields that are about one person, by all the names that they ever had."""
        self._former = former
        self._required = required

    def blank(self, name: str) -> JsonValue:
        """What stands in a personal field when the person is gone."""
        assert self.model is not None
        return blank_of(self.model.model_fields[self._former.get(name, name)])

    def scope_of(self, resource_id: str, fields: Mapping[str, JsonValue]) -> str | None:
        """The scope of a resource with these fields; None if they do not tell.

        Raises `InvalidValue` (code "invalid_scope") if they tell one that cannot be.
        """
        return self.template.fill(resource_id, fields)

    def check_create(self, resource_id: str, scope: str, fields: Mapping[str, JsonValue]) -> None:
        """Raise `InvalidValue` unless a resource may be created from these fields in this scope.

        `fields`: cleaned. Codes: "missing_field", "invalid_field", "invalid_scope", "wrong_scope", "reserved_field",
        "check_failed". Values are only looked at; unknown fields may be there.
        """
        for name in self._required:
            if name not in fields:
                raise InvalidValue(
                    "missing_field", name, f"{name}: it is missing; a new {self.name} has {', '.join(self._required)}"
                )
        self._check_values(fields)
        right = self.scope_of(resource_id, fields)
        if scope != right:
            raise InvalidValue(
                "wrong_scope", "scope", f"scope: this {self.name} belongs in {right!r}, not in {scope!r}"
            )

    def check_update(self, scope: str, fields: Mapping[str, JsonValue]) -> None:
        """Raise `InvalidValue` unless these fields may be set on a resource that lives in `scope`.

        Each is checked on its own. Codes: "invalid_field", "scope_is_for_life", "reserved_field", "check_failed".
        """
        self._check_values(fields)
        moved = self.template.contradiction(scope, fields)
        if moved is not None:
            raise InvalidValue(
                "scope_is_for_life",
                moved,
                f"{moved}: it says in which scope the {self.name} lives, and that is for life; "
                "delete this one and create another there",
            )

    def _check_values(self, fields: Mapping[str, JsonValue]) -> None:
        if "id" in fields:
            raise InvalidValue("reserved_field", "id", "id: it names the resource and is not one of its fields")
        if self.model is not None:
            # A rule may be offered an edit, such as an increment: what is checked is the value in it.
            check_fields(
                self.model, {name: self.rule.field_rule(name).preview(value) for name, value in fields.items()}
            )
