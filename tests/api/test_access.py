"""Who may ask at all: whoever has the shared token, an account, or is on this machine."""

import pytest

from syncd.api.access import Access, is_loopback
from syncd.engine.principal import OPERATOR, Caller, Principal
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
async def test_the_token_is_taken_from_the_header(header: str) -> None:
    assert await Access("secret").by_header(header) == OPERATOR


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
async def test_anything_else_is_not_the_token(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await Access("secret").by_header(header)


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_token_is_none_that_a_server_could_ask_for(token: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        Access(token)


async def test_without_a_token_any_header_is_fine() -> None:
    assert await Access(None).by_header(None) == OPERATOR
    assert await Access(None).by_header("Bearer whatever") == OPERATOR


class People:
    """Knows Olga."""

    async def authenticate(self, token: str | None) -> Principal:
        if token != "olga":
            raise Unauthenticated("nobody has this token")
        return Principal(Caller.USER, "olga")


async def test_whoever_has_an_account_is_known_by_his_token_and_the_operator_by_the_shared_one() -> None:
    access = Access("secret", accounts=People())
    assert (await access.by_header("Bearer olga")).user == "olga"
    assert await access.by_header("Bearer secret") == OPERATOR
    for header in (None, "Bearer vera"):
        with pytest.raises(Unauthenticated):
            await access.by_header(header)


async def test_with_accounts_nobody_is_the_operator_for_being_on_this_machine() -> None:
    with pytest.raises(Unauthenticated):
        await Access(None, accounts=People()).by_header(None)


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
