"""A process that commits and says so, until it is killed: `python -m tests.conformance.durable_writer NAME FOLDER`.

Each commit writes one number in four places, which must stand or fall together. A number is printed when its commit
has returned, not before.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from syncd.store.protocol import Commit, ReplicaRow, Wanted
from tests.conformance.rows import note, settled_row
from tests.conformance.stores import DATABASES


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
            )
            await transaction.commit(commit)
        print(n, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
