"""A bridge and a relay count unusual events by name, and the statistics show all these counts."""

from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from bridge.playout import holdback_queue as holdback
from bridge.playout.second_reports import PathFigures
from bridge.scsynth.samples import ResourceFolders
from bridge.tap.tap import Player
from clock.model import Reading
from relay.limits import STATS_COUNTS_MAX
from relay.transports.udp import SocketCounts
from relay.wire import control
from relay.wire.osc import encode
from relay.wire.sequence import Kind
from relay.wire.stats import MemberStats
from tests.worlds.bridge import TAP, UNIX_NS, Bench, instant, judged, note, reading
from tests.worlds.relay import FakeBridge, Jam


def told_by(bench: Bench, ann: FakeBridge, until_s: float) -> MemberStats:
    """Let ann's bridge report up to second `until_s`; return her figures in the relay's statistics."""
    for report in bench.ledger.due_reports(instant(until_s), PathFigures()):
        ann.say(report)
    return ann.jam.hub.stats(None, ann.jam.now).rooms[0].members[0]


def eventful(bench: Bench, player: Player) -> None:
    """Cause each event that a bridge counts by name."""
    playout = bench.playout
    load = encode("/b_allocRead", 3, "samples/no_such_file.flac", 0, 0)
    playout.judged(judged(1, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    playout.judged(judged(2, 2.0, encode("/n_free", 0), slot=2), reading(1.0))
    for number in (3, 4):  # the second finds no place
        playout.judged(judged(number, 2.0, note()), reading(1.0))
    playout.release(reading(1.96))
    player.receive(b"no OSC", TAP, received_local_ns=reading(2.0).local_ns, reading=reading(2.0))
    quit_others = encode("/dumpOSC_of_others", 1)
    player.receive(quit_others, TAP, received_local_ns=reading(2.0).local_ns, reading=reading(2.0))
    bench.timebase.wall_of_session(instant(5.0), reading(4.9))
    an_hour_back = Reading(reading(5.0).local_ns, UNIX_NS + reading(5.0).local_ns - 3600 * 10**9)
    bench.timebase.wall_of_session(instant(5.1), an_hour_back)


def test_what_a_bridge_counts_reaches_the_statistics_by_name_as_it_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holdback, "CAPACITY", 2)
    bench = Bench(ResourceFolders(Path("/nowhere")))
    session = bench.session()
    player = bench.player()
    jam = Jam()
    ann = jam.join("ann")
    bench.ledger.start(instant(1.0), slot=0)
    session.receive_datagram(b"x", received_local_ns=0, reading=reading(1.0))
    eventful(bench, player)
    named = told_by(bench, ann, 4.0).counts
    assert named == {
        "absent_samples": 1,
        "playout_refused_root-node": 1,
        "overflowed": 1,
        "tap_malformed": 1,
        "tap_refused_not-allowed": 1,
        "wall_steps": 1,
        "datagrams_refused": 1,
    }
    assert told_by(bench, ann, 5.0).counts == named, "nothing happened since"
    session.receive_datagram(b"x", received_local_ns=0, reading=reading(5.0))
    assert told_by(bench, ann, 6.0).counts == named | {"datagrams_refused": 2}


def test_what_the_relay_counts_of_a_member_no_bridge_can_say() -> None:
    jam = Jam()
    ann = jam.join("ann")
    first, second = ann.stamp(), ann.stamp()
    ann.send(second)
    jam.advance(0.006)
    ann.send(first)
    ann.send(first)
    lie = {"up_recovered": 99, "judge_duplicates": 99, "its_own": 1}
    ann.say(control.Report(second=1, whole=False, events=0, digest=b"", counts=lie))
    (member,) = jam.hub.stats(None, jam.now).rooms[0].members
    assert {name: member.counts.get(name) for name in (*lie, "up_lost", "up_duplicates")} == {
        "up_recovered": 1, "judge_duplicates": None, "its_own": 1, "up_lost": 1, "up_duplicates": 1
    }  # fmt: skip


def test_a_member_that_counts_ever_new_things_fills_neither_memory_nor_an_answer() -> None:
    jam = Jam(rooms_max=5, members_max=31)
    for number in range(STATS_COUNTS_MAX):
        bridge = jam.join(f"{number}", f"room {number // 31}")
        for batch in range(3):
            counts = {f"n{batch}_{one:02d}_{'x' * 34}": 2**32 for one in range(control.report.COUNTS_MAX)}
            bridge.say(control.Report(second=batch, whole=False, events=0, digest=b"", counts=counts))
        jam.bridges.clear()
    stats = jam.hub.stats(None, jam.now)
    assert all(len(one.counts) >= control.report.COUNTS_MAX for room in stats.rooms for one in room.members)
    assert all(
        len(seat.told.counts) == control.report.COUNTS_MAX for seat in jam.hub.rooms["room 0"].seats.values()
    )
    assert len(control.encode(stats)) < 1 << 20
    jam.join("one more", "room 4")
    assert not any(one.counts for room in jam.hub.stats(None, jam.now).rooms for one in room.members)


def test_what_the_relays_socket_counts_is_in_its_statistics() -> None:
    jam = Jam()
    counts = SocketCounts(received=7, would_block=2)
    jam.hub.figures.udp_counts = lambda: counts.named("udp")
    told = msgspec.json.decode(msgspec.json.encode(jam.hub.stats(None, jam.now)))
    assert told["udp"] == {f"udp_{name}": count for name, count in asdict(counts).items()}
    assert (told["udp"]["udp_received"], told["udp"]["udp_would_block"]) == (7, 2)


def test_whatever_is_counted_by_whatever_name_the_report_can_be_read() -> None:
    ledger = Bench().ledger
    names = ["playout_refused_MalformedOsc", "tap_refused_\u00e9 \n!", "x" * 99]
    names += [f"n{at}" for at in range(99)]
    ledger.count(lambda: dict.fromkeys(names, 1))
    ledger.start(instant(0.0), slot=1)
    (report, *_) = ledger.due_reports(instant(4.0), PathFigures())
    assert "playout_refused_malformedosc" in report.counts
    assert control.decode_up(control.encode(report)) == report


def test_a_member_that_sends_what_cannot_be_read_takes_nobodys_report_away() -> None:
    bench = Bench()
    bench.ledger.start(instant(1.0), slot=1)
    for number, payload in enumerate((b"n_free\0\0,i\0\0\0\0\0\x07", bytes(8)), 1):
        bench.playout.judged(judged(number, 2.0, payload), reading(1.5))
    bench.passes(1.5, 2.5)
    for report in bench.ledger.due_reports(instant(5.0), PathFigures()):
        assert control.decode_up(control.encode(report)) == report
    assert sum(bench.playout.counts.refused.values()) == 2
