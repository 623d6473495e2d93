"""The statistics desk: every question is answered, and a room's figures are gathered once a second at most.

Only a few members' figures are gathered in one turn.
"""

from collections import Counter

import pytest

from relay.room.room import Room, Seat
from relay.stats import gather
from relay.stats.desk import QUESTIONS_MAX, STEPS_A_TURN, StatsDesk
from relay.wire import control
from relay.wire.stats import MemberStats, Stats
from relay.wire.timetag import TICKS_PER_S
from tests.worlds.relay import FakeBridge, Jam

ROOMS, MEMBERS = 3, 5


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count by room how often a member's figures are gathered; return the counter, which grows."""
    counts: Counter[str] = Counter()
    plain = gather._member_stats

    def counting(room: Room, seat: Seat, *, with_counts: bool) -> MemberStats:
        counts[room.name] += 1
        return plain(room, seat, with_counts=with_counts)

    monkeypatch.setattr(gather, "_member_stats", counting)
    return counts


def full_house() -> Jam:
    jam = Jam(members_max=MEMBERS)
    for number in range(ROOMS * MEMBERS):
        jam.join(f"m{number}", f"room {number // MEMBERS}")
    return jam


def asker(jam: Jam, host: str = "192.0.2.99") -> FakeBridge:
    bridge = FakeBridge(jam)
    jam.connections += 1
    bridge.address, bridge.connection, bridge.closed = (host, 9), jam.connections, False
    bridge.alive = False  # it is no member, and sends no heartbeats
    return bridge


def test_asking_fifty_times_a_second_costs_one_gathering_a_second(gathered: Counter[str]) -> None:
    jam = full_house()
    askers = [asker(jam, f"192.0.2.{100 + number}") for number in range(5)]
    for asked in range(150):
        askers[asked % 5].say(control.StatsRequest())
        jam.finish_gathering()
        jam.now += TICKS_PER_S // 50 + 1
    assert [len(one.heard(Stats)) for one in askers] == [30] * 5
    assert gathered == {f"room {number}": 3 * MEMBERS for number in range(ROOMS)}


def test_a_question_of_one_room_and_one_of_all_share_what_was_gathered(gathered: Counter[str]) -> None:
    jam = full_house()
    one, every = asker(jam), asker(jam)
    one.say(control.StatsRequest(room="room 1"))
    jam.finish_gathering()
    every.say(control.StatsRequest())
    jam.finish_gathering()
    assert [room.name for room in one.heard(Stats)[0].rooms] == ["room 1"]
    assert [room.name for room in every.heard(Stats)[0].rooms] == ["room 0", "room 1", "room 2"]
    assert set(gathered.values()) == {MEMBERS}


def test_a_turn_gathers_a_few_members_and_the_rest_waits_for_the_next(gathered: Counter[str]) -> None:
    jam = full_house()
    curious = asker(jam)
    curious.say(control.StatsRequest())
    turns = [gathered.total()]
    while not curious.heard(Stats):
        assert jam.hub.next_wakeup() <= jam.now
        before = gathered.total()
        jam.wake()
        turns.append(gathered.total() - before)
    assert max(turns) == STEPS_A_TURN
    assert gathered.total() == ROOMS * MEMBERS
    assert jam.hub.next_wakeup() > jam.now


def test_what_is_told_is_what_gathering_at_once_tells() -> None:
    jam = full_house()
    for bridge in jam.bridges[::2]:
        bridge.play()
    curious = asker(jam)
    curious.say(control.StatsRequest())
    jam.finish_gathering()
    assert curious.heard(Stats) == [jam.hub.stats(None, jam.now)]


def test_a_room_that_is_left_while_it_is_gathered_spoils_no_answer() -> None:
    jam = full_house()
    curious = asker(jam)
    curious.say(control.StatsRequest())
    for bridge in jam.bridges[2:-1]:
        bridge.say(control.Leave())
    jam.finish_gathering()
    (told,) = curious.heard(Stats)
    assert [len(room.members) for room in told.rooms] == [STEPS_A_TURN, 0, 0]


def test_so_many_questions_wait_and_no_more() -> None:
    desk = StatsDesk({})
    assert all(desk.ask(connection, None) for connection in range(QUESTIONS_MAX))
    assert not desk.ask(QUESTIONS_MAX, None)
    assert desk.turn(1)
    assert desk.ask(QUESTIONS_MAX, None)


def test_questions_of_a_connection_that_has_ended_are_not_gathered(gathered: Counter[str]) -> None:
    jam = full_house()
    first, second = asker(jam), asker(jam, "192.0.2.100")
    for one in (first, first, second):
        jam.hub.receive_control(one.connection, control.StatsRequest(), jam.now, host=one.address[0])
    before = gathered.total()
    assert 0 < before < ROOMS * MEMBERS
    for one in (first, second):
        jam.hub.control_closed(one.connection, jam.now)
    jam.finish_gathering()
    assert gathered.total() == before


def test_a_fault_while_gathering_costs_nobody_anything_but_that_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jam = full_house()
    with monkeypatch.context() as broken:
        broken.setattr(gather, "_member_stats", lambda *_, **__: 1 / 0)
        unlucky = asker(jam)
        unlucky.say(control.StatsRequest(room="room 1"))
        jam.finish_gathering()
    lucky = asker(jam, "192.0.2.100")
    lucky.say(control.StatsRequest(room="room 1"))
    jam.finish_gathering()
    assert [refused.reason for refused in unlucky.heard(control.Refused)] == ["fault"]
    assert len(lucky.heard(Stats)) == 1
    assert "no statistics of room room 1" in caplog.text


def test_a_finding_is_shown_at_once_and_not_a_second_later(gathered: Counter[str]) -> None:
    jam = full_house()
    curious = asker(jam)
    for _ in range(2):
        curious.say(control.StatsRequest(room="room 1"))
        jam.finish_gathering()
    assert gathered["room 1"] == MEMBERS
    next(iter(jam.hub.rooms["room 1"].facets.values())).findings += 1
    curious.say(control.StatsRequest(room="room 1"))
    jam.finish_gathering()
    assert gathered["room 1"] == 2 * MEMBERS
