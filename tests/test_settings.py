"""Settings: from the environment, with a unit in every name and a help for each."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from syncd.engine.limits import Limits
from syncd.errors import SettingsError
from syncd.settings import MIN_TOKEN_LENGTH, Settings


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_every_number_has_its_unit_in_its_name() -> None:
    units = ("_s", "_ms", "_bytes", "_changes", "_scopes", "_replicas", "_workers")
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
    assert [name for name in numbers if not name.endswith(units)] == ["port"]


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PORT", "9000")
    monkeypatch.setenv("SYNCD_DATABASE", "/data/club.db")
    monkeypatch.setenv("SYNCD_WEBSOCKET_ORIGINS", "https://a.example, https://b.example,")
    settings = Settings()
    assert (settings.port, settings.database) == (9000, Path("/data/club.db"))
    assert settings.websocket_origins == ("https://a.example", "https://b.example")


def test_what_is_passed_in_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PORT", "9000")
    assert Settings(port=1).port == 1


def test_the_limits_are_those_of_the_engine_unless_set() -> None:
    assert Settings().limits == Limits()
    assert Settings(max_changes=5, page_bytes=2048).limits == Limits(max_changes=5, page_bytes=2048)


def test_every_limit_can_be_set() -> None:
    assert set(Limits().as_dict()) <= set(Settings.model_fields)


def test_the_token_is_in_no_text_of_the_settings() -> None:
    settings = Settings(token="a-long-shared-secret")
    assert "a-long-shared-secret" not in f"{settings!r} {settings}"
    assert settings.shared_token == "a-long-shared-secret"


def test_an_error_does_not_repeat_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PORT", "a-secret-by-mistake")
    with pytest.raises(ValidationError) as invalid:
        Settings()
    assert "a-secret-by-mistake" not in str(invalid.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "club.example"])
def test_without_a_token_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(SettingsError, match="without a token"):
        Settings(host=host).check()
    with pytest.raises(SettingsError, match="shorter"):
        Settings(host=host, token="x" * (MIN_TOKEN_LENGTH - 1)).check()
    Settings(host=host, token="x" * MIN_TOKEN_LENGTH).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    Settings(host=host).check()
