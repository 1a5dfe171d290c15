"""A network without sockets: requests go through the protocol's own encoders to an engine in the same process.

Stands in for the SDK's `Transport`. What becomes of each request is thrown with the history's dice, so that a seed
plays the same history again. `told` hears of every push that reached the server, also when its answer is lost.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client_sdk.credentials import Credentials
from client_sdk.errors import Unreachable
from client_sdk.messages import (
    DocumentAnswer,
    Limits,
    PullReply,
    PushReply,
    decode_documents_reply,
    decode_pull_reply,
    decode_push_reply,
    encode_push,
    parse,
)
from conflict_rules.values import JsonValue
from syncd.api.codec import decode_json, encode_json
from syncd.api.envelope import read_message
from syncd.api.messages import DocumentItem, DocumentsRequest, PullRequest, PushRequest
from syncd.api.sync import encode_pages
from syncd.engine.document_reader import AskedDocument, DocumentReader
from syncd.errors import SyncdError
from syncd.store.protocol import DocumentKey
from tests.support.engine import Engine

__all__ = ["InProcess", "Late", "Network"]

Told = Callable[[str, list[dict[str, Any]], list[dict[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class Late:
    """A push that is still on its way."""

    body: bytes


class Network:
    """Between all replicas of a history and its server. `engine` may be exchanged for another life of it, and `reader`
    with it, by which documents are brought, if there are any."""

    def __init__(self, dice: random.Random, told: Told) -> None:
        self.engine: Engine | None = None
        self.reader: DocumentReader | None = None
        self.dice = dice
        self.told = told
        self.faulty = True
        self.late: list[Late] = []

    async def push(self, body: bytes) -> bytes:
        """The answer to a push; raises `Unreachable` where it, or the request, gets lost or comes late."""
        fate = self.fate()
        if fate == "lose":
            raise Unreachable("the request was lost")
        if fate == "hold":
            self.late.append(Late(body))
            raise Unreachable("the request is late")
        answer = await self.serve_push(body)
        if fate == "twice":
            answer = await self.serve_push(body)
        if fate == "lose_reply":
            raise Unreachable("the answer was lost")
        return answer

    async def deliver(self, late: Late) -> None:
        """Let a push arrive that nobody waits for any more."""
        self.late.remove(late)
        await self.serve_push(late.body)

    async def pull(self, body: bytes) -> bytes:
        """The answer to a pull."""
        if (fate := self.fate()) in ("lose", "hold"):
            raise Unreachable("the request was lost")
        engine = self.server()
        message = read_message(PullRequest, decode_json(body))
        limit_bytes = self.dice.choice([None, None, 300]) if self.faulty else None
        pages = await engine.puller.pull(message.replica, message.scopes, limit_bytes, digest=message.digest)
        if fate == "lose_reply":
            raise Unreachable("the answer was lost")
        return encode_pages(pages, engine.clock(), encode_json({}))

    async def documents(self, body: bytes) -> bytes:
        """The answer to who asks for documents: perhaps of the first ones only."""
        if (fate := self.fate()) in ("lose", "hold"):
            raise Unreachable("the request was lost")
        self.server()
        asked = read_message(DocumentsRequest, decode_json(body)).documents
        answers = [await self.document(item) for item in asked]
        if fate == "lose_reply":
            raise Unreachable("the answer was lost")
        if fate == "twice":
            answers = answers[: self.dice.randint(1, len(answers))]
        return encode_json({"documents": answers, "more": len(answers) < len(asked)})

    async def document(self, item: DocumentItem) -> dict[str, JsonValue]:
        assert self.reader is not None
        key = DocumentKey(item.type, item.id, item.field)
        named: dict[str, JsonValue] = dict(key._asdict())
        state = None if item.state is None else base64.b64decode(item.state)
        try:
            part = await self.reader.read(AskedDocument(key, item.since or 0, item.seq, state))
        except SyncdError as error:
            return {**named, "code": error.problem_code, "message": error.message}
        updates: list[JsonValue] = [base64.b64encode(update).decode() for update in part.updates]
        return {**named, "since": part.since, "seq": part.seq, "updates": updates}

    async def serve_push(self, body: bytes) -> bytes:
        engine = self.server()
        message = read_message(PushRequest, decode_json(body))
        reply = await engine.pusher.push(message.replica, message.schema_, message.changes)
        answer = encode_json(
            {
                "replica": reply.replica,
                "settled": reply.settled,
                "server_time_ms": engine.clock(),
                "limits": {},
                "outcomes": reply.outcomes,
            }
        )
        self.told(message.replica, message.changes, json.loads(answer)["outcomes"])
        return answer

    def server(self) -> Engine:
        if self.engine is None:
            raise Unreachable("nobody listens")
        return self.engine

    def fate(self) -> str:
        if not self.faulty:
            return "pass"
        return self.dice.choices(["pass", "lose", "lose_reply", "hold", "twice"], [70, 7, 11, 7, 5])[0]


class InProcess:
    """One replica's transport."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.credentials = Credentials(None, 1.0)
        self.limits = Limits()

    async def close(self) -> None:
        """There is nothing to close."""

    async def push(self, replica: str, schema: int, bodies: Sequence[str]) -> tuple[PushReply, int]:
        """See `Transport.push`."""
        answer = await self.network.push(encode_push(replica, schema, list(bodies)))
        return decode_push_reply(parse(answer), replica), 0

    async def pull(
        self, replica: str, cursors: Mapping[str, str | None], limit_bytes: int | None, *, digest: bool = False
    ) -> tuple[PullReply, int]:
        """See `Transport.pull`."""
        request: dict[str, JsonValue] = {"replica": replica, "scopes": dict(cursors), "digest": digest}
        return decode_pull_reply(parse(await self.network.pull(json.dumps(request).encode()))), 0

    async def documents(self, requests: Sequence[Mapping[str, JsonValue]]) -> list[DocumentAnswer]:
        """See `Transport.documents`."""
        answer = await self.network.documents(json.dumps({"documents": list(requests)}).encode())
        return decode_documents_reply(parse(answer), len(requests))
