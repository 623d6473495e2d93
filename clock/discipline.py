"""Session clock: the room's time, computed from this host's monotonic clock.

Pure. To *slew* is to correct the clock by running it slightly faster or slower for a while. To *step* is to
set it at once. An *era* is the time between two steps. Within an era session time is continuous and strictly
increases with local time. Its rate differs from the local clock's by at most 500 ppm. Conversions of past
instants of an era never change. The filter gives bounds for the offset between the two clocks. The rate is
computed from the exchanges of some minutes. The remaining error is slewed away; the greater it is, the
faster.
"""

from collections.abc import Callable
from enum import Enum

from clock.errors import BadSample, NotLocked
from clock.exchange import offset_and_delay
from clock.filter import GRAIN_NS, MERGED_NS, Interval, OffsetFilter, Sample, project
from clock.model import NS_PER_S, PPT_PER_UNIT, Line, Timeline, ns_from_ticks, ticks_from_ns
from clock.rate import RateFit

SLEW_MAX = 500e-6
"""How much faster or slower than the local clock the session clock may run, rate and slew together: 500 ppm.
The limit is that of RFC 5905. It moves the clock by 0.5 ms in a second, which is inaudible."""

SLEW_OVER_NS = NS_PER_S
"""Time (ns) over which a correction is spread if `SLEW_MAX` allows. Two seconds instead of one were tried.
The noise on a loopback was half as great (1.5 instead of 2.5 µs). But the lag while the rate is still unknown
was almost twice as great (92 instead of 54 µs)."""

STEP_OVER_NS = 20_000_000
"""The clock is stepped if its error exceeds the error bound by more than this (ns). Slewing so much would
take 40 s; one audible jump is better."""

STEP_AFTER = 4
"""How many consecutive exchanges must call for a step before the clock is stepped. Spikes of the network's
delay never call for one: they only widen the bounds."""

LOCK_AT_SAMPLES = 8
"""The clock locks (session time begins) as soon as this many exchanges have come: a whole burst."""
LOCK_EARLY_SAMPLES, LOCK_EARLY_AFTER_NS = 4, 300_000_000
"""The clock locks with only LOCK_EARLY_SAMPLES exchanges, half a burst, after this time (ns) from the first
one. Answers that are still missing after 0.3 s are lost."""
LOCK_LATE_AFTER_NS = NS_PER_S
"""The clock locks with any number of exchanges after this time (ns) from the first one. The error bound shows
how good the clock is, and slewing then improves it."""

RATE_ERROR_SIGMAS = 2
"""By how many standard errors of the rate the bounds of an exchange widen with its age, in addition to the
filter's dispersion."""


class Adjustment(Enum):
    """The effect of one exchange on the session clock."""

    LOCKED = "locked"
    """The clock has locked for the first time. From now on session time exists."""
    SLEWED = "slewed"
    """The clock is corrected by slewing. Session time goes on without a jump."""
    STEPPED = "stepped"
    """The clock was stepped, and a new era has begun. Conversions made before are wrong and must be
    repeated."""
    HELD = "held"
    """The clock didn't change. There are too few exchanges yet, the exchange is not believed, or the clock
    was slewed less than a second ago."""


