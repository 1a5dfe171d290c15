"""Settings: from the environment, with a unit in every name and a help for each."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from syncd.auth.rules import AccountRules, HashCost, MailRules, PasswordRules, SessionRules, SmtpServer
from syncd.cli_shared import settings_from
from syncd.engine.limits import Limits
from syncd.errors import SettingsError
from syncd.limiting.rate import Rate
from syncd.settings import MIN_TOKEN_LENGTH, Settings


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_every_number_has_its_unit_in_its_name() -> None:
    units = ("_s", "_ms", "_bytes", "_changes", "_scopes", "_replicas", "_workers", "_passes", "_lanes", "_sockets")
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
    assert [name for name in numbers if not name.endswith(units)] == ["port"]


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PORT", "9000")
    monkeypatch.setenv("SYNCD_DATABASE", "/data/club.db")
    monkeypatch.setenv("SYNCD_WEBSOCKET_ORIGINS", "https://a.example, https://b.example,")
    settings = Settings()
    assert (settings.port, settings.database) == (9000, Path("/data/club.db"))
    assert settings.websocket_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("prefix", ["SYNCD_", ""])
def test_origins_are_also_read_under_the_names_that_other_programs_use(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(f"{prefix}CORS_ORIGINS", "https://A.example/,capacitor://localhost")
    monkeypatch.setenv(f"{prefix}WEBSOCKET_ORIGINS", "https://b.example")
    settings = Settings()
    assert settings.cors_origins == ("https://a.example", "capacitor://localhost")
    assert settings.socket_origins == ("https://a.example", "capacitor://localhost", "https://b.example")


def test_our_own_name_comes_before_that_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example")
    monkeypatch.setenv("SYNCD_CORS_ORIGINS", "https://b.example")
    assert Settings().cors_origins == ("https://b.example",)
    assert Settings(cors_origins=("https://c.example",)).cors_origins == ("https://c.example",)


def test_any_page_may_ask_only_where_a_token_is_needed() -> None:
    for name in ("cors_origins", "websocket_origins"):
        with pytest.raises(SettingsError, match="any web page"):
            Settings(**{name: "*"}).check()
        Settings(**{name: "*"}, token="x" * MIN_TOKEN_LENGTH).check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cors_origins", "null"),
        ("cors_origins", "club.example"),
        ("websocket_origins", "https://club.example/app"),
        ("rate_limits", "authenticated=often"),
        ("rate_limits", "nobody=3/hour"),
        ("rate_limiting", "sometimes"),
        ("trusted_proxies", "my-proxy"),
        ("forwarded_header", "x-real-ip"),
    ],
)
def test_what_the_edge_could_not_go_by_is_refused_at_the_start(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**{name: value})


def test_rates_and_proxies_are_read() -> None:
    settings = Settings(rate_limits="premium=9/second, GET /courts=60/minute", trusted_proxies="10.0.0.0/8,127.0.0.1")
    assert settings.rates == {"premium": Rate(9, 1000), "GET /courts": Rate(60, 60_000)}
    assert (settings.proxies.has("10.9.9.9"), settings.proxies.has("192.0.2.1")) == (True, False)


def test_what_is_passed_in_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PORT", "9000")
    assert Settings(port=1).port == 1


def test_the_limits_are_those_of_the_engine_unless_set() -> None:
    assert Settings().limits == Limits()
    assert Settings(max_changes=5, page_bytes=2048).limits == Limits(max_changes=5, page_bytes=2048)


def test_every_limit_can_be_set() -> None:
    assert set(Limits().as_dict()) <= set(Settings.model_fields)


def test_accounts_are_as_their_rules_have_it_unless_set() -> None:
    settings = Settings()
    assert (settings.account_rules, settings.password_rules) == (AccountRules(), PasswordRules())
    assert (settings.hash_cost, settings.session_rules) == (HashCost(), SessionRules())
    assert (settings.mail_rules, settings.smtp) == (MailRules(), None)


def test_everything_about_accounts_can_be_set() -> None:
    settings = Settings(
        verified_email_only=False,
        registration=False,
        password_classes=True,
        password_hash_passes=1,
        password_hash_bytes=8192,
        password_hash_lanes=1,
        session_idle_s=60,
        session_lifetime_s=61,
        refresh_rotation=False,
        refresh_grace_s=5,
        service_name="The club",
        account_page="https://club.example/account",
        verify_code_s=62,
        reset_code_s=63,
        mail_give_up_s=64,
        smtp_server="mail.club.example:587",
        smtp_user="post",
        smtp_password="a mail secret",
    )
    assert settings.account_rules == AccountRules(verified_only=False, registration=False)
    assert settings.password_rules == PasswordRules(classes=True)
    assert settings.hash_cost == HashCost(1, 8192, 1)
    assert settings.session_rules == SessionRules(60_000, 61_000, 5_000, rotate=False)
    assert settings.mail_rules == MailRules("The club", "https://club.example/account", 62_000, 63_000, 64_000)
    assert settings.smtp == SmtpServer("mail.club.example", 587, "starttls", "post", "a mail secret")
    assert "a mail secret" not in f"{settings!r} {settings.smtp!r}"
    with pytest.raises(ValidationError):
        Settings(smtp_server="mail.club.example")


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


SECRET = "f3Wm0pZt9cQx7LrUa2Vd6NyKe8HbGj4s-and-some"
OF_AN_EXAMPLE = "your-secret-key-here-and-here-and-here"


class TestTheSharedToken:
    @pytest.mark.parametrize("token", ["", "   "])
    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
    @pytest.mark.parametrize("accounts", [False, True])
    def test_an_empty_one_is_refused_everywhere(
        self, monkeypatch: pytest.MonkeyPatch, token: str, host: str, accounts: bool
    ) -> None:
        monkeypatch.setenv("SYNCD_TOKEN", token)
        with pytest.raises(SettingsError, match="and empty") as refused:
            Settings(host=host, accounts=accounts).check()
        assert refused.value.field == "token"

    @pytest.mark.parametrize(
        "others", [{"trusted_proxies": "1"}, {"accounts": True}, {"environment": "production", "secret_key": SECRET}]
    )
    def test_a_short_one_is_for_this_machine_only(self, others: dict[str, object]) -> None:
        Settings(token="short").check()
        with pytest.raises(SettingsError, match="shorter"):
            Settings(token="short", **others).check()
        Settings(token="x" * MIN_TOKEN_LENGTH, **others).check()

    def test_one_of_an_example_is_refused_in_production(self) -> None:
        Settings(token=OF_AN_EXAMPLE).check()
        with pytest.raises(SettingsError, match="in production SYNCD_TOKEN") as refused:
            Settings(token=OF_AN_EXAMPLE, environment="production", secret_key=SECRET).check()
        assert OF_AN_EXAMPLE not in f"{refused.value} {refused.value.hint}"


class TestTokens:
    @pytest.mark.parametrize("name", ["SYNCD_SECRET_KEY", "SECRET_KEY"])
    def test_the_secret_key_has_two_names(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, SECRET)
        settings = Settings()
        assert settings.secret_key is not None
        assert settings.secret_key.get_secret_value() == SECRET
        assert SECRET not in f"{settings!r} {settings} {settings.signing_keys!r}"

    @pytest.mark.parametrize("name", ["SYNCD_ENVIRONMENT", "ENVIRONMENT"])
    def test_so_has_the_environment(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "production")
        assert Settings().environment == "production"

    @pytest.mark.parametrize("secret", [None, OF_AN_EXAMPLE, "ChangeMe-0123456789-abcdefghijklmnopq"])
    def test_production_wants_a_secret_of_its_own(self, secret: str | None) -> None:
        Settings(secret_key=secret).check()
        with pytest.raises(SettingsError, match="in production"):
            Settings(environment="production", secret_key=secret).check()
        Settings(environment="production", secret_key=SECRET).check()

    def test_so_does_every_other_key_that_tokens_are_taken_by(self) -> None:
        issuer = {"issuer": "https://id.example", "audiences": ["club"], "algorithms": ["HS256"]}
        for name, good, example in (
            ("older_secret_keys", (SECRET[::-1],), (SECRET[::-1], OF_AN_EXAMPLE)),
            ("trusted_issuers", ({**issuer, "secret": SECRET},), ({**issuer, "secret": OF_AN_EXAMPLE},)),
        ):
            Settings(secret_key=SECRET, accounts=True, **{name: example}).check()
            Settings(environment="production", secret_key=SECRET, accounts=True, **{name: good}).check()
            with pytest.raises(SettingsError, match="in production") as refused:
                Settings(environment="production", secret_key=SECRET, accounts=True, **{name: example}).check()
            assert refused.value.field == name
            assert OF_AN_EXAMPLE not in f"{refused.value} {refused.value.hint}"

    def test_so_does_what_others_have_given_us(self) -> None:
        google = {"client_ids": ["c"], "redirect_uris": ["https://club.example/auth/v1/providers/google/callback"]}
        people = {"secret_key": SECRET, "accounts": True}
        for name, good, example in (
            ("smtp_password", SECRET, OF_AN_EXAMPLE),
            ("google", {**google, "client_secret": SECRET}, {**google, "client_secret": OF_AN_EXAMPLE}),
        ):
            Settings(**people, **{name: example}).check()
            Settings(environment="production", **people, **{name: good}).check()
            with pytest.raises(SettingsError, match="in production") as refused:
                Settings(environment="production", **people, **{name: example}).check()
            assert refused.value.field == name
            assert OF_AN_EXAMPLE not in f"{refused.value} {refused.value.hint}"

    def test_what_opens_accounts_is_not_set_in_vain(self) -> None:
        issuer = {"issuer": "https://id.example", "audiences": ["club"], "algorithms": ["HS256"], "secret": SECRET}
        provider = {"client_ids": ["c"]}
        for name, given in (("trusted_issuers", (issuer,)), ("google", provider), ("apple", provider)):
            with pytest.raises(SettingsError, match="SYNCD_ACCOUNTS is not") as refused:
                Settings(**{name: given}).check()
            assert refused.value.field == name
            Settings(**{name: given}, accounts=True, registration=False).check()

    @pytest.mark.parametrize(
        ("secret", "algorithm"), [("short", None), (SECRET, "HS512"), (SECRET, "EdDSA"), (None, "ES256")]
    )
    def test_a_key_that_cannot_sign_is_refused_everywhere(self, secret: str | None, algorithm: str | None) -> None:
        with pytest.raises(SettingsError, match="cannot be used") as refused:
            Settings(secret_key=secret, token_algorithm=algorithm).check()
        assert secret is None or secret not in f"{refused.value} {refused.value.hint}"

    def test_without_one_each_start_makes_one(self) -> None:
        one, other = (Settings().signing_keys.active.verification.kid for _ in range(2))
        assert one != other

    def test_lists_and_objects_are_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        issuer = {"issuer": "https://id.example", "audiences": ["club"], "algorithms": ["HS256"], "secret": SECRET}
        monkeypatch.setenv("SYNCD_ACCOUNTS", "true")
        monkeypatch.setenv("SYNCD_TRUSTED_ISSUERS", json.dumps([issuer]))
        monkeypatch.setenv("SYNCD_OLDER_SECRET_KEYS", json.dumps([SECRET[::-1]]))
        monkeypatch.setenv("SYNCD_APPLE", json.dumps({"client_ids": ["club.app"]}))
        monkeypatch.setenv("SYNCD_TOKEN_AUDIENCES", "club, shop")
        settings = Settings()
        settings.check()
        assert [trusted.issuer for trusted in settings.trusted_issuers] == ["https://id.example"]
        assert settings.apple is not None
        assert settings.token_audiences == ("club", "shop")
        assert SECRET not in f"{settings!r}"

    def test_nobody_else_issues_in_our_name(self) -> None:
        ours = {"issuer": "syncd", "audiences": ["club"], "algorithms": ["HS256"], "secret": SECRET}
        with pytest.raises(SettingsError, match="the same"):
            Settings(trusted_issuers=(ours,)).check()

    @pytest.mark.parametrize("text", [f'[{{"secret": "{SECRET}"', f'[{{"secret": "{SECRET}"}}]', f'"{SECRET}"'])
    def test_a_mistake_in_them_is_told_without_the_secret(
        self, monkeypatch: pytest.MonkeyPatch, text: str, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SYNCD_TRUSTED_ISSUERS", text)
        with pytest.raises(SettingsError, match="trusted_issuers") as refused:
            settings_from(database=tmp_path / "club.db")
        assert SECRET not in f"{refused.value} {refused.value.hint}"
