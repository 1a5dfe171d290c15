"""Which origins are let in, and how they are written."""

import pytest

from syncd.api.origins import Origins, check_origin_text, is_own


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://club.example", "https://club.example"),
        ("HTTPS://Club.Example/", "https://club.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", "*"),
    ],
)
def test_an_origin_is_read(text: str, origin: str) -> None:
    assert check_origin_text(text) == origin


@pytest.mark.parametrize(
    "text", ["null", "NULL", "", "club.example", "https://club.example/app", "https://*.club.example", "file://", "a b"]
)
def test_what_no_browser_sends_or_everybody_can_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        check_origin_text(text)


@pytest.mark.parametrize("listed", [[], ["https://club.example"], ["*"], ["null"]])
def test_null_and_nothing_are_never_let_in(listed: list[str]) -> None:
    assert not any(Origins(listed).allows(origin) for origin in ("null", "NULL", ""))


def test_any_page_is_let_in_by_a_star_and_none_by_its_name() -> None:
    assert Origins(["*"]).allows("https://any.example")
    assert not Origins(["*"]).lists("https://any.example")


@pytest.mark.parametrize(
    "origin",
    ["http://club.example", "https://club.example:444", "https://evil.club.example", "https://club.example.evil"],
)
def test_another_scheme_port_or_host_is_another_origin(origin: str) -> None:
    assert not Origins(["https://club.example"]).allows(origin)


def test_a_page_is_the_servers_own_if_it_came_from_the_same_host() -> None:
    assert is_own("http://127.0.0.1:8000", "127.0.0.1:8000")
    assert not is_own("http://127.0.0.1:8001", "127.0.0.1:8000")
    assert not is_own("null", "")
    assert not is_own("http://[", "[")
