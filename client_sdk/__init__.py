"""The Python replica: works without a network, and syncs whenever there is one.

from client_sdk import Client

async with Client("http://127.0.0.1:8000", replica="phone.db", scopes=["main"]) as client:
    notes = client.collection("note", scope="main")
    await notes.put({"text": "kept, whatever happens next"})
    await client.synced()
"""

from client_sdk.backoff import Timing
from client_sdk.client import Client
from client_sdk.collections import Collection, DictCollection
from client_sdk.conflicts import Conflicts
from client_sdk.documents import Document
from client_sdk.errors import (
    AccountSuspended,
    Busy,
    Closed,
    Denied,
    DocumentUnreadable,
    FileInUse,
    FileOfAnother,
    FileTooNew,
    FileUnusable,
    ForeignReplica,
    LocalFileError,
    NoServer,
    NotHere,
    OtherAccount,
    OtherVersion,
    ReadOnly,
    Refused,
    ServerOutdated,
    SyncError,
    TimedOut,
    TransportError,
    Unfit,
    Unreachable,
    UpgradeRequired,
)
from client_sdk.field_edits import Add, Increment, Remove, SetEdit
from client_sdk.handles import ChangeHandle
from client_sdk.observers import CollectionChange
from client_sdk.outbox_file import Imported
from client_sdk.presence import DocumentCursor, DocumentPlace, Editing, Presence, Present, read_editing
from client_sdk.progress import Phase, Progress
from client_sdk.status import Status
from client_sdk.sync_state import SyncState
from client_sdk.watch import Watch, WatchDelta

__all__ = [
    "AccountSuspended",
    "Add",
    "Busy",
    "ChangeHandle",
    "Client",
    "Closed",
    "Collection",
    "CollectionChange",
    "Conflicts",
    "Denied",
    "DictCollection",
    "Document",
    "DocumentCursor",
    "DocumentPlace",
    "DocumentUnreadable",
    "Editing",
    "FileInUse",
    "FileOfAnother",
    "FileTooNew",
    "FileUnusable",
    "ForeignReplica",
    "Imported",
    "Increment",
    "LocalFileError",
    "NoServer",
    "NotHere",
    "OtherAccount",
    "OtherVersion",
    "Phase",
    "Presence",
    "Present",
    "Progress",
    "ReadOnly",
    "Refused",
    "Remove",
    "ServerOutdated",
    "SetEdit",
    "Status",
    "SyncError",
    "SyncState",
    "TimedOut",
    "Timing",
    "TransportError",
    "Unfit",
    "Unreachable",
    "UpgradeRequired",
    "Watch",
    "WatchDelta",
    "read_editing",
]
