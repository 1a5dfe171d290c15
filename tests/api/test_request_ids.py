"""Request ids: kept if harmless."""

import re

import pytest

from syncd.api.request_ids import request_id_of


@pytest.mark.parametrize("given", ["a", "req_0193.a-Z", "x" * 64, "550e8400-e29b-41d4-a716-446655440000"])
def test_a_harmless_one_is_kept(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "x" * 65,
        "a b",
        "a\n",
        "\na",
        "a\r\nX: y",
        "\x1b[31m",
        "a\u2028b",
        "é",
        "<script>",
        "${jndi:ldap://x}",
        "a\x00",
    ],
)
def test_any_other_is_replaced_by_a_new_one(given: str | None) -> None:
    first, second = request_id_of(given), request_id_of(given)
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second
