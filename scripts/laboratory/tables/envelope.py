"""Envelope: networks with a promised limit for lost events each, and what was found on them.

The page's template, envelope.md.j2, explains the figures.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laboratory.runs import rows
from laboratory.runs.points import Cut, Point
from laboratory.runs.rows import Row
from laboratory.runs.runs import ROOT
from laboratory.study import plan as studyplan
from laboratory.study.cells import Cell, cells_of
from laboratory.tables.pages import render
from laboratory.virtual.host import ADVANCE_S

DATA = ROOT / "docs" / "study" / "envelope.csv"
TEXT = ROOT / "docs" / "ENVELOPE.md"
SEEDS = (1, 2, 3, 4, 5)
SECONDS = 167.0
"""Length (s) of the measured window. At 60 events a second in the room it has 10,000 events."""
UNAVOIDABLE_TIMES = 3.0


@dataclass(frozen=True, slots=True)
class EnvelopeTrial:
    """One network, and the greatest share of bad events allowed on it.

    required: the requirement in words. at_most: unavoidable share (by the oracle) -> allowed share.
    spread_ms: greatest p99 allowed of the spread, the difference between the members' true instants of one
    event; None: no limit. cut: a member that isn't counted for a while.
    """

    title: str
    network: str
    ahead_ms: float
    required: str
    at_most: Callable[[float], float]
    spread_ms: float | None = None
    cut: Cut | None = None
    shift_auto: bool | None = None
    """True if the shift tunes itself. None: it does so if `ahead_ms` is more than 500."""
    like: str | None = None
    """Title of the same trial without a disturbance. Margins, lead and shift must be alike in both."""
    near_hindsight: bool = False
    """True if the lead must be near the least sufficient one, and the shift, though it tunes itself, must be
    0."""
    wheres: tuple[str, ...] = ("virtual", "netlab")

    def point(self, where: str, seconds: float = SECONDS, seeds: tuple[int, ...] = SEEDS) -> Point:
        """Return the trial as a point of the laboratory's matrix. where: "virtual" or "netlab"."""
        tunes = self.ahead_ms > studyplan.BASE_AHEAD_MS if self.shift_auto is None else self.shift_auto
        made = studyplan.point(
            where, f"envelope {self.title}", self.ahead_ms, self.network, "udp-repair",
            lead_ms=None, shift_auto=tunes, ahead_ms=self.ahead_ms, seconds=seconds, seeds=seeds,
        )  # fmt: skip
        return replace(made, cut="" if self.cut is None else str(self.cut))


def fixed(share: float) -> Callable[[float], float]:
    """Return a limit for the share of bad events that is the same for any unavoidable share."""
    return lambda unavoidable: share


def times_unavoidable(unavoidable: float) -> float:
    """Return the greatest share of bad events allowed: UNAVOIDABLE_TIMES the share of unavoidable events."""
    return UNAVOIDABLE_TIMES * unavoidable


def network(rtt_ms: float, *, jitter_ms: float = 0, loss: float = 0, bursts: float = 0) -> str:
    """Return a member's network as text, for example "delay=50,loss=5%".

    rtt_ms: round trip time. Jitter is normal, drawn anew every HOLD_MS. loss: per cent of the datagrams.
    bursts: per cent of the time.
    """
    text = studyplan.delay(rtt_ms)
    if jitter_ms:
        text += f",jitter={jitter_ms:g},kind=normal,hold={studyplan.HOLD_MS}"
    if loss:
        text += f",loss={loss:g}%"
    if bursts:
        text += f",bursts={bursts:g}%,burst=80"
    return text


