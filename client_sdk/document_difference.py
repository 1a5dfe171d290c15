"""Editing one document until it says what another one says: where devices import it from."""

from conflict_rules.documents.difference import become

__all__ = ["become"]
