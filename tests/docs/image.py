"""The image of a Dockerfile as a folder: its build steps taken and its commands run, without an engine, as oneself."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.dockerfile import Instruction, context_files
from tests.docs.fresh import DEPENDENCIES, PATH, WITHOUT_NETWORK

__all__ = ["Image"]


@dataclass(frozen=True, slots=True)
class Image:
    """`root`: the folder that stands for the file system. `settings`: what the last stage sets by ENV."""

    root: Path
    settings: dict[str, str]

    def build(self, steps: Sequence[Instruction], context: Path, dockerignore: str) -> None:
        """Take the steps of one stage with the files that it is given; raises AssertionError if one fails."""
        for folder in ("data", "app"):
            (self.root / folder).mkdir()
        here = self.root
        for step in steps:
            if step.name == "WORKDIR":
                here = Path(self.placed(step.text))
                here.mkdir()
            elif step.name == "COPY":
                *sources, target = step.words
                for source in sources:
                    for path in context_files(context, source, dockerignore):
                        # A folder's content lands in the target, a file under its own name.
                        there = here / target / (path.relative_to(source) if source.endswith("/") else path.name)
                        there.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(context / path, there)
            elif step.name == "RUN":
                self._take(self.placed(step.text), here)

    def placed(self, text: str) -> str:
        """The same text with the image's paths in the folder."""
        return re.sub(r"(?<![\w./])/(src|wheels|opt/syncd|data|app)\b", rf"{self.root}/\1", text)

    async def run(self, *words: str, **environment: str) -> tuple[int, str]:
        """Run a command in the image to its end: exit code and what it printed."""
        process = await self.start(*words, **environment)
        async with asyncio.timeout(120):
            printed, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def start(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a command in the image."""
        settings = {name: self.placed(value) for name, value in self.settings.items()}
        settings["PATH"] = settings["PATH"].replace("$PATH", os.environ["PATH"])
        program = shutil.which(words[0], path=settings["PATH"])
        assert program is not None
        return await asyncio.create_subprocess_exec(
            *(program, *words[1:]),
            cwd=self.root / "app",
            env={**DEPENDENCIES, **settings, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    def _take(self, command: str, here: Path) -> None:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=here,
            env={"PATH": PATH, "HOME": str(self.root), **WITHOUT_NETWORK},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
