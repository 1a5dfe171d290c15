"""What a token says, read strictly. Pure: knows neither keys nor clocks, and believes nothing about who wrote it.

Libraries for JWT are lenient where it matters (an `exp` of `"9999999999"` passes for a number in some), so that types
and forms are checked here, and only here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NoReturn

from conflict_rules.values import InvalidValue, JsonValue, clean_fields, valid_id

__all__ = ["Claims", "InvalidClaims", "claims_of", "read_payload"]

_TEXT: Final = re.compile(r"[\x20-\x7e]{1,200}")
"""Subjects, ids and audiences: printable ASCII, as OpenID Connect Core 1.0, section 2, asks of `sub`."""
_ROLE: Final = re.compile(r"[\x21-\x7e]{1,64}")
_EMAIL: Final = re.compile(r"[^\x00-\x20\x7f@]{1,64}@[^\x00-\x20\x7f@]{1,255}")
_NONCE: Final = re.compile(r"[\x20-\x7e]{1,500}")

_MAX_ROLES: Final = 100
_LAST_TIME_S: Final = 253_402_300_799
"""The end of the year 9999. Beyond lie those who write milliseconds, which would be valid for 50,000 years."""


class InvalidClaims(ValueError):
    """The claims are not what they may be. `reason`: a few words of ours, fit for a log; nothing that was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says (RFC 7519, section 4.1). Times in ms since 1970; "" and None: it does not say.

    `audience`: whom it is for. `token_id`: `jti`. `session`: our `sid`. `raw`: all of it, as values that can be
    stored.
    """

    subject: str
    issuer: str
    audience: frozenset[str]
    expires_at_ms: int
    issued_at_ms: int | None = None
    not_before_ms: int | None = None
    token_id: str = ""
    session: str = ""
    roles: frozenset[str] = frozenset()
    email: str = ""
    email_verified: bool = False
    nonce: str = ""
    raw: Mapping[str, JsonValue] = field(default_factory=dict, repr=False, hash=False)


def read_payload(payload: bytes) -> dict[str, JsonValue]:
    """The claims as a cleaned JSON object, each name once (RFC 7519, section 4); raises `InvalidClaims`."""
    try:
        # Not from the bytes: json would guess at UTF-16 and take a byte order mark.
        read = json.loads(payload.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        return clean_fields(read) if isinstance(read, dict) else _no_object()
    except InvalidValue as bad:
        raise InvalidClaims(f"claims: {bad.code}") from None
    except (ValueError, RecursionError) as error:
        raise (error if isinstance(error, InvalidClaims) else InvalidClaims("claims are not JSON")) from None


def claims_of(raw: Mapping[str, JsonValue], *, roles_claim: str = "roles", own_ids: bool = True) -> Claims:
    """The claims of a cleaned object; raises `InvalidClaims` for a missing or malformed one.

    `roles_claim`: where the roles are: a name, or a path such as `realm_access.roles`. They are a list of texts, or one
    text with spaces between them. `own_ids`: the subject must be an id of ours, not only text.
    """
    expires_at_ms = _time_ms(raw, "exp")
    if expires_at_ms is None:
        raise InvalidClaims("no exp")
    subject = _text(raw, "sub")
    if not (valid_id(subject) if own_ids else subject):
        raise InvalidClaims("sub is missing, or is no id")
    return Claims(
        subject=subject,
        issuer=_text(raw, "iss"),
        audience=_audience(raw.get("aud")),
        expires_at_ms=expires_at_ms,
        issued_at_ms=_time_ms(raw, "iat"),
        not_before_ms=_time_ms(raw, "nbf"),
        token_id=_text(raw, "jti"),
        session=_text(raw, "sid"),
        roles=_roles(_at(raw, roles_claim)),
        email=_text(raw, "email", _EMAIL),
        email_verified=_truth(raw, "email_verified"),
        nonce=_text(raw, "nonce", _NONCE),
        raw=MappingProxyType(dict(raw)),
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise InvalidClaims("a claim is given twice")
    return read


def _no_constant(name: str) -> NoReturn:
    raise InvalidClaims("claims hold NaN or infinity")


def _no_object() -> NoReturn:
    raise InvalidClaims("claims are no object")


def _time_ms(raw: Mapping[str, JsonValue], name: str) -> int | None:
    """A NumericDate (RFC 7519, section 2): a JSON number, fractions allowed."""
    value = raw.get(name)
    if name not in raw:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LAST_TIME_S:
        raise InvalidClaims(f"{name} is not a number of seconds since 1970")
    return int(value * 1000)


def _text(raw: Mapping[str, JsonValue], name: str, form: re.Pattern[str] = _TEXT) -> str:
    value = raw.get(name)
    if name not in raw:
        return ""
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise InvalidClaims(f"{name} is not text of the form that it has")
    return value


def _truth(raw: Mapping[str, JsonValue], name: str) -> bool:
    value = raw.get(name, False)
    # Apple writes truth values as text too.
    if isinstance(value, bool) or value in ("true", "false"):
        return value is True or value == "true"
    raise InvalidClaims(f"{name} is neither true nor false")


def _audience(value: JsonValue) -> frozenset[str]:
    audience = [value] if isinstance(value, str) else value
    if not isinstance(audience, list) or not audience:
        raise InvalidClaims("aud is missing, or is no list of texts")
    if not all(isinstance(each, str) and _TEXT.fullmatch(each) for each in audience):
        raise InvalidClaims("aud is no list of texts")
    return frozenset(audience)


def _roles(value: JsonValue) -> frozenset[str]:
    roles = [] if value is None else value.split() if isinstance(value, str) else value
    if not isinstance(roles, list) or len(roles) > _MAX_ROLES:
        raise InvalidClaims("the roles are no list of texts")
    if not all(isinstance(each, str) and _ROLE.fullmatch(each) for each in roles):
        raise InvalidClaims("the roles are no list of texts")
    return frozenset(roles)


def _at(raw: Mapping[str, JsonValue], path: str) -> JsonValue:
    """What stands there. A claim of that very name comes first: many are URLs, with dots in them."""
    if path in raw:
        return raw[path]
    found: JsonValue = raw
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found
