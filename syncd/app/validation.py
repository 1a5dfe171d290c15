"""Checks of pushed fields against a pydantic model: strict as JSON is, per field, and without changing a value.

Strict as JSON is: `true` is no integer and "3" is none either, but an ISO 8601 text is a datetime and a text may be a
UUID, a Literal or an Enum member. One compiled validator per model does a whole change in one call.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, to_json

from conflict_rules import InvalidValue, JsonValue

__all__ = ["check_fields", "patch_model"]

log = logging.getLogger(__name__)


@cache
def patch_model(model: type[BaseModel]) -> type[BaseModel]:
    """`model` with every field optional: the same constraints and validators, for some of its fields."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        if info.metadata:
            annotation = Annotated[(annotation, *info.metadata)]
        fields[name] = (annotation, Field(default=None, validate_default=False, discriminator=info.discriminator))
    return create_model(f"{model.__name__}Patch", __base__=model, __module__=model.__module__, **fields)


def check_fields(model: type[BaseModel], fields: Mapping[str, JsonValue]) -> None:
    """Raise `InvalidValue` (code "invalid_field") for the first field whose value `model` does not take.

    `fields`: cleaned values, as they came from JSON. Names that the model does not know are let through.
    """
    try:
        patch_model(model).__pydantic_validator__.validate_json(to_json(dict(fields)), strict=True)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False)[0], fields) from None
    except Exception as error:
        # An author's own validator is broken. One change must not take its batch down (invariant 6).
        log.exception("a field_validator of %s failed", model.__name__)
        raise InvalidValue(
            "check_failed",
            "fields",
            "a check of the app failed on these fields; its author should look at the server's log",
        ) from error


def _invalid(error: ErrorDetails, fields: Mapping[str, JsonValue]) -> InvalidValue:
    field = _path(error["loc"], fields)
    message = error["msg"]
    if error["type"] in ("value_error", "assertion_error"):
        message = message.partition(", ")[2]
    else:
        # "Input should be a valid integer" → "should be a valid integer": the field is named in front of it.
        message = message.removeprefix("Input ").removeprefix("Value ")
        message = message[:1].lower() + message[1:]
    return InvalidValue("invalid_field", field, f"{field}: {message}")


def _path(location: Sequence[int | str], fields: Mapping[str, JsonValue]) -> str:
    """`tags[2].name`, as far as it leads through what was sent: pydantic also names branches of a union."""
    path = str(location[0]) if location else "fields"
    value = fields.get(path)
    for step in location[1:]:
        if isinstance(step, int) and isinstance(value, list) and 0 <= step < len(value):
            path, value = f"{path}[{step}]", value[step]
        elif isinstance(step, str) and isinstance(value, Mapping) and step in value:
            path, value = f"{path}.{step}", value[step]
    return path
