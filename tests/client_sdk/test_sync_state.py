"""Every cell of the table, and what must hold of it as a whole."""

from __future__ import annotations

import pytest

from client_sdk.sync_state import TRANSITIONS, SyncEvent, SyncState, next_state

EXPECTED = """
            reached  caught_up  fell_behind  lost     pause    resume
offline     syncing  offline    offline      offline  paused   offline
syncing     syncing  live       syncing      offline  paused   syncing
live        live     live       syncing      offline  paused   live
paused      paused   paused     paused       paused   paused   offline
"""

HEAD, *ROWS = EXPECTED.split("\n")[1:-1]
CELLS = [
    (SyncState(row.split()[0]), SyncEvent(event), SyncState(to))
    for row in ROWS
    for event, to in zip(HEAD.split(), row.split()[1:], strict=True)
]


@pytest.mark.parametrize(("state", "event", "to"), CELLS, ids=lambda value: str(value))
def test_each_event_leads_where_the_table_says(state: SyncState, event: SyncEvent, to: SyncState) -> None:
    assert next_state(state, event) is to


def test_the_table_has_a_cell_for_every_state_and_event() -> None:
    assert len(CELLS) == len(SyncState) * len(SyncEvent)
    assert {(state, event) for state, row in TRANSITIONS.items() for event in row} == {cell[:2] for cell in CELLS}


def test_live_can_be_reached_again_from_every_state() -> None:
    for start in SyncState:
        seen, edge = {start}, [start]
        while edge:
            edge = [to for state in edge for to in TRANSITIONS[state].values() if to not in seen]
            seen.update(edge)
        assert SyncState.LIVE in seen


def test_only_the_user_ends_a_pause() -> None:
    for event in SyncEvent:
        leaves = next_state(SyncState.PAUSED, event) is not SyncState.PAUSED
        assert leaves == (event is SyncEvent.RESUME)


def test_live_is_claimed_only_after_everything_was_caught_up() -> None:
    for state in SyncState:
        for event in SyncEvent:
            if next_state(state, event) is SyncState.LIVE:
                assert state is SyncState.LIVE or event is SyncEvent.CAUGHT_UP


def test_connected_means_that_the_server_answered_last() -> None:
    assert [state.connected for state in SyncState] == [False, True, True, False]
