"""What the tests under Node need is told where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.yjs.node import CannotInstall, YjsPeer, installed_yjs


async def test_it_is_the_package_of_npm_that_answers(yjs: YjsPeer, yjs_folder: Path) -> None:
    assert (yjs_folder / "node_modules" / "yjs" / "package.json").is_file()
    await yjs.open("a", "text", client=1)
    (update,) = await yjs.edit("a", seed=1, times=1)
    await yjs.open("b", "text", client=2)
    await yjs.apply("b", [update])
    assert await yjs.show("b") == await yjs.show("a")


def test_without_a_network_a_sentence_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    for _ in range(2):  # what was left half done is not taken for done
        with pytest.raises(CannotInstall, match=r"could not install yjs .*takes the network once"):
            installed_yjs(tmp_path / "cache")
