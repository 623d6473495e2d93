"""The relay's part in measuring a path: who may measure, how much, and that members aren't affected."""

import pytest

from relay.effects import CloseControl, Effect, SendControl, SendDatagram
from relay.hub.path_probes import END_GRACE, SILENCE
from relay.limits import PROBE_DATAGRAMS_BURST, PROBES_MAX
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.errors import MalformedControl
from relay.wire.sequence import Kind, Stamped
from relay.wire.stats import ProbeStats
from relay.wire.timetag import TICKS_PER_S, ticks
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.relay import NOTE, Jam

HOME = ("192.0.2.99", 4000)
ELSEWHERE = ("198.51.100.1", 1)


class Prober:
    """A path prober as the hub sees it. It sends only what a test tells it to."""

    def __init__(self, jam: Jam, connection: int, **changes: object) -> None:
        self.jam = jam
        self.connection = connection
        known: dict[str, object] = {"protocol": PROTOCOL_VERSION, "software": "t", "rate": 50, "seconds": 60}
        hello = control.ProbeHello(**(known | changes))  # type: ignore[arg-type]  # parametrized
        self.answer = self.say(hello)
        first = self.answer[0]
        assert isinstance(first, SendControl)
        self.said = first.message
        if isinstance(self.said, control.ProbeWelcome):
            self.sealer = Sealer(self.said.key_up, self.said.channel)
            self.opener = Opener(self.said.key_down, self.said.channel)

    def say(self, message: control.Up) -> list[Effect]:
        decoded = control.decode_up(control.encode(message))
        return self.jam.hub.receive_control(self.connection, decoded, self.jam.now, host=HOME[0])

    def send(self, *parts: frames.Frame, source: object = HOME, waited: int = 0) -> list[Effect]:
        """Let a datagram arrive after `waited` ticks in the kernel; return the hub's immediate effects."""
        datagram = self.sealer.seal(b"".join(map(frames.encode, parts)))
        now = self.jam.now
        return self.jam.hub.receive_datagram(datagram, source, received=now - waited, now=now)

    def probe(self, number: int, size: int = 100) -> frames.Frame | None:
        """Send one probe; return the answer, or None if there is none."""
        effects = self.send(frames.ProbeUp(number, size))
        if not effects:
            return None
        (effect,) = effects
        assert isinstance(effect, SendDatagram)
        assert effect.to == HOME
        (frame,) = frames.decode(self.opener.open(effect.payload))
        return frame


def reports(jam: Jam, seconds: float) -> list[tuple[int, control.ProbeReport]]:
    """Let time (s) pass; return (connection, report) for each report that the hub sends."""
    found: list[tuple[int, control.ProbeReport]] = []
    end = jam.now + ticks(seconds)
    while jam.hub.next_wakeup() <= end:
        jam.now = max(jam.now, jam.hub.next_wakeup())
        for effect in jam.hub.wake(jam.now):
            if isinstance(effect, SendControl) and isinstance(effect.message, control.ProbeReport):
                found.append((effect.connection, effect.message))
        assert jam.hub.next_wakeup() > jam.now
    jam.now = end
    return found


def test_a_probe_is_answered_at_once_with_both_instants_and_in_its_own_size() -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    (effect,) = prober.send(frames.ProbeUp(7, 221), waited=ticks(0.003))
    assert isinstance(effect, SendDatagram)
    answer = frames.ProbeDown(7, jam.now - ticks(0.003), jam.now, 221)
    assert frames.decode(prober.opener.open(effect.payload)) == [answer]


def test_what_arrived_is_reported_once_a_second_each_number_once() -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    began = jam.now
    for number in (0, 2, 1):
        prober.probe(number)
    assert reports(jam, 1.5) == [(1, control.ProbeReport(arrivals=[(0, began), (2, began), (1, began)]))]
    prober.probe(5)
    assert reports(jam, 1.0) == [(1, control.ProbeReport(arrivals=[(5, began + ticks(1.5))]))]
    assert reports(jam, 1.0) == [(1, control.ProbeReport(arrivals=[]))]


def test_a_report_leaves_when_its_second_is_over_and_does_not_wait_for_other_work() -> None:
    jam = Jam()
    jam.hub.wake(jam.now)
    jam.now += ticks(0.1)
    began = jam.now
    Prober(jam, 1)
    jam.now += ticks(0.95)
    jam.hub.wake(jam.now)
    assert jam.hub.next_wakeup() == began + ticks(1.0)


def test_after_a_long_stall_no_arrival_is_left_out_of_the_reports() -> None:
    jam = Jam()
    prober = Prober(jam, 1, rate=100)
    for number in range(1200):
        prober.probe(number)
        jam.now += ticks(0.01)
    told = [arrival[0] for _, report in reports(jam, 2.1) for arrival in report.arrivals]
    assert told == list(range(1200))


def test_a_prober_has_no_place_in_any_room_and_nobody_hears_of_it() -> None:
    jam = Jam()
    ann = jam.join("ann")
    before = list(ann.said), len(ann.frames)
    prober = Prober(jam, 90)
    prober.probe(0)
    jam.settle()
    assert (list(ann.said), len(ann.frames)) == before
    assert [room.name for room in jam.hub.stats(None, jam.now).rooms] == ["main"]
    assert jam.hub.stats(None, jam.now).members == 1
    assert jam.hub.probing.stats().begun == 1


def test_answers_follow_the_sealed_datagrams_and_nobody_else() -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    forged = Sealer(bytes(32), prober.sealer._channel).seal(frames.encode(frames.ProbeUp(0, 100)))
    assert jam.hub.receive_datagram(forged, ELSEWHERE, received=jam.now, now=jam.now) == []
    (effect,) = prober.send(frames.ProbeUp(0, 100), source=ELSEWHERE)
    assert isinstance(effect, SendDatagram)
    assert effect.to == ELSEWHERE


