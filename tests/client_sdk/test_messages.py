"""What is not understood never reaches the file: any answer is read whole, or is as good as none."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk import Unreachable
from client_sdk.messages import (
    Limits,
    decode_delta,
    decode_pull_reply,
    decode_push_reply,
    decode_standings,
    encode_push,
    parse,
)
from client_sdk.outbox import encode_body
from conflict_rules.wire import encode_state
from tests.client_sdk.make import change, state

STATE = encode_state(state(3, text="a"))
PUSH = {
    "replica": "r",
    "settled": 1,
    "server_time_ms": 5,
    "limits": {"max_changes": 7, "max_body_bytes": 9999, "max_scopes": 3, "of_later": 1},
    "outcomes": [{"n": 1, "outcome": "applied", "version": 3, "repeat": True}],
}
PULL = {
    "server_time_ms": 5,
    "limits": {},
    "scopes": {"main": {"resources": [STATE], "cursor": "c", "settled": 1, "more": False}},
}
RELAYED = {"type": "note", "id": "x", "field": "text", "since": 3, "after": 1, "seq": 2, "updates": ["AAA="]}
DELTA = {"type": "delta", "scope": "main", "after": "a", "upto": "b", "entries": [STATE], "documents": [RELAYED]}
SUBSCRIBED = {"type": "subscribed", "scopes": {"main": {"cursor": "c"}, "other": {"pull": True}}}


def test_good_answers_are_read() -> None:
    push = decode_push_reply(PUSH, "r")
    assert (push.settled, push.answers[0].n, push.answers[0].repeat) == (1, 1, True)
    assert push.limits == Limits(7, 9999, 3)
    pull = decode_pull_reply(PULL)
    assert pull.limits == Limits()
    (held, body), *_ = pull.pages["main"].states
    assert (held.version, json.loads(body)) == (3, STATE)
    delta = decode_delta(DELTA)
    assert (delta.upto, delta.documents[0].seq, delta.documents[0].updates) == ("b", 2, [b"\0\0"])
    assert decode_standings(SUBSCRIBED) == {"main": "c", "other": None}


def test_a_push_carries_its_changes_byte_for_byte() -> None:
    bodies = [encode_body(change("create", n=n, text="Zürich")) for n in (1, 2)]
    assert json.loads(encode_push("r", 3, [], 'a"b'))["user"] == 'a"b'
    sent = encode_push("r", 3, bodies)
    assert bodies[0].encode() in sent
    assert json.loads(sent) == {"replica": "r", "schema": 3, "changes": [json.loads(body) for body in bodies]}


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, '{"a":'])
def test_what_is_no_object_is_not_understood(text: bytes | str) -> None:
    with pytest.raises(Unreachable):
        parse(text)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in _places(item, (*path, key)))]


def _with(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    changed = copy.deepcopy(value)
    if not path:
        return replacement
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = replacement
    return changed


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 1 << 60), st.floats(allow_nan=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip

READERS: list[tuple[dict[str, Any], Any]] = [
    (PUSH, lambda raw: decode_push_reply(raw, "r")),
    (PULL, decode_pull_reply),
    (DELTA, decode_delta),
    (SUBSCRIBED, decode_standings),
]


@given(st.data())
def test_any_damage_is_read_or_not_understood_but_nothing_else(data: st.DataObject) -> None:
    raw, read = data.draw(st.sampled_from(READERS))
    path = data.draw(st.sampled_from([place for place in _places(raw) if place]))
    damaged = _with(raw, path, data.draw(JUNK))
    try:
        read(damaged)
    except Unreachable as failure:
        assert "not a syncd that this SDK understands" in str(failure)  # noqa: PT017
