"""Wiring: starting is a list of steps, and what was opened is closed again whichever step fails."""

from pathlib import Path

import pytest

from syncd import wiring
from syncd.app import open_app
from syncd.errors import AppError, SettingsError, StoreUnavailable
from syncd.settings import Settings
from syncd.wiring import STEPS, open_server


async def test_the_steps_have_names_and_say_what_they_do() -> None:
    assert [step.__name__ for step in STEPS] == [
        "check_settings",
        "open_store",
        "open_bus",
        "open_documents",
        "open_engine",
        "open_web",
    ]  # type: ignore[attr-defined]
    assert all(step.__doc__ for step in STEPS)


async def test_a_server_pushes_pulls_and_lets_go_of_its_file(tmp_path: Path) -> None:
    settings = Settings(database=tmp_path / "club.db")
    change = {"n": 1, "scope": "main", "type": "note", "id": "a", "op": "create", "fields": {"text": "kept"}}
    async with open_server(settings, open_app(), now_ms=lambda: 1_763_640_000_000) as server:
        reply = await server.pusher.push("r1", 1, [change])
        assert reply.outcomes[0]["outcome"] == "applied"
        first = server.store.incarnation
    async with open_server(settings, open_app()) as server:
        assert len((await server.puller.pull("r1", {"main": None}))["main"].bodies) == 1
        assert server.store.incarnation != first


async def test_nothing_is_opened_with_settings_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        async with open_server(Settings(host="0.0.0.0", database=tmp_path / "club.db"), open_app()):
            pass
    assert not (tmp_path / "club.db").exists()


async def test_a_step_that_fails_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database=tmp_path / "club.db")

    async def fail(*_: object) -> None:
        raise AppError("no")

    with monkeypatch.context() as patch:
        patch.setattr(wiring, "STEPS", (*STEPS[:3], fail, *STEPS[3:]))
        with pytest.raises(AppError):
            async with open_server(settings, open_app()):
                pass
    # The file is free again: a second server may have it.
    async with open_server(settings, open_app()) as server:
        await server.store.check()
    with pytest.raises(StoreUnavailable):
        await server.store.check()
