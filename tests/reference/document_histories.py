"""Random histories of two to eight replicas that write into documents: the real SDK, engine, SQLite and workers.

Beside everything that `histories` plays and checks: texts, lists and maps, nested, that are edited, undone, redone and
brought from elsewhere; updates that are refused; squashes here and there; workers that are killed, and servers that
crash. What must be in the documents in the end is told by `written`. The same seed plays the same history, up to the
moments at which workers are killed and logs are squashed, on which nothing may depend.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock

from pycrdt import Array, Doc, Map, Text

import client_sdk.document_fetch
import conflict_rules.documents.document
import syncd.engine.document_reader
import syncd.engine.squash
from client_sdk import Document, NotHere, Unfit
from client_sdk.errors import TransportError
from conflict_rules import Change, InvalidValue
from syncd.app import HookTransaction, Veto
from syncd.documents.pool import DocumentPool
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.store.protocol import DocumentKey
from tests.reference.field_rules import MOST_UPDATE_BYTES
from tests.reference.histories import Device, Play, Sum, concurrent
from tests.reference.meddling import CrashingNetwork, KilledWorkers, as_the_disk_has_it
from tests.reference.model import Reference
from tests.reference.types import DOCUMENTS, FIELDS, RULES, WRITTEN
from tests.reference.written import FIRST, Written, places, tokens_in
from tests.support.engine import open_engine

__all__ = ["DocumentPlay", "play_documents"]

FILLERS = ("", "", "", "a", "né", "ने", "👩‍👩‍👧", "\n")
NAMES = ("s0", "s1", "s2")
UNITS = ("code_points", "utf16", "bytes")
CLASSES: dict[str, Any] = {"body": Text, "items": Array, "board": Map}


class Writer(Device):
    """A device on which documents are open."""

    def __init__(self, play: DocumentPlay, name: str) -> None:
        super().__init__(play, name)
        self.written = play
        self.open: dict[tuple[str, str, str], Document] = {}

    async def stop(self) -> None:
        self.open.clear()
        await super().stop()

    async def document(self, kind: str, resource: str, name: str) -> Document:
        """Opened, or still open."""
        key = (kind, resource, name)
        if key not in self.open:
            self.open[key] = await self.here.document(kind, resource, field=name)
        return self.open[key]

    async def close_some(self) -> None:
        for key in [key for key in self.open if self.play.dice.random() < 0.3]:
            await self.open.pop(key).close()

    async def pull(self) -> None:
        await super().pull()
        self.loop._fetch.try_again()
        try:
            while self.loop._fetch.due():
                await self.loop._fetch.once()
        except TransportError:
            pass


class DocumentPlay(Play):
    """One history."""

    def __init__(self, seed: int, folder: Path, pool: DocumentPool, template: Path | None = None) -> None:
        super().__init__(seed, folder, list(WRITTEN), template)
        dice = self.dice
        # The pool outlives a history: no two of them speak of the same documents.
        self.ids = [f"{kind}-{i}-{seed}" for kind in self.types for i in range(dice.choice([1, 1, 1, 2]))]
        self.vetoing = dice.random() < 0.4
        self.signal = dice.choice([0.3, 0.5, 0.9])
        self.documents = KilledWorkers(pool, dice)
        self.devices = [Writer(self, device.name) for device in self.devices]
        network = CrashingNetwork(dice, self.told)
        network.documents_of, network.fell = self.documents, self.crash
        self.network = network
        self.model = Reference({name: RULES[name] for name in self.types}, vetoes=self.vetoes)
        self.words = Written()
        self.clients = iter(random.Random(seed).sample(range(1, 1 << 20), 20_000))
        self.token = FIRST
        self.grouping = False
        self.owed: dict[tuple[str, str, str], tuple[str, bytes]] = {}
        self.doc_meetings: dict[tuple[str, str], list[tuple[str, int, int, int]]] = {}
        self.database = folder / "server.db"
        self.fallen: list[AsyncExitStack] = []
        for kind in self.types:
            declared = self.app.type(kind)
            assert declared is not None
            self.app.on_change(declared.model)(self.veto)

    async def run(self) -> Sum:
        with small(), mock.patch.object(conflict_rules.documents.document, "Doc", self.new_doc):
            try:
                return await super().run()
            finally:
                for each in self.fallen:
                    await each.aclose()

    def new_doc(self) -> Doc[Any]:
        """A document under a Yjs client id that this history has not seen: by its dice, for the order goes by it."""
        return Doc(client_id=next(self.clients))

    # What happens

    async def start_server(self) -> None:
        self.server = AsyncExitStack()
        documents = cast(Any, self.documents)
        opened = open_engine(self.database, app=self.app, clock=self.clock, documents=documents)
        engine = self.network.engine = await self.server.enter_async_context(opened)
        self.network.reader = DocumentReader(self.app, engine.store, documents, History(engine.store, self.app))

    async def crash(self) -> None:
        """All that the server's process held is gone; another one finds its file as it was at this moment."""
        copy = self.folder / f"server-{len(self.fallen) + 1}.db"
        as_the_disk_has_it(self.database, copy)
        self.documents.kill()
        assert self.server is not None
        self.fallen.append(self.server)
        self.database = copy
        await self.start_server()

    def vetoes(self, replica: str, change: dict[str, Any]) -> bool:
        """Whether the author's hook refuses it: some edits of documents, in some histories."""
        edits = change["op"] == "update" and change.get("fields", {}).keys() & DOCUMENTS.keys()
        unlucky = zlib.crc32(f"{change['id']} {replica} {change['n']}".encode()) % 4 == 0
        return bool(self.vetoing and edits and unlucky)

    async def veto(self, transaction: HookTransaction, change: Change) -> None:
        told = {"op": str(change.op.value), "id": change.id, "n": change.n, "fields": change.fields}
        if self.vetoes(change.replica, told):
            raise Veto("an unlucky number")

    def fields_of(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in FIELDS[kind] if name not in DOCUMENTS)

    async def edit(self, device: Device) -> None:
        device.catch_up()
        assert isinstance(device, Writer)
        await device.close_some()
        if self.dice.random() < 0.8:
            resource = self.dice.choice(self.ids)
            kind = resource.partition("-")[0]
            if await device.here.collection(kind).get(resource) is not None:
                name = self.dice.choices(list(DOCUMENTS), [4, 2, 2])[0]
                for _ in range(self.dice.choice([1, 1, 2, 4])):
                    await self.write(device, kind, resource, name)
                return
        await super().edit(device)

    async def one_edit(self, device: Device) -> None:
        self.grouping = device.here._group.get() is not None
        await super().one_edit(device)

    async def write(self, device: Writer, kind: str, resource: str, name: str) -> None:
        """Somebody edits a document."""
        await device.look_at(kind, resource)
        doc = await device.document(kind, resource, name)
        before = doc.to_json()
        acts = {"undo": doc.undo, "redo": doc.redo, "bring": lambda: self.bring(device, (kind, resource, name), doc)}
        act = self.dice.choices(["edit", "undo", "redo", "bring"], [14, 2, 2, 2])[0]
        try:
            if act == "edit":
                edit = {"body": self.type_, "items": self.list_, "board": self.pin}[name]
                handle = await doc.edit(lambda part: edit(part, before))
            else:
                handle = await acts[act]()
        except NotHere:
            await device.open.pop((kind, resource, name)).close()
            return
        after = doc.to_json()
        if handle is None:
            assert before == after
            return
        self.words.edited((kind, resource, name), (device.name, handle.n), before, after)
        if handle.n > len(device.made_after):
            device.made_after.append(frozenset(device.was_shown))
            device.made_of.append(frozenset())

    def fresh(self, doc: str, count: int) -> list[str]:
        """Tokens that nobody has written."""
        self.token += count
        return [chr(code) for code in range(self.token - count, self.token)]

    def type_(self, text: Any, _: Any) -> None:
        """Into a text, or out of it."""
        dice, shown = self.dice, str(text)
        unit = dice.choice(UNITS)
        at = dice.randint(0, len(shown))
        what = dice.choices(["insert", "delete", "format"], [6, 2, 1])[0] if shown else "insert"
        if what == "insert":
            run = "".join(self.fresh("", dice.randint(1, 4)))
            text.insert(count(shown[:at], unit), dice.choice(FILLERS) + run + dice.choice(FILLERS), unit=unit)
            return
        at = dice.randrange(len(shown))
        some = shown[at : at + dice.randint(1, 3)]
        if what == "delete":
            text.delete(count(shown[:at], unit), count(some, unit), unit=unit)
        else:
            text.format(count(shown[:at], unit), count(some, unit), {"bold": dice.choice([True, None])}, unit=unit)

    def list_(self, items: Any, content: Any) -> None:
        """Into a list, or out of it, or into a part that lies in it."""
        dice = self.dice
        parts = [place for place, each in enumerate(content) if isinstance(each, dict)]
        what = dice.choices(["value", "part", "delete", "within"], [4, 2, 1, 6 if parts else 0])[0]
        if what == "value" or not content:
            at = dice.randint(0, len(content))
            for token in reversed(self.fresh("", dice.randint(1, 3))):
                items.insert(at, token)
        elif what == "part":
            self.part(items.new_map(dice.randint(0, len(content))))
        elif what == "delete":
            items.delete(dice.randrange(len(content)))
        else:
            place = dice.choice(parts)
            self.within(items[place], content[place])

    def pin(self, board: Any, content: Any) -> None:
        """Under a name of a map, or away from there, or into a part that lies there."""
        dice, name = self.dice, self.dice.choice(NAMES)
        held = content.get(name)
        if isinstance(held, dict) and dice.random() < 0.7:
            self.within(board[name], held)
        elif held is not None and dice.random() < 0.2:
            del board[name]
        elif dice.random() < 0.4:
            self.part(board.new_map(name))
        else:
            board[name] = self.fresh("", 1)[0]

    def part(self, part: Any) -> None:
        part["id"] = self.fresh("", 1)[0]
        part.new_text("text", "".join(self.fresh("", self.dice.randint(0, 2))))
        part.new_array("list")

    def within(self, part: Any, content: Any) -> None:
        if self.dice.random() < 0.5:
            self.type_(part["text"], None)
        elif content["list"] and self.dice.random() < 0.2:
            part["list"].delete(self.dice.randrange(len(content["list"])))
        else:
            part["list"].insert(self.dice.randint(0, len(content["list"])), self.fresh("", 1)[0])

    async def bring(self, device: Writer, key: tuple[str, str, str], doc: Document) -> Any:
        """What was written elsewhere: by one who has seen nothing, too much at once, or no update at all."""
        dice, before = self.dice, doc.to_json()
        if dice.random() < 0.2:
            with_mistakes = dice.choice([b"", b"\1\1\1", b"\0\0\0\0", b"\xff" * 9, b"\1\1\1\0\4\1\3abc\1a\0"])
            try:
                await doc.apply(with_mistakes)
            except (InvalidValue, Unfit):
                assert doc.to_json() == before, "nothing of what is refused is shown"
                return None
            raise AssertionError(f"{with_mistakes!r} was taken for an update")
        if key[2] != "body":
            return None
        if key in self.owed:  # what has been waited for, perhaps on another device
            token, update = self.owed.pop(key)
            self.words.tokens[token].replica = device.name
            return await doc.apply(update)
        elsewhere: Doc[Any] = self.new_doc()
        elsewhere[key[2]] = text = Text()
        made: list[bytes] = []
        subscription = elsewhere.observe(lambda event: made.append(event.update))
        first, second = self.fresh("", 1), self.fresh("", 1)
        text.insert(0, first[0] + ("x" * MOST_UPDATE_BYTES if dice.random() < 0.4 else ""))
        text.insert(len(str(text).encode()), second[0])
        elsewhere.unobserve(subscription)
        self.words.brought(key, device.name, first)
        self.words.brought(key, device.name, second, needs=first[0])
        order = dice.choice([[0, 1], [1, 0], [1], [1], [0]])
        if order == [1]:
            self.owed[key] = first[0], made[0]
        handle = None
        for place in order:
            handle = await doc.apply(made[place])
            device.catch_up()
        return handle

    # What is checked

    def count(self, replica: str, change: dict[str, Any]) -> None:
        """A change was settled."""
        number, key = (replica, change["n"]), (change["type"], change["id"])
        for device in self.devices:
            if device.name == replica:
                device.catch_up()
        super().count(replica, change)
        if number not in self.model.ledger:
            return
        outcome = self.model.ledger[number][1]
        taken = outcome["outcome"] in ("applied", "merged")
        for name, value in change.get("fields", {}).items():
            if name not in DOCUMENTS:
                continue
            held = self.model.resources.get(key, {"fields": {}})["fields"].get(name)
            since = held["value"]["document"]["since"] if taken and held is not None else None
            tokens = tokens_of(change["op"], name, value)
            self.words.arrived((*key, name), number, tokens, since, whole=change["op"] != "update")
            if taken:
                met = self.doc_meetings.setdefault(("|".join(key), name), [])
                met.append((replica, change["n"], change["base"], outcome["version"]))

    async def quiet(self) -> None:
        self.documents.faulty = False
        await super().quiet()
        for device in self.devices:
            assert device.here._replica is not None
            assert not device.here._replica.documents.wanted, f"{device.name} could not bring its documents"

    async def check(self) -> None:
        await super().check()
        newcomer = Writer(self, "newcomer")
        self.devices.append(newcomer)
        await newcomer.start()
        await newcomer.pull()
        for device in self.devices[::3]:
            await device.stop()
            await device.start()
        for key in self.living():
            await self.check_document(key)
        self.words.check_kept()
        await self.check_quarantine()
        self.sum.changes = sum(map(len, self.doc_meetings.values()))
        self.sum.concurrent = len(concurrent(self.doc_meetings))

    def living(self) -> Iterator[tuple[str, str, str]]:
        """Every document that there is in the end."""
        for (kind, resource), state in self.model.content().items():
            for name in state.get("fields", {}):
                if name in DOCUMENTS:
                    yield kind, resource, name

    async def check_document(self, key: tuple[str, str, str]) -> None:
        """The server, every device and a newcomer say the same of it, and it is what was written."""
        assert self.network.reader is not None
        _, content = await self.network.reader.view(DocumentKey(*key))
        runs = None
        for device in self.devices:
            assert isinstance(device, Writer)
            shown = await device.here.collection(key[0]).get(key[1])
            assert shown is not None
            assert shown[key[2]] == content, f"{device.name} shows another {key}"
            doc = await device.document(*key)
            assert doc.current
            assert doc.to_json() == content, f"{device.name} has opened another {key}"
            if key[2] == "body":
                formatted = doc._here()._merged.root.diff()  # type: ignore[union-attr]
                runs = runs or formatted
                assert formatted == runs, f"{device.name} has formatted {key} otherwise"
        self.words.check(key, content)

    async def check_quarantine(self) -> None:
        """What was refused is there, with its bytes and the reason."""
        assert self.network.engine is not None
        async with self.network.engine.store.snapshot() as snapshot:
            page = await snapshot.quarantine(limit=10_000, limit_bytes=1 << 30)
        kept = {(row.settled.replica, row.settled.n): json.loads(row.settled.change) for row in page.rows}
        refused = {number for number, (_, told) in self.model.ledger.items() if told["outcome"] == "rejected"}
        assert kept == {number: self.sent[number] for number in refused}

    async def check_shown(self, device: Device, expected: dict[tuple[str, str], Any]) -> None:
        """Of what is no document; see `check_document`."""
        for kind in self.types:
            shown = {(kind, state.pop("id")): state for state in await device.here.collection(kind).all()}
            living = {
                each: state["fields"] for each, state in expected.items() if each[0] == kind and "fields" in state
            }
            assert shown.keys() == living.keys()
            for each, fields in living.items():
                plain = {name: value for name, value in fields.items() if name not in DOCUMENTS}
                seen = {name: value for name, value in shown[each].items() if name not in DOCUMENTS}
                assert seen == plain, f"{device.name} shows another {each}"


