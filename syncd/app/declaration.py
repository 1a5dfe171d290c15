"""Declaring a resource type: what an author's class must look like, told in sentences when the app is loaded."""

from __future__ import annotations

import re
from typing import Any, Final, get_origin

from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo

from conflict_rules import CRDT, Deletes, FieldRule, RecordRule, Rule
from conflict_rules.crdt import Collaborative, DocumentKind
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.values import valid_type
from syncd.app.access import UNSAID, Access, Private, private_fields
from syncd.app.builtin import BUILTIN_TYPES
from syncd.app.former import under_former_names
from syncd.app.personal import Personal, personal_fields
from syncd.app.resource import Resource, ResourceType
from syncd.app.scope_template import ScopeTemplate
from syncd.app.validation import patch_model
from syncd.errors import AppError

__all__ = ["RESERVED_FIELDS", "declare_type", "type_name_of"]

RESERVED_FIELDS: Final = frozenset({"type", "scope", "version", "origin", "deleted", "marks", "fields"})
"""What the wire calls the parts of a state: a field of the same name could not be told from it in a flat form."""


_KINDS: Final[dict[Any, DocumentKind]] = {str: "text", dict: "map", list: "array"}


def declare_type(
    model: type[Resource],
    *,
    scope: str,
    rule: Rule,
    deletes: Deletes = Deletes.DELETE_WINS,
    access: Access = UNSAID,
) -> ResourceType:
    """The type that `model` declares; raises `AppError` with a sentence for what cannot be."""
    name = type_name_of(model)
    _check_model(model)
    _check_fields(model)
    template = ScopeTemplate(scope)
    _check_scope(model, template)
    required = tuple(field for field, info in model.model_fields.items() if info.is_required())
    _check_private(model, template)
    merged = _rule_of(model, template, rule, deletes)
    _check_personal(model, template, merged)
    fields, former = model.model_fields, _former_names(model)
    return ResourceType(
        name,
        merged,
        model,
        template,
        required,
        access,
        under_former_names(private_fields(fields), former),
        under_former_names(personal_fields(fields), former),
        former,
    )


