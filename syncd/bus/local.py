"""The bus of a single process: the smallest adapter there can be."""

from __future__ import annotations

from collections.abc import Callable

from syncd.bus.protocol import Listener

__all__ = ["LocalBus"]


class LocalBus:
    """Delivers at once, in the order of publication."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def publish(self, scope: str, version: int) -> None:
        """See `Bus.publish`."""
        for listener in tuple(self._listeners.values()):
            listener(scope, version)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See `Bus.subscribe`."""
        subscription = object()
        self._listeners[subscription] = listener

        def unsubscribe() -> None:
            self._listeners.pop(subscription, None)

        return unsubscribe

    async def close(self) -> None:
        """See `Bus.close`."""
        self._listeners.clear()
