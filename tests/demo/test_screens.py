"""The three screens show what each of them knows, name what is wrong, and fit the terminal."""

from __future__ import annotations

import datetime
import io
from dataclasses import replace

import pytest
from rich.console import Console

from syncd.demo.beats import Moment
from syncd.demo.glimpse import Glimpse, PhoneGlimpse, Shown, shown
from syncd.demo.screens import Line, Screens, fits, render
from syncd.demo.watching import ScreensNarrator, screens_on

NOW = datetime.datetime(2022, 12, 18, 22, 30, 5, tzinfo=datetime.UTC)
THREE_HOURS = 3 * 60 * 60 * 1000
A = PhoneGlimpse(bars=1, on=True, queue=4, screen=Shown(1, 0, ("23' Lionel MESSI",)))
B = PhoneGlimpse(bars=0, on=True, queue=2, screen=Shown(2, 1, ("36' Angel DI MARIA",)))
GLIMPSE = Glimpse(
    Moment(45, 2),
    ("Argentina", "France"),
    {"A": A, "B": B},
    Shown(3, 0, ()),
    server_up=True,
    server_kills=1,
    phone_kills=2,
    acknowledgements_lost=3,
)


def drawn(screens: Screens, *, width: int = 120, height: int = 30, colours: bool = False) -> str:
    console = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard"
    )
    console.print(render(screens, NOW, width=width, height=height))
    return console.export_text(styles=colours)


def columns(text: str) -> list[str]:
    """Each screen by itself: phone A, phone B, the family."""
    rows = [line.split("││") for line in text.splitlines() if line.startswith("│")]
    return ["\n".join(row[number].strip("│ ") for row in rows) for number in range(3)]


def test_each_screen_shows_the_score_and_the_goals_that_it_knows_of() -> None:
    a, b, family = columns(drawn(Screens(GLIMPSE)))

    assert "1 - 0" in a
    assert "23' Lionel MESSI" in a
    assert "2 - 1" in b
    assert "36' Angel DI MARIA" in b
    assert "Lionel" not in b
    assert "3 - 0" in family


def test_a_phone_shows_how_many_questions_are_open() -> None:
    a, b, _ = columns(drawn(Screens(replace(GLIMPSE, phones={"A": replace(A, questions=2), "B": B}))))

    assert "queue 4 ■■■■  asks 2" in a
    assert "asks" not in b


def test_each_phone_shows_its_signal_and_how_much_waits_in_its_queue() -> None:
    a, b, family = columns(drawn(Screens(GLIMPSE)))

    assert "▂··· one bar" in a
    assert "queue 4 ■■■■" in a
    assert "···· no signal" in b
    assert "queue 2 ■■" in b
    assert "▂▄▆█ signal" in family
    assert "queue" not in family


def test_a_wrong_clock_is_said_to_be_wrong_in_red_and_a_right_one_is_not() -> None:
    wrong = replace(GLIMPSE, phones={"A": A, "B": replace(B, clock_ahead_ms=THREE_HOURS)})
    a, b, _ = columns(drawn(Screens(wrong)))

    assert "clock 22:30:05" in a
    assert "wrong" not in a
    assert "clock 01:30:05, +3 h wrong" in b
    assert "\x1b[1;31m01:30:05, +3 h wrong" in drawn(Screens(wrong), colours=True)


def test_a_killed_phone_is_off_and_a_killed_server_is_down() -> None:
    dead = replace(GLIMPSE, phones={"A": replace(A, on=False), "B": B}, server_up=False)
    text = drawn(Screens(dead))
    a, _, family = columns(text)

    assert a.splitlines()[0].split() == ["off"]
    assert "clock" not in a
    assert "connecting again" in family
    assert "the server is down" in text


def test_the_lines_below_count_kills_and_lost_acknowledgements_and_give_the_servers_last_word() -> None:
    screens = Screens(GLIMPSE).hearing(
        "the server", Line(Moment(45, 51), "kill -9, right after it took 4 changes", True)
    )
    text = drawn(screens)

    assert "the server runs   server killed 1   phones killed 2   acknowledgements lost 3" in text
    assert "break the server: kill -9, right after it took 4 changes" in text


def test_what_happens_is_on_the_screen_of_the_one_to_whom_it_happens_newest_first() -> None:
    screens = Screens(GLIMPSE)
    for minute in range(1, 40):
        screens = screens.hearing("phone B", Line(Moment(minute), f"tap number {minute}"))
    a, b, family = columns(drawn(screens))

    assert "tap" not in a + family
    assert b.index("39' tap number 39") < b.index("38' tap number 38")
    assert "tap number 1\n" not in b


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (78, 20), (300, 100)])
def test_the_screens_leave_a_line_free_and_never_run_over_the_edge(width: int, height: int) -> None:
    screens = Screens(GLIMPSE).hearing("phone A", Line(Moment(90, 13), "a long story " * 30, True))
    lines = drawn(screens, width=width, height=height).rstrip("\n").splitlines()

    assert len(lines) < height
    assert max(len(line) for line in lines) <= min(width, 132)
    assert "acknowledgements lost 3" in lines[-2]


def test_before_anything_has_happened_there_is_something_to_draw() -> None:
    assert drawn(Screens()).count(" 0 - 0 ") == 3


@pytest.mark.parametrize(
    ("terminal", "width", "height", "room"),
    [(True, 80, 24, True), (True, 60, 24, False), (True, 80, 15, False), (False, 120, 40, False)],
)
def test_only_a_terminal_with_room_gets_the_screens(terminal: bool, width: int, height: int, room: bool) -> None:
    assert fits(Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height)) is room


def test_the_apps_score_is_read_into_goals_in_match_order() -> None:
    goals = [
        {"minute": 45, "added": 2, "player": "Late", "team": "home", "own_goal": False},
        {"minute": 7, "added": 0, "player": None, "team": "away", "own_goal": False},
    ]

    assert shown({"home": 1, "away": 1, "goals": goals}) == Shown(1, 1, ("7' somebody", "45+2' Late"))


def test_the_narrator_puts_what_it_hears_and_sees_on_the_screens() -> None:
    narrator = ScreensNarrator()
    narrator.tell(Moment(52), "phone A", "kill -9", aside="no signal", trouble=True)
    narrator.show(GLIMPSE)

    assert narrator.screens.told == {"phone A": (Line(Moment(52), "kill -9", True),)}
    assert narrator.screens.glimpse == GLIMPSE


def test_the_last_picture_stays_on_the_terminal() -> None:
    out = io.StringIO()
    with screens_on(Console(file=out, force_terminal=True, width=100, height=30)) as narrator:
        narrator.show(GLIMPSE)

    last = out.getvalue()[out.getvalue().rindex("Argentina") :]
    assert "phone A" in last
    assert "acknowledgements lost" in last
