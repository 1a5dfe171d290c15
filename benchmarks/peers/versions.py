"""What says, of each peer, which versions are installed: for the record of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.peers import hocuspocus, kinto, pouchdb, pycrdt_websocket, rxdb, y_websocket

__all__ = ["PEERS"]

PEERS: Final[Mapping[str, Callable[[], Mapping[str, str]]]] = {
    "hocuspocus": hocuspocus.versions,
    "kinto": kinto.versions,
    "pouchdb": pouchdb.versions,
    "pycrdt-websocket": pycrdt_websocket.versions,
    "rxdb": rxdb.versions,
    "y-websocket": y_websocket.versions,
}
"""By the name that it has as a contender, without its storage. None of them installs anything."""