def test_a_repeated_datagram_neither_counts_nor_is_answered() -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    datagram = prober.sealer.seal(frames.encode(frames.ProbeUp(0, 100)))
    for expected in (1, 0):
        effects = jam.hub.receive_datagram(datagram, HOME, received=jam.now, now=jam.now)
        assert len(effects) == expected
    ((_, report),) = reports(jam, 1.0)
    assert len(report.arrivals) == 1


# -- limits ----------------------------------------------------------------------------------------------


def test_as_many_as_the_relay_measures_at_once_and_no_more_until_one_ends() -> None:
    jam = Jam()
    first, *_ = [Prober(jam, connection) for connection in range(PROBES_MAX)]
    late = Prober(jam, 50)
    assert isinstance(late.said, control.Refused)
    assert (late.said.reason, late.said.final) == ("probes", False)
    assert late.answer[1] == CloseControl(50)
    jam.hub.control_closed(first.connection, jam.now)
    assert isinstance(Prober(jam, 51).said, control.ProbeWelcome)
    assert jam.hub.stats(None, jam.now).probes == ProbeStats(now=PROBES_MAX, begun=PROBES_MAX + 1, refused=1)


def test_more_than_the_rate_is_not_answered_not_reported_and_counted() -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    answered = [prober.probe(number) is not None for number in range(PROBE_DATAGRAMS_BURST + 50)]
    assert answered == [True] * PROBE_DATAGRAMS_BURST + [False] * 50
    stats = jam.hub.stats(None, jam.now)
    assert stats.probes.datagrams_refused == stats.datagrams_refused == 50
    ((_, report),) = reports(jam, 1.0)
    assert len(report.arrivals) == PROBE_DATAGRAMS_BURST


def test_the_rate_that_may_be_asked_for_can_be_kept_up_to_the_end() -> None:
    jam = Jam()
    prober = Prober(jam, 1, rate=control.probe.RATE_MAX, seconds=60)
    for number in range(6000):
        assert prober.probe(number) is not None, number
        jam.now += round(TICKS_PER_S / control.probe.RATE_MAX)


def test_it_ends_a_little_after_the_time_asked_for() -> None:
    jam = Jam()
    prober = Prober(jam, 1, seconds=2)
    reports(jam, 6)
    assert prober.probe(9) is not None
    reports(jam, END_GRACE / TICKS_PER_S - 4.1)
    assert prober.probe(0) is not None
    done: list[Effect] = []
    wakeup = jam.hub.probing.next_wakeup()
    while wakeup is not None and wakeup > jam.now:
        jam.now = wakeup
        done += jam.hub.wake(jam.now)
        wakeup = jam.hub.probing.next_wakeup()
    assert wakeup is None
    assert done.count(CloseControl(1)) == 1
    assert jam.at_s() == pytest.approx(2 + END_GRACE / TICKS_PER_S)
    assert prober.probe(1) is None
    assert jam.hub.probing.next_wakeup() is None


def test_a_silent_prober_gives_its_place_to_others() -> None:
    jam = Jam()
    prober = Prober(jam, 1, seconds=600)
    reports(jam, 5)
    assert prober.probe(0) is not None
    reports(jam, SILENCE / TICKS_PER_S - 0.1)
    assert jam.hub.probing.serves(1)
    reports(jam, 1.2)
    assert not jam.hub.probing.serves(1)
    assert prober.probe(1) is None


@pytest.mark.parametrize("changes", [{"rate": 101}, {"rate": 0}, {"seconds": 601}, {"seconds": float("nan")}])
def test_a_hello_beyond_the_bounds_is_malformed(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedControl):
        Prober(Jam(), 1, **changes)


def test_another_version_is_refused_for_good() -> None:
    refused = Prober(Jam(), 1, protocol=PROTOCOL_VERSION + 1).said
    assert isinstance(refused, control.Refused)
    assert (refused.reason, refused.final) == ("protocol", True)


# -- out of place ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [Stamped(1, 2**63, None, Kind.UNTIMED, NOTE)],
        [frames.ProbeUp(0, 100), frames.ProbeUp(1, 100)],
        [frames.ProbeDown(0, 2**63, 2**63, 100)],
        [],
    ],
    ids=["event", "two", "answer", "empty"],
)
def test_a_prober_can_send_probes_and_nothing_else(parts: list[frames.Frame]) -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    assert prober.send(*parts) == []
    assert jam.hub.probing.stats().datagrams_refused == 1
    assert reports(jam, 1.0) == [(1, control.ProbeReport(arrivals=[]))]


def test_a_member_cannot_probe_on_its_connection_nor_its_channel() -> None:
    jam = Jam()
    ann = jam.join("ann")
    hello = control.ProbeHello(protocol=PROTOCOL_VERSION, software="t", rate=50, seconds=60)
    ann.say(hello)
    ann.send(frames.ProbeUp(0, 100))
    assert ann.heard(control.ProbeWelcome) == []
    assert not any(isinstance(frame, frames.ProbeDown) for frame in ann.frames)
    (member,) = jam.hub.stats(None, jam.now).rooms[0].members
    assert member.refused == 2


@pytest.mark.parametrize(
    "message", [control.Leave(), control.Hello(protocol=PROTOCOL_VERSION, software="t", room="r", name="n")]
)
def test_a_prober_has_nothing_more_to_say(message: control.Up) -> None:
    jam = Jam()
    prober = Prober(jam, 1)
    refused, closed = prober.say(message)
    assert isinstance(refused, SendControl)
    assert isinstance(refused.message, control.Refused)
    assert closed == CloseControl(1)
    assert jam.hub.rooms == {}
