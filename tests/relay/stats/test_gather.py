"""The relay's statistics: what they contain, and what anybody may ask for."""

import pytest

from relay.limits import STATS_BURST
from relay.room.facets.coherence import Coherence
from relay.wire import control
from relay.wire.osc import encode
from relay.wire.sequence import Scheme
from relay.wire.stats import Stats
from relay.wire.timetag import TICKS_PER_S
from tests.worlds.relay import FakeBridge, Jam


def test_statistics_tell_what_was_sent_judged_and_reported() -> None:
    jam = Jam()
    ann = jam.join("ann")
    jam.join("bob")
    ann.play()
    ann.send(ann.stamp(ahead_s=0.1))  # a real-time note: the lead moves it
    second = jam.now // TICKS_PER_S
    ann.say(
        control.Report(
            second=second,
            whole=False,
            events=0,
            digest=b"",
            margin_ms_min=0.0,
            margins_ms=[0.0, 50.0],
            local_only=2,
        )
    )
    ann.say(
        control.Report(
            second=second + 1,
            whole=False,
            events=0,
            digest=b"",
            margin_ms_min=9.0,
            rtt_ms=12.5,
            frames_expected=98,
            frames_lost=1,
        )
    )
    ann.say(control.StatsRequest(room="main"))
    (stats,) = ann.heard(Stats)
    assert (stats.software, stats.members, len(stats.rooms)) == ("jamrelay test", 2, 1)
    (room,) = stats.rooms
    assert (room.lead_ms, room.shift_ms, room.moved) == (pytest.approx(200.0), 0.0, 1)
    first, other = room.members
    assert (first.name, first.sent, first.moved, first.local_only) == ("ann", 2, 1, 2)
    assert (first.margin_ms_worst, first.rtt_ms, first.loss_percent) == (0.0, 12.5, 1.0)
    assert (other.name, other.sent, other.present) == ("bob", 0, True)


def test_a_duplicate_counts_as_sent_once_and_a_refusal_as_refused_once() -> None:
    jam = Jam()
    ann = jam.join("ann")
    event = ann.play()
    ann.send(event)
    ann.send(ann.stamp(ahead_s=61))
    (member,) = jam.hub.stats(None, jam.now).rooms[0].members
    assert (member.sent, member.refused) == (2, 1)


def test_what_a_member_lacks_of_the_others_live_states_is_added_up() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for count in (2, 0, 1):
        ann.say(control.Report(second=jam.now >> 32, whole=False, events=0, digest=b"", unfounded=count))
    (member,) = jam.hub.stats(None, jam.now).rooms[0].members
    assert member.unfounded == 3


def test_only_the_room_asked_for_is_told() -> None:
    jam = Jam()
    jam.join("ann", "one")
    jam.join("bob", "two")
    assert [room.name for room in jam.hub.stats("two", jam.now).rooms] == ["two"]
    assert [room.name for room in jam.hub.stats(None, jam.now).rooms] == ["one", "two"]
    assert jam.hub.stats("three", jam.now).rooms == []


def test_statistics_are_given_without_joining_but_not_without_limit() -> None:
    jam = Jam()
    asker = FakeBridge(jam)
    asker.connection, asker.closed = 999, False
    for _ in range(STATS_BURST + 5):
        asker.say(control.StatsRequest())
    assert len(asker.heard(Stats)) == STATS_BURST
    refused = asker.heard(control.Refused)
    assert len(refused) == 5
    assert "try again" in refused[0].text
    assert not refused[0].final


def test_statistics_of_a_full_relay_fit_one_control_payload() -> None:
    jam = Jam(rooms_max=35, members_max=31)
    for room in range(35):
        for member in range(31):
            jam.bridges.clear()
            jam.join(f"{member:02d}" + "ü" * 30, f"room-{room:02d}")
        jam.hub.rooms[f"room-{room:02d}"].facet(Coherence).ledger.incidents.extend(["x" * 150] * 20)
    stats = jam.hub.stats(None, jam.now)
    assert stats.members == 35 * 31
    assert len(stats.rooms) == 32
    assert len(control.encode(stats)) < 1 << 20


def test_a_members_bytes_reach_nobodys_terminal_as_control_characters() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.play(encode("/s_new", "\x1b[2J\x07\u202e" * 99, 9, 0, 2))
    described = jam.hub.rooms["main"].describe(ann.judged[0])
    assert described.isprintable()
    assert len(described) < 120


@pytest.mark.parametrize("scheme", Scheme)
def test_a_rooms_scheme_is_told_to_whoever_joins_or_asks(scheme: Scheme) -> None:
    jam = Jam(scheme=scheme)
    ann = jam.join("ann")
    report = control.Report(second=1, whole=False, events=0, digest=b"", down_p99_ms=80.0)
    jam.join("bob").say(report)  # moves the horizon
    assert ann.welcome.scheme is scheme
    assert {settings.scheme for settings in ann.heard(control.Settings)} == {scheme}
    ann.say(control.StatsRequest())
    assert ann.heard(Stats)[0].rooms[0].scheme is scheme
