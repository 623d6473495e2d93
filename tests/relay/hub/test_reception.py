"""Joining and leaving a room: which slot and name a member gets, and what happens when it goes."""

import pytest

from relay.effects import SendControl
from relay.lead.keeper import LeadPolicy
from relay.room.facets.lead import Lead
from relay.wire import control, frames
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Kind
from relay.wire.timetag import ticks
from tests.worlds.relay import FakeBridge, Jam

ROOT_GROUP = encode("/g_new", 6, 0, 0)


def resets(bridge: FakeBridge) -> list[tuple[int, bool]]:
    """Return (slot, whether it is flagged SILENCED) for each slot reset that a bridge received."""
    return [
        (judged.slot, Flag.SILENCED in judged.flags) for judged in bridge.judged if judged.kind is Kind.RESET
    ]


def test_the_first_member_gets_slot_1_and_all_it_needs() -> None:
    jam = Jam()
    ann = jam.join("ann")
    welcome = ann.welcome
    assert (welcome.slot, welcome.name, welcome.number, welcome.next_seq) == (1, "ann", 0, 1)
    assert (welcome.lead, welcome.shift, welcome.resumed) == (ticks(0.2), 0, False)
    assert len({welcome.key_up, welcome.key_down}) == 2
    assert welcome.horizon == jam.hub.rooms["main"].judge.horizon
    assert [member.name for member in welcome.members] == ["ann"]


def test_names_are_made_unique_and_clean() -> None:
    jam = Jam()
    names = [jam.join(name).welcome.name for name in ("ann", "ann", "a\x1bnn\u202e")]
    assert names == ["ann", "ann-2", "ann-3"]


def test_a_long_name_stays_within_its_bound_when_made_unique() -> None:
    jam = Jam()
    first, second = (jam.join("x" * 32).welcome.name for _ in range(2))
    assert (len(first), second) == (32, "x" * 28 + "-2")


def test_a_ticket_claims_the_slot_again_with_fresh_keys() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.play()
    old = ann.welcome
    ann.hang_up()
    jam.advance(2.0)
    ann.again()
    assert (ann.welcome.slot, ann.welcome.resumed, ann.welcome.next_seq) == (1, True, 2)
    assert ann.welcome.key_up != old.key_up
    assert ann.welcome.key_down != old.key_down
    ann.play()
    assert [judged.seq for judged in bob.judged] == [1, 2]
    assert resets(bob) == []


@pytest.mark.parametrize("changes", [{"ticket": bytes(16)}, {"epoch": bytes(16)}, {"ticket": None}])
def test_without_ticket_and_epoch_nobody_gets_anothers_slot(changes: dict[str, object]) -> None:
    jam = Jam()
    ann = jam.join("ann")
    known = {"ticket": ann.welcome.ticket, "epoch": ann.welcome.epoch, "slot_wanted": 1}
    thief = FakeBridge(jam, "ann")
    thief.hello(**(known | changes))
    assert (thief.welcome.slot, thief.welcome.resumed, thief.welcome.name) == (2, False, "ann-2")
    assert not ann.closed


def test_a_new_connection_replaces_the_old_one_at_once() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    again = FakeBridge(jam, "ann")
    again.hello(ticket=ann.welcome.ticket, epoch=ann.welcome.epoch)
    assert ann.closed
    assert not again.closed
    assert (again.welcome.slot, again.welcome.resumed) == (1, True)
    bob.play()
    assert len(again.judged) == 1
    assert ann.judged == []


def test_a_slot_wanted_is_given_if_nobody_has_it() -> None:
    jam = Jam()
    ann, bob = FakeBridge(jam, "ann"), FakeBridge(jam, "bob")
    ann.hello(slot_wanted=3)
    bob.hello(slot_wanted=3)
    assert (ann.welcome.slot, bob.welcome.slot) == (3, 1)


