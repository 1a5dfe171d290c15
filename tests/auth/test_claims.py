"""Claims, read strictly: what the tests of tokens do not already show."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.auth.claims import Claims, InvalidClaims, claims_of, read_payload

RAW: dict[str, Any] = {"iss": "https://club.example", "aud": "club", "sub": "anna", "exp": 2_000_000_000}


def test_what_is_not_said_is_empty() -> None:
    claims = claims_of(RAW)
    assert claims == Claims("anna", "https://club.example", frozenset({"club"}), 2_000_000_000_000, raw=RAW)
    assert (claims.token_id, claims.session, claims.roles, claims.nonce) == ("", "", frozenset(), "")
    assert (claims.issued_at_ms, claims.not_before_ms, claims.email, claims.email_verified) == (None, None, "", False)


def test_what_is_said_more_cannot_be_changed_and_is_not_shown() -> None:
    claims = claims_of({**RAW, "phone": "+1-555-123-4567"})
    assert claims.raw["phone"] == "+1-555-123-4567"
    assert "555" not in repr(claims)
    with pytest.raises(TypeError):
        claims.raw["phone"] = ""  # type: ignore[index]


@pytest.mark.parametrize(
    ("claim", "said", "roles"),
    [
        ("roles", {"roles": ["USER", "ADMIN"]}, {"USER", "ADMIN"}),
        ("roles", {"roles": "USER ADMIN"}, {"USER", "ADMIN"}),
        ("roles", {"roles": []}, set()),
        ("roles", {"groups": ["ADMIN"]}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["ADMIN"]}}, {"ADMIN"}),
        ("realm_access.roles", {"realm_access": ["ADMIN"]}, set()),
        ("https://club.example/roles", {"https://club.example/roles": ["ADMIN"]}, {"ADMIN"}),
        ("a.b", {"a.b": ["flat"], "a": {"b": ["deep"]}}, {"flat"}),
    ],
)
def test_roles_are_where_the_configuration_says(claim: str, said: dict[str, Any], roles: set[str]) -> None:
    assert claims_of({**RAW, **said}, roles_claim=claim).roles == roles


@pytest.mark.parametrize("roles", [7, True, {"a": 1}, [7], [["a"]], [""], ["a b"], ["x" * 65], ["a"] * 101, "\x1b[31m"])
def test_roles_that_are_none(roles: object) -> None:
    with pytest.raises(InvalidClaims, match="roles"):
        claims_of({**RAW, "roles": roles})


@pytest.mark.parametrize(("said", "verified"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_a_truth_value_may_be_text(said: object, verified: bool) -> None:
    assert claims_of({**RAW, "email": "a@b.example", "email_verified": said}).email_verified is verified


@pytest.mark.parametrize("said", [1, 0, "True", "yes", None, [], {}])
def test_but_no_other_text_and_no_number(said: object) -> None:
    with pytest.raises(InvalidClaims, match="email_verified"):
        claims_of({**RAW, "email_verified": said})


@pytest.mark.parametrize(
    "email", ["anna", "@b.example", "a@", "a@b@c", "a b@c.example", "a@b.example\r\nBcc: x@y", 7, ""]
)
def test_an_email_that_is_none(email: object) -> None:
    with pytest.raises(InvalidClaims, match="email"):
        claims_of({**RAW, "email": email})


@pytest.mark.parametrize("subject", ["auth0|5f7c", "a b", "x" * 200, "CN=Anna,OU=Club"])
def test_the_subject_of_another_issuer_need_not_be_an_id_of_ours(subject: str) -> None:
    assert claims_of({**RAW, "sub": subject}, own_ids=False).subject == subject
    with pytest.raises(InvalidClaims, match="sub"):
        claims_of({**RAW, "sub": subject})


@pytest.mark.parametrize("own_ids", [True, False])
@pytest.mark.parametrize("subject", ["", "x" * 201, "änna", "a\nb", "a\x00", 7, None, ["anna"]])
def test_but_it_is_short_printable_text(subject: object, own_ids: bool) -> None:
    with pytest.raises(InvalidClaims, match="sub"):
        claims_of({**RAW, "sub": subject}, own_ids=own_ids)


@pytest.mark.parametrize("payload", [b'{"a": 1, "a": 1}', b'{"x": {"a": 1, "a": 2}}', b'{"exp": 1, "\\u0065xp": 2}'])
def test_a_name_is_given_once(payload: bytes) -> None:
    with pytest.raises(InvalidClaims, match="twice"):
        read_payload(payload)


def test_a_reason_repeats_nothing_that_was_sent() -> None:
    for payload in (b'{"evil": "\\u0000"}', b'{"evil\\u0000": 1}', b"evil", b'{"evil": NaN}', b'{"evil": 1e999}'):
        with pytest.raises(InvalidClaims) as invalid:
            read_payload(payload)
        assert "evil" not in invalid.value.reason
