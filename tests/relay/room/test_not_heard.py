"""Not heard: the relay tells a player which members don't hear which of the player's notes, and counts
them."""

import pytest

from relay.room.facets.not_heard import TELL_EVERY
from relay.stats.view import verdict
from relay.wire import control
from relay.wire.control import NotHeard, Unheard
from relay.wire.errors import MalformedControl
from relay.wire.stats import MemberStats
from relay.wire.timetag import seconds
from tests.worlds.relay import FakeBridge, Jam

KALIMBA, HAT = "synthdefs/sonic-pi-kalimba", "samples/hat_bdu.flac"


def lacks(slot: int, notes: int, name: str = KALIMBA, percent: int | None = None) -> NotHeard:
    return NotHeard(release="3.2.2", of=[Unheard(slot=slot, name=name, notes=notes, percent=percent)])


def notices(bridge: FakeBridge) -> list[str]:
    return [notice.text for notice in bridge.heard(control.Notice)]


def stats_of(jam: Jam, name: str) -> MemberStats:
    (room,) = jam.hub.stats("main", jam.now).rooms
    return next(member for member in room.members if member.name == name)


def test_the_player_is_told_at_once_who_does_not_hear_what_and_why() -> None:
    jam = Jam()
    old, new, third = jam.join("old"), jam.join("new"), jam.join("third")
    old.say(lacks(new.welcome.slot, 306))
    assert notices(new) == ["old doesn't hear 306 notes of yours: its Sonic Pi 3.2.2 lacks kalimba"]
    assert notices(third) == notices(old) == []
    old.say(lacks(new.welcome.slot, 2, HAT, percent=62))
    assert len(notices(new)) == 1, "not more often than is bearable"
    jam.advance(seconds(TELL_EVERY))
    assert notices(new)[1:] == [
        "old doesn't hear 2 notes of yours: its Sonic Pi 3.2.2 lacks kalimba, hat_bdu; they are being "
        "fetched, 62 %"
    ]


def test_statistics_count_the_notes_and_say_whose_they_are() -> None:
    jam = Jam()
    old, new = jam.join("old"), jam.join("new")
    old.say(lacks(new.welcome.slot, 306, percent=62))
    old.say(lacks(old.welcome.slot, 1, HAT))
    assert notices(old) == [], "its own bridge tells it"
    member = stats_of(jam, "old")
    assert member.not_heard == 307
    assert member.not_heard_why == [
        "didn't hear 306 notes of new's: its Sonic Pi 3.2.2 lacks kalimba",
        "didn't hear 1 note of old's: its Sonic Pi 3.2.2 lacks hat_bdu",
    ]
    assert stats_of(jam, "new").not_heard == 0
    (room,) = jam.hub.stats("main", jam.now).rooms
    assert verdict(room)[0].startswith("NOT heard by old: 307 notes")


def test_who_left_is_forgotten_as_listener_and_as_player() -> None:
    jam = Jam()
    old, new, third = jam.join("old"), jam.join("new"), jam.join("third")
    old.say(lacks(new.welcome.slot, 1))
    new.say(lacks(third.welcome.slot, 1))
    third.say(lacks(old.welcome.slot, 1))
    new.say(control.Leave())
    assert [stats_of(jam, name).not_heard for name in ("old", "third")] == [0, 1]


def test_slots_that_nobody_has_count_nothing() -> None:
    jam = Jam()
    old = jam.join("old")
    old.say(lacks(31, 5))
    assert stats_of(jam, "old").not_heard == 0


@pytest.mark.parametrize("name", ["synthdefs/\x1b[31mred", "/etc/passwd", "samples/", "other/x"])
def test_names_that_no_file_of_sonic_pi_has_are_malformed(name: str) -> None:
    jam = Jam()
    old = jam.join("old")
    with pytest.raises(MalformedControl):
        old.say(lacks(1, 1, name))
