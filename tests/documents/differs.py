"""Updates that all can be merged, one after the other, to an array that reads otherwise once it is encoded and decoded.

Whoever made them put things beside neighbours that he cannot have seen so: of two places that are both right, which one
is taken hangs on the order of arrival, and an encoding brings another order. Nobody who edits makes such; a generator
found them. The name of the array is "root".
"""

from __future__ import annotations

from typing import Final

__all__ = ["DIFFERS", "DIFFERS_BY_TYPING"]

DIFFERS: Final = tuple(
    bytes.fromhex(update)
    for update in (
        "0201a5bd3400080104726f6f74027704f09f98807d4503ecdd3b000001010104726f6f7401000100",
        (
            "0204ecdd3b03080104726f6f74037b00000000000000007d457d450800ecdd3b01017d05030104726f6f7402787803010472"
            "6f6f74027878018a9c0700080104726f6f740175017e01a5bd340201010001"
        ),
        (
            "0104a5bd3402c7ecdd3b00ecdd3b010088a5bd34010175017e88ecdd3b000175017e81a5bd34010202a5bd34010101ecdd3b"
            "0201010101"
        ),
    )
)
"""The last one makes the difference. It brings deletes and a nested type."""

DIFFERS_BY_TYPING: Final = tuple(
    bytes.fromhex(update)
    for update in (
        ("0104aff62a00010104726f6f7401080104726f6f740274017a78080104726f6f74027b00000000000000007f070104726f6f740200"),
        (
            "020295bc1c0083aff62a05027878080104726f6f740179029da50600080104726f6f740377016174017a760101617e87aff6"
            "2a020000"
        ),
        "0102fb8926008795bc1c01008395bc1c0102787800",
        "0102b3e22100030104726f6f740278788395bc1c0102787800",
        "0101ef9d350048b3e221010274017a7800",
    )
)
"""The last one makes the difference, and is no more than two values put before another one."""
