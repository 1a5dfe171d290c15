"""A process that commits and says so, until it is killed: `python -m tests.conformance.durable_writer NAME FOLDER`.

Each commit writes one number in five places, which must stand or fall together; every third squashes a document too. A
number is printed when its commit has returned, not before.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from syncd.store.protocol import Commit, DocumentKey, ReplicaRow, Squashed, Wanted
from tests.conformance.rows import note, settled_row, update_row
from tests.conformance.stores import DATABASES

DOCUMENT = DocumentKey("note", "x", "notes")


async def main(name: str, folder: Path) -> None:
    store = await DATABASES[name](folder).open()
    while True:
        async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
            loaded = await transaction.load(Wanted(["r"], ["s"]))
            n = loaded.scopes["s"] + 1
            commit = Commit(
                states=[note("s", f"id-{n}", n)],
                scopes={"s": n},
                settled=[settled_row("r", n, "s", n)],
                replicas=[ReplicaRow("r", n)],
                updates=[update_row(DOCUMENT, 1, n, str(n).encode())],
                squashed=[Squashed(DOCUMENT, 1, str(n - 1).encode(), n - 1)] if n % 3 == 0 else (),
            )
            await transaction.commit(commit)
        print(n, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
