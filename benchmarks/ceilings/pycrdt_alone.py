"""The ceiling of documents: pycrdt in a process of its own, without a server, on the servers' core.

python -m benchmarks.ceilings.pycrdt_alone apply UPDATES     each update of the file applied by itself
python -m benchmarks.ceilings.pycrdt_alone load DOCUMENT     the file read, loaded and encoded anew
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

from pycrdt import Doc, Text

from benchmarks.harness import ceiling
from benchmarks.harness.documents import read_updates
from benchmarks.harness.sample import Sample
from benchmarks.peers.yjs_protocol import ROOT

__all__ = ["apply", "load"]


async def apply(updates: Path, text: str) -> Sample:
    """A unit is an update. Raises `RuntimeError` if the document does not end as `text`."""
    return await _measured("apply", updates, text)


async def load(document: Path, text: str) -> Sample:
    """A unit is a document; figure `bytes`: of the encoded one. Raises as `apply` does."""
    return await _measured("load", document, text)


async def _measured(what: str, path: Path, text: str) -> Sample:
    found = await ceiling.output("pycrdt_alone", what, path)
    if found["text"] != _digest(text):
        raise RuntimeError("pycrdt alone has another text")
    return Sample(found["units"], found["seconds"], found["cpu_s"], 0.0, {"bytes": found["bytes"]})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _main(what: str, path: Path) -> None:
    document: Doc[Text] = Doc()
    document[ROOT] = text = Text()
    units, size = 1, 0
    if what == "apply":
        updates = read_updates(path)
        units = len(updates)
        began, began_cpu = time.perf_counter(), time.process_time()
        for update in updates:
            document.apply_update(update)
    else:
        began, began_cpu = time.perf_counter(), time.process_time()
        document.apply_update(path.read_bytes())
        size = len(document.get_update())
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    found = {"units": units, "seconds": seconds, "cpu_s": cpu_s, "bytes": size, "text": _digest(str(text))}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
