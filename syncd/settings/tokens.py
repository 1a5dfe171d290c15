"""What signs the server's access tokens, and whose others are taken."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from syncd.auth.keys import UnusableKey
from syncd.auth.signing import SigningKeys
from syncd.auth.trusted import Algorithm, AppleSignIn, GoogleSignIn, TrustedIssuer
from syncd.errors import SettingsError
from syncd.settings.texts import MAKE_A_SECRET, is_of_an_example, split_at_commas

__all__ = ["TokenSettings"]


class TokenSettings(BaseModel):
    """The tokens of one server process."""

    environment: Literal["development", "production"] = Field(
        "development",
        validation_alias=AliasChoices("SYNCD_ENVIRONMENT", "ENVIRONMENT"),
        description="in production the server does not start without a secret key of its own; also read as ENVIRONMENT",
    )
    secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SYNCD_SECRET_KEY", "SECRET_KEY"),
        description="what signs access tokens: a long random text, or a private key in PEM (Ed25519, EC P-256, RSA); "
        "without one the server makes one at each start; also read as SECRET_KEY",
    )
    older_secret_keys: tuple[SecretStr, ...] = Field(
        (), description="those before it, as a JSON list; their tokens are still taken"
    )
    token_algorithm: Algorithm | None = Field(
        None, description="what tokens are signed by; HS256 for a text, and for a private key what it is for"
    )
    token_issuer: str = Field("syncd", min_length=1, max_length=200, description="who issues the tokens, their iss")
    token_audiences: Annotated[tuple[str, ...], NoDecode] = Field(
        ("syncd",), min_length=1, description="whom they are for, their aud, with commas between them"
    )
    access_token_s: int = Field(15 * 60, ge=1, description="how long an access token is good")
    leeway_s: int = Field(60, ge=0, le=600, description="by how much the clocks of issuers may differ")
    trusted_issuers: tuple[TrustedIssuer, ...] = Field(
        (),
        description="others whose access tokens are taken, as a JSON list of objects with issuer, audiences, "
        "algorithms, and jwks_url, jwks or secret; roles_claim, required_claims and kind if need be",
    )
    google: GoogleSignIn | None = Field(
        None, description="signing in with Google, as a JSON object with client_ids; client_secret and redirect_uris"
    )
    apple: AppleSignIn | None = Field(None, description="signing in with Apple, as a JSON object with client_ids")

    @field_validator("token_audiences", mode="before")
    @classmethod
    def _split_audiences(cls, value: object) -> object:
        return split_at_commas(value)

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys of our own tokens, made up if there is none; raises `SettingsError` if one cannot be used."""
        active = secrets.token_urlsafe(64) if self.secret_key is None else self.secret_key.get_secret_value()
        try:
            older = [key.get_secret_value() for key in self.older_secret_keys]
            return SigningKeys.of_texts(active, older, self.token_algorithm)
        except UnusableKey as unusable:
            raise SettingsError(
                f"SYNCD_SECRET_KEY, or one of SYNCD_OLDER_SECRET_KEYS, cannot be used: {unusable}",
                hint=MAKE_A_SECRET,
                field="secret_key",
            ) from None

    def check_tokens(self) -> None:
        """Raise `SettingsError` for keys and issuers that cannot be, or not in production."""
        if self.environment == "production":
            self._check_examples()
        issuers = [self.token_issuer, *(trusted.issuer for trusted in self.trusted_issuers)]
        if len(set(issuers)) < len(issuers):
            raise SettingsError(
                "two of SYNCD_TRUSTED_ISSUERS and SYNCD_TOKEN_ISSUER are the same",
                hint="Each issuer is named once; give the server's own another name.",
                field="trusted_issuers",
            )
        _ = self.signing_keys

    def _check_examples(self) -> None:
        """Tokens are taken by every one of these keys: whoever knows one of them is whom he likes."""
        if self.secret_key is None or not self.secret_key.get_secret_value():
            raise SettingsError("in production SYNCD_SECRET_KEY has to be set", hint=MAKE_A_SECRET, field="secret_key")
        issuers = [trusted.secret for trusted in self.trusted_issuers if trusted.secret is not None]
        for name, keys in (
            ("secret_key", [self.secret_key]),
            ("older_secret_keys", self.older_secret_keys),
            ("trusted_issuers", issuers),
        ):
            if any(is_of_an_example(key.get_secret_value()) for key in keys):
                raise SettingsError(
                    f"in production SYNCD_{name.upper()} is not the text of an example, which everybody knows",
                    hint=MAKE_A_SECRET,
                    field=name,
                )
