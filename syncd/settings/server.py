"""Every setting of the server, with its default, its unit and what it is for. Read once, by `wiring` and `cli`.

Each comes from the environment (`SYNCD_` and its name in capitals) unless it is passed in.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from syncd.auth.rules import PeopleRules
from syncd.errors import SettingsError
from syncd.settings.edge import EdgeSettings
from syncd.settings.limits import LimitSettings
from syncd.settings.people import PeopleSettings
from syncd.settings.texts import is_of_an_example
from syncd.settings.tokens import TokenSettings

__all__ = ["Settings"]


class Settings(LimitSettings, PeopleSettings, TokenSettings, EdgeSettings, BaseSettings):
    """What one server process runs with."""

    model_config = SettingsConfigDict(
        env_prefix="SYNCD_", extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    database: Path = Field(Path("syncd.db"), description="the SQLite file")

    @property
    def results_folder(self) -> Path:
        """Where files go that people have asked for: beside the database."""
        return self.database.with_name(f"{self.database.name}.exports")

    @property
    def people_rules(self) -> PeopleRules:
        """What holds of accounts, sessions and mail."""
        return PeopleRules(
            self.account_rules,
            self.password_rules,
            self.hash_cost,
            self.password_workers,
            self.session_rules,
            self.mail_rules,
            kept_ms=(self.access_token_s + self.leeway_s) * 1000,
            leeway_ms=self.leeway_s * 1000,
        )

    def check(self) -> None:
        """Raise `SettingsError` for what each setting allows but not all together."""
        self.check_tokens()
        if self.environment == "production":
            self._check_examples_of_others()
        for name in ("trusted_issuers", "google", "apple"):
            if getattr(self, name) and not self.accounts:
                raise SettingsError(
                    f"SYNCD_{name.upper()} is set, and SYNCD_ACCOUNTS is not: nobody could come in by it",
                    hint="Set SYNCD_ACCOUNTS=true, and SYNCD_REGISTRATION=false if nobody is to make one himself.",
                    field=name,
                )
        self.check_reach(accounts=self.accounts, production=self.environment == "production")

    def _check_examples_of_others(self) -> None:
        """What others have given us: copied from an example it does not work, which is better known now than then."""
        given = {
            "smtp_password": self.smtp_password,
            "google": None if self.google is None else self.google.client_secret,
        }
        for name, secret in given.items():
            if secret is not None and is_of_an_example(secret.get_secret_value()):
                raise SettingsError(
                    f"in production the secret in SYNCD_{name.upper()} is not the text of an example",
                    hint="Put the one there that you were given.",
                    field=name,
                )
