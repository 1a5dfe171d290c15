"""The frames that a client may send over a socket; docs/protocol.md shows each."""

from __future__ import annotations

from typing import Any, Final, Literal

from conflict_rules.values import RepeatedKeys
from syncd.api.envelope import Envelope, read_message
from syncd.api.messages import Scopes, Types
from syncd.errors import InvalidMessage

__all__ = ["FRAMES", "Frame", "Hello", "Ping", "Pong", "PresenceState", "Subscribe", "Unsubscribe", "read_frame"]


class Hello(Envelope):
    """The first frame of a socket; a later one brings a fresh token. `format`: of what the server sends."""

    type: Literal["hello"]
    token: str | None = None
    replica: str | None = None
    format: Literal["json", "msgpack"] | None = None


class Subscribe(Envelope):
    """Watch these scopes, each from the cursor it is known up to, or null. `types`: as of a pull. `documents`: whether
    deltas are to bring updates of documents.
    """

    type: Literal["subscribe"]
    scopes: Scopes
    types: Types = None
    documents: bool = False


class Unsubscribe(Envelope):
    """Watch these scopes no more."""

    type: Literal["unsubscribe"]
    scopes: list[str]


class Ping(Envelope):
    """Are you there?"""

    type: Literal["ping"]


class Pong(Envelope):
    """Yes."""

    type: Literal["pong"]


class PresenceState(Envelope):
    """What this replica says of itself to those who watch a scope; null: it is here no more."""

    type: Literal["presence"]
    scope: str
    state: Any


Frame = Hello | Subscribe | Unsubscribe | PresenceState | Ping | Pong
FRAMES: Final[dict[str, type[Frame]]] = {
    "hello": Hello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "presence": PresenceState,
    "ping": Ping,
    "pong": Pong,
}


def read_frame(value: object) -> Frame:
    """`value` as one of the frames that a client may send; raises `InvalidMessage` that names the place."""
    name = value.get("type") if isinstance(value, dict) else None
    kind = FRAMES.get(name) if isinstance(name, str) else None
    if isinstance(value, dict) and kind is None and not isinstance(value, RepeatedKeys):
        raise InvalidMessage(f"type: one of {', '.join(FRAMES)}", field="type")
    return read_message(kind or Ping, value)
