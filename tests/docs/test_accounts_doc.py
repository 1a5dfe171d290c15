"""docs/accounts.md: its examples are played, and its table has every request with the keys of its body."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, get_type_hints

from syncd.api import account_messages
from syncd.settings import Settings
from tests.support.accounts import ANN, Club, club_with_accounts
from tests.support.served import served

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(GET|POST|PUT|DELETE) (/\S+)` \|([^|]*)\|([^|]*)\|[^|]+\|$", PAGE, re.MULTILINE)
EXAMPLES = re.findall(r"```sh\n(curl .*?)```\n\n```json\n(.*?)```", PAGE, re.DOTALL)


async def played(club: Club, line: str, known: dict[str, str]) -> Any:
    """What the server answers to a line with curl."""
    for name, value in known.items():
        line = line.replace(f"${name}", value)
    _, url, *words = shlex.split(line.replace("\\\n", " "))
    options = list(zip(words[::2], words[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    body = next((value for option, value in options if option == "-d"), None)
    method = "GET" if body is None else "POST"
    data = None if body is None else body.encode()
    async with club.http.request(method, url, data=data, headers=headers) as response:
        answer = await response.json(content_type=None)
        assert response.status == 200, (line, answer)
        return answer


def alike(shown: Any, real: Any) -> None:
    """The same keys, and the same values where they are not of one moment or of one server."""
    if isinstance(shown, dict):
        assert shown.keys() == real.keys()
        for key, value in shown.items():
            if not key.endswith("_at_ms") or value is None:
                alike(value, real[key])
    elif isinstance(shown, list):
        assert len(shown) == len(real)
        for one, other in zip(shown, real, strict=True):
            alike(one, other)
    elif isinstance(shown, str) and shown.endswith("…"):
        assert real.startswith(shown[:3])
    elif not (isinstance(shown, str) and re.fullmatch("[0-9a-f]{16}", shown)):
        assert shown == real


async def test_the_examples_are_answered_as_they_say(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 8
    async with club_with_accounts(tmp_path) as club:
        known = {"SERVER": club.server.url}
        for line, shown in EXAMPLES:
            if "$CODE" in line:
                known["CODE"] = await club.mailed_code(ANN)
            if "/api-keys" in line:
                known["ACCESS"] = (await club.logged_in(password="four words in a row")).access
            answer = await played(club, line, known)
            alike(json.loads(shown), answer)
            known["ACCESS"] = answer.get("access_token", known.get("ACCESS", ""))
            known["REFRESH"] = answer.get("refresh_token", known.get("REFRESH", ""))


async def test_the_table_has_every_request(tmp_path: Path) -> None:
    async with served(tmp_path / "club.db") as server:
        there = {
            (route.method, route.resource.canonical)
            for route in server.parts.web.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    ours = {(method, path) for method, path in there if path.startswith(("/auth/", "/admin/", "/.well-known/"))}
    assert {(method, path) for method, path, _, _ in ROWS} == ours


def test_the_table_names_bodies_as_they_are_read() -> None:
    kinds = [vars(account_messages)[name] for name in account_messages.__all__]
    bodies = {frozenset(get_type_hints(kind)) - {"model_config"} for kind in kinds}
    named = {frozenset(re.findall(r"`(\w+)`", cell)) for _, _, _, cell in ROWS}
    assert {frozenset(names) for names in named if names} <= {frozenset(names) for names in bodies}


def test_every_setting_of_the_page_is_one() -> None:
    known = {f"SYNCD_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"SYNCD_\w+", PAGE)) - known == set()
