"""Probe measurement: sends the relay probes at an even rate, records the answers, and makes a trace of the
path.

Pure. The fate of every probe is known in both directions. A probe that the relay's reports don't name was
lost on the uplink. An answer that never came was lost on the downlink. The four timestamps of every answered
probe put both hosts on one clock. Bound: rate times seconds probes, at most PROBE_RATE_MAX *
PROBE_SECONDS_MAX.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from bridge.probe.clock_fit import Exchange, PathClock, fit_clock
from clock.model import NS_PER_S, ns_from_ticks
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.errors import MalformedControl, MalformedDatagram, RemoteError
from relay.wire.timetag import FIRST_SAFE
from relay.wire.trace import Sample, Trace, TraceWay

BODY_BYTES = 221
"""Length of a probe's body, bytes. An event with a message of 200 bytes is as long. A usual note of Sonic
Pi has 232 bytes with its bundle."""

TAIL_NS = 3 * NS_PER_S
"""How long (ns) to wait after the last probe for late answers, and for the report on the last second."""

SETTLED_NS = 2 * NS_PER_S
"""A probe counts as lost if nothing is known of it for this long (ns). No jam could wait longer for it."""

QUIET_NS = 5 * NS_PER_S
"""If no answer has come for this long (ns) after the beginning, there is no path, and the measurement
ends."""

RECENT = 250
"""How many of the latest answers count for the figures that are shown while measuring."""


class Silence(Enum):
    """The direction in which no datagram gets through, although the TLS connection stands."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a measurement has come, with recent figures.

    sent, planned, answered: numbers of probes. overdue: probes sent over a second ago and not answered.
    rtt_ms: median round trip of the last RECENT answers. jitter_ms: the mean of these round trips minus the
    shortest. Both are None before the first answer.
    """

    sent: int
    planned: int
    answered: int
    overdue: int
    rtt_ms: float | None
    jitter_ms: float | None


@dataclass(slots=True)
class _Probed:
    sent_local_ns: int
    received: int | None = None
    answered: int | None = None
    back_local_ns: int | None = None


class Probe:
    """One measurement of the path. Instants are local ns unless marked as session."""

    def __init__(
        self, welcome: control.ProbeWelcome, *, rate: float, seconds: float, now_local_ns: int
    ) -> None:
        """rate: probes a second. seconds: how long probes are sent."""
        self._sealer = Sealer(welcome.key_up, welcome.channel)
        self._opener = Opener(welcome.key_down, welcome.channel)
        self._spacing_ns = round(NS_PER_S / rate)
        self._planned = max(1, round(rate * seconds))
        self._began_ns = now_local_ns
        self._next_ns: int | None = now_local_ns
        self._until_ns = now_local_ns + round(seconds * NS_PER_S)
        self._probed: list[_Probed] = []
        self._first_open = 0  # `_look_for_overdue` has handled all before it
        self._overdue: set[int] = set()
        self._answered = 0
        self._rtts_ms: deque[float] = deque(maxlen=RECENT)
        self._reported_ns: int | None = None
        self._heard_of = False  # whether a report has named a probe, so the uplink works
        self._now_ns = now_local_ns
        self.datagrams_refused = 0
        """Number of datagrams from the relay's address that were malformed, repeated, or not for this
        measurement."""

    # -- sending

    def next_wakeup_ns(self) -> int | None:
        """Return the local instant (ns) at which to call `wake`; None if all probes are sent."""
        return self._next_ns

    def wake(self, now_local_ns: int) -> bytes | None:
        """Return the datagram to send now; None if none is due.

        If a wake-up is late, the probes missed since are left out. They would be sent in a burst and delay
        each other.
        """
        self._now_ns = max(self._now_ns, now_local_ns)
        self._look_for_overdue()
        if self._next_ns is None or now_local_ns < self._next_ns:
            return None
        missed = (now_local_ns - self._next_ns) // self._spacing_ns
        self._next_ns += (missed + 1) * self._spacing_ns
        if self._next_ns >= self._until_ns:
            self._next_ns = None
        number = len(self._probed)
        self._probed.append(_Probed(now_local_ns))
        return self._sealer.seal(frames.encode(frames.ProbeUp(number, BODY_BYTES)))

    def stop(self) -> None:
        """Send no more probes. Answers on their way are still awaited."""
        self._next_ns = None

    def finished(self, now_local_ns: int) -> bool:
        """Return whether all probes are sent, and each is answered or given up."""
        if self._next_ns is not None:
            return False
        if not self._probed or now_local_ns - self._probed[-1].sent_local_ns > TAIL_NS:
            return True
        return self._answered == len(self._probed)

    # -- receiving

    def receive_datagram(self, payload: bytes, *, received_local_ns: int) -> None:
        """Process a datagram from the relay's address. Bad ones are counted in `datagrams_refused`."""
        try:
            for frame in frames.decode(self._opener.open(payload)):
                self._answer(frame, received_local_ns)
        except RemoteError:
            self.datagrams_refused += 1

    def receive_report(self, report: control.ProbeReport, *, now_local_ns: int) -> None:
        """Process the relay's report on which probes have arrived. Raises MalformedControl for a probe never
        sent."""
        self._now_ns = max(self._now_ns, now_local_ns)
        self._reported_ns = now_local_ns
        for number, instant in report.arrivals:
            if number >= len(self._probed) or not FIRST_SAFE <= instant <= frames.LAST_INSTANT:
                raise MalformedControl(f"a report of probe {number}: {len(self._probed)} were sent")
            self._probed[number].received = instant
            self._heard_of = True

    def silence(self, now_local_ns: int) -> Silence | None:
        """Return the direction that is blocked if no answer has come within QUIET_NS; else None."""
        if self._answered or now_local_ns - self._began_ns < QUIET_NS:
            return None
        return Silence.DOWN if self._heard_of else Silence.UP

    def _answer(self, frame: frames.Frame, received_local_ns: int) -> None:
        if not isinstance(frame, frames.ProbeDown):
            raise MalformedDatagram(f"{type(frame).__name__} for a prober: only answers are expected")
        if frame.number >= len(self._probed):
            raise MalformedDatagram(f"an answer to probe {frame.number}: {len(self._probed)} were sent")
        probed = self._probed[frame.number]
        if probed.back_local_ns is not None:
            raise MalformedDatagram(f"probe {frame.number} is answered twice")
        if not FIRST_SAFE <= frame.received <= frame.sent <= frames.LAST_INSTANT:
            raise MalformedDatagram(f"probe {frame.number} was answered before it was received")
        probed.received, probed.answered, probed.back_local_ns = frame.received, frame.sent, received_local_ns
        self._answered += 1
        self._overdue.discard(frame.number)
        away_ns = received_local_ns - probed.sent_local_ns - ns_from_ticks(frame.sent - frame.received)
        self._rtts_ms.append(away_ns / 1e6)

    # -- what it found

    def progress(self) -> Progress:
        """Return the progress and the recent figures of the path."""
        rtts = sorted(self._rtts_ms)
        return Progress(
            sent=len(self._probed),
            planned=self._planned,
            answered=self._answered,
            overdue=len(self._overdue),
            rtt_ms=rtts[len(rtts) // 2] if rtts else None,
            jitter_ms=sum(rtts) / len(rtts) - rtts[0] if rtts else None,
        )

    def trace(self, about: dict[str, str | float]) -> Trace:
        """Return the measured path as a trace. The clock's figures are added to `about`.

        In both directions, sent_s is the time since the first probe, by this host's clock. Raises LocalError
        if no answer came.
        """
        whole = self._probed[: self._known_until()]
        clock = fit_clock(
            [
                Exchange(one.sent_local_ns, one.received, one.answered, one.back_local_ns)
                for one in whole
                if one.received is not None and one.answered is not None and one.back_local_ns is not None
            ]
        )
        up, down = [], []
        origin_ns = whole[0].sent_local_ns
        for one in whole:
            up.append(_sample(origin_ns, one.sent_local_ns, _local(clock, one.received)))
            left_ns = _local(clock, one.answered if one.answered is not None else one.received)
            if left_ns is not None:
                down.append(_sample(origin_ns, left_ns, one.back_local_ns))
        down.sort(key=lambda sample: sample.sent_s)
        figures: dict[str, str | float] = {
            "rate_per_s": round(NS_PER_S / self._spacing_ns, 3),
            "clock_bound_ms": round(clock.bound_s * 1e3, 4),
            "clock_rate_ppm": round(clock.rate_ppm, 3),
            "clock_rate_error_ppm": round(clock.rate_error_ppm, 3),
            "clock_steady": "yes" if clock.steady else "no",
        }
        return Trace(TraceWay(tuple(up)), TraceWay(tuple(down)), about | figures)

    def _known_until(self) -> int:
        """Return how many probes, counted from the first, have a known fate."""
        reported_ns = self._reported_ns if self._reported_ns is not None else self._began_ns
        for number, one in enumerate(self._probed):
            told_ns = reported_ns if one.received is None else self._now_ns
            if one.back_local_ns is None and one.sent_local_ns > told_ns - SETTLED_NS:
                return number
        return len(self._probed)

    def _look_for_overdue(self) -> None:
        while self._first_open < len(self._probed):
            one = self._probed[self._first_open]
            if self._now_ns - one.sent_local_ns < NS_PER_S:
                return
            if one.back_local_ns is None:
                self._overdue.add(self._first_open)
            self._first_open += 1


def _local(clock: PathClock, session: int | None) -> int | None:
    return None if session is None else clock.local_at(session)


def _sample(origin_ns: int, sent_ns: int, received_ns: int | None) -> Sample:
    delay_ms = None if received_ns is None else (received_ns - sent_ns) / 1e6
    return Sample(max(0.0, (sent_ns - origin_ns) / NS_PER_S), delay_ms)
