"""Every exception of the server, with its code. Only `syncd/api/errors.py` knows how they look over HTTP.

A change that loses or is refused is an outcome, not an exception; an exception ends a whole request.

    SyncdError
      RequestError     the caller's doing: InvalidMessage, NotFound, UnsupportedMedia, TooLarge, TooSlow, RateLimited
      AccessError      Unauthenticated, Forbidden; IssuerUnavailable: who asks cannot be known now
      StoreError       StoreUnavailable, StoreCorrupt, SchemaTooNew: the driver's exception stays as __cause__
      DocumentError    DocumentUnreadable, DocumentsUnavailable: of CRDT documents and the processes that read them
      AppError         the app module cannot be loaded or declares something impossible
      SettingsError    the server cannot start as it was asked to
      CommandError     a command of the command line could not be done
      ShuttingDown     the server is closing; another try in a moment will be answered
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

__all__ = [
    "AccessError",
    "AppError",
    "CommandError",
    "DocumentError",
    "DocumentUnreadable",
    "DocumentsUnavailable",
    "Exceeded",
    "Forbidden",
    "InvalidMessage",
    "IssuerUnavailable",
    "NotFound",
    "RateLimited",
    "RequestError",
    "SchemaTooNew",
    "SettingsError",
    "ShuttingDown",
    "StoreCorrupt",
    "StoreError",
    "StoreUnavailable",
    "SyncdError",
    "TooLarge",
    "TooSlow",
    "Unauthenticated",
    "UnsupportedMedia",
]


class SyncdError(Exception):
    """`code` is stable text, given once and never reused; `message` a sentence; `hint` says what to do next.

    `field` names the place in the message; `retry_after_s` says that the same request may succeed later, and when.
    """

    code: ClassVar[str] = "internal_error"
    default_hint: ClassVar[str] = "This is a fault of the server; its log says more."

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.field = field
        self.retry_after_s = retry_after_s
        self.problem_code = code or self.code


class RequestError(SyncdError):
    """The request cannot be understood or is not allowed in this form; sending it again will not help."""

    code = "invalid_request"
    default_hint = "Correct the request; docs/protocol.md shows every message."


class InvalidMessage(RequestError):
    """The body is not a message of the protocol; `code` may be made more precise."""

    code = "invalid_message"


class UnsupportedMedia(RequestError):
    """A content type or encoding that the server does not read."""

    code = "unsupported_media_type"
    default_hint = "Send JSON as 'Content-Type: application/json', or MessagePack as application/msgpack."


class TooLarge(RequestError):
    """The message is over a limit that every reply advertises."""

    code = "too_large"
    default_hint = "Split it: the limits are in every reply under 'limits'."


class TooSlow(RequestError):
    """The body did not arrive in time."""

    code = "too_slow"
    default_hint = "Send it again, in smaller pieces if the connection is slow; nothing was applied."


class NotFound(RequestError):
    """What the URL names is not there; `code` says what."""

    code = "not_found"
    default_hint = "Look at the list above it."


class Exceeded(NamedTuple):
    """The limit that somebody is over. `limit`: how many there may be.

    `wait_ms`: how long until there is room; where nobody can know, until it is worth another try; more than 0.
    `full_at_ms`: when all of it is free again, in milliseconds since 1970; 0 where nobody can know.
    """

    limit: int
    wait_ms: int
    full_at_ms: int = 0

    @property
    def wait_s(self) -> int:
        """Not less than that."""
        return -(-self.wait_ms // 1000)


class RateLimited(RequestError):
    """Too much at once, or too often. `exceeded`: of what; it says when there is room again."""

    code = "rate_limited"
    default_hint = "Wait as long as Retry-After says, and then send the same request again."

    def __init__(self, message: str, exceeded: Exceeded, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code, retry_after_s=exceeded.wait_s)
        self.exceeded = exceeded


class AccessError(SyncdError):
    """Who asks may not."""

    code = "forbidden"


class Unauthenticated(AccessError):
    """No token, or not the right one."""

    code = "unauthenticated"
    default_hint = "Send the header 'Authorization: Bearer TOKEN' with the server's SYNCD_TOKEN."


class Forbidden(AccessError):
    """Known, but not allowed."""

    code = "forbidden"
    default_hint = "Ask whoever runs the server for access."


class IssuerUnavailable(AccessError):
    """Whoever issues these tokens cannot be asked now, so that nobody can say whether the token is good."""

    code = "issuer_unavailable"
    default_hint = "Nothing was applied; keep the token and send the same request again later."


class StoreError(SyncdError):
    """The database failed."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """The database cannot be reached or written now (locked, disk full); nothing was applied."""

    code = "store_unavailable"
    default_hint = "Nothing was applied; send the same request again later. The operator should look at disk and log."


class StoreCorrupt(StoreError):
    """The database holds what cannot be."""

    code = "store_corrupt"
    default_hint = "Stop the server, keep a copy of the file, and restore the newest backup."


class SchemaTooNew(StoreError):
    """The database was written by a newer syncd."""

    code = "schema_too_new"
    default_hint = "Upgrade syncd, or start it on a copy of the data made before the upgrade."


class DocumentError(SyncdError):
    """CRDT documents cannot be read."""

    code = "document_error"


class DocumentUnreadable(DocumentError):
    """What is stored of one document does not load (invariant 12). It stays as it is; other documents are served."""

    code = "document_unreadable"
    default_hint = (
        "Nothing of it is lost: its snapshot and updates are still stored. Keep a copy of the database, then restore "
        "the newest backup in which the document can be read."
    )

    @classmethod
    def of(cls, key: tuple[str, str, str], sentence: str) -> DocumentUnreadable:
        """The error of this document, with why."""
        return cls(f"The document {'/'.join(key)} cannot be read: {sentence}", field=key[2])


class DocumentsUnavailable(DocumentError):
    """No process can be started to read documents; nothing was applied."""

    code = "documents_unavailable"
    default_hint = "Send the same request again later; the operator should look at memory and at the log."


class AppError(SyncdError):
    """The app module cannot be loaded, or declares something impossible."""

    code = "app_error"
    default_hint = "Correct the app module and start the server again."


class SettingsError(SyncdError):
    """The server cannot start with these settings."""

    code = "invalid_settings"
    default_hint = "See 'syncd serve --help'."


class CommandError(SyncdError):
    """A command of the command line could not be done; nobody hears of it over the network."""

    code = "command_failed"
    default_hint = "See the command's --help."


class ShuttingDown(SyncdError):
    """The server is closing."""

    code = "shutting_down"
    default_hint = "Nothing was applied; send the same request again in a moment."