class SessionClock:
    """Session time of one room, derived from this host's local clock."""

    def __init__(self) -> None:
        self._timeline: Timeline | None = None
        self._era = 0
        self._filter = OffsetFilter()
        self._fit = RateFit()
        self._rate = 0.0
        self._rate_error = self._fit.estimate(0.0).error
        self._origin: tuple[int, int] | None = None  # (local ns, session): offsets are relative to these
        self._gathering_since_ns: int | None = None
        self._relocking = True
        self._suspects: list[Sample] = []
        self._far_off = 0
        self._updated_ns = 0
        self._slewed_ns: int | None = None  # since the last step

    # --- exchanges

    def add_exchange(
        self,
        *,
        t1_local_ns: int,
        t2_session: int,
        t3_session: int,
        t4_local_ns: int,
        now_local_ns: int | None = None,
    ) -> Adjustment:
        """Use one exchange with the relay to correct the clock. Return the effect.

        t1_local_ns: instant at which we sent the request. t2_session: instant at which the relay received it.
        t3_session: instant at which the relay sent the answer. t4_local_ns: instant at which we received the
        answer.
        now_local_ns: the present, by default t4. It is later than t4 if t4 is a kernel's stamp. The clock's
        course changes from the present on, so that instants already converted keep their order.

        Session instants are timetags; local instants are ns of the monotonic clock.
        """
        if self._origin is None:
            self._origin = (t1_local_ns, t2_session)
        try:
            sample = self._sample(t1_local_ns, t2_session, t3_session, t4_local_ns)
        except BadSample:
            return Adjustment.HELD
        now_ns = t4_local_ns if now_local_ns is None else max(t4_local_ns, now_local_ns)
        if not self._vet(sample):
            return Adjustment.HELD
        if self._relocking:
            return self.lock_if_ready(now_ns)
        return self._discipline(now_ns)

    def lock_if_ready(self, now_local_ns: int) -> Adjustment:
        """Lock the clock if `relocking` is True and enough exchanges have come.

        How many are enough depends on the time since the first. Return LOCKED or STEPPED if it locks now,
        else HELD. A timer should call this; `add_exchange` calls it too. now_local_ns: the present, local ns.
        """
        if not self._relocking or self._gathering_since_ns is None or not len(self._filter):
            return Adjustment.HELD
        count, waited_ns = len(self._filter), now_local_ns - self._gathering_since_ns
        if not (
            count >= LOCK_AT_SAMPLES
            or (count >= LOCK_EARLY_SAMPLES and waited_ns >= LOCK_EARLY_AFTER_NS)
            or waited_ns >= LOCK_LATE_AFTER_NS
        ):
            return Adjustment.HELD
        return self._step(now_local_ns)

    def relock(self) -> None:
        """Drop the exchanges, so that the next burst sets the clock in one step. Called for another room or
        a new epoch.

        Until that step the clock runs on unchanged, `relocking` is True, and the error bound is infinite.
        """
        self._filter.clear()
        self._fit.restart(self._rate)
        self._rate_error = self._fit.estimate(self._rate).error
        self._origin = None
        self._gathering_since_ns = None
        self._suspects.clear()
        self._relocking = True

    # --- conversions

    def session_from_local(self, local_ns: int) -> int:
        """Return the session timetag of a local instant (ns). Raises NotLocked before the first lock."""
        return self._locked_timeline().session_at(local_ns)

    def local_from_session(self, timetag: int) -> int:
        """Return the local instant (ns) of a session timetag, rounded to the nearest.

        A local instant that is converted to a timetag and back is the same again. Raises NotLocked before the
        first lock.
        """
        return self._locked_timeline().local_at(timetag)

    def local_from_session_in_this_era(self) -> Callable[[int], int]:
        """Return a function that converts session timetags to local instants (ns) by the present era. It
        still does so after a later step.

        Raises NotLocked before the first lock.
        """
        return self._locked_timeline().local_at

    # --- how good it is

    @property
    def locked(self) -> bool:
        """Whether session time exists: the clock has locked at least once."""
        return self._timeline is not None

    @property
    def relocking(self) -> bool:
        """Whether the next exchanges will set the clock in one step. True before the first lock, and after
        `relock`."""
        return self._relocking

    @property
    def era(self) -> int:
        """The number of the present era: 0 before the first lock, then 1, and 1 more with every step."""
        return self._era

    @property
    def samples(self) -> int:
        """The number of exchanges that the filter keeps. Merged exchanges of one second count as one."""
        return len(self._filter)

    @property
    def rate_ppm(self) -> float:
        """How much faster than the local clock the session clock runs, without slewing, ppm. < 0: slower."""
        return self._rate * 1e6

    @property
    def rtt_s(self) -> float:
        """The least round trip time of the last minute's exchanges, s; 0 if there is none."""
        return self._filter.rtt_min_ns / NS_PER_S if len(self._filter) else 0.0

    @property
    def jitter_s(self) -> float:
        """How much the offsets measured by the last exchanges scatter, s (RMS)."""
        return self._filter.jitter_ns(rate=self._rate) / NS_PER_S

    @property
    def error_bound_s(self) -> float:
        """The error bound at the instant of the last correction, s. See `error_bound_at_s`."""
        return self.error_bound_at_s(self._updated_ns)

    def error_bound_at_s(self, local_ns: int) -> float:
        """Return by how much session time may be wrong (s) at a local instant (ns).

        It is the sum of three parts: half of the least uplink and downlink delays, the dispersion since then,
        and the clock's distance from the middle of the bounds. The two least delays may be of different
        exchanges. Infinite before the first lock and while relocking.
        """
        if self._timeline is None or self._relocking:
            return float("inf")
        interval = self._filter.interval(local_ns, rate=self._rate, rate_error=self._rate_margin())
        aside_ns = abs(interval.middle_ns - self._offset_ns(self._timeline, local_ns))
        return (interval.radius_ns + aside_ns) / NS_PER_S

    # --- inside

    def _locked_timeline(self) -> Timeline:
        if self._timeline is None:
            raise NotLocked("no session time yet: ask `locked` first")
        return self._timeline

    def _estimate_ns(self, at_ns: int, bounds: Interval) -> float:
        return self._filter.estimate_ns(at_ns, rate=self._rate, rate_error=self._rate_margin(), bounds=bounds)

    def _rate_margin(self) -> float:
        return RATE_ERROR_SIGMAS * self._rate_error

    def _sample(self, t1_ns: int, t2: int, t3: int, t4_ns: int) -> Sample:
        assert self._origin is not None
        origin_ns, origin_session = self._origin
        t1, t4 = t1_ns - origin_ns, t4_ns - origin_ns
        t2_ns, t3_ns = ns_from_ticks(t2 - origin_session), ns_from_ticks(t3 - origin_session)
        offset_and_delay(t1, t2_ns, t3_ns, t4, tolerance=GRAIN_NS)
        return Sample(sent_ns=t1_ns, received_ns=t4_ns, lower_ns=t3_ns - t4, upper_ns=t2_ns - t1)

    def _vet(self, sample: Sample) -> bool:
        """Keep a sample if it agrees with the kept samples. Return whether it was kept.

        A sample that contradicts them becomes a suspect. If `STEP_AFTER` consecutive suspects agree with each
        other, they replace the kept samples.
        """
        at_ns = sample.received_ns
        margin = self._rate_margin()
        own = project(sample, at_ns, rate=self._rate, rate_error=margin)
        if not len(self._filter) or own.agrees_with(
            self._filter.interval(at_ns, rate=self._rate, rate_error=margin)
        ):
            self._suspects.clear()
            self._take_in(sample)
            return True
        common = own
        agreeing = [sample]
        for suspect in reversed(self._suspects):
            further = project(suspect, at_ns, rate=self._rate, rate_error=margin)
            if not common.agrees_with(further):
                break
            common = common.and_also(further)
            agreeing.insert(0, suspect)
        self._suspects = agreeing
        if len(agreeing) < STEP_AFTER:
            return False
        self._filter.clear()
        self._fit.restart(self._rate)
        self._rate_error = self._fit.estimate(self._rate).error
        for suspect in agreeing:
            self._take_in(suspect)
        self._suspects = []
        # Consecutive samples agreed already, so if they are far off this exchange steps.
        self._far_off = STEP_AFTER
        return True

    def _take_in(self, sample: Sample) -> None:
        if self._gathering_since_ns is None:
            self._gathering_since_ns = sample.received_ns
        # Until it locks, every exchange counts.
        self._filter.add(sample, merge=not self._relocking)
        self._fit.add(sample, merge=not self._relocking)

    def _discipline(self, now_ns: int) -> Adjustment:
        assert self._timeline is not None
        if not self._far_off and self._slewed_ns is not None and now_ns - self._slewed_ns < MERGED_NS:
            return Adjustment.HELD
        self._take_rate()
        now_ns = max(now_ns, self._timeline.bent_at_ns)
        if self._filter.forget_before_step(now_ns, rate=self._rate, rate_error=self._rate_margin()):
            self._fit.forget_before(self._filter.since_ns)
            self._take_rate()
        interval = self._filter.interval(now_ns, rate=self._rate, rate_error=self._rate_margin())
        correction_ns = self._estimate_ns(now_ns, interval) - self._offset_ns(self._timeline, now_ns)
        self._far_off = self._far_off + 1 if abs(correction_ns) > STEP_OVER_NS + interval.radius_ns else 0
        if self._far_off >= STEP_AFTER:
            return self._step(now_ns)
        wanted = self._rate + correction_ns / SLEW_OVER_NS
        running = min(max(wanted, -SLEW_MAX), SLEW_MAX)
        slew = running - self._rate  # never 0 by clamping: the rate itself is kept below SLEW_MAX
        self._timeline.bend(
            now_ns,
            slewed_ppt=round(running * PPT_PER_UNIT),
            for_ns=round(correction_ns / slew) if slew else 0,
            rate_ppt=round(self._rate * PPT_PER_UNIT),
        )
        self._updated_ns = self._slewed_ns = now_ns
        return Adjustment.SLEWED

    def _take_rate(self) -> None:
        estimate = self._fit.estimate(self._rate)
        self._rate, self._rate_error = estimate.rate, estimate.error

    def _step(self, now_ns: int) -> Adjustment:
        assert self._origin is not None
        interval = self._filter.interval(now_ns, rate=self._rate, rate_error=self._rate_margin())
        origin_ns, origin_session = self._origin
        offset_ns = round(self._estimate_ns(now_ns, interval))
        session = origin_session + ticks_from_ns(now_ns - origin_ns + offset_ns)
        first = self._timeline is None
        self._timeline = Timeline(Line(now_ns, session, round(self._rate * PPT_PER_UNIT)))
        self._era += 1
        self._relocking = False
        self._far_off = 0
        self._updated_ns, self._slewed_ns = now_ns, None
        return Adjustment.LOCKED if first else Adjustment.STEPPED

    def _offset_ns(self, timeline: Timeline, local_ns: int) -> int:
        """Return by how many ns the timeline is ahead of the local clock, both counted from the origin. < 0:
        it is behind."""
        assert self._origin is not None
        origin_ns, origin_session = self._origin
        return ns_from_ticks(timeline.session_at(local_ns) - origin_session) - (local_ns - origin_ns)
