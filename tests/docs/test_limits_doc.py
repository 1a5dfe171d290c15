"""docs/limits.md has every row of the table of rates, every header and every setting of the edge as they are."""

from __future__ import annotations

import re
from pathlib import Path

from multidict import CIMultiDict

from conflict_rules.values import MAX_DEPTH
from syncd.api.codec import MAX_TEXT_DEPTH
from syncd.api.containers import MANY
from syncd.api.live import MAX_FRAME_BYTES
from syncd.api.live_session import MAX_BAD_FRAMES
from syncd.api.rate_limits import Limiting
from syncd.api.security_headers import add_security_headers
from syncd.auth import passwords
from syncd.limiting import held
from syncd.limiting.memory import MAX_KEYS
from syncd.limiting.rate import Rate
from syncd.limiting.table import DEFAULT_RATES
from syncd.settings import Settings
from tests.support.edge import behind_the_edge

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")


def in_words(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def test_every_rate_is_on_the_page_as_it_is() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| (\d+/[\w ]+) \|", PAGE, re.MULTILINE)
    assert {name: Rate.parse(rate) for name, rate in rows} == {
        name: Rate.parse(rate) for name, rate in DEFAULT_RATES.items()
    }


def test_every_value_of_the_switch_is_on_the_page() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| (?!\d)", PAGE.split("## Rates")[0], re.MULTILINE)
    assert rows == [Limiting.AUTO, Limiting.ON, Limiting.OFF]


def test_every_header_that_every_answer_has_is_on_the_page_with_its_value() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    add_security_headers(headers, secure=True)
    assert [f"{name}: {value}" for name, value in headers.items() if f"| `{name}` | `{value}`" not in PAGE] == []


async def test_every_header_of_a_refusal_is_on_the_page() -> None:
    async with behind_the_edge(rates={"anonymous": "1/minute"}) as edge:
        await edge.http.get("/things")
        async with edge.http.get("/things") as response:
            assert response.status == 429
            names = [name for name in response.headers if name.startswith("X-RateLimit")]
    assert len(names) == 4
    assert [name for name in names if f"| `{name}` |" not in PAGE] == []


def test_every_setting_of_the_edge_is_on_the_page_with_its_default() -> None:
    names = [
        "cors_origins",
        "websocket_origins",
        "trusted_proxies",
        "forwarded_header",
        "log_requests",
        "rate_limiting",
        "rate_limits",
        "max_user_sockets",
        "max_address_sockets",
        "body_timeout_s",
        "idle_timeout_s",
    ]
    assert [name for name in names if f"`SYNCD_{name.upper()}" not in PAGE] == []
    settings = Settings()
    assert f"{settings.max_user_sockets} sockets and streams" in PAGE
    assert f"of one address, {settings.max_address_sockets} that" in PAGE


def test_the_other_bounds_are_on_the_page_as_they_are() -> None:
    assert f"more than {in_words(MANY)} arrays" in PAGE
    assert f"up to {in_words(MAX_KEYS)} callers" in PAGE
    assert f"{MAX_FRAME_BYTES // 1024} KiB | closes with 1009" in PAGE
    assert f"| {MAX_BAD_FRAMES} | closes with 1008" in PAGE
    assert f"{passwords._MAX_WAITING} passwords may be looked at" in PAGE
    assert held._LOOK_AGAIN_MS == passwords._LOOK_AGAIN_MS
    assert f"both say {held._LOOK_AGAIN_MS // 1000} seconds" in PAGE
    assert f"deeper than {MAX_TEXT_DEPTH} in a message" in PAGE
    assert f"depth of a value in a field | {MAX_DEPTH} |" in PAGE
