"""Names of people and addresses as keys of counts: short, of one form, and not to be read back."""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from typing import Final

__all__ = ["account_name", "hidden"]

_PERSON: Final = b"syncd-rates"


def hidden(name: str) -> str:
    """32 hex digits in the place of `name`: counters may lie on another machine, where no e-mail address belongs."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16, person=_PERSON).hexdigest()


def account_name(name: str) -> str:
    """`name` as every spelling of it that a log-in may take for the same: without case, blanks around it, or forms."""
    return unicodedata.normalize("NFKC", name).strip().casefold()
