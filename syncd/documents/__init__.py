"""CRDT documents in processes of their own (law 12): what the engine asks is in `protocol`, who answers in `pool`.

Only `worker`, which `zygote` imports and forks, reads a document; the server's own process never imports pycrdt.
"""

from __future__ import annotations