CALM_TITLE, CALM = "RTT 30, jitter 3 ms, loss 0.1 %", network(30, jitter_ms=3, loss=0.1)
OUT = Cut("ben", 60.0, 63.0)
"""The member that is away for two seconds, and the time (s) in which it isn't counted: one second longer."""
BLOAT = Cut("ben", 60.0, 64.0)
BLOAT_MS = 350.0
NEAR_SHARE, NEAR_MS = 0.20, 10.0
"""Allowed excess of a good network's lead over the least sufficient lead: a share of it, plus some ms."""
MARGIN_MS, LEAD_MS = 5.0, 10.0
"""Differences (ms) within which margins and leads count as alike."""
WAIT_MS = 10.0
"""Tolerance (ms) for errors of clocks and this machine in the time from emission to due.

If no event's time exceeds its schedule-ahead by more than this tolerance, there was no shift.
"""
UNEVEN = f"{network(100, jitter_ms=20, loss=5)} | ben={network(100, jitter_ms=20, loss=20)}"

TRIALS = (
    EnvelopeTrial(
        CALM_TITLE, CALM, 500, "0; shift 0; lead near hindsight", fixed(0.0), shift_auto=True,
        near_hindsight=True,
    ),
    EnvelopeTrial("RTT 60, jitter 15, loss 5 %", network(60, jitter_ms=15, loss=5), 500, "0", fixed(0.0)),
    EnvelopeTrial(
        "RTT 100, jitter 10, loss 10 %", network(100, jitter_ms=10, loss=10), 500, "<= 0.03 %", fixed(3e-4)
    ),
    EnvelopeTrial("RTT 100, jitter 20, loss 5 %, one member 20 %", UNEVEN, 500, "<= 0.2 %", fixed(2e-3)),
    EnvelopeTrial("RTT 100, jitter 20, loss 5 %, one member 20 %", UNEVEN, 1000, "<= 0.01 %", fixed(1e-4)),
    EnvelopeTrial("bursts 5 %, RTT 30", network(30, bursts=5), 500, "<= 3 x unavoidable", times_unavoidable),
    EnvelopeTrial(
        "bursts 10 %, RTT 100", network(100, bursts=10), 1000, "<= 3 x unavoidable", times_unavoidable
    ),
    EnvelopeTrial(
        "one member RTT 200, the others 20", f"{network(20)} | ben={network(200)}", 500, "0; spread < 2 ms",
        fixed(0.0), spread_ms=2.0, shift_auto=True,
    ),
    EnvelopeTrial(
        f"{CALM_TITLE}; one member away for 2 s", f"{CALM} | {OUT.member}={CALM},outage=60-62", 500,
        "0 among the others, and for all 1 s after its return; lead, shift and margins as without it",
        fixed(0.0), cut=OUT, shift_auto=True, like=CALM_TITLE, wheres=("netlab",),
    ),
    EnvelopeTrial(
        f"{CALM_TITLE}; 3 s of bufferbloat at one member",
        f"{CALM} | {BLOAT.member}={CALM},bloat=60-63:{BLOAT_MS:g}", 500,
        "0 among the others; lead, shift and margins as without it", fixed(0.0), cut=BLOAT, shift_auto=True,
        like=CALM_TITLE, wheres=("netlab",),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EnvelopeVerdict:
    """The verdict on a trial. cell: the results of all its runs. holds: True if the cell meets every
    requirement."""

    trial: EnvelopeTrial
    cell: Cell
    holds: bool

    @property
    def text(self) -> str:
        """The verdict as text: "yes" or "NO"; "so far", with the number of seeds, while it holds and some
        seeds are missing."""
        seeds = len({row.seed for row in self.cell.rows} & set(SEEDS))
        if not self.holds or seeds == len(SEEDS):
            return "yes" if self.holds else "NO"
        return f"so far ({seeds} of {len(SEEDS)} seeds)"

    @property
    def by_seed(self) -> list[str]:
        """For every seed the number of bad events and, in brackets, of unavoidable ones, e.g. "3 (1)"."""
        return [
            f"{row.bad} ({'?' if row.unavoidable is None else row.unavoidable})" for row in self.cell.rows
        ]

    @property
    def lead_and_shift(self) -> str:
        """The ranges, over the seeds, of the lead and the shift at the end of a run, e.g. "150-175/0-0
        ms"."""
        lead, shift = (_range(self.cell.known(figure)) for figure in ("lead_ms_last", "shift_ms_last"))
        return f"{lead}/{shift} ms"

    @property
    def hindsight(self) -> str:
        """The range, over the seeds, of the least sufficient lead, as known afterwards, e.g. "131-140 ms"."""
        return f"{_range([ms + ADVANCE_S * 1e3 for ms in self.cell.known('in_hand_ms_max')])} ms"


def _range(known: Sequence[float]) -> str:
    return f"{known[0]:.0f}-{known[-1]:.0f}" if known else "?"


def points(where: str, words: Sequence[str] = ()) -> list[Point]:
    """Return all trials of a lab ("virtual" or "netlab") as points.

    words: only trials with one of these words in the title; empty: all.
    """
    return [
        trial.point(where)
        for trial in TRIALS
        if where in trial.wheres and (not words or any(word.lower() in trial.title.lower() for word in words))
    ]


def judge(found: Iterable[Row]) -> list[EnvelopeVerdict]:
    """Return the verdict on every trial that has rows among `found`."""
    cells = {(cell.series, cell.x, cell.where): cell for cell in cells_of(found)}
    return [
        EnvelopeVerdict(
            trial, cell, holds(trial, cell, cells.get((f"envelope {trial.like}", trial.ahead_ms, where)))
        )
        for trial in TRIALS
        for where in trial.wheres
        if (cell := cells.get((f"envelope {trial.title}", trial.ahead_ms, where)))
    ]


def hindsight_ms(row: Row) -> float | None:
    """Return the least lead (ms) with which no event of a run is late anywhere, as known afterwards; None if
    not known."""
    return None if row.in_hand_ms_max is None else row.in_hand_ms_max + ADVANCE_S * 1e3


def is_near_hindsight(row: Row) -> bool:
    """Tell whether a run had no shift and a lead near the least sufficient one.

    A lead is near if it is longer by at most NEAR_SHARE of the least sufficient lead plus NEAR_MS.
    """
    least, lead_ms, wait_ms = hindsight_ms(row), row.lead_ms_last, row.action_to_sound_ms_max
    if least is None or lead_ms is None or wait_ms is None:
        return False
    never_shifted = row.shift_ms_last == 0 and wait_ms <= row.ahead_ms + WAIT_MS
    return lead_ms <= (1 + NEAR_SHARE) * least + NEAR_MS and never_shifted


def holds(trial: EnvelopeTrial, cell: Cell, without: Cell | None = None) -> bool:
    """Tell whether a cell meets its trial's requirements. without: the cell of the trial `trial.like`, if
    any."""
    if trial.near_hindsight and not all(map(is_near_hindsight, cell.rows)):
        return False
    unavoidable = cell.unavoidable.value if cell.unavoidable else 0.0
    apart_us = cell.worst("spread_us_p99")
    together = trial.spread_ms is None or (apart_us is not None and apart_us <= trial.spread_ms * 1e3)
    alike = trial.like is None or (without is not None and is_like(cell, without))
    return together and alike and cell.bad.value <= trial.at_most(unavoidable)


def is_like(cell: Cell, without: Cell) -> bool:
    """Tell whether margins, lead and shift in `cell` are like those in `without`.

    `without` is the cell of the same trial without its disturbance.

    The lead is compared at the end of the runs, the shift at all times.
    """
    margin, usual = cell.mean("margin_ms_p01"), without.mean("margin_ms_p01")
    if margin is None or usual is None or margin < usual - MARGIN_MS:
        return False
    for figure, by_ms in (
        ("shift_ms_last", 0.0),
        ("lead_ms_last", LEAD_MS),
        ("action_to_sound_ms_max", WAIT_MS),
    ):
        found, before = cell.worst(figure), without.worst(figure)
        if found is None or before is None or found > before + by_ms:
            return False
    return True


def write(path: Path, data: Path) -> list[EnvelopeVerdict]:
    """Write the page to `path` from the rows in the file `data`; return the verdicts."""
    verdicts = judge(rows.read(data, Row))
    path.write_text(render("envelope", verdicts=verdicts, data=data), encoding="utf-8")
    return verdicts
