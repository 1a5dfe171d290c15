"""Id tokens that have opened a session: each opens one, or whoever has read it somewhere could come in with it too.

The nonce does not keep him out where an app sends it along, since in its plain form it stands in the token. In memory,
like the sign-ins under way (`oauth`): after a start, a token of before opens one once more until it ends.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from syncd.auth.secret_text import digest
from syncd.errors import Unauthenticated

__all__ = ["UsedIdTokens"]

_MAX: Final = 20_000
"""Of more within the hour that one lives, the oldest are forgotten. About 4 MB of them."""


class UsedIdTokens:
    """One for a server. `now_ms`: milliseconds since 1970."""

    def __init__(self, now_ms: Callable[[], int], *, max_count: int = _MAX) -> None:
        self._now_ms = now_ms
        self._max_count = max_count
        self._until_ms: OrderedDict[bytes, int] = OrderedDict()

    @contextmanager
    def once(self, id_token: str, until_ms: int) -> Iterator[None]:
        """A block in which `id_token`, which was verified and is taken until `until_ms`, opens a session.

        Raises `Unauthenticated` before the block if it has opened one, or is about to. If the block raises, it has not:
        a second factor may be mistyped.
        """
        # Without the signature: some can be written in two ways (ECDSA), and the token says the same.
        key = digest(id_token.rpartition(".")[0])
        if self._until_ms.get(key, 0) > self._now_ms():
            raise Unauthenticated(
                "this id token has opened a session already, and each opens one",
                code="token_invalid",
                hint="Get a fresh id token from the provider, also where the answer to the first was lost.",
            )
        self._make_room()
        self._until_ms[key] = until_ms
        try:
            yield
        except Exception:
            # Not for a caller who hangs up: his session may have been opened all the same.
            self._until_ms.pop(key, None)
            raise

    def __len__(self) -> int:
        return len(self._until_ms)

    def _make_room(self) -> None:
        while self._until_ms:
            oldest_ms = next(iter(self._until_ms.values()))
            if oldest_ms > self._now_ms() and len(self._until_ms) < self._max_count:
                return
            self._until_ms.popitem(last=False)
