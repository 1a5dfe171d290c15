"""`python -m tests.mutations.one NAME FIRST LAST`: break one thing, and see which test notices first.

Runs in a process of its own. The source is changed while it is imported; files stay as they are. Prints one line of
JSON: {"by": which test noticed, "after": how many histories, "what": what it said}, `by` null if nobody did.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from tests.mutations.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
NOTHING = "nothing"
"""The name of the mutant that is none: nobody may notice it."""
PROPERTIES = ["tests/conflict_rules", "tests/properties/test_algebra.py"]


class Broken(SourceFileLoader):
    """Gives the mutant's module the mutant's source."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.used = False
        super().__init__(mutant.module, str(ROOT / mutant.path))

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the changed source, past any cache."""
        source = (ROOT / self.mutant.path).read_text()
        assert source.count(self.mutant.old) == 1, f"{self.mutant.name} does not fit {self.mutant.path} any more"
        self.used = True
        return compile(source.replace(self.mutant.old, self.mutant.new), self.path, "exec")


class Finder(MetaPathFinder):
    """Finds the mutant's module, before anybody else does."""

    def __init__(self, loader: Broken) -> None:
        self.loader = loader

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Of this one module only."""
        if name != self.loader.mutant.module:
            return None
        return spec_from_file_location(name, self.loader.path, loader=self.loader)


async def histories(first: int, last: int) -> tuple[int, str] | None:
    """How many histories were played until one failed, and what it said; None if none did."""
    from syncd.store.sqlite import SqliteStore
    from tests.reference.histories import play

    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mutant-", dir=memory if memory.is_dir() else None))
    try:
        template = folder / "template.db"
        await (await SqliteStore.open(template)).close()
        for seed in range(first, last):
            home = folder / str(seed)
            home.mkdir()
            try:
                async with asyncio.timeout(30):
                    await play(seed, home, template)
            except Exception as failure:
                return seed - first + 1, " ".join(f"{type(failure).__name__}: {failure}".split())[:160]
            shutil.rmtree(home)
    finally:
        shutil.rmtree(folder)
    return None


def properties() -> str | None:
    """The first test of the rules themselves that fails, by its name."""
    import pytest

    class First:
        name: str | None = None

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and self.name is None:
                self.name = report.nodeid

    first = First()
    pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *PROPERTIES], plugins=[first])
    return first.name


def main(name: str, first: int, last: int) -> dict[str, object]:
    """Break it, and look."""
    logging.disable(logging.CRITICAL)
    if name != NOTHING:
        broken = Broken(next(each for each in MUTANTS if each.name == name))
        sys.meta_path.insert(0, Finder(broken))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        noticed = asyncio.run(histories(first, last))
        assert name == NOTHING or broken.used, "nothing imports what is broken"
        if noticed is not None:
            return {"by": "histories", "after": noticed[0], "what": noticed[1]}
        test = None if name == NOTHING else properties()
    return {"by": test, "after": last - first, "what": ""}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
