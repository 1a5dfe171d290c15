"""Every setting of the server, with its default, its unit and what it is for. Read once, by `wiring` and `cli`.

Each comes from the environment (`SYNCD_` and its name in capitals) unless it is passed in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from syncd.api.access import is_loopback
from syncd.documents.limits import PoolLimits, WorkerLimits
from syncd.engine.limits import Limits
from syncd.engine.quarantine import Bounds
from syncd.errors import SettingsError

__all__ = ["MIN_TOKEN_LENGTH", "Settings"]

MIN_TOKEN_LENGTH: Final = 16
"""Of the shared token, in characters, where others than this machine can reach the server."""

_LIMITS = Limits()
_BOUNDS = Bounds()
_POOL = PoolLimits()
_WORKER = WorkerLimits()


class Settings(BaseSettings):
    """What one server process runs with."""

    model_config = SettingsConfigDict(env_prefix="SYNCD_", extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="the address to listen on; others than loopback need a token")
    port: int = Field(8000, ge=0, le=65535, description="the port to listen on; 0 picks a free one")
    database: Path = Field(Path("syncd.db"), description="the SQLite file")
    token: SecretStr | None = Field(None, description="the shared token that every device must show")
    websocket_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of web pages that may open a socket, with commas between them"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the lowest level that is logged"
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

    max_changes: int = Field(_LIMITS.max_changes, ge=1, description="changes in one push")
    max_body_bytes: int = Field(_LIMITS.max_body_bytes, ge=1024, description="of one request")
    max_resource_bytes: int = Field(_LIMITS.max_resource_bytes, ge=1024, description="of one stored resource, encoded")
    max_scopes: int = Field(_LIMITS.max_scopes, ge=1, description="scopes in one pull, or watched by one socket")
    max_page_bytes: int = Field(_LIMITS.max_page_bytes, ge=1024, description="of a pull's resources, at most")
    page_bytes: int = Field(_LIMITS.page_bytes, ge=1024, description="of a pull's resources, where it names no limit")
    max_relay_bytes: int = Field(
        _LIMITS.max_relay_bytes, ge=1024, description="of edits of documents that come live with one delta, at most"
    )
    max_drift_ms: int = Field(
        _LIMITS.max_drift_ms, ge=0, description="how far ahead of the server's clock a device's stamp counts as it is"
    )
    max_present_replicas: int = Field(
        _LIMITS.max_present_replicas, ge=1, description="shown as present in one scope; of more, how many there are"
    )
    max_presence_bytes: int = Field(
        _LIMITS.max_presence_bytes, ge=64, description="of what a replica says of itself where it is present, encoded"
    )
    max_presence_per_s: int = Field(
        _LIMITS.max_presence_per_s,
        ge=1,
        description="how often that may change on one socket; beyond, the newest waits",
    )
    presence_ms: int = Field(
        _LIMITS.presence_ms, ge=1000, description="how long a replica counts as present without saying so again"
    )

    quarantine_changes: int = Field(
        _BOUNDS.changes,
        ge=1,
        description="rejected changes of one replica that are kept in the database; the oldest go to a file beside it",
    )
    quarantine_bytes: int = Field(_BOUNDS.bytes, ge=1024, description="of the same, as they were sent")

    document_workers: int = Field(
        1, ge=1, le=64, description="processes that read CRDT documents; one more stands by for those that end one"
    )
    document_memory_bytes: int = Field(
        _WORKER.memory_bytes, ge=256 << 20, description="of the address space of each of them"
    )
    document_step_s: float = Field(
        _POOL.step_s,
        gt=0,
        description="how long one may compute at one update, before it is ended and the update refused",
    )
    document_bytes: int = Field(_WORKER.document_bytes, ge=1024, description="of one document, encoded")

    @field_validator("websocket_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(origin.strip() for origin in value.split(",") if origin.strip())
        return value

    @property
    def limits(self) -> Limits:
        """The limits that every reply advertises."""
        return Limits(
            max_changes=self.max_changes,
            max_body_bytes=self.max_body_bytes,
            max_resource_bytes=self.max_resource_bytes,
            max_scopes=self.max_scopes,
            max_page_bytes=self.max_page_bytes,
            page_bytes=self.page_bytes,
            max_relay_bytes=self.max_relay_bytes,
            max_drift_ms=self.max_drift_ms,
            max_present_replicas=self.max_present_replicas,
            max_presence_bytes=self.max_presence_bytes,
            max_presence_per_s=self.max_presence_per_s,
            presence_ms=self.presence_ms,
        )

    @property
    def quarantine_bounds(self) -> Bounds:
        """What the quarantine keeps of each replica."""
        return Bounds(self.quarantine_changes, self.quarantine_bytes)

    @property
    def pool_limits(self) -> PoolLimits:
        """How long a process that reads documents may take."""
        return PoolLimits(step_s=self.document_step_s)

    @property
    def worker_limits(self) -> WorkerLimits:
        """What a process that reads documents may take up."""
        return WorkerLimits(memory_bytes=self.document_memory_bytes, document_bytes=self.document_bytes)

    @property
    def shared_token(self) -> str | None:
        """The token in clear, None if there is none."""
        return None if self.token is None else self.token.get_secret_value()

    def check(self) -> None:
        """Raise `SettingsError` for what each setting allows but not all together."""
        if is_loopback(self.host):
            return
        if self.shared_token is None:
            raise SettingsError(
                f"without a token the server listens on this machine only, not on {self.host!r}",
                hint="Set SYNCD_TOKEN to a long random text that the devices know too, or leave out --host.",
                field="host",
            )
        if len(self.shared_token) < MIN_TOKEN_LENGTH:
            raise SettingsError(
                f"SYNCD_TOKEN is shorter than {MIN_TOKEN_LENGTH} characters: others could guess it",
                hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
                field="token",
            )
