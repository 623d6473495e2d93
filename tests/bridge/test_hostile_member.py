"""A member that uses the protocol to do harm is refused and counted, and the others play on."""

import math
from pathlib import Path

import pytest
from pythonosc.osc_message import OscMessage

from bridge.playout.missing_samples import NAMES_MAX
from bridge.playout.second_reports import PathFigures
from bridge.scsynth.host_tree import JAM, STRIPS
from bridge.scsynth.samples import SLOT_SAMPLES_MAX, ResourceFolders
from relay.lead.keeper import LeadPolicy
from relay.limits import CONTROLS_BURST, EVENTS_BURST
from relay.room.facets.coherence import Coherence
from relay.room.judge import WAITING_MAX
from relay.wire import control
from relay.wire.control.live import PART_BYTES
from relay.wire.errors import MalformedControl
from relay.wire.live.state import BYTES_MAX, PARTS_MAX
from relay.wire.osc import encode, walk
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.hostile import BAD, NOTE, STEP_S, Scene, Victim
from tests.worlds.relay import FakeBridge, Jam

pytestmark = pytest.mark.computes

BAD_NAME = "‮\x1b[31mevil\n\u2066"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "bd_haus.flac").write_bytes(bytes(1000))
    jam = Jam()
    mallory = jam.join("mallory")
    ann = Victim(jam, "ann", ResourceFolders(tmp_path))
    scene = Scene(jam, mallory, ann, jam.join("bob"))
    scene.after()
    return scene


@pytest.mark.parametrize("kind", [Kind.TIMED, Kind.UNTIMED, Kind.RESOURCE], ids=lambda kind: kind.name)
def test_nothing_bad_reaches_another_scsynth_and_each_is_counted(scene: Scene, kind: Kind) -> None:
    for name, payload in BAD.items():
        before, at_the_relay = scene.ann.refused, scene.refused_at_the_relay()
        passed_on = len(scene.ann.bridge.judged)
        scene.mallory.play(payload, kind=kind)
        assert scene.after(0.8) == [], name
        if len(scene.ann.bridge.judged) > passed_on:
            assert scene.ann.refused == before + 1, name
        else:
            assert scene.refused_at_the_relay() == at_the_relay + 1, name
    assert scene.bob_is_heard()


def test_what_ann_refuses_stands_in_her_statistics(scene: Scene) -> None:
    scene.mallory.play(encode("/quit"))
    for _ in range(8):
        scene.after(1.0)
        for report in scene.ann.ledger.due_reports(scene.jam.now, PathFigures()):
            scene.ann.bridge.say(report)
    [room] = scene.jam.hub.stats("main", scene.jam.now).rooms
    assert {member.name: member.refused for member in room.members} == {"mallory": 0, "ann": 1, "bob": 0}


def test_a_live_state_full_of_bad_things_reaches_no_joiners_scsynth(scene: Scene, tmp_path: Path) -> None:
    for payload in BAD.values():
        scene.mallory.play(payload, kind=Kind.UNTIMED)
    slot = scene.mallory.welcome.slot
    pieces = [(payload, (payload,), due, 1) for payload in BAD.values() for due in (0, 5, 1 << 63)]
    good = (encode("/g_new", 9, 0, 0), (), 0, 0)
    third = len(pieces) // 3
    for index, part in enumerate((pieces[:third], pieces[third : 2 * third], [*pieces[2 * third :], good])):
        scene.mallory.say(control.LivePart(slot=slot, index=index, pieces=part, last=index == 2))
    scene.after()
    joiner = Victim(scene.jam, "joe", ResourceFolders(tmp_path))
    handed = joiner.at_first
    for _ in range(20):
        scene.jam.advance(STEP_S)
        handed += joiner.hear()
    messages = [OscMessage(one.raw) for datagram in handed for _, one in walk(datagram)]
    nine = slot << 26 | 9
    made = [message for message in messages if message.address == "/g_new" and message.params[0] == nine]
    assert len(made) == 1
    others = [message for message in messages if message.params[0] != nine and message.address != "/error"]
    members = {member.slot << 26 for member in joiner.bridge.heard(control.Roster)[-1].members}
    strips = {JAM, STRIPS} | {64 + member.slot for member in joiner.bridge.heard(control.Roster)[-1].members}
    for message in others:
        node = message.params[1] if message.address == "/s_new" else message.params[0]
        assert node in members | strips, f"{message.address} {message.params} of slot {slot}"


