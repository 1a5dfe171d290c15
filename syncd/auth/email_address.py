"""E-mail addresses, in the one form in which they are stored and compared.

ASCII only: of two addresses that look alike to a person, no more than one may be an account's, and mail servers that
take others are few. The part before the @ is lower case too, whatever RFC 5321 (section 2.4) lets a server make of it.
"""

from __future__ import annotations

import re
from typing import Final

from syncd.errors import InvalidMessage

__all__ = ["normal_email"]

_MAX_LENGTH: Final = 254
"""RFC 5321, section 4.5.3.1.3, without the angle brackets."""
_ATEXT: Final = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS: Final = re.compile(rf"(?=.{{1,64}}@){_ATEXT}(?:\.{_ATEXT})*@{_LABEL}(?:\.{_LABEL})+")


def normal_email(text: str) -> str:
    """The address in its normal form; raises `InvalidMessage` if it is none."""
    email = text.strip().lower()
    # Lower case may make ASCII of what was not: the Kelvin sign becomes a k.
    if not text.isascii() or len(email) > _MAX_LENGTH or _ADDRESS.fullmatch(email) is None:
        raise InvalidMessage(
            "This is not an e-mail address that mail can be sent to.",
            code="invalid_email",
            hint="Write it as name@club.example; a domain with other letters in its ASCII form (xn--…).",
            field="email",
        )
    return email
