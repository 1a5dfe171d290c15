"""The envelopes: strict, and every refusal names the place."""

import pytest

from conflict_rules.values import RepeatedKeys
from syncd.api.codec import decode_json
from syncd.api.envelope import read_message
from syncd.api.frames import Hello, Subscribe, read_frame
from syncd.api.messages import PullRequest, PushRequest
from syncd.errors import InvalidMessage


def test_a_push_keeps_its_changes_as_they_were_sent() -> None:
    changes = [{"n": 1}, "nonsense", None, RepeatedKeys("n")]
    message = read_message(PushRequest, {"replica": "r1", "schema": 2, "changes": changes})
    assert message.schema_ == 2
    assert all(kept is sent for kept, sent in zip(message.changes, changes, strict=True))


def test_a_push_that_names_no_schema_is_of_the_first() -> None:
    assert read_message(PushRequest, {"replica": "r1", "changes": []}).schema_ == 1


@pytest.mark.parametrize(
    ("kind", "text", "field"),
    [
        (PushRequest, '{"replica": "r1"}', "changes"),
        (PushRequest, '{"changes": []}', "replica"),
        (PushRequest, '{"replica": 1, "changes": []}', "replica"),
        (PushRequest, '{"replica": "r1", "changes": {}}', "changes"),
        (PushRequest, '{"replica": "r1", "changes": [], "schema": "1"}', "schema"),
        (PushRequest, '{"replica": "r1", "changes": [], "schema": 1.0}', "schema"),
        (PushRequest, '{"replica": "r1", "changes": [], "schema": true}', "schema"),
        (PushRequest, '{"replica": "r1", "changes": [], "schema": -1}', "schema"),
        (PushRequest, '{"replica": "r1", "changes": [], "schema_": 1}', "schema_"),
        (PushRequest, '{"replica": "r1", "changes": [], "colour": "red"}', "colour"),
        (PullRequest, '{"replica": "r1"}', "scopes"),
        (PullRequest, '{"scopes": ["match:1"]}', "scopes"),
        (PullRequest, '{"scopes": {"match:1": 7}}', "scopes.match:1"),
        (PullRequest, '{"scopes": {}, "limit_bytes": 0}', "limit_bytes"),
        (PullRequest, '{"scopes": {"a": null, "a": null}}', "a"),
        (PullRequest, '{"scopes": {}, "scopes": {"a": null}}', "scopes"),
        (PullRequest, '{"scopes": {"a": "\\ud800"}}', "scopes.a"),
        (Hello, '{"type": "hello", "token": 1}', "token"),
    ],
)
def test_a_wrong_envelope_is_refused_with_the_place(kind: type[PushRequest], text: str, field: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        read_message(kind, decode_json(text.encode()))
    assert refused.value.field == field
    assert field in refused.value.message
    assert refused.value.problem_code == ("repeated_key" if "twice" in refused.value.message else "invalid_message")


def test_an_unknown_key_is_refused_with_the_keys_there_are() -> None:
    with pytest.raises(InvalidMessage, match="the keys are replica, user, schema, changes"):
        read_message(PushRequest, {"replica": "r1", "changes": [], "colour": "red"})


@pytest.mark.parametrize("value", [None, 1, "hello", [], True])
def test_what_is_no_object_is_no_message(value: object) -> None:
    with pytest.raises(InvalidMessage, match="object"):
        read_message(PushRequest, value)
    with pytest.raises(InvalidMessage, match="object"):
        read_frame(value)


@pytest.mark.parametrize("frame", [{}, {"type": "delta"}, {"type": None}, {"type": ["hello"]}, {"type": "__class__"}])
def test_a_frame_of_no_known_type_is_refused_with_the_types_there_are(frame: object) -> None:
    with pytest.raises(InvalidMessage, match="one of hello, subscribe") as refused:
        read_frame(frame)
    assert refused.value.field == "type"


def test_a_frame_is_read_by_its_type() -> None:
    assert read_frame({"type": "subscribe", "scopes": {"a": None, "b": "c1"}}) == Subscribe(
        type="subscribe", scopes={"a": None, "b": "c1"}
    )


def test_a_frame_that_names_a_key_twice_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="twice"):
        read_frame(decode_json(b'{"type": "hello", "token": "a", "token": "b"}'))
