"""How settings are spelt, and how a good secret is made."""

from __future__ import annotations

from typing import Final

__all__ = ["MAKE_A_SECRET", "is_of_an_example", "split_at_commas"]

MAKE_A_SECRET: Final = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(64))'"
_PLACEHOLDERS: Final = ("your-secret", "your_secret", "change-me", "changeme", "change_me", "local-development")
"""What secrets in examples are made of."""


def is_of_an_example(secret: str) -> bool:
    """Whether a secret was copied from an example, and left as it was."""
    return any(placeholder in secret.lower() for placeholder in _PLACEHOLDERS)


def split_at_commas(value: object) -> object:
    """The parts of a text, without space around them; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
