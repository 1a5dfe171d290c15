"""CRDT documents: what a replica and the server's worker run alike (law 12, invariants 5 and 12).

`yjs_reader` and `yjs_update` read an update without pycrdt and say what it covers and needs; `yjs_shape` says where
it may hang; `waiting_room` holds what came too early; `text_positions` counts characters in three units; these five
are pure. Only `document` imports pycrdt, so nothing here is imported by `conflict_rules` itself: a server process
reads no document.
"""

from __future__ import annotations
