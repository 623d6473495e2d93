"""Stock, the facet: a member that lacks a file gets it from one that has it; one content is chosen for
all."""

import pytest

from relay.room.stock_transfers import WINDOW
from relay.wire import control
from relay.wire.control import Chosen, Chunk, Give, Holdings, NoDonor, Want
from relay.wire.errors import MalformedControl
from relay.wire.osc import encode
from relay.wire.stock import STOCK, StockFile
from relay.wire.timetag import ticks
from tests.worlds.relay import FakeBridge, Jam

KALIMBA = STOCK["synthdefs/sonic-pi-kalimba"][0]
BEAT = STOCK["samples/arovane_beat_a.flac"][0]
OLD_PULSE, NEW_PULSE = STOCK["synthdefs/sonic-pi-pulse"]
PULSE = encode("/s_new", "sonic-pi-pulse", 1001, 0, 4)


def holdings(release: str, *loaded: StockFile, gives: bool = True) -> Holdings:
    return Holdings(release=release, loaded=[(one.name, one.sha256) for one in loaded], gives=gives)


def want(file: StockFile, offset: int = 0) -> Want:
    return Want(name=file.name, sha256=file.sha256, offset=offset)


def answer(give: Give, data: bytes) -> Chunk:
    return Chunk(name=give.name, sha256=give.sha256, offset=give.offset, data=data)


def a_jam() -> tuple[Jam, FakeBridge, FakeBridge]:
    jam = Jam()
    old, new = jam.join("old"), jam.join("new")
    old.say(holdings("3.2.2", OLD_PULSE))
    new.say(holdings("4.5.1", NEW_PULSE))
    return jam, old, new


def refused(jam: Jam, name: str) -> int:
    (room,) = jam.hub.stats("main", jam.now).rooms
    return next(member.refused for member in room.members if member.name == name)


# -- files ---------------------------------------------------------------------------------------------


def test_a_file_goes_from_who_has_it_to_who_wants_it_and_to_nobody_else() -> None:
    jam, old, new = a_jam()
    third = jam.join("third")
    old.say(want(KALIMBA))
    (give,) = new.heard(Give)
    assert give == Give(name=KALIMBA.name, sha256=KALIMBA.sha256, offset=0)
    data = bytes(KALIMBA.size)
    new.say(answer(give, data))
    assert [one.data for one in old.heard(Chunk)] == [data]
    assert third.heard(Chunk) == third.heard(Give) == new.heard(Chunk) == []


def test_files_on_no_list_are_neither_asked_for_nor_passed_on() -> None:
    jam, old, new = a_jam()
    old.say(Want(name=KALIMBA.name, sha256=bytes(32), offset=0))
    old.say(Want(name="samples/mine.flac", sha256=KALIMBA.sha256, offset=0))
    new.say(Chunk(name=KALIMBA.name, sha256=bytes(32), offset=0, data=b"evil"))
    assert new.heard(Give) == old.heard(Chunk) == []
    assert (refused(jam, "old"), refused(jam, "new")) == (2, 1)


def test_a_donor_can_not_send_what_nobody_asked_it_for() -> None:
    jam, old, new = a_jam()
    evil = jam.join("evil")
    old.say(want(KALIMBA))
    for offset in (0, 8192):
        evil.say(Chunk(name=KALIMBA.name, sha256=KALIMBA.sha256, offset=offset, data=bytes(KALIMBA.size)))
    assert old.heard(Chunk) == []
    assert refused(jam, "evil") == 2
    with pytest.raises(MalformedControl):
        new.say(Chunk(name=KALIMBA.name, sha256=KALIMBA.sha256, offset=0, data=bytes(8193)))


def test_who_gives_nothing_is_not_asked_and_what_nobody_gives_is_said_so() -> None:
    _, old, new = a_jam()
    new.say(holdings("4.5.1", gives=False))
    old.say(want(KALIMBA))
    assert new.heard(Give) == []
    assert old.heard(NoDonor) == [NoDonor(name=KALIMBA.name, sha256=KALIMBA.sha256)]


