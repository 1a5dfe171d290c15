"""docs/errors.md has every code that the source can give, beside whoever sees it, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import client_sdk
import client_sdk.errors
from syncd import errors
from syncd.api.errors import _HTTP, CloseCode
from tests.docs.source_codes import class_codes, collect

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FOUND = collect(ROOT, ("conflict_rules", "client_sdk", "syncd"))

COMMAND_LINE = {"CommandError", "Refusal", "SettingsError"}
LINES = {"BadLine", "_refuse"}
CHANGES = {
    "InvalidValue",
    "InvalidName",
    "MalformedChange",
    "Outcome",
    "Settled",
    "Verdict",
    "Veto",
    "rejected",
    "replace",
    "same_or_lost",
}
REQUESTS = {"_problem", *errors.__all__} - COMMAND_LINE
SDK = set(client_sdk.errors.__all__)

PASSED_ON = {
    "SyncdError.code",
    "_optional_text(raw.get('code'))",
    "bad.code",
    "code",
    "entry.outcome.code",
    "error.problem_code",
    "first.code",
    "invalid.code",
    "invalid.problem_code",
    "malformed.code",
    "outcome.code",
    "outcome.code or 'rejected'",
    "outcome.code or outcome.kind.value",
    "outcome.get('code')",
    "str(outcome['code'])",
    "refusal.problem_code",
    "verdict.code",
    "veto.code",
}
"""Expressions that hand on a code that was given elsewhere."""
NO_CODES_OF_OURS = {
    "getattr(error, 'sqlite_errorcode', 0) & 255",
    "goodbye.code",
    "message.code",
    "query.get('code', '')",
    "second_factor",
    *(f"CloseCode.{code.name}" for code in CloseCode),
}
"""Numbers: SQLite's, and close codes; and what people bring from a mail, a phone or a provider."""
MADE = {
    "f'group_{culprit.kind.value}'": {"group_rejected", "group_overruled", "group_conflict"},
    "f'invalid_{name}'": {"invalid_base", "invalid_schema"},
    "str(problem.get('code') or f'http_{response.status}')": {"http_400", "http_413", "http_422"},
}
"""Expressions that put a code together; all of them are codes of changes."""


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, without the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [place for place, row in enumerate(cells) if set(row[0]) == {"-"}]
    return [row for place, row in enumerate(cells) if place not in heads and place + 1 not in heads]


def codes_on_the_page(text: str, column: int = 0) -> list[str]:
    return [code for row in rows(text) for code in re.findall(r"`(\w+)`", row[column])]


def given_to(receivers: set[str]) -> set[str]:
    return {code for code, names in FOUND.codes.items() if names & receivers}


def test_every_code_is_given_to_something_of_which_it_is_known_who_sees_it() -> None:
    known = COMMAND_LINE | LINES | CHANGES | REQUESTS | SDK
    assert {code: names - known for code, names in FOUND.codes.items() if names - known} == {}


def test_every_expression_that_is_no_text_is_accounted_for() -> None:
    assert FOUND.made.keys() - PASSED_ON - NO_CODES_OF_OURS - MADE.keys() == set()
    assert (PASSED_ON | MADE.keys()) - FOUND.made.keys() == set()


def test_requests_and_frames() -> None:
    by_the_http_library = {code for code, _ in _HTTP.values()} | {"refused"}
    listed = codes_on_the_page(SECTIONS["Requests"]) + [
        code for code in codes_on_the_page(SECTIONS["Live sockets"]) if not code.isdigit()
    ]
    assert sorted(listed) == sorted(given_to(REQUESTS) | by_the_http_library)


def test_changes() -> None:
    made = set().union(*MADE.values())
    assert sorted(codes_on_the_page(SECTIONS["Changes"])) == sorted(given_to(CHANGES) | made)


def test_close_codes() -> None:
    listed = {int(row[0]) for row in rows(SECTIONS["Live sockets"]) if row[0].isdigit()}
    # 1009 is aiohttp's own.
    assert listed == {code.value for code in CloseCode} | {1009}


def test_the_sdk() -> None:
    listed = [(re.sub("`", "", row[0]), re.sub("`", "", row[1])) for row in rows(SECTIONS["The SDK"])]
    assert sorted(listed) == sorted(class_codes(ROOT / "client_sdk" / "errors.py").items())
    assert given_to(SDK) == {code for _, code in listed}
    assert [name for name, _ in listed if not issubclass(getattr(client_sdk, name), client_sdk.SyncError)] == []


def test_the_command_line() -> None:
    commands, lines = SECTIONS["The command line"].split("`syncd import` goes on")
    assert sorted(codes_on_the_page(commands)) == sorted(given_to(COMMAND_LINE))
    assert sorted(codes_on_the_page(lines)) == sorted(given_to(LINES))


def test_each_says_what_it_means_and_what_to_do() -> None:
    for name in ("Requests", "Changes", "Live sockets", "The SDK"):
        for row in rows(SECTIONS[name]):
            assert all(row[:-1]), row
            assert row[-1] or row[0] == "`TransportError`", row
