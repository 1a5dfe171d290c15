"""Where a request comes from, with and without proxies in front."""

from __future__ import annotations

import time

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from syncd.api.client_address import ClientAddress, TrustedProxies, address_key

PEER = "203.0.113.9"


def asked(peer: str | None, *headers: tuple[str, str]) -> web.Request:
    """A request from `peer`; only the transport is made up, since no test can come from another network."""
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers))
    names = {"peername": None if peer is None else (peer, 40_000)}
    request.transport.get_extra_info.side_effect = lambda name, default=None: names.get(name, default)  # type: ignore[union-attr]
    return request


def behind(proxies: str, peer: str, *lines: str) -> str:
    return ClientAddress(TrustedProxies.parse(proxies)).of(asked(peer, *(("X-Forwarded-For", line) for line in lines)))


def test_without_proxies_it_is_the_peer_whatever_it_says_of_itself() -> None:
    assert behind("", PEER, "192.0.2.1") == PEER
    assert ClientAddress().of(asked(PEER, ("Forwarded", "for=192.0.2.1"))) == PEER


def test_a_connection_without_an_address_has_a_name_all_the_same() -> None:
    assert ClientAddress().key(asked(None)) == "unknown"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["1.2.3.4, 192.0.2.1"], "192.0.2.1"),
        (["1.2.3.4", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (["192.0.2.1, 10.0.0.3, 10.0.0.2"], "192.0.2.1"),
        (["192.0.2.1:5555"], "192.0.2.1"),
        (["[2001:db8::1]:5555"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["unknown"], "10.0.0.1"),
        (["1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2"),
        (["' OR 1=1 --"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
        (["10.0.0.9"], "10.0.0.9"),
    ],
)
def test_the_list_is_read_from_the_right_as_far_as_the_proxies_are_ours(lines: list[str], client: str) -> None:
    assert behind("10.0.0.0/8", "10.0.0.1", *lines) == client


def test_who_is_no_proxy_of_ours_cannot_say_where_he_comes_from() -> None:
    assert behind("10.0.0.0/8", PEER, "192.0.2.1") == PEER


def test_with_a_number_of_proxies_as_many_are_believed() -> None:
    assert behind("1", PEER, "1.2.3.4, 192.0.2.1") == "192.0.2.1"
    assert behind("2", PEER, "1.2.3.4, 192.0.2.1, 10.0.0.2") == "192.0.2.1"
    assert behind("2", PEER, "10.0.0.2") == "10.0.0.2"
    assert behind("0", PEER, "10.0.0.2") == PEER


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('For="192.0.2.1:80";proto=https;by=10.0.0.1', "192.0.2.1"),
        ('for=1.2.3.4, for="[2001:db8::1]:80"', "2001:db8::1"),
        ('for="a,b;c";proto=http, for=192.0.2.1', "192.0.2.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=192.0.2.1;;broken", "10.0.0.1"),
        ('for="192.0.2.1', "10.0.0.1"),
    ],
)
def test_forwarded_is_read_where_the_settings_say_so(line: str, client: str) -> None:
    addresses = ClientAddress(TrustedProxies.parse("10.0.0.0/8"), "forwarded")
    assert addresses.of(asked("10.0.0.1", ("Forwarded", line), ("X-Forwarded-For", "9.9.9.9"))) == client


def test_only_one_of_the_headers_is_read() -> None:
    addresses = ClientAddress(TrustedProxies.parse("10.0.0.0/8"))
    assert addresses.of(asked("10.0.0.1", ("Forwarded", "for=9.9.9.9"))) == "10.0.0.1"


@pytest.mark.parametrize("mark", [",", ";", '"', '\\"', "for=", 'for="a,', "="])
def test_no_header_takes_longer_to_read_than_its_length(mark: str) -> None:
    addresses = ClientAddress(TrustedProxies.parse("1"), "forwarded")
    request = asked("10.0.0.1", ("Forwarded", mark * (64_000 // len(mark))))
    started = time.process_time()
    addresses.of(request)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("headers", "peer", "secure"),
    [
        ([("X-Forwarded-Proto", "https")], "10.0.0.1", True),
        ([("X-Forwarded-Proto", "http, HTTPS")], "10.0.0.1", True),
        ([("X-Forwarded-Proto", "https, http")], "10.0.0.1", False),
        ([("X-Forwarded-Proto", "https")], PEER, False),
        ([], "10.0.0.1", False),
    ],
)
def test_the_proxy_next_to_the_server_says_whether_the_caller_came_by_https(
    headers: list[tuple[str, str]], peer: str, secure: bool
) -> None:
    assert ClientAddress(TrustedProxies.parse("10.0.0.0/8")).secure(asked(peer, *headers)) is secure
    forwarded = [("Forwarded", f"for=a;proto={value.rpartition(' ')[2]}") for _, value in headers]
    assert ClientAddress(TrustedProxies.parse("10.0.0.0/8"), "forwarded").secure(asked(peer, *forwarded)) is secure


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_counts_as_one_place(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize("text", ["club.example", "10.0.0.0/99", "10.0.0.1/8", "-1"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrustedProxies.parse(text)
