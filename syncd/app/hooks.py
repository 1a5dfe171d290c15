"""Hooks: an author's code beside a change, in the same transaction, before the commit. Declarations only.

A hook may run more than once for a change (law 5), and what it writes counts only if the change is committed; so it
reaches the world outside through nothing but its transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from conflict_rules import Change
from syncd.app.resource import Resource

__all__ = ["Hook", "HookTransaction", "Veto"]

R = TypeVar("R", bound=Resource)


class Veto(Exception):
    """Raised by a hook to refuse its change: nothing of it is applied, and it waits in the quarantine with the reason.

    `message`: a sentence for the person who made the change. `code`: stable text for programs. `field`: where in it.
    """

    def __init__(self, message: str, code: str = "vetoed", field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field


class HookTransaction(Protocol):
    """What a hook can see and do. Reads see everything written before, the change itself included.

    A field under the rule `crdt` is shown by its content, as JSON: a text, a map or a list. In the change it is what
    the document says with that change. Hooks write no documents (`AppError`), and may write the fields beside them.
    """

    async def get(self, model: type[R], resource_id: str, /) -> R | None:
        """The resource as of now; None if it never was or is deleted."""
        ...

    async def all(self, model: type[R], scope: str, /) -> list[R]:
        """Every resource of that type in a scope, as of now."""
        ...

    async def create(self, resource: Resource, /) -> None:
        """Write a new resource, in the scope that its fields tell; raises `InvalidValue` if they are not valid.

        Where the scope is made of the id, make the id of the change's: a hook must touch the same scopes in each run.
        """
        ...

    async def update(self, model: type[Resource], resource_id: str, /, **fields: Any) -> None:
        """Set fields (JSON values) of a resource that exists; raises `InvalidValue` if they are not valid."""
        ...

    async def delete(self, model: type[Resource], resource_id: str, /) -> None:
        """Delete a resource that exists."""
        ...

    async def has_seen(self, change: Change, resource: Resource, /, *fields: str) -> bool:
        """Law 1: whether whoever made `change` had been shown `resource` as it stands, by its base or as its author.

        `fields`: only as far as these go. One that is set once, for life, tells whether it had been shown at all.
        """
        ...

    async def ask(
        self,
        question: str,
        /,
        *,
        about: Resource,
        options: Sequence[str],
        others: Sequence[Resource] = (),
        message: str | None = None,
        id: str,
    ) -> None:
        """Open a conflict (`syncd.app.Conflict`) that a person settles by choosing one of `options`.

        The change takes effect, and is told that there is a question. `question`: a word for programs; `message`: a
        sentence for people; `id`: made of what it is about, so that it is asked once. Views read what was chosen.
        """
        ...


Hook = Callable[[HookTransaction, Change], Awaitable[None]]
"""`async def same_goal_twice(tx, change)`: may raise `Veto`, may write through `tx`. `change`: stamp effective."""