def test_two_moves_that_would_end_scsynth_are_both_refused(scene: Scene) -> None:
    for group in (8, 9):
        scene.mallory.play(encode("/g_new", group, 0, 0), kind=Kind.UNTIMED)
    assert len(scene.after()) == 2
    for moves in (("/g_head", 8, 9), ("/g_head", 9, 8), ("/n_order", 0, 8, 9), ("/n_after", 8, 9)):
        scene.mallory.play(encode(*moves), kind=Kind.UNTIMED)
    assert scene.after() == []


@pytest.mark.parametrize("ahead_s", [60.5, 3600.0, 1e8])
def test_an_event_far_ahead_is_refused_by_the_relay(scene: Scene, ahead_s: float) -> None:
    before = scene.refused_at_the_relay()
    scene.mallory.send(scene.mallory.stamp(ahead_s=ahead_s))
    scene.mallory.send(scene.mallory.stamp(kind=Kind.UNTIMED, emitted=scene.jam.now + ticks(ahead_s)))
    assert scene.refused_at_the_relay() == before + 2
    assert scene.after() == []
    assert not scene.bob.judged
    assert scene.bob_is_heard()


def test_an_instant_long_ago_plays_at_once_and_moves_nobody_else(scene: Scene) -> None:
    scene.mallory.send(scene.mallory.stamp(NOTE, emitted=1 << 63, ahead_s=0.0))
    scene.mallory.send(scene.mallory.stamp(NOTE, kind=Kind.UNTIMED, emitted=1 << 63))
    scene.after()
    assert scene.bob_is_heard()


def test_a_flood_of_events_is_refused_above_the_rate_and_others_play_on_time(scene: Scene) -> None:
    event = scene.bob.play(NOTE)
    for _ in range(3000):
        scene.mallory.play(NOTE)
    assert scene.refused_at_the_relay() >= 3000 - EVENTS_BURST - 20
    [judged] = [one for one in scene.bob.judged if one.slot == scene.slot_of_bob]
    assert judged.due == event.timetag
    handed = scene.after()
    assert sum(b"sonic-pi-beep" in datagram for datagram in handed) <= EVENTS_BURST + 21
    assert scene.bob_is_heard()


def flood(scene: Scene, payloads: list[bytes], *, kind: Kind) -> list[bytes]:
    """Let mallory send all payloads within the rate limit; return what ann's scsynth was handed."""
    handed: list[bytes] = []
    for at in range(0, len(payloads), 80):
        for payload in payloads[at : at + 80]:
            scene.mallory.play(payload, kind=kind)
        scene.jam.advance(0.2)
        handed += scene.ann.hear()
    return handed + scene.after()


def copied(scene: Scene) -> list[control.LivePart]:
    """Let a new member join; return the parts of mallory's live state that the new member is sent."""
    joiner = scene.jam.join("joe")
    scene.jam.advance(10.0)
    return [one for one in joiner.heard(control.LivePart) if one.slot == scene.mallory.welcome.slot]


@pytest.mark.slow
def test_a_live_state_of_thousands_of_groups_is_kept_within_bounds(scene: Scene) -> None:
    groups = [encode("/g_new", 10 + index, 0, 0) for index in range(PARTS_MAX + 500)]
    flood(scene, groups, kind=Kind.UNTIMED)
    parts = copied(scene)
    assert parts[-1].last
    assert sum(len(part.pieces) for part in parts) == PARTS_MAX
    assert scene.bob_is_heard()


