"""Access until accounts exist: the shared token, or this machine only."""

import pytest

from syncd.api.access import Access, is_loopback
from syncd.errors import Forbidden, Unauthenticated

LOOPBACK_HOSTS = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]", "[::1]:8000", "127.8.9.1"]
OTHER_HOSTS = [
    None,
    "",
    ":80",
    "club.example",
    "club.example:8000",
    "127.0.0.1.club.example",
    "localhost.club.example",
    "0.0.0.0",
    "192.168.1.5:8000",
    "[::]",
    "[2001:db8::1]:80",
    "user@localhost",
    "\ud800",
]


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_without_a_token_a_loopback_name_is_answered(host: str) -> None:
    Access(None).check_host(host)


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_without_a_token_a_name_that_others_can_point_here_is_not_answered(host: str | None) -> None:
    with pytest.raises(Forbidden) as refused:
        Access(None).check_host(host)
    assert refused.value.problem_code == "wrong_host"


@pytest.mark.parametrize("host", [*LOOPBACK_HOSTS, *OTHER_HOSTS])
def test_with_a_token_every_name_is_answered(host: str | None) -> None:
    Access("secret").check_host(host)


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret", "BEARER  secret "])
def test_the_token_is_taken_from_the_header(header: str) -> None:
    Access("secret").check_header(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "secret",
        "Basic secret",
        "Bearer Secret",
        "Bearer secret2",
        "Bearer sécret",
        "Bearer \udcff\ud800",
    ],
)
def test_anything_else_is_not_the_token(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        Access("secret").check_header(header)


def test_without_a_token_any_header_is_fine() -> None:
    Access(None).check_header(None)
    Access(None).check_header("Bearer whatever")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8000", True),
        ("HTTP://127.0.0.1:8000", True),
        ("https://club.example", True),
        ("https://club.example/", True),
        ("https://CLUB.example", True),
        ("http://club.example", False),
        ("https://evil.club.example", False),
        ("http://127.0.0.1:8001", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://[", False),
    ],
)
def test_a_web_page_may_open_a_socket_if_it_is_ours_or_listed(origin: str | None, allowed: bool) -> None:
    access = Access(None, ["https://club.example"])
    if allowed:
        access.check_origin(origin, "127.0.0.1:8000")
    else:
        with pytest.raises(Forbidden) as refused:
            access.check_origin(origin, "127.0.0.1:8000")
        assert refused.value.problem_code == "wrong_origin"


def test_no_origin_is_the_servers_own_where_the_host_is_unknown() -> None:
    with pytest.raises(Forbidden):
        Access("secret").check_origin("null", None)


def test_loopback_is_the_whole_127_network_and_both_protocols() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.255.0.3", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.org", ""]))
