"""The npm package `yjs` under a real Node, as the other side of documents."""
