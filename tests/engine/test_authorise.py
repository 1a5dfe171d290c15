"""Rights that are remembered are those that would be worked out anew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conflict_rules import Mark, Origin, Stamp, State
from syncd.app.builtin import MEMBERSHIP_TYPE
from syncd.engine import authorise
from syncd.engine.authorise import MOST_REMEMBERED, Authoriser, membership_id, own_scope, standing_fields
from syncd.engine.principal import Caller, Principal
from tests.sizes import SIZES
from tests.support.roles_club import roles_club

MATCH, COURT = "match:m1", "court:c1"
APP = roles_club()
Asked = tuple[State | None, Principal, str]


def membership(scope: str, role: str, *, of: str | None = None, ended: bool = False) -> State:
    """What Sam is in a scope, or was."""
    fields = {} if ended else {"of": of or scope, "role": role, "by": "olga", "since_ms": 1}
    mark = Mark(2, Stamp(1, 0, "olga"))
    place = (own_scope("sam"), MEMBERSHIP_TYPE, membership_id(scope, "sam"))
    return State(*place, 2, fields, {}, Origin("olga", 1), mark if ended else None)


PRINCIPALS = [
    Principal(Caller.USER, "sam"),
    Principal(Caller.USER, "sam", frozenset({"admin"})),
    Principal(Caller.USER, "sam", suspended=True),
    Principal(Caller.USER, "sam", suspended=True, session="tablet"),
    Principal(Caller.USER, "sam", session="tablet"),
    Principal(Caller.USER, "sam", scopes=frozenset({COURT})),
    Principal(Caller.USER, "sam", scopes=frozenset({MATCH}), by_key=True),
]
MEMBERSHIPS = {
    scope: [
        None,
        *(membership(scope, role) for role in ("viewer", "scorer", "owner", "unknown")),
        membership(scope, "owner", of="match:other"),
        membership(scope, "owner", ended=True),
    ]
    for scope in (MATCH, COURT)
}


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Somebody, in a scope, with what he is there."""
    scope = draw(st.sampled_from((MATCH, COURT)))
    return draw(st.sampled_from(MEMBERSHIPS[scope])), draw(st.sampled_from(PRINCIPALS)), scope


@settings(max_examples=SIZES.property_examples)
@given(st.lists(asked(), min_size=2, max_size=20))
def test_whatever_was_asked_before_each_has_the_rights_that_are_his_now(questions: Sequence[Asked]) -> None:
    remembering = Authoriser(APP)
    for state, principal, scope in questions:
        anew = Authoriser(APP).rights(principal, scope, lambda _, state=state: standing_fields(state))
        told = remembering.rights_by(state, principal, scope)
        assert told == anew


def test_no_more_are_remembered_than_a_few() -> None:
    authoriser = Authoriser(APP)
    for n in range(2 * MOST_REMEMBERED + 10):
        scope = f"match:{n}"
        authoriser.rights_by(membership(scope, "scorer"), PRINCIPALS[0], scope)
    assert authoriser.remembered == 10


def test_two_scopes_whose_memberships_had_the_same_id_would_be_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of such scopes are hard to find, but rights do not hang on that."""
    monkeypatch.setattr(authorise, "membership_key", lambda scope, user: (MEMBERSHIP_TYPE, f"same~{user}"))
    authoriser, sam, owner = Authoriser(APP), PRINCIPALS[0], membership(MATCH, "owner")
    assert authoriser.rights_by(owner, sam, MATCH) is not None
    assert authoriser.rights_by(owner, sam, "match:other") is None
