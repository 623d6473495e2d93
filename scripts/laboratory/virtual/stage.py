"""Stage: a room of members in virtual time, with clocks locked and notes from the generator.

Pure. Members join one after the other, boot, and lock their clocks. The music begins when every scsynth has
all messages of all boots, but after WARM_S_MAX in any case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from laboratory.runs.generator import Emission, boot, schedule
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from relay.lead.keeper import Safety
from relay.netmodel.impairment import Leg
from relay.wire.sequence import Scheme
from relay.wire.timetag import from_unix_ns

RATE_PPM_MAX = 50.0
"""Rate error (ppm) of a cheap crystal. The members' clocks have errors evenly spread from minus to plus
this."""
WALL_OFFSET_S_MAX = 5.0
JOIN_EVERY_S = 0.05
BOOT_AFTER_S = 1.0
WARM_STEP_S = 0.25
WARM_S_MIN = 4.0
"""Least time (s) for warming up. A clock that locks early has then also corrected its first error by
slewing."""
WARM_S_MAX = 20.0
RUN_IN_S = 2.0
"""Time (s) of music before the measured window, so that its beginning isn't measured."""
RUN_OUT_S = 3.0
"""Time (s) for which a jam runs on after the last due. An event that arrives even later is of no use."""


def spread_ppm(index: int, members: int) -> float:
    """Return the rate error (ppm) of member number `index` of `members`.

    The members' errors are evenly spread from -RATE_PPM_MAX to +RATE_PPM_MAX.
    """
    return 0.0 if members == 1 else RATE_PPM_MAX * (2.0 * index / (members - 1) - 1.0)


@dataclass(slots=True)
class Note:
    """One event of the generator, as its origin emitted it. measured: True inside the measured window."""

    origin: str
    emission: Emission
    at_ns: int
    """True instant (ns) at which Sonic Pi sent it at the origin, the member it comes from."""
    session_at: int
    """The instant `at_ns` on the origin's session clock (ticks)."""
    measured: bool


class VirtualStage:
    """A jam in virtual time with its members. Warm it up, enter notes by `perform`, and run `jam`."""

    def __init__(
        self,
        legs: Mapping[str, Leg],
        *,
        seed: int,
        lead_ms: float | None,
        shift_auto: bool = False,
        safety: Safety = Safety.BALANCED,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
    ) -> None:
        """Add one member for every leg.

        lead_ms: the fixed lead; None: the lead tunes itself. shift_auto: True: the shift tunes itself; False:
        it is 0.
        """
        lead_s, shift_s = None if lead_ms is None else lead_ms / 1e3, None if shift_auto else 0.0
        self.jam = Jam(
            seed, lead_s=lead_s, shift_s=shift_s, safety=safety, repair=repair, scheme=scheme,
            watch_bounds=False,
        )  # fmt: skip
        self.members: list[Member] = []
        self.notes: list[Note] = []
        """All notes, in the order of emission."""
        self._size = len(legs)
        dice = Random(f"stage {seed}")
        for index, (name, leg) in enumerate(legs.items()):
            ppm = spread_ppm(index, len(legs))
            wall_s = dice.uniform(-WALL_OFFSET_S_MAX, WALL_OFFSET_S_MAX)
            self.jam.at_s(index * JOIN_EVERY_S, partial(self._join, name, leg, wall_s, ppm))

    def warm_up(self) -> float:
        """Let all members join, boot and lock their clocks; return the true instant (s) at which the music
        can begin."""
        now_s = max(WARM_S_MIN, self._size * JOIN_EVERY_S + BOOT_AFTER_S) - WARM_STEP_S
        while now_s < WARM_S_MAX:
            now_s += WARM_STEP_S
            self.jam.run(now_s)
            if all(self._is_warm(member) for member in self.members):
                break
        return now_s

    def perform(
        self,
        *,
        start_s: float,
        events_per_s: float,
        seconds: float,
        ahead_ms: float,
        run_in_s: float = RUN_IN_S,
    ) -> float:
        """Enter the notes of all members, from the true instant `start_s` on; return the true end (s) of the
        measured window.

        The music before the window lasts run_in_s, the window itself `seconds`. Notes are played only when
        `jam` is run.
        """
        for index, member in enumerate(self.members):
            notes = schedule(
                seed=self.jam.seed,
                member=index,
                events_per_s=events_per_s,
                seconds=run_in_s + seconds,
                ahead_ms=ahead_ms,
            )
            self._play(member, iter(notes), round(start_s * 1e9), run_in_s)
        return start_s + run_in_s + seconds

    def _join(self, name: str, leg: Leg, wall_offset_s: float, ppm: float) -> None:
        # A host's two clocks run from one crystal.
        member = self.jam.join(name, leg, wall_offset_s=wall_offset_s, rate_ppm=ppm, wall_ppm=ppm)
        self.members.append(member)
        for after_s, message in boot():
            at_ns = self.jam.now_ns + round((BOOT_AFTER_S + after_s) * 1e9)
            self.jam.at(at_ns, partial(self.jam.tap, member, message))

    def _is_warm(self, member: Member) -> bool:
        timebase = member.timebase
        if timebase is None or not timebase.clock.locked or timebase.clock.relocking:
            return False
        # Each member's boot makes two mixers, one at the end of each of its two parts.
        made = {handed.message for handed in member.handed if handed.message.startswith(b"/s_new\0")}
        return len(made) >= 2 * self._size

    def _play(self, member: Member, notes: Iterator[Emission], start_ns: int, run_in_s: float) -> None:
        wall_ns = member.wall_ns(start_ns)
        start = from_unix_ns(wall_ns)

        def expect_next() -> None:
            note = next(notes, None)
            if note is not None:
                true_ns = member.true_of_wall_ns(wall_ns + round(note.at_s * 1e9))
                self.jam.at(true_ns, lambda: emit(note))

        def emit(note: Emission) -> None:
            measured = note.at_s >= run_in_s
            timebase = member.timebase
            session_at = timebase.session_at(member.local_ns(self.jam.now_ns)) if timebase else 0
            self.notes.append(Note(member.name, note, self.jam.now_ns, session_at, measured))
            self.jam.tap(member, note.datagram(start))
            expect_next()

        expect_next()
