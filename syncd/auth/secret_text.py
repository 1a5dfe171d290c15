"""Secrets as text: 256 random bits, a prefix by which scanners find a leaked one, a checksum that tells a slip of the
pen from one that is no longer taken.

`syncd_key_0f3a…_Kx7…Qz`: the prefix, its parts with `_` between them, and six characters of CRC-32 behind the last.
Letters and digits only, so that a double click takes all of it. Knows nothing of what a secret opens.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from typing import Final

__all__ = ["derived", "digest", "new_secret", "read", "same", "write"]

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_BYTES: Final = 32
_SECRET_LENGTH: Final = 43
"""Of 256 bits in base 62."""
_CHECK_LENGTH: Final = 6
MAX_LENGTH: Final = 200
"""Of a secret's text; anything longer is none."""


def new_secret() -> str:
    """256 random bits."""
    return _spelled(secrets.token_bytes(_SECRET_BYTES))


def derived(secret: str, salt: bytes) -> str:
    """Another secret, that only who has both can make: the same again for the same two."""
    return _spelled(hmac.digest(secret.encode("ascii"), salt, "sha256"))


def digest(secret: str) -> bytes:
    """What is stored in a secret's place. SHA-256: nobody guesses 256 random bits, however quickly they are hashed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal, in constant time."""
    return hmac.compare_digest(one, other)


def write(prefix: str, *parts: str) -> str:
    """The text of these parts, which consist of letters and digits."""
    text = prefix + "_".join(parts)
    return text + _check(text)


def read(prefix: str, text: str, count: int) -> tuple[str, ...] | None:
    """The parts of a text that `write` has made of so many; None if it is mistyped, or none of ours."""
    if len(text) > MAX_LENGTH or not text.startswith(prefix) or not text.isascii():
        return None
    body, check = text[:-_CHECK_LENGTH], text[-_CHECK_LENGTH:]
    parts = body[len(prefix) :].split("_")
    if check != _check(body) or len(parts) != count or not all(part.isalnum() for part in parts):
        return None
    return tuple(parts)


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), _CHECK_LENGTH)


def _spelled(secret: bytes) -> str:
    return _base62(int.from_bytes(secret), _SECRET_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
