"""A Dockerfile, and the files that its build is given, read as far as tests need it (no engine is asked)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Instruction", "context_files", "environment_of", "ignored", "read_dockerfile"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `stage`: 0 for the first FROM. `text`: without its options, on one line."""

    stage: int
    name: str
    options: tuple[str, ...]
    text: str

    @property
    def words(self) -> list[str]:
        """The exec form as it is, the rest split at spaces."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return self.text.split()


def read_dockerfile(text: str) -> list[Instruction]:
    """Its instructions in order."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    instructions: list[Instruction] = []
    stage = -1
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        options, rest = re.match(r"((?:--\S+\s+)*)(.*)", rest.strip()).groups()  # type: ignore[union-attr]
        stage += name == "FROM"
        instructions.append(Instruction(stage, name, tuple(options.split()), rest))
    return instructions


def environment_of(instructions: list[Instruction], stage: int) -> dict[str, str]:
    """What the ENV lines of a stage set."""
    lines = [each.text for each in instructions if each.name == "ENV" and each.stage == stage]
    return dict(word.split("=", 1) for line in lines for word in line.split())


def ignored(path: str, dockerignore: str) -> bool:
    """Whether the build is not given this file: the last pattern that matches it, or a folder it is in, decides."""
    verdict = False
    for line in dockerignore.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern = line.strip().removeprefix("!").strip("/")
        expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        expression = expression.replace(r"\[", "[").replace(r"\]", "]")
        if re.fullmatch(f"{expression}(?:/.*)?", path):
            verdict = not line.startswith("!")
    return verdict


def context_files(root: Path, source: str, dockerignore: str) -> Iterator[Path]:
    """The files that a COPY of `source` gets, relative to the root of the context."""
    found = [root / source] if (root / source).is_file() else sorted((root / source).rglob("*"))
    for path in found:
        relative = path.relative_to(root)
        if path.is_file() and not ignored(relative.as_posix(), dockerignore):
            yield relative
