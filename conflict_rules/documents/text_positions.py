"""Places in a text, counted in code points, UTF-16 units or UTF-8 bytes, and turned from one into another.

pycrdt counts a text in UTF-8 bytes; Python and people count code points; JavaScript, Java and Swift's NSString count
UTF-16 units. An offset of one unit taken for another goes wrong in silence: pycrdt puts an insert that falls inside
of a character at the end of the text, and other replicas never see it; a delete that does takes a neighbour along. So
each place is checked against the text before pycrdt is told it. Between a letter and the mark that combines with it
there is a place.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["UNITS", "BeyondTheText", "InsideCharacter", "Unit", "code_points", "offset", "to_bytes"]

Unit = Literal["code_points", "utf16", "bytes"]
"""What an offset counts."""

UNITS: Final[tuple[Unit, ...]] = ("code_points", "utf16", "bytes")

_SAID: Final = {"code_points": "code points", "utf16": "UTF-16 units", "bytes": "UTF-8 bytes"}


class InsideCharacter(ValueError):
    """An offset that falls inside of an encoded character."""


class BeyondTheText(ValueError):
    """An offset before the beginning of the text or after its end."""


def code_points(text: str, at: int, unit: Unit) -> int:
    """The offset `at`, counted in `unit`, in code points. Raises `InsideCharacter`, `BeyondTheText`."""
    length = offset(text, len(text), unit)
    if not 0 <= at <= length:
        raise BeyondTheText(f"offset {at} is not in a text of {length} {_SAID[unit]}")
    if unit == "code_points" or text.isascii():
        return at
    if unit == "bytes":
        encoded = text.encode()
        if at < length and encoded[at] & 0xC0 == 0x80:
            raise _inside(text, at, unit)
        return len(encoded[:at].decode())
    encoded = text.encode("utf-16-le")
    if at < length and 0xDC <= encoded[2 * at + 1] < 0xE0:
        raise _inside(text, at, unit)
    return len(encoded[: 2 * at].decode("utf-16-le"))


def offset(text: str, at: int, unit: Unit) -> int:
    """The place after `at` code points of `text`, counted in `unit`."""
    if unit == "code_points" or text.isascii():
        return at
    if unit == "bytes":
        return len(text[:at].encode())
    return len(text[:at].encode("utf-16-le")) // 2


def to_bytes(text: str, at: int, unit: Unit) -> int:
    """The offset `at`, counted in `unit`, as pycrdt counts. Raises `InsideCharacter`, `BeyondTheText`."""
    return offset(text, code_points(text, at, unit), "bytes")


def _inside(text: str, at: int, unit: Unit) -> InsideCharacter:
    place = 0
    for character in text:
        end = place + offset(character, 1, unit)
        if end > at:
            return InsideCharacter(
                f"offset {at} lies inside of {character!r}, which takes the {_SAID[unit]} {place} to {end}"
            )
        place = end
    raise AssertionError("every offset in a text lies in one of its characters")