def count(text: str, unit: str) -> int:
    """How long a text is in a unit."""
    if unit == "bytes":
        return len(text.encode())
    return len(text) if unit == "code_points" else len(text.encode("utf-16-le")) // 2


def tokens_of(op: str, name: str, value: Any) -> set[str]:
    """The tokens in an update: those that stand there in so many bytes. A restore brings a whole document, so that it
    can be read; what it has deleted may stand in it all the same."""
    try:
        update = base64.b64decode(value["update"])
    except (TypeError, KeyError, ValueError):
        return set()
    if op != "update":
        doc: Doc[Any] = Doc()
        doc[name] = CLASSES[name]()
        doc.apply_update(update)
        return set(places(doc[name].to_py() if name != "body" else str(doc[name])))
    return set(tokens_in(update.decode("utf-8", "ignore")))


@contextmanager
def small() -> Iterator[None]:
    """Limits so low that short histories meet them: of squashes, and of what is brought by difference."""
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(syncd.engine.squash, "_MOST_UPDATES", 2))
        patches.enter_context(mock.patch.object(syncd.engine.document_reader, "_SMALL_BYTES", 100))
        patches.enter_context(mock.patch.object(client_sdk.document_fetch, "_LONG", 3))
        squashing = [each for name, each in sys.modules.items() if name.startswith("client_sdk.")]
        squashing = [each for each in squashing if hasattr(each, "_SQUASH_AFTER")]
        assert squashing, "documents are squashed on devices"
        for each in squashing:
            patches.enter_context(mock.patch.object(each, "_SQUASH_AFTER", 2))
        yield


async def play_documents(seed: int, folder: Path, pool: DocumentPool, template: Path | None = None) -> Sum:
    """Play the history of that seed in an empty folder; raises `AssertionError` where anything differs."""
    print(f"document history {seed}")
    return await DocumentPlay(seed, folder, pool, template).run()
