"""Second reports: tell the relay, for each second of session time, which events scsynth was handed.

Pure. A second is reported SETTLED after its end. A member with a higher slot reports slightly later, so that
the relay gets one report at a time. Each report has a digest of the second's events: the number and the
message of each, without timetag. The events are in the order in which scsynth runs them: by timetag, then by
arrival. Bounds: SECONDS_KEPT seconds, WAYS_KEPT downlink delays.
"""

import hashlib
import heapq
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.wire.control.digests import DigestDetail
from relay.wire.control.report import (
    COUNTS_MAX,
    MAX_LISTED,
    TENTHS_PER_S,
    WAY_TENTHS_MAX,
    WAYS_MAX,
    Report,
)
from relay.wire.quantile import quantile
from relay.wire.sequence import Scheme
from relay.wire.timetag import TICKS_PER_S, ticks

SETTLED = ticks(0.5)
"""Time (ticks) from the end of a second to its report. An event that comes even later was late anyway. The
time can't be much longer: a difference between members must be named within three seconds of its cause. The
cause lies up to a second before the event's due."""
SPREAD = ticks(0.25)
"""How much later (ticks) slot 32 would report a second than slot 0. If the reports of 31 members came
together, they would stop the relay for 18 ms. With a wider spread, differences would be named too late."""
SLOTS = 32
SECONDS_KEPT = 15
DIGEST_BYTES = 16
EVENT_DIGEST_BYTES = 8
MARGINS_LISTED = 256
DOWN_SAMPLES = 512
COUNT_NAME_MAX = 40
WAYS_KEPT = 8 * WAYS_MAX
"""The most downlink delays kept until the next report. While no report can be sent, the oldest are
forgotten."""


def event_digest(number: int, message: bytes) -> bytes:
    """Return the digest of one event: its number and its message without the timetag."""
    return hashlib.blake2b(number.to_bytes(8) + message, digest_size=EVENT_DIGEST_BYTES).digest()


@dataclass(slots=True)
class _Second:
    events: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    """The events handed over, each as (timetag, arrival, room number, digest)."""
    late: list[int] = field(default_factory=list)
    unconfirmed: list[int] = field(default_factory=list)
    out_of_order: list[int] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    alone: int = 0
    margins_ms: list[float] = field(default_factory=list)

    def in_order(self) -> list[tuple[int, bytes]]:
        return [(number, digest) for _, _, number, digest in sorted(self.events)]