def test_leaving_resets_the_slot_everywhere_and_frees_it() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.play()
    ann.say(control.Leave())
    assert ann.closed
    assert resets(bob) == [(1, True)]
    assert [member.name for member in bob.heard(control.Roster)[-1].members] == ["bob"]
    cleo = jam.join("cleo")
    assert cleo.welcome.slot == 1
    assert cleo.welcome.next_seq == 3  # after ann's note and the reset: nobody can mix them up
    cleo.play()
    assert bob.judged[-1].seq == 3
    assert jam.hub.stats(None, jam.now).rooms[0].members[0].sent == 1


def test_a_lost_connection_is_silence_everywhere_within_ten_seconds() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.play()
    ann.hang_up()
    gone = jam.now
    assert [member.present for member in bob.heard(control.Roster)[-1].members] == [False, True]
    jam.advance(4.5)
    assert resets(bob) == []
    jam.advance(5.0)
    assert resets(bob) == [(1, True)]
    assert bob.judged[-1].due < gone + ticks(10)


def test_a_member_that_falls_silent_is_freed_within_ten_seconds_and_everybody_told() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.alive = False
    gone = jam.now
    jam.advance(9.5)
    assert ann.closed
    assert resets(bob) == [(1, True)]
    assert bob.judged[-1].due < gone + ticks(10)
    assert [member.present for member in bob.heard(control.Roster)[-1].members] == [False, True]


def test_silence_comes_once_however_long_it_lasts() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.hang_up()
    jam.advance(100.0)
    assert resets(bob) == [(1, True)]


def test_a_slot_waits_300_seconds_for_its_ticket_and_no_longer() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.hang_up()
    jam.advance(299.0)
    assert jam.join("cleo").welcome.slot == 3
    ann.again()
    assert (ann.welcome.slot, ann.welcome.resumed) == (1, True)
    ann.hang_up()
    jam.advance(301.0)
    assert [member.name for member in bob.heard(control.Roster)[-1].members] == ["bob", "cleo"]
    ann.again()
    assert (ann.welcome.slot, ann.welcome.resumed) == (1, False)


def test_an_empty_room_is_forgotten_and_begins_anew() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.play()
    epoch = ann.welcome.epoch
    ann.say(control.Leave())
    jam.advance(1.0)
    assert jam.hub.rooms == {}
    newcomer = jam.join("bob")
    assert newcomer.welcome.epoch != epoch
    assert (newcomer.welcome.number, newcomer.welcome.next_seq) == (0, 1)


def test_after_a_restart_of_the_relay_a_member_gets_its_slot_and_goes_on_with_its_numbers() -> None:
    first, second = Jam(), Jam()
    ann = first.join("ann")
    other = first.join("bob")
    assert other.welcome.slot == 2
    reborn = FakeBridge(second, "bob")
    reborn.hello(ticket=other.welcome.ticket, epoch=bytes(16), slot_wanted=2, next_seq=40)
    assert ann.welcome.slot == 1
    assert (reborn.welcome.slot, reborn.welcome.resumed, reborn.welcome.next_seq) == (2, False, 40)
    event = reborn.play()
    assert [(judged.seq, judged.due) for judged in reborn.judged] == [(40, event.timetag)]


def test_what_waited_for_a_dead_bridges_gap_is_judged_when_it_returns() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.stamp()
    ann.send(ann.stamp(ahead_s=5.0))
    ann.hang_up()
    ann.again()
    assert [judged.seq for judged in bob.judged] == [2]
    ann.play()
    assert [judged.seq for judged in bob.judged] == [2, 3]


# -- live states (tests/relay/room/facets has the rest) -----------------------------------------------------


def test_copies_of_live_states_come_after_welcome_and_roster() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.play(ROOT_GROUP, kind=Kind.UNTIMED)
    bob = jam.join("bob")
    jam.advance(0.5)
    told = [type(one) for one in bob.said if not isinstance(one, control.Settings)]
    assert told == [control.Welcome, control.Roster, control.LivePart]
    assert ann.heard(control.LivePart) == []
    (part,) = bob.heard(control.LivePart)
    assert part.slot == 1
    assert part.number == bob.welcome.number == 1


