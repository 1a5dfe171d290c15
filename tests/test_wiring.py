"""Wiring: starting is a list of steps, and what was opened is closed again whichever step fails."""

from pathlib import Path

import pytest

from syncd.app import open_app
from syncd.errors import AppError, SettingsError, StoreUnavailable, Unauthenticated
from syncd.settings import Settings
from syncd.wiring import STEPS, open_server, start
from tests.auth.issuers import Clock, jwk_of, jwks_server, private_key
from tests.auth.test_tokens import AUDIENCE, ISSUER, signed


async def test_the_steps_have_names_and_say_what_they_do() -> None:
    assert [step.__name__ for step in STEPS] == [
        "check_settings",
        "open_rates",
        "open_tokens",
        "open_store",
        "open_people",
        "open_bus",
        "open_documents",
        "open_engine",
        "open_jobs",
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


async def test_tokens_of_ours_and_of_trusted_issuers_are_taken_and_no_others(tmp_path: Path) -> None:
    async with jwks_server() as club:
        club.publish(jwk_of(private_key("ES256"), "k1", "ES256"))
        trusted = {"issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["ES256"], "jwks_url": club.url}
        settings = Settings(
            database=tmp_path / "club.db",
            accounts=True,
            trusted_issuers=(trusted,),
            google={"client_ids": ["web"], "client_secret": "hidden", "redirect_uris": ["https://club.example/cb"]},
            apple={"client_ids": ["club.app"]},
        )
        async with open_server(settings, open_app(), now_ms=Clock()) as server:
            issued = server.issuer.issue("anna")
            assert (await server.verifier.verify(issued.token)).token_id == issued.id
            theirs = signed(key=private_key("ES256"), algorithm="ES256", kid="k1")
            assert (await server.verifier.verify(theirs)).issuer == ISSUER
            with pytest.raises(Unauthenticated):
                await server.verifier.verify(signed(key=private_key("ES256", "stranger"), algorithm="ES256", kid="k1"))
            assert set(server.providers) == {"google", "apple"}
            assert server.google_flow is not None


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
        patch.setattr(start, "STEPS", (*STEPS[:3], fail, *STEPS[3:]))
        with pytest.raises(AppError):
            async with open_server(settings, open_app()):
                pass
    # The file is free again: a second server may have it.
    async with open_server(settings, open_app()) as server:
        await server.store.check()
    with pytest.raises(StoreUnavailable):
        await server.store.check()
