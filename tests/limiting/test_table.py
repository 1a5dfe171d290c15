"""The table of rates: whose requests count where."""

from __future__ import annotations

import re

import pytest

from syncd.limiting.rate import Rate
from syncd.limiting.table import OTHER, UNLIMITED, RateTable, Subject, Tier

ASHA = Subject(Tier.AUTHENTICATED, "asha", "phone", "192.0.2.1")
VISITOR = Subject(Tier.ANONYMOUS, "", "", "192.0.2.1")


def named(kind: str, subject: Subject) -> list[str]:
    return [take.key.partition(":")[0] for take in RateTable().takes(kind, subject)]


def test_tiers_and_guessing_are_as_the_specification_of_the_pickleball_app_has_them() -> None:
    table = RateTable()
    expected = {
        "anonymous": Rate(60, 60_000),
        "authenticated": Rate(300, 60_000),
        "premium": Rate(600, 60_000),
        "partner": Rate(3000, 60_000),
        "login": Rate(5, 15 * 60_000),
        "register": Rate(3, 3_600_000),
        "password": Rate(3, 3_600_000),
    }
    assert {name: table[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("method", "template", "kind"),
    [
        ("POST", "/sync/v1/push", "push"),
        ("POST", "/sync/v1/pull", "pull"),
        ("POST", "/sync/v1/documents", "pull"),
        ("GET", "/sync/v1/live", "live"),
        ("GET", "/sync/v1/stream", "live"),
        ("GET", "/health/ready", UNLIMITED),
        ("HEAD", "/health/ready", UNLIMITED),
        ("POST", "/auth/v1/register", "register"),
        ("POST", "/auth/v1/password/forgot", "password"),
        ("POST", "/auth/v1/verify-email/send", "password"),
        ("POST", "/auth/v1/verify-email", OTHER),
        ("POST", "/auth/v1/refresh", "refresh"),
        ("GET", "/sync/v1/push", OTHER),
        ("GET", "/sync/v1/history", OTHER),
        ("GET", "", OTHER),
    ],
)
def test_requests_have_classes(method: str, template: str, kind: str) -> None:
    assert RateTable().class_of(method, template) == kind


def test_an_endpoint_can_be_given_a_row_of_its_own() -> None:
    rates = RateTable.parse(["GET /courts=60/minute", "* /matchmaking/*=30/minute"])
    table = RateTable(rates)
    assert table.class_of("GET", "/courts") == "GET /courts"
    assert table.class_of("POST", "/courts") == OTHER
    assert table.class_of("DELETE", "/matchmaking/{id}") == "* /matchmaking/*"
    first, address = table.takes("GET /courts", ASHA)
    assert (first.rate, address.rate) == (Rate(60, 60_000), table["address"])


def test_a_row_can_be_set_anew() -> None:
    table = RateTable(RateTable.parse(["authenticated=10/second"]))
    assert table.takes(OTHER, ASHA)[0].rate == Rate(10, 1000)
    assert table["premium"] == Rate(600, 60_000)


@pytest.mark.parametrize("row", ["authenticated", "nobody=3/hour", "authenticated=many", "FETCH /x=1/hour", "=1/hour"])
def test_what_is_no_row_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match=r"minute"):
        RateTable.parse([row])


def test_what_counts_in_a_class_of_its_own_does_not_count_in_the_tier() -> None:
    assert named(OTHER, ASHA) == ["authenticated", "address"]
    assert named("push", ASHA) == ["push.device", "push.user", "address"]
    assert named("live", ASHA) == ["live.device", "live.user", "address"]


def test_who_has_no_name_counts_by_his_address() -> None:
    assert named(OTHER, VISITOR) == ["anonymous", "address"]
    assert named("push", VISITOR) == ["anonymous", "address"]
    assert named("live", VISITOR) == ["live.address", "address"]
    assert named("register", VISITOR) == ["register", "address"]


def test_probes_are_never_counted() -> None:
    assert named(UNLIMITED, VISITOR) == []


def test_callers_of_one_name_share_and_others_do_not() -> None:
    table = RateTable()
    laptop = Subject(Tier.AUTHENTICATED, "asha", "laptop", "198.51.100.7")
    ben = Subject(Tier.AUTHENTICATED, "ben", "phone", "192.0.2.1")
    device, user, address = (take.key for take in table.takes("push", ASHA))
    assert [
        take.key == key for take, key in zip(table.takes("push", laptop), (device, user, address), strict=True)
    ] == [
        False,
        True,
        False,
    ]
    assert [take.key == key for take, key in zip(table.takes("push", ben), (device, user, address), strict=True)] == [
        True,
        False,
        True,
    ]


def test_a_key_does_not_say_whose_it_is() -> None:
    asha = Subject(Tier.AUTHENTICATED, "asha@club.example", "phone-of-asha", "192.0.2.1")
    keys = " ".join(take.key for kind in (OTHER, "push", "live") for take in RateTable().takes(kind, asha))
    assert re.search(r"asha|phone|192", keys) is None