def test_after_silence_everybody_is_given_what_the_reset_took() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.play(ROOT_GROUP, kind=Kind.UNTIMED)
    jam.advance(0.5)
    ann.hang_up()
    jam.advance(8.0)
    cleo = jam.join("cleo")
    jam.advance(0.5)
    assert [one.pieces for one in cleo.heard(control.LivePart) if one.slot == 1] == [[]]
    for bridge in (ann, bob, cleo):
        bridge.said.clear()
    ann.again()
    jam.advance(0.5)
    for bridge in (ann, bob, cleo):
        (part,) = [one for one in bridge.heard(control.LivePart) if one.slot == 1]
        assert [payload for payload, *_ in part.pieces] == [encode("/g_new", 6, 1, 0)]


# -- horizon -----------------------------------------------------------------------------------------


def report(jam: Jam, down_p99_ms: float, down_p50_ms: float = 0.0) -> control.Report:
    return control.Report(
        second=jam.now >> 32, whole=False, events=0, digest=b"",
        down_p99_ms=down_p99_ms, down_p50_ms=down_p50_ms,
    )  # fmt: skip


def test_the_horizon_is_what_the_slowest_way_down_needs() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.say(report(jam, 80.0))
    bob.say(report(jam, 30.0))
    jam.advance(1.3)
    expected = ticks(0.080 + 0.020 + 0.010)
    for bridge in (ann, bob):
        assert abs(bridge.heard(control.Settings)[-1].horizon - expected) <= 2
    event = ann.play()
    assert event.timetag is not None
    jam.advance(0.3)
    beats = [frame for frame in ann.frames if isinstance(frame, frames.BeatDown)]
    assert abs(beats[-1].watermark - beats[-1].sent - expected) <= 2


def test_before_the_first_report_a_way_back_is_taken_to_be_like_the_way_up() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.send(frames.BeatUp(0, 0, jam.now - ticks(0.12)))
    (room,) = jam.hub.rooms.values()
    (path,) = room.facet(Lead).paths()
    ways = (path.up_p50, path.up_p90, path.down_p50, path.down_p99)
    assert ways == (ticks(0.12),) * 4
    ann.say(report(jam, 80.0, 30.0))
    (path,) = room.facet(Lead).paths()
    assert (path.up_p50, path.down_p50, path.down_p99) == (ticks(0.12), ticks(0.03), ticks(0.08))


def test_no_report_drives_the_horizon_past_the_lead() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.say(report(jam, 1e9))
    jam.advance(1.3)
    assert ann.heard(control.Settings)[-1].horizon == ticks(0.2) - ticks(0.01)


def test_a_newcomer_that_needs_more_time_is_reckoned_with_from_its_welcome_on() -> None:
    jam = Jam()
    ann = jam.join("ann")
    slow = FakeBridge(jam, "slow")
    slow.hello(release_advance=ticks(0.09))
    assert abs(slow.welcome.horizon - ticks(0.09 + 0.005 + 0.01)) <= 3
    assert ann.heard(control.Settings)[-1].horizon == slow.welcome.horizon


def test_a_member_beyond_all_waiting_is_told_and_changes_nothing_for_the_others() -> None:
    jam = Jam(policy=LeadPolicy())
    ann, bob = jam.join("ann"), jam.join("bob")
    jam.advance(5.0)
    before = ann.heard(control.Settings)
    bob.say(report(jam, 1e9, 1e9))
    jam.advance(5.0)
    assert ann.heard(control.Settings) == before
    assert [note.text[:9] for note in bob.heard(control.Notice)] == ["your path"]
    assert ann.heard(control.Notice) == []


def test_the_roster_goes_to_those_who_are_in() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    bob.hang_up()
    effects = jam.hub.receive_control(ann.connection, control.StatsRequest(), jam.now, host=ann.address[0])
    assert all(isinstance(one, SendControl) and one.connection == ann.connection for one in effects)
    assert len(bob.heard(control.Roster)) == 1
