"""Every exception of the SDK, with its code. A change that loses or is refused is an outcome, not an exception.

SyncError
  Closed             the client has been closed
  NoServer           the client was opened without a url, so there is nobody to wait for
  NotHere            the resource is not in this replica, or was deleted
  Unfit              a resource or a type does not fit the app, or an operation does not fit the moment
  DocumentUnreadable what is here of a document does not load; it is never shown as an empty one
  LocalFileError     the local file cannot be used: FileInUse, FileTooNew, FileUnusable, FileOfAnother
  OtherVersion       the server runs another version of the app, and the queue waits; pulls go on
    UpgradeRequired  it no longer reads what was made under the version here: the app on the device is to be updated
    ServerOutdated   it does not read it yet
  TransportError     no answer, or not the one hoped for; the sync loop tries again and shows it in the status
    Unreachable      no network, no server, or an answer that is not syncd's
      TimedOut       the answer did not come in time; a smaller message may fare better
    Busy             the server asks to come back later (429, 503)
    Denied           no token, or not the right one (401, 403)
      AccountSuspended   the account is; what is sent goes to the quarantine
      ForeignReplica     another account's changes are in this file; they are not sent under this one's name
      OtherAccount       the connection is another account's; another one is opened
      ReadOnly           whoever comes by a share link may not write
    Refused          the server will not take this message, however often it is sent (400, 413, 422)
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccountSuspended",
    "Busy",
    "Closed",
    "Denied",
    "DocumentUnreadable",
    "FileInUse",
    "FileOfAnother",
    "FileTooNew",
    "FileUnusable",
    "ForeignReplica",
    "LocalFileError",
    "NoServer",
    "NotHere",
    "OtherAccount",
    "OtherVersion",
    "ReadOnly",
    "Refused",
    "ServerOutdated",
    "SyncError",
    "TimedOut",
    "TransportError",
    "Unfit",
    "Unreachable",
    "UpgradeRequired",
]


class SyncError(Exception):
    """`code`: stable text. `message`: a sentence for people, which is also the text of the exception."""

    code: ClassVar[str] = "sync_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Closed(SyncError):
    """The client has been closed."""

    code = "closed"

    def __init__(self) -> None:
        super().__init__(
            "this client has been closed; what was put is in its file, and the next one to open it goes on"
        )


class NoServer(SyncError):
    """The client was opened without a url."""

    code = "no_server"

    def __init__(self) -> None:
        super().__init__("this client was opened without a url, so nothing will ever be sent; open it with one to sync")


class NotHere(SyncError):
    """The resource is not in this replica, or was deleted."""

    code = "not_here"


class Unfit(SyncError):
    """What was asked does not fit the app, or the moment."""

    code = "unfit"


class DocumentUnreadable(SyncError):
    """What is here of a document does not load. It is brought anew from the server; what was typed here is kept."""

    code = "document_unreadable"


class LocalFileError(SyncError):
    """The local file cannot be used."""

    code = "local_file"


class FileInUse(LocalFileError):
    """Another process, or another client in this one, holds the file."""

    code = "file_in_use"


class FileTooNew(LocalFileError):
    """A newer SDK wrote the file."""

    code = "file_too_new"


class FileUnusable(LocalFileError):
    """Not a replica's file, a full disk, a folder that is not there: the driver's exception stays as __cause__."""

    code = "file_unusable"


class FileOfAnother(LocalFileError):
    """The file holds the work of another account than the one it is opened for."""

    code = "file_of_another"


class OtherVersion(SyncError):
    """The server runs another version of the app; what waits is kept, and sent again now and then."""

    code = "other_version"


class UpgradeRequired(OtherVersion):
    """The server no longer reads changes of the version under which some were made here."""

    code = "upgrade_required"


class ServerOutdated(OtherVersion):
    """The server does not know the version yet under which some changes were made here."""

    code = "server_outdated"


class TransportError(SyncError):
    """No answer, or not the one hoped for."""

    code = "transport"


class Unreachable(TransportError):
    """No network, no server, a timeout, or an answer that is not syncd's, such as a captive portal's."""

    code = "unreachable"


class TimedOut(Unreachable):
    """The answer did not come in time."""

    code = "timed_out"


class Busy(TransportError):
    """The server asks to come back later. `retry_after_s`: when, if it said so."""

    code = "busy"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Denied(TransportError):
    """No token, or not the right one."""

    code = "denied"


class _DeniedToAccount(Denied):
    """It is known who asks, and that is why."""

    _advice: ClassVar[str] = ""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {self._advice}")


class AccountSuspended(_DeniedToAccount):
    """The account is suspended."""

    code = "account_suspended"
    _advice = "what waits here is kept, and what is sent goes to the server's quarantine: ask whoever runs the server"


class ForeignReplica(_DeniedToAccount):
    """This file's changes are those of another account: they wait, under their numbers, until that one is back."""

    code = "foreign_replica"
    _advice = (
        "nothing of what waits here is sent under this account's name: sign in as the one who made it, "
        "or export_outbox and open another file"
    )


class OtherAccount(_DeniedToAccount):
    """The live connection was opened by another account."""

    code = "other_account"
    _advice = "another connection is opened for this one"


class ReadOnly(_DeniedToAccount):
    """Whoever comes by a share link reads, and does not write."""

    code = "read_only"
    _advice = "what waits here is kept: sign in to send it"


class Refused(TransportError):
    """The server will not take this message, however often it is sent. `problem_code`: its reason, as stable text."""

    code = "refused"

    def __init__(self, message: str, problem_code: str) -> None:
        super().__init__(message)
        self.problem_code = problem_code