@dataclass(frozen=True, slots=True)
class PathFigures:
    """Figures of path and clock for a report. The end of a name is the figure's unit.

    clock_offset_ms > 0: the room's clock is ahead of this host's wall clock.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    frames_expected: int = 0
    frames_lost: int = 0
    clock_offset_ms: float = 0.0
    clock_bound_ms: float = 0.0
    clock_rate_ppm: float = 0.0
    clock_steps: int = 0


class SecondsLedger:
    """Records, second by second, the events that scsynth was handed, and makes the reports on them."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._settled = SETTLED
        """Time (ticks) from the end of a second to this slot's report."""
        self._whole_from = 0
        self._reported_up_to = 0
        self._arrivals = 0
        self._awaits_verdicts = True
        self._down_s: deque[float] = deque(maxlen=DOWN_SAMPLES)
        self._ways: deque[tuple[int, int]] = deque(maxlen=WAYS_KEPT)
        self.report_at = 0
        """The session instant (ticks) of the next report."""
        self.missing: list[int] = []
        self._missing_count = 0
        self.unconfirmed = 0
        """How many events of the local player were handed over before their verdict since the last report.
        Their room numbers become known later, or never."""
        self.refused = 0
        self.local_only = 0
        self.unfounded = 0
        """How many groups and mixers of other members this scsynth was found to lack since the last
        report."""
        self.unplayed = 0
        """How many notes of the local player reached the tap after their time was over, since the last
        report."""
        self._counters: list[Callable[[], Mapping[str, int]]] = []
        """Functions that return further counts by name. Reports contain the growth of these counts."""
        self._counted: dict[str, int] = {}
        self.totals: dict[str, int] = dict.fromkeys(
            ("events", "late", "unconfirmed", "out_of_order", "silent_here", "missing"), 0
        )

    def count(self, *named: Callable[[], Mapping[str, int]]) -> None:
        """Add functions that return further counts by name. Each report contains the growth of these
        counts."""
        self._counters += named

    def counts(self) -> dict[str, int]:
        """Return the further counts (see `count`) since the bridge's start, by name."""
        return {name: total for named in self._counters for name, total in named().items()}

    def start(self, session_now: int, *, slot: int) -> None:
        """Begin to record. The first second to be reported is the first that begins after `session_now`
        (ticks).

        slot: the local player's slot; it sets when reports are sent. Call this after a join and after a step
        of the clock.
        """
        self._settled = SETTLED + SPREAD * slot // SLOTS
        self._whole_from = session_now // TICKS_PER_S + 1
        self._reported_up_to = self._whole_from - 1
        self.report_at = self._next_report(session_now)

    def follow(self, scheme: Scheme) -> None:
        """Follow the room's scheme. With TIMESTAMP the relay's verdicts aren't awaited, so no event counts as
        unconfirmed."""
        self._awaits_verdicts = scheme is Scheme.JUDGED

    def enter_epoch(self) -> None:
        """Forget all seconds, because the relay's new epoch counts them by another clock."""
        self._seconds.clear()
        self._ways.clear()

    def hand_over(
        self,
        *,
        number: int,
        due: int,
        timetag: int,
        digest: bytes,
        margin_s: float | None,
        arrival: int | None = None,
        late: bool = False,
        unconfirmed: bool = False,
        out_of_order: bool = False,
    ) -> None:
        """Record an event of the room that was handed to scsynth.

        number: its room number. due: session ticks. timetag: the session instant that scsynth was given.
        margin_s: time (s) from the hand-over until scsynth needed the event; < 0 is late, None is unknown.
        arrival: the place from `next_arrival` of an event that was handed over earlier; None if it is handed
        over now. unconfirmed: it was handed over before its verdict. out_of_order: scsynth had already run an
        event that belongs behind it.
        """
        second = self._seconds.setdefault(due // TICKS_PER_S, _Second())
        arrival = self.next_arrival() if arrival is None else arrival
        second.events.append((timetag, arrival, number, digest))
        for flag, name, numbers in (
            (late, "late", second.late),
            (out_of_order, "out_of_order", second.out_of_order),
        ):
            if flag:
                numbers.append(number)
                self.totals[name] += 1
        if unconfirmed and self._awaits_verdicts:
            second.unconfirmed.append(number)
        self.totals["events"] += 1
        if margin_s is not None:
            second.margins_ms.append(margin_s * 1e3)

    def silent(self, number: int, due: int) -> None:
        """Record a note that was silent, because scsynth lacked a buffer or synthdef at its due (session
        ticks)."""
        self._seconds.setdefault(due // TICKS_PER_S, _Second()).silent.append(number)
        self.totals["silent_here"] += 1

    def alone(self, due: int) -> None:
        """Count a note of the local player that was played here and that nobody else gets.

        due: session ticks, by the relay's verdict. The note counts in the second of its due. If that second
        is reported already, the next one counts it.
        """
        number = max(due // TICKS_PER_S, self._reported_up_to + 1)
        self._seconds.setdefault(number, _Second()).alone += 1

    def next_arrival(self) -> int:
        """Return the next number in the order of all hand-overs to scsynth."""
        self._arrivals += 1
        return self._arrivals

    def one_way_down(self, seconds: float) -> None:
        """Record the one-way delay (s) of a heartbeat from the relay."""
        self._down_s.append(seconds)

    def way_down(self, number: int, seconds: float) -> None:
        """Record the time (s) from the relay's verdict on an event to the event's first arrival here.

        number: the event's room number.
        """
        self._ways.append((number, min(max(0, round(seconds * TENTHS_PER_S)), WAY_TENTHS_MAX)))

    def play_unconfirmed(self) -> None:
        """Count an event of the local player that is handed over before it is judged."""
        if self._awaits_verdicts:
            self.unconfirmed += 1
            self.totals["unconfirmed"] += 1

    def give_up(self, first: int, last: int) -> None:
        """Record that the events `first` to `last` (room numbers) never came, although they were asked
        for."""
        self.missing += range(first, min(last, first + MAX_LISTED - 1) + 1)
        self._missing_count += last - first + 1
        self.totals["missing"] += last - first + 1

    def due_reports(self, session_now: int, figures: PathFigures) -> list[Report]:
        """Return the reports that are due at `session_now` (ticks), and forget old seconds.

        figures: the present figures of path and clock, for the reports.
        """
        self.report_at = self._next_report(session_now)
        last = (session_now - self._settled) // TICKS_PER_S - 1
        reports = [
            self._report(number, figures)
            for number in range(max(self._reported_up_to + 1, last - SECONDS_KEPT), last + 1)
        ]
        self._reported_up_to = max(self._reported_up_to, last)
        for number in [number for number in self._seconds if number < last - SECONDS_KEPT]:
            del self._seconds[number]
        return reports

    def detail(self, second: int) -> DigestDetail:
        """Return the digest of each event in a second, in the order in which scsynth runs the events."""
        known = self._seconds.get(second, _Second())
        return DigestDetail(second=second, events=known.in_order()[:4096], late=known.late[:4096])

    def _counts(self) -> dict[str, int]:
        """Return the growth of the totals since the last report, by name."""
        before, self._counted = self._counted, self.counts()
        grew = ((name, total - before.get(name, 0)) for name, total in self._counted.items())
        return dict([(_fit(name), by) for name, by in grew if by > 0][:COUNTS_MAX])

    def _next_report(self, session_now: int) -> int:
        return ((session_now - self._settled) // TICKS_PER_S + 1) * TICKS_PER_S + self._settled

    def _report(self, number: int, figures: PathFigures) -> Report:
        second = self._seconds.get(number, _Second())
        missing, self.missing = self.missing, []
        missing_count, self._missing_count = self._missing_count, 0
        refused, self.refused = self.refused, 0
        local_only, self.local_only = self.local_only, 0
        unfounded, self.unfounded = self.unfounded, 0
        unplayed, self.unplayed = self.unplayed, 0
        unconfirmed, self.unconfirmed = self.unconfirmed, 0
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for event_number, one in second.in_order():
            digest.update(event_number.to_bytes(8) + one)
        down = sorted(self._down_s)
        ways = list(self._ways)
        if len(ways) > WAYS_MAX:  # the longest are kept, because the lead must suffice for them
            ways = heapq.nlargest(WAYS_MAX, ways, key=lambda way: way[1])
        self._ways.clear()
        return Report(
            second=number,
            whole=number >= self._whole_from,
            events=len(second.events),
            digest=digest.digest(),
            late=len(second.late),
            late_numbers=second.late[:MAX_LISTED],
            missing=missing_count,
            missing_numbers=missing[:MAX_LISTED],
            out_of_order=len(second.out_of_order),
            out_of_order_numbers=second.out_of_order[:MAX_LISTED],
            unconfirmed=unconfirmed,
            unconfirmed_numbers=second.unconfirmed[:MAX_LISTED],
            silent_here=len(second.silent),
            silent_here_numbers=second.silent[:MAX_LISTED],
            refused=refused,
            local_only=local_only,
            unfounded=unfounded,
            alone=second.alone,
            unplayed=unplayed,
            margin_ms_min=min(second.margins_ms, default=None),
            margins_ms=second.margins_ms[:MARGINS_LISTED],
            down_p50_ms=(quantile(down, 0.5) or 0.0) * 1e3,
            down_p99_ms=(quantile(down, 0.99) or 0.0) * 1e3,
            ways_down=ways,
            rtt_ms=figures.rtt_ms,
            jitter_ms=figures.jitter_ms,
            frames_expected=figures.frames_expected,
            frames_lost=figures.frames_lost,
            clock_offset_ms=figures.clock_offset_ms,
            clock_bound_ms=figures.clock_bound_ms,
            clock_rate_ppm=figures.clock_rate_ppm,
            clock_steps=figures.clock_steps,
            counts=self._counts(),
        )


def _fit(name: str) -> str:
    """Return a count's name in the form that the protocol allows.

    A report with other names can't be decoded, and the relay would end the connection.
    """
    return re.sub("[^a-z0-9_-]", "-", name.lower())[:COUNT_NAME_MAX]