def type_name_of(model: type[Resource]) -> str:
    """The name of a model's type: `KeyPass` → `key_pass`; raises `AppError` if none can be made."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", model.__name__).lower()
    if not valid_type(name):
        raise AppError(
            f"no type name can be made of the class name {model.__name__!r}",
            hint="Use English letters and digits, a letter first, at most 64: 'KeyPass' becomes 'key_pass'.",
        )
    if name in BUILTIN_TYPES:
        raise AppError(
            f"the class {model.__name__!r} would be the type {name!r}, which every app has already",
            hint="Rename the class.",
        )
    return name


def _rule_of(model: type[Resource], template: ScopeTemplate, rule: Rule, deletes: Deletes) -> Rule:
    """The rule of the type: `rule`, with the rules that single fields have in its place."""
    fields: dict[str, FieldRule] = {}
    for name, info in model.model_fields.items():
        named = [each for each in info.metadata if isinstance(each, RecordRule)]
        if len(named) > 1:
            raise AppError(f"the field {name!r} of {model.__name__} names {len(named)} rules", hint="Keep one of them.")
        if named and named[0].fields:
            raise AppError(f"the rule of the field {name!r} of {model.__name__} is one of whole resources")
        if named:
            fields[name] = _document(model, name, info) if named[0] is CRDT else named[0].default
        elif rule is CRDT and name != "id" and name not in template.placeholders:
            fields[name] = _document(model, name, info)
    if rule is CRDT:
        # What nobody declared, and what says where the resource lives, is no document.
        rule = RecordRule(CRDT.name, LATER_STAMP)
    if not fields and deletes is Deletes.DELETE_WINS:
        return rule
    if not isinstance(rule, RecordRule):
        raise AppError(
            f"the rule {rule.name!r} of {model.__name__} is a class of its own, and takes no rules of its fields",
            hint="Register it with rules.own, or let the class say what its fields and deletes do.",
        )
    return rule.having(fields, deletes)


def _document(model: type[Resource], name: str, info: FieldInfo) -> Collaborative:
    """The rule of a field that holds a document, of the kind that its annotation says."""
    kind = _KINDS.get(get_origin(info.annotation) or info.annotation)
    if kind is None:
        raise AppError(
            f"the field {name!r} of {model.__name__} is a document by its rule, but {info.annotation!r} by its type",
            hint="A document is a str (text), a dict (map) or a list (array); give other fields a rule of their own.",
        )
    return Collaborative(kind)


def _check_model(model: type[Resource]) -> None:
    if model.model_config.get("extra") != "allow":
        raise AppError(
            f"{model.__name__} sets extra={model.model_config.get('extra')!r}, but fields that this version does not "
            "know must survive",
            hint="Leave 'extra' out of its model_config.",
        )
    if model.__pydantic_decorators__.model_validators:
        raise AppError(
            f"{model.__name__} has a model_validator, but a change brings only some fields and changes merge field by "
            "field, so a check across fields cannot hold",
            hint="Check single fields with field_validator, and what spans several in an on_change hook.",
        )
    try:
        model.model_rebuild()
    except PydanticUndefinedAnnotation as error:
        raise AppError(
            f"a field of {model.__name__} names {error.name!r}, which is not defined yet",
            hint="Define it above the class, in the same module.",
        ) from error
    # Built here, so that a model that cannot be checked is told now and not at the first push.
    patch_model(model)


def _check_fields(model: type[Resource]) -> None:
    for field, info in model.model_fields.items():
        if field in RESERVED_FIELDS or (field == "id" and not _is_own_id(info)):
            raise AppError(
                f"{model.__name__} declares a field {field!r}, a word that syncd uses for itself",
                hint=f"Call it something else; taken are id, {', '.join(sorted(RESERVED_FIELDS))}.",
            )
        if field != "id" and hasattr(Resource, field):
            raise AppError(
                f"the field {field!r} of {model.__name__} hides what every resource has under that name",
                hint="Call it something else.",
            )
        if info.alias or info.validation_alias or info.serialization_alias:
            raise AppError(
                f"the field {field!r} of {model.__name__} has an alias, and would have two names",
                hint="Name the field as it is to be stored and sent.",
            )


def _check_scope(model: type[Resource], template: ScopeTemplate) -> None:
    for placeholder in template.placeholders:
        if placeholder == "id":
            continue
        info = model.model_fields.get(placeholder)
        if info is None:
            raise AppError(
                f"the scope {template.text!r} of {model.__name__} names the field {placeholder!r}, which it does not "
                "have",
                hint=f"Its fields are: {', '.join(model.model_fields)}.",
            )
        if info.annotation is not str or not info.is_required():
            raise AppError(
                f"the scope {template.text!r} of {model.__name__} names the field {placeholder!r}, which is not a "
                "required str",
                hint=f"Declare it as '{placeholder}: str', without a default.",
            )


def _check_private(model: type[Resource], template: ScopeTemplate) -> None:
    for field in private_fields(model.model_fields):
        if field in template.placeholders:
            raise AppError(
                f"the field {field!r} of {model.__name__} is private, but the name of its scope tells it",
                hint="Leave out private(), or put the resource into a scope that is named otherwise.",
            )


def _check_personal(model: type[Resource], template: ScopeTemplate, rule: Rule) -> None:
    found = personal_fields(model.model_fields)
    for field, each in found.items():
        if field in template.placeholders or model.model_fields[field].is_required():
            raise AppError(
                f"the field {field!r} of {model.__name__} is personal, but a {model.__name__} cannot be without it",
                hint="Give it a default: that stands there when the person is gone. No scope is named after it.",
            )
        if isinstance(rule.field_rule(field), Collaborative):
            raise AppError(
                f"the field {field!r} of {model.__name__} is personal and a document, in which nobody's words can be "
                "told from another's",
                hint="Leave out personal(), and delete whole resources with an @app.on_erase function.",
            )
        if each.of is not None and (each.of not in model.model_fields or each.of in found or each.of == field):
            raise AppError(
                f"the personal field {field!r} of {model.__name__} says that {each.of!r} tells whose it is, which "
                "is no field that could",
                hint="Name a field of the same class that holds the id of an account, and is not personal itself.",
            )


def _former_names(model: type[Resource]) -> dict[str, str]:
    """What private and personal fields were called before, each name with the one of now."""
    former: dict[str, str] = {}
    for field, info in model.model_fields.items():
        marks = [each for each in info.metadata if isinstance(each, (Private, Personal))]
        for name in [name for mark in marks for name in mark.formerly]:
            if name in model.model_fields or former.setdefault(name, field) != field:
                raise AppError(
                    f"the field {field!r} of {model.__name__} was formerly called {name!r}, and so is, or was, another",
                    hint="Give a new field a name that none had before; what was divided, say where the fewest see it.",
                )
    return former


def _is_own_id(info: FieldInfo) -> bool:
    inherited = Resource.model_fields["id"]
    return info.annotation is inherited.annotation and info.metadata == inherited.metadata
