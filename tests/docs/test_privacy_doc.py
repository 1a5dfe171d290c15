"""docs/privacy.md: its app can be declared, and its tables are what the source has."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from syncd.jobs.erase import Receipt
from syncd.jobs.export import FILES
from syncd.jobs.privacy import Privacy
from tests.access.world import world
from tests.jobs.forgetful_club import COMPACTING, PASSWORD, club

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def rows_of(head: str) -> list[str]:
    """The names in the first column of the table with this head."""
    _, _, below = PAGE.partition(f"| {head} |")
    lines = below.split("\n\n")[0].splitlines()[2:]
    return [name for line in lines for name in re.findall(r"`([\w.]+)`", line.split("|")[1])]


def test_the_app_of_the_page_can_be_declared() -> None:
    [source] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(source, "privacy.md", "exec"), names)
    app = names["app"]
    assert set(app.types["event"].personal) == {"player_name", "wish"}
    note = names["Note"](match_id="1", author="ann")
    assert (app.erasures["note"](note, "ann"), app.erasures["note"](note, "bob")) == (None, {})


def test_every_file_is_on_the_page() -> None:
    assert rows_of("file | what is in it") == ["README.txt", *(f"{name}.jsonl" for name in FILES)]


async def test_every_count_is_on_the_page(tmp_path: Path) -> None:
    async with club(tmp_path) as house:
        ann = await house.join("ann@club.example", "Ann", "phone")
        privacy: Privacy = house.server.parts.privacy
        counts = await privacy.consequences(ann.id)
    assert sorted(rows_of("counted by `dry_run` | what")) == sorted(counts)
    assert rows_of("receipt | how many") == [field.name for field in fields(Receipt)]


async def test_the_steps_are_done_in_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, below = PAGE.partition("What happens, in this order:")
    steps = re.findall(r"^\d\. (.+)$", below, re.MULTILINE)
    done: list[str] = []

    def noted(owner: Any, name: str, step: str) -> None:
        real = getattr(owner, name)

        async def call(*args: Any) -> None:
            done.append(step)
            await real(*args)

        monkeypatch.setattr(owner, name, call)

    async with club(tmp_path) as house:
        ann = await house.join("ann@club.example", "Ann", "phone")
        await ann.push("p", ann.change("p", "match:1", "create", "event", "goal", match_id="1", wish="a cake"))
        work: Any = house.server.parts.jobs._works["erase"]
        for owner, name, step in (
            (work, "_close", "The account is emptied"),
            (work, "_drop_results", "The account is emptied"),
            (work._traces, "disown", "His replicas belong to a pseudonym"),
            (work, "_erase_own_scope", "His own scope is emptied"),
            (work, "_erase_about", "Fields that are about him since another one names him"),
            (work._asked_app, "erase", "Fields that are about him since another one names him"),
            (work, "_erase_sent", "What his replicas have sent"),
            (work._file, "wipe", "Lines of his in `DATABASE.quarantine.jsonl`"),
        ):
            noted(owner, name, step)
        _, job = await ann.ask("POST", "/auth/v1/me/erase", {"password": PASSWORD})
        assert (await house.finished(job, None))["state"] == "done"
    in_order = list(dict.fromkeys(done))
    assert sorted(done, key=in_order.index) == done, "none is taken up again behind a later one"
    assert len(in_order) == len(steps)
    assert [step for step, said in zip(in_order, steps, strict=True) if not said.startswith(step)] == []


async def test_every_url_is_on_the_page_and_there(tmp_path: Path) -> None:
    async with world(tmp_path) as built:
        paths = {
            f"{route.method} {route.resource.canonical}"
            for route in built.server.parts.web.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    named = set(re.findall(r"`((?:GET|POST) /[\w/{}]+)`", PAGE))
    assert named <= paths
    ours = {path for path in paths if re.search(r"/export$|/erase$|/jobs/", path)}
    assert ours == named


def test_the_page_compacts_as_the_tests_do() -> None:
    assert f'"{"; ".join(COMPACTING)}"' in PAGE
