"""Where the server listens, who may knock, and for how long."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from syncd.api.access import is_loopback
from syncd.api.client_address import ForwardedHeader, TrustedProxies
from syncd.api.origins import ANY, check_origin_text
from syncd.api.rate_limits import Limiting
from syncd.errors import SettingsError
from syncd.limiting.rate import Rate
from syncd.limiting.table import RateTable
from syncd.settings.texts import MAKE_A_SECRET, is_of_an_example, split_at_commas

__all__ = ["MIN_TOKEN_LENGTH", "EdgeSettings"]

MIN_TOKEN_LENGTH: Final = 16
"""Of the shared token, in characters, where others than whoever is on this machine may try it."""


class EdgeSettings(BaseModel):
    """The edge of one server process."""

    host: str = Field("127.0.0.1", description="the address to listen on; others than loopback need a token")
    port: int = Field(8000, ge=0, le=65535, description="the port to listen on; 0 picks a free one")
    token: SecretStr | None = Field(None, description="the shared token that every device must show")
    websocket_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=AliasChoices("SYNCD_WEBSOCKET_ORIGINS", "WEBSOCKET_ORIGINS"),
        description="origins of web pages that may open a socket or a stream, with commas between them; those of "
        "SYNCD_CORS_ORIGINS may anyway (also read from WEBSOCKET_ORIGINS)",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=AliasChoices("SYNCD_CORS_ORIGINS", "CORS_ORIGINS"),
        description="origins of web pages that may ask and read answers, with commas between them; * for any, without "
        "cookies (also read from CORS_ORIGINS)",
    )
    trusted_proxies: str = Field(
        "",
        description="proxies in front of the server, whose word counts for where a request came from: how many, such "
        "as 1, or their networks, such as 10.0.0.0/8,127.0.0.1",
    )
    forwarded_header: ForwardedHeader = Field(
        "x-forwarded-for", description="the header in which they say it; the other one is not read"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the lowest level that is logged"
    )
    log_requests: Literal["debug", "info"] = Field("debug", description="the level at which each request is logged")
    rate_limiting: Limiting = Field(
        Limiting.AUTO,
        description="who is held to the rates: auto (everybody but whoever runs the server), on (he too) or off",
    )
    rate_limits: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="rows of the table in limits.md that are to be otherwise, with commas between them, such as "
        "authenticated=600/minute,GET /courts=60/minute",
    )
    max_user_sockets: int = Field(20, ge=1, description="open at once of one user, streams counted too")
    max_address_sockets: int = Field(
        500, ge=1, description="open at once from one address, of those who have not said who they are"
    )
    body_timeout_s: float = Field(30.0, gt=0, description="how long the body of a request may take to arrive")
    idle_timeout_s: float = Field(
        20.0, gt=0, description="how long a connection may take to send the head of a request, the first or the next"
    )
    hello_timeout_s: float = Field(10.0, gt=0, description="how long a live socket may take to say hello")
    heartbeat_s: float = Field(
        20.0, gt=0, description="between the pings of a live socket; half as long for the answer"
    )
    comment_s: float = Field(15.0, gt=0, description="how long an event stream may say nothing before it shows a sign")
    shutdown_timeout_s: float = Field(1.0, gt=0, description="how long requests may go on after SIGTERM")

    @field_validator("websocket_origins", "cors_origins", "rate_limits", mode="before")
    @classmethod
    def _split_lists(cls, value: object) -> object:
        return split_at_commas(value)

    @field_validator("websocket_origins", "cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_origin_text(origin) for origin in value)

    @field_validator("rate_limits")
    @classmethod
    def _check_rates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        RateTable.parse(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        TrustedProxies.parse(value)
        return value

    @property
    def socket_origins(self) -> tuple[str, ...]:
        """Of web pages that may open a socket or a stream: whoever may ask may listen too."""
        return (*self.cors_origins, *self.websocket_origins)

    @property
    def rates(self) -> dict[str, Rate]:
        """The rows of the table of rates that are otherwise than by default."""
        return RateTable.parse(self.rate_limits)

    @property
    def proxies(self) -> TrustedProxies:
        """The proxies in front of the server."""
        return TrustedProxies.parse(self.trusted_proxies)

    @property
    def shared_token(self) -> str | None:
        """The token in clear, None if there is none."""
        return None if self.token is None else self.token.get_secret_value()

    def check_reach(self, *, accounts: bool, production: bool) -> None:
        """Raise `SettingsError` if anybody at all could come in. `accounts`: whether people log in."""
        others = not is_loopback(self.host) or bool(self.trusted_proxies) or accounts or production
        self._check_token(others=others, production=production)
        if self.shared_token is None and not accounts and ANY in self.socket_origins:
            raise SettingsError(
                "without a token, any web page that is open on this machine could read and change everything",
                hint="Name the origins of the pages that may, in the place of *, or set SYNCD_TOKEN.",
                field="cors_origins",
            )
        if self.shared_token is None and not accounts and not is_loopback(self.host):
            raise SettingsError(
                f"without a token the server listens on this machine only, not on {self.host!r}",
                hint="Set SYNCD_TOKEN to a long random text that the devices know too, or leave out --host.",
                field="host",
            )

    def _check_token(self, *, others: bool, production: bool) -> None:
        """Raise `SettingsError` for a token that can be guessed. `others`: whether others than this machine may try."""
        token = self.shared_token
        if token is None:
            return
        if not token.strip():
            # Compose and its like write this for a variable that nobody has set: it would be everybody's.
            raise SettingsError(
                "SYNCD_TOKEN is set, and empty",
                hint=f"Leave it out for a server of this machine only. {MAKE_A_SECRET}",
                field="token",
            )
        if others and len(token) < MIN_TOKEN_LENGTH:
            raise SettingsError(
                f"SYNCD_TOKEN is shorter than {MIN_TOKEN_LENGTH} characters: others could guess it",
                hint=MAKE_A_SECRET,
                field="token",
            )
        if production and is_of_an_example(token):
            raise SettingsError(
                "in production SYNCD_TOKEN is not the text of an example, which everybody knows",
                hint=MAKE_A_SECRET,
                field="token",
            )