def test_a_live_state_of_600_kilobytes_is_kept_within_bounds_and_comes_in_small_parts(scene: Scene) -> None:
    controls = ("amp", 0.5) * 100
    notes = [encode("/s_new", "sonic-pi-beep", 10 + at, 0, 0, *controls) for at in range(600_000 // 1000)]
    assert sum(map(len, notes)) > 600_000
    flood(scene, notes, kind=Kind.UNTIMED)
    parts = copied(scene)
    assert parts[-1].last
    assert sum(len(piece[0]) for part in parts for piece in part.pieces) <= BYTES_MAX
    assert max(len(control.encode(part)) for part in parts) <= 2 * PART_BYTES
    assert scene.bob_is_heard()


@pytest.mark.slow
def test_names_of_files_that_nobody_has_are_not_remembered_for_ever(scene: Scene) -> None:
    names = [encode("/b_allocRead", 1, f"samples/no{index}.flac", 0, 0) for index in range(PARTS_MAX + 200)]
    flood(scene, names, kind=Kind.RESOURCE)
    assert len(scene.ann.playout._loads.absent.by_name) == NAMES_MAX
    timeline = scene.ann.playout._live._slots.timeline(scene.mallory.welcome.slot)
    assert timeline is not None
    timeline.advance(scene.jam.now)
    assert len(timeline.state.loads()) == 1, "the newest load of one buffer"


def test_a_member_fills_its_own_share_of_memory_and_no_more(scene: Scene) -> None:
    frames = 1 << 22
    loads = [encode("/b_alloc", number, frames, 2) for number in range(200)]
    handed = flood(scene, loads, kind=Kind.RESOURCE)
    assert len(handed) == SLOT_SAMPLES_MAX // (2 * frames)
    assert scene.ann.playout.counts.refused["buffer-memory"] == 200 - len(handed)
    flood(scene, [encode("/b_free", 0)], kind=Kind.UNTIMED)
    assert len(flood(scene, loads[50:52], kind=Kind.RESOURCE)) == 1, "what was freed may be filled again"
    scene.bob.play(loads[0], kind=Kind.RESOURCE)
    assert len(scene.after()) == 1, "another member has a share of its own"


@pytest.mark.parametrize("jump", [5000, 2**31, 2**32 - 10])
def test_a_leap_of_the_numbers_is_refused_and_the_next_event_plays(scene: Scene, jump: int) -> None:
    before, honest = scene.refused_at_the_relay(), scene.mallory.next_seq
    scene.mallory.next_seq += jump
    scene.mallory.play()
    assert scene.refused_at_the_relay() == before + 1
    scene.mallory.next_seq = honest
    scene.mallory.play()
    assert len(scene.mallory.judged) == 1
    assert scene.bob_is_heard()


def test_gaps_on_purpose_hold_up_nobody_else_and_are_bounded(scene: Scene) -> None:
    for _ in range(3000):
        scene.mallory.next_seq += 1
        scene.mallory.play()
        if scene.mallory.next_seq % 100 == 0:
            scene.jam.advance(0.1)
    state = scene.jam.hub.rooms["main"].judge._slots[scene.mallory.welcome.slot]
    assert len(state.waiting) <= WAITING_MAX
    assert scene.bob_is_heard()


def test_a_replayed_datagram_is_refused_and_plays_once(scene: Scene) -> None:
    sealed = scene.mallory.send(scene.mallory.stamp(NOTE))
    refused = scene.jam.hub.figures.datagrams_refused
    for _ in range(5):
        scene.jam.datagram(sealed, ("203.0.113.9", 9))
    assert scene.jam.hub.figures.datagrams_refused == refused + 5
    assert sum(b"sonic-pi-beep" in datagram for datagram in scene.after()) == 1
    assert not [one for one in scene.jam.strangers if one.to == ("203.0.113.9", 9)]


def test_an_event_sent_under_the_same_number_again_plays_once(scene: Scene) -> None:
    event = scene.mallory.stamp(NOTE)
    for _ in range(5):
        scene.mallory.send(event, event)
    assert len(scene.bob.judged) == 1


def test_datagrams_out_of_order_play_in_the_senders_order(scene: Scene) -> None:
    events = [scene.mallory.stamp(NOTE) for _ in range(20)]
    for event in reversed(events):
        scene.mallory.send(event)
    assert [one.seq for one in scene.bob.judged] == [event.seq for event in events]
    assert not [one for one in scene.bob.judged if Flag.OVERTAKEN in one.flags]


def report(second: int, **changes: object) -> control.Report:
    return control.Report(second=second, whole=True, events=0, digest=bytes(16), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"late_numbers": list(range(65))},
        {"margins_ms": [0.0] * 257},
        {"margin_ms_min": math.nan},
        {"rtt_ms": math.inf},
        {"refused": 2**53},
        {"late": -1},
        {"digest": bytes(33)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_giant_report_is_not_understood(changes: dict[str, object]) -> None:
    known: dict[str, object] = {"second": 1, "whole": True, "events": 0, "digest": bytes(16)}
    with pytest.raises(MalformedControl):
        control.decode_up(control.encode(control.Report(**(known | changes))))


def test_reports_about_far_seconds_take_no_room(scene: Scene) -> None:
    ledger = scene.jam.hub.rooms["main"].facet(Coherence).ledger
    before, second = len(ledger._seconds), scene.jam.now // TICKS_PER_S
    for away in (-(10**6), -1000, -40, 2, 100, 10**6, 2**62):
        scene.mallory.say(report(second + away))
    assert len(ledger._seconds) == before
    assert scene.bob_is_heard()


def test_sums_of_the_greatest_counts_still_fit_the_statistics(scene: Scene) -> None:
    greatest = 2**32
    for _ in range(3000):
        scene.jam.advance(0.05)
        scene.mallory.say(report(scene.jam.now // TICKS_PER_S - 1, refused=greatest, local_only=greatest))
    control.decode_down(control.encode(scene.jam.hub.stats(None, scene.jam.now)))


def test_details_that_nobody_asked_for_change_nothing(scene: Scene) -> None:
    room = scene.jam.hub.rooms["main"]
    scene.after(3.0)
    incidents = list(room.facet(Coherence).ledger.incidents)
    details = [(number, bytes(32)) for number in range(4096)]
    for away in range(-30, 5):
        second = scene.jam.now // TICKS_PER_S + away
        scene.mallory.say(control.DigestDetail(second=second, events=details))
    assert not [second for second in room.facet(Coherence).ledger._seconds.values() if second.details]
    assert list(room.facet(Coherence).ledger.incidents) == incidents


def test_a_lying_report_costs_nobody_else_their_good_name(scene: Scene) -> None:
    for _ in range(10):
        scene.jam.advance(1.0)
        scene.mallory.say(report(scene.jam.now // TICKS_PER_S - 3, late=50, late_numbers=list(range(50))))
    [room] = scene.jam.hub.stats("main", scene.jam.now).rooms
    assert [(one.late, one.different) for one in room.members if one.name != "mallory"] == [(0, 0), (0, 0)]


def test_a_flood_of_control_messages_is_refused_above_the_rate(scene: Scene) -> None:
    before = scene.refused_at_the_relay()
    for _ in range(1000):
        scene.mallory.say(report(1))
    assert scene.refused_at_the_relay() - before >= 1000 - CONTROLS_BURST - 10
    assert scene.bob_is_heard()


def test_a_member_that_said_too_much_can_still_leave(scene: Scene) -> None:
    for _ in range(1000):
        scene.mallory.say(report(1))
    scene.mallory.say(control.Leave())
    [room] = scene.jam.hub.stats("main", scene.jam.now).rooms
    assert "mallory" not in {member.name for member in room.members}


def test_a_second_hello_before_and_a_word_before_hello_close_the_connection(scene: Scene) -> None:
    stranger = FakeBridge(scene.jam, "stranger")
    stranger.connection, stranger.closed = 999, False
    stranger.say(report(1))
    assert stranger.closed


def test_a_name_cannot_colour_a_terminal_or_turn_its_text_around(scene: Scene) -> None:
    evil = scene.jam.join(BAD_NAME)
    assert evil.welcome.name.isprintable()
    assert evil.welcome.name == "[31mevil"
    room = scene.jam.hub.rooms["main"]
    words = encode("/s_new", "\x1b]0;owned\x07‮", 7, 0, 2)
    shown = room.describe(Judged(1, evil.welcome.slot, 1, 1 << 63, 1 << 63, Kind.TIMED, Flag.NONE, words))
    assert shown.isprintable()
    for member in scene.bob.heard(control.Roster)[-1].members:
        assert member.name.isprintable()


def test_nobody_drives_lead_or_horizon_beyond_the_longest_lead() -> None:
    jam = Jam(policy=LeadPolicy(lead_max=ticks(0.6)))
    mallory, ann = FakeBridge(jam, "mallory"), jam.join("ann")
    mallory.hello(release_advance=ticks(200.0))
    for _ in range(100):
        ann.play()
        mallory.send(mallory.stamp(emitted=jam.now - ticks(0.59)), mallory.stamp(emitted=jam.now - ticks(30)))
        numbers = range(1, len(ann.judged) + 1)
        ways = [(number, way) for number in numbers[-20:] for way in (5_900, 500_000)]
        report = {"whole": False, "events": 0, "digest": b"", "ways_down": ways, "down_p99_ms": 1e9}
        mallory.say(control.Report(second=jam.now >> 32, **report))
        jam.advance(1.0)
    room = jam.hub.rooms["main"]
    assert room.judge.timing.lead <= ticks(0.6)
    assert room.judge.horizon < room.judge.timing.lead