def test_a_silent_donor_is_replaced_within_three_seconds() -> None:
    jam, old, new = a_jam()
    third = jam.join("third")
    third.say(holdings("4.5.1"))
    old.say(want(KALIMBA))
    (asked,) = [one for one in (new, third) if one.heard(Give)]
    other = third if asked is new else new
    jam.advance(2.9)
    assert other.heard(Give) == []
    jam.advance(0.2)
    (give,) = other.heard(Give)
    other.say(answer(give, bytes(KALIMBA.size)))
    assert len(old.heard(Chunk)) == 1


def test_a_donor_that_hangs_up_is_replaced() -> None:
    jam, old, new = a_jam()
    old.say(want(KALIMBA))
    new.hang_up()
    jam.advance(3.1)
    assert len(old.heard(NoDonor)) == 1


def test_an_asker_that_floods_makes_a_donor_send_no_more_than_the_rate() -> None:
    jam, old, new = a_jam()
    given = 0
    for _ in range(100):  # 5 s
        for number in range(10):
            old.say(want(BEAT, number * 8192))
        for give in new.heard(Give)[given:]:
            given += 1
            new.say(answer(give, bytes(8192)))
        jam.advance(0.05)
    assert 8 * 8192 * given / 5.0 <= 1_000_000 * 1.1
    assert refused(jam, "old") > 100
    assert len(old.heard(Chunk)) == given


def test_a_window_of_chunks_is_under_way_at_most() -> None:
    jam, old, new = a_jam()
    for number in range(20):
        old.say(want(BEAT, number * 8192))
    jam.advance(2.0)
    assert [give.offset for give in new.heard(Give)] == [number * 8192 for number in range(WINDOW)]


# -- which content ---------------------------------------------------------------------------------------


def chosen(bridge: FakeBridge) -> list[list[tuple[str, bytes]]]:
    return [message.files for message in bridge.heard(Chosen)]


@pytest.mark.parametrize(("first", "file"), [("old", OLD_PULSE), ("new", NEW_PULSE)])
def test_the_first_who_plays_it_decides_and_everybody_is_told_once(first: str, file: StockFile) -> None:
    jam, old, new = a_jam()
    one, other = (old, new) if first == "old" else (new, old)
    one.play()
    jam.advance(1.0)
    assert chosen(old) == [], "that is no contested synthdef"
    one.play(PULSE)
    jam.advance(0.01)
    other.play(PULSE)
    jam.advance(2.0)
    assert chosen(old) == chosen(new) == [[(file.name, file.sha256)]]


def test_who_comes_later_is_told_what_was_decided() -> None:
    jam, old, _ = a_jam()
    old.play(PULSE)
    jam.advance(1.0)
    later = jam.join("later")
    assert chosen(later) == [[(OLD_PULSE.name, OLD_PULSE.sha256)]]


def test_a_member_whose_files_are_not_known_decides_nothing() -> None:
    jam, _, _ = a_jam()
    unknown = jam.join("unknown")
    unknown.play(PULSE)
    jam.advance(1.0)
    assert chosen(unknown) == []


def test_a_member_who_has_none_of_it_loaded_decides_nothing() -> None:
    jam, _, _ = a_jam()
    other = jam.join("other")
    other.say(holdings("3.2.2", *STOCK["synthdefs/sonic-pi-dpulse"][:1]))
    other.play(PULSE)
    jam.advance(1.0)
    assert chosen(other) == []


def test_a_decision_stands_until_nobody_has_that_content_loaded() -> None:
    jam, old, new = a_jam()
    new.play(PULSE)
    jam.advance(1.0)
    third = jam.join("third")
    third.say(holdings("3.2.2", NEW_PULSE))
    new.say(control.Leave())
    old.play(PULSE)
    jam.advance(1.0)
    assert len(chosen(old)) == 1, "third still plays it"
    third.say(control.Leave())
    old.play(PULSE)
    jam.advance(1.0)
    assert chosen(old)[1:] == [[(OLD_PULSE.name, OLD_PULSE.sha256)]]


def test_no_turn_of_the_relay_asks_for_more_than_one_chunk() -> None:
    jam, old, new = a_jam()
    for number in range(WINDOW):
        old.say(want(BEAT, number * 8192))
    counts = []
    for _ in range(400):
        before = len(new.heard(Give))
        jam.now += ticks(0.005)
        jam.wake()
        counts.append(len(new.heard(Give)) - before)
    assert max(counts) == 1
