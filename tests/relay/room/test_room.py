"""Rooms: names, slots, the horizon, and events described in words."""

import pytest

from relay.lead.keeper import LeadPolicy
from relay.lead.room_tuning import H_MIN
from relay.room.facets.standard import standard
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH

POLICY = LeadPolicy(ticks(0.2), 0)


def a_room(*slots: int) -> Room:
    room = Room("main", bytes(16), standard(POLICY))
    for slot in slots:
        room.seats[slot] = Seat(slot, f"name-{slot}", bytes(16), 16, 16, ticks(0.02))
    return room


def judged(payload: bytes, kind: Kind = Kind.TIMED) -> Judged:
    return Judged(12, 2, 7, EPOCH, EPOCH, kind, Flag.NONE, payload)


@pytest.mark.parametrize(
    ("slots", "wanted", "members_max", "slot"),
    [
        ((), None, 4, 1),
        ((1, 3), None, 4, 2),
        ((1,), 9, 4, 9),
        ((9,), 9, 4, 1),
        ((1, 2), None, 2, None),
        (tuple(range(1, 31)), None, 31, 31),
        (tuple(range(1, 32)), None, 31, None),
    ],
)
def test_the_lowest_free_slot_is_given_unless_another_is_wanted(
    slots: tuple[int, ...], wanted: int | None, members_max: int, slot: int | None
) -> None:
    assert a_room(*slots).free_slot(wanted, members_max) == slot


def test_an_event_is_described_by_number_command_and_sender() -> None:
    room = a_room(2)
    note = encode("/s_new", "sonic-pi-beep", 1001, 0, 4)
    assert room.describe(judged(note)) == "#12 /s_new sonic-pi-beep 1001 of name-2"
    assert room.describe(judged(b"", Kind.RESET)) == "#12 slot reset of name-2"
    assert room.describe(judged(b"\xff" * 8)) == "#12 an event that can't be read of name-2"
    assert a_room().describe(judged(note)).endswith("of slot 2")


def test_an_empty_rooms_horizon_is_the_least() -> None:
    room = a_room(1)
    room.wake_facets(EPOCH)
    assert room.judge.horizon == H_MIN


def test_what_was_judged_goes_to_ring_book_and_log_once() -> None:
    verdicts: list[tuple[str, Judged]] = []
    room = Room("main", bytes(16), standard(POLICY, verdicts))
    room.publish(
        [room.judge.reset(1, EPOCH, silenced=True), room.judge.reset(1, EPOCH, silenced=True)], EPOCH
    )
    assert [(name, event.number) for name, event in verdicts] == [("main", 1), ("main", 2)]
    assert len(room.ring) == 2
    assert room.pending(EPOCH)
    assert not room.pending(EPOCH + ticks(9))
