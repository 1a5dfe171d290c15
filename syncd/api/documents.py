"""Documents over HTTP: `POST /sync/v1/documents`, what a replica lacks of several at once."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from conflict_rules import JsonValue
from syncd.api.body import BodyReader
from syncd.api.envelope import read_message, read_query
from syncd.api.history import answer
from syncd.api.messages import DocumentItem, DocumentQuery, DocumentsRequest
from syncd.api.request_keys import principal_of
from syncd.engine.document_reader import AskedDocument, DocumentReader
from syncd.engine.limits import Limits
from syncd.engine.sight import Sight, SightOf
from syncd.errors import InvalidMessage, SyncdError
from syncd.store.protocol import DocumentKey

__all__ = ["DocumentRoutes"]


class DocumentRoutes:
    """The route of documents. An answer may leave some of them out for its size: they are asked for again."""

    def __init__(self, *, reader: DocumentReader, bodies: BodyReader, limits: Limits, sight: SightOf) -> None:
        self._reader = reader
        self._sight = sight
        self._bodies = bodies
        self._room = limits.max_page_bytes

    async def read(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/documents`: the updates that each document lacks there."""
        value, answer_in = await self._bodies.read(request)
        message = read_message(DocumentsRequest, value)
        asked = [_asked(item, place) for place, item in enumerate(message.documents)]
        sight = self._sight(principal_of(request))
        answers: list[JsonValue] = []
        room = self._room
        for each in asked:
            if answers and room <= 0:
                break
            answer, size = await self._answer(each, sight)
            answers.append(answer)
            room -= size
        body = answer_in.encode({"documents": answers, "more": len(answers) < len(asked)})
        return web.Response(
            body=body, content_type=answer_in.content_type, headers={"Cache-Control": "no-store", "Vary": "Accept"}
        )

    async def view(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/document`: the content of one as JSON, as it is or as it was."""
        query = read_query(DocumentQuery, request.query.items())
        key = DocumentKey(query.type, query.id, query.field)
        marker, value = await self._reader.view(key, query.version, self._sight(principal_of(request)))
        return answer(request, {**key._asdict(), "since": marker.since, "seq": marker.seq, "value": value})

    async def _answer(self, asked: AskedDocument, sight: Sight) -> tuple[JsonValue, int]:
        """The answer, and its size. One document never costs the others theirs."""
        named: dict[str, JsonValue] = dict(asked.key._asdict())
        try:
            part = await self._reader.read(asked, sight)
        except SyncdError as error:
            return {**named, "code": error.problem_code, "message": error.message}, 0
        updates: list[JsonValue] = [base64.b64encode(update).decode() for update in part.updates]
        return {**named, "since": part.since, "seq": part.seq, "updates": updates}, sum(map(len, part.updates))


def _asked(item: DocumentItem, place: int) -> AskedDocument:
    state: bytes | None = None
    if item.state is not None:
        try:
            state = base64.b64decode(item.state, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidMessage(
                f"documents[{place}].state: it is no base64", field=f"documents[{place}].state", code="invalid_message"
            ) from None
    return AskedDocument(DocumentKey(item.type, item.id, item.field), item.since or 0, item.seq, state)
