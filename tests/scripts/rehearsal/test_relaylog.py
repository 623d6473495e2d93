"""The relay's log as the proof reads it: by number and room, and refused if a line is missing or bad."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsal.proof import relaylog
from rehearsal.proof.relaylog import RESET, LoggedEvent, RelayLogError

from tests.worlds.relayed import log


def as_line(event: LoggedEvent, room: str = "main") -> str:
    written = {"room": room, "flags": sorted(event.flags), "payload": event.payload.hex()}
    return json.dumps(asdict(event) | written, default=str) + "\n"


def test_the_log_is_read_by_number_and_room_and_a_line_being_written_is_left_out() -> None:
    lines = [as_line(event) for event in log()]
    other = as_line(log()[0], room="elsewhere")
    assert relaylog.parse([lines[1], other, lines[0], *lines[2:], lines[0][:20]]) == log()


def test_a_log_with_a_hole_or_a_bad_line_is_refused() -> None:
    lines = [as_line(event) for event in log()]
    with pytest.raises(RelayLogError, match="has no event 4"):
        relaylog.parse([*lines[:3], *lines[4:]])
    with pytest.raises(RelayLogError, match="line 2"):
        relaylog.parse([lines[0], "{}\n", *lines[1:]])
    with pytest.raises(RelayLogError, match="kind 'PARTY'"):
        relaylog.parse([lines[0].replace(RESET, "PARTY")])


@given(st.permutations(log()))
def test_what_is_executed_does_not_depend_on_the_order_of_the_log(events: list[LoggedEvent]) -> None:
    assert relaylog.executed(events) == relaylog.executed(log())


def test_what_missed_its_time_is_no_part_of_what_is_executed() -> None:
    played = relaylog.executed(log())
    missed = replace(played[-1], flags=played[-1].flags | {relaylog.MISSED})
    rest = [event for event in log() if event.number != missed.number]
    assert relaylog.executed([*rest, missed]) == played[:-1]
