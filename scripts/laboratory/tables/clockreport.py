"""Clock report: the verdict, the pictures and the text about clock runs.

Pure but for `write`. An error is positive if a member's clock is ahead of the relay's. Such a clock reaches a
due too early.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from laboratory.runs.runs import ROOT
from laboratory.tables import plots
from laboratory.tables.pages import render
from relay.wire.quantile import quantile

TEXT = ROOT / "docs" / "CLOCK.md"
PICTURES = ROOT / "docs" / "study"
INSIDE_LEAST = 0.999
LOCK_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """A run in which clocks are watched, and the demand on the clocks.

    skews_ppm: how much too fast each member's local clock runs. settled_s: errors count from this second on.
    p99_us_max: the p99 of the errors' sizes must stay below it. beside_relay: a member at the relay's own
    place. If there is one, it alone is judged; the others only play.
    """

    key: str
    title: str
    network: str
    skews_ppm: Mapping[str, float]
    events_per_s: float
    seconds: float
    settled_s: float
    p99_us_max: float
    beside_relay: str = ""

    @property
    def judged(self) -> list[str]:
        """The members whose clocks are judged."""
        return [self.beside_relay] if self.beside_relay else list(self.skews_ppm)


QUEUES = ClockSetting(
    "queues", "Ten minutes over lopsided queues",
    "up:delay=40,jitter=20,kind=lognormal;down:delay=40,jitter=8,kind=lognormal",
    {"anna": 50.0, "ben": -50.0, "carla": 0.0}, events_per_s=2.0, seconds=660.0, settled_s=60.0,
    p99_us_max=2_000.0,
)  # fmt: skip
"""A network with 40 ms each way, plus queues of 20 ms (up) and 8 ms (down) on average, drawn for every
datagram."""
LOOPBACK = ClockSetting(
    "loopback", "A bridge beside the relay, by loopback", "loopback", {"anna": 50.0, "ben": 0.0},
    events_per_s=20.0, seconds=110.0, settled_s=10.0, p99_us_max=100.0, beside_relay="anna",
)  # fmt: skip
SETTINGS = (QUEUES, LOOPBACK)


@dataclass(frozen=True, slots=True)
class Error:
    """The error of a member's clock at an instant (ns of CLOCK_REALTIME)."""

    member: str
    at_ns: int
    us: float
    """Error (us): the relay's due of an event, less the instant of the timetag that scsynth was given for
    it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The bound of a member's clock error, as the relay's statistics stated it at an instant (ns of
    CLOCK_REALTIME)."""

    member: str
    at_ns: int
    bound_us: float
    rate_ppm: float = 0.0
    """How much faster (ppm) than the local clock the session clock runs."""


@dataclass(frozen=True, slots=True)
class Found:
    """The findings of a clock run. lock_s: by member, the time (s) from its Welcome until it had session
    time."""

    setting: ClockSetting
    commit: str
    errors: Sequence[Error]
    stated: Sequence[Stated]
    lock_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """The verdict on one member's clock.

    judged: how many of the clock's errors were measured after its bridge had stated a first bound. inside:
    how many of those lay within the last bound stated before them.
    """

    member: str
    skew_ppm: float
    errors: int
    p50_us: float
    p99_us: float
    bound_us: float
    """Median of the stated bounds (us)."""
    inside: int
    judged: int
    lock_s: float
    p99_us_max: float

    @property
    def holds(self) -> bool:
        """Whether the clock is as good as it is asked to be."""
        return (
            self.judged > 0
            and self.p99_us < self.p99_us_max
            and self.inside >= INSIDE_LEAST * self.judged
            and self.lock_s <= LOCK_S_MAX
        )


def judge(found: Found) -> list[ClockVerdict]:
    """Return the verdict on every clock that is judged."""
    return [judged_member(found, name) for name in found.setting.judged]


def judged_member(found: Found, name: str) -> ClockVerdict:
    errors = [error for error in found.errors if error.member == name]
    stated = sorted((one.at_ns, one.bound_us) for one in found.stated if one.member == name)
    sizes = sorted(abs(error.us) for error in errors)
    inside = judged = 0
    for error in errors:
        before = bisect_right(stated, (error.at_ns, float("inf")))
        if before:
            judged += 1
            inside += abs(error.us) <= stated[before - 1][1]
    return ClockVerdict(
        name, found.setting.skews_ppm[name], len(errors), quantile(sizes, 0.5) or 0.0,
        quantile(sizes, 0.99) or 0.0,
        quantile(sorted(bound_us for _, bound_us in stated), 0.5) or 0.0, inside, judged, found.lock_s[name],
        found.setting.p99_us_max,
    )  # fmt: skip


def ms_text(us: float) -> str:
    """Return microseconds as milliseconds for people, to three digits or so."""
    return f"{us / 1e3:.3f} ms" if us < 100 else f"{us / 1e3:.2f} ms"


def write(runs: Sequence[Found], text: Path = TEXT, pictures: Path = PICTURES) -> None:
    """Write the text about clock runs, and a picture of each run."""
    for found in runs:
        draw(found, pictures / f"clock-{found.setting.key}.png")
    text.write_text(page(runs, pictures), encoding="utf-8")


def page(runs: Sequence[Found], pictures: Path = PICTURES) -> str:
    """Return the text about clock runs. pictures: the folder of their pictures, which stands beside the
    text."""
    return render(
        "clock", {"ms": ms_text, "judged": judge}, runs=runs, pictures=pictures,
        inside_least=INSIDE_LEAST, lock_s_max=LOCK_S_MAX,
    )  # fmt: skip


def draw(found: Found, path: Path) -> None:
    """Draw the error of every judged clock over time, and the limits that it is asked to keep.

    The bound that the clock states of itself is written above.
    """
    first_ns = min((error.at_ns for error in found.errors), default=0)
    verdicts = judge(found)
    asked_ms = found.setting.p99_us_max / 1e3
    most_ms = max(
        (abs(error.us) / 1e3 for error in found.errors if error.member in found.setting.judged), default=0.0
    )
    figure = plots.new_figure(
        7.6, 1.2 + 1.4 * len(verdicts), f"Errors of clocks; dashed: p99 of {asked_ms:g} ms, as asked for"
    )
    axes = figure.subplots(len(verdicts), 1, sharex=True, sharey=True, squeeze=False)
    for ax, verdict in zip(axes.flat, verdicts, strict=True):
        plots.tidy(ax)
        mine = [error for error in found.errors if error.member == verdict.member]
        for edge_ms in (-asked_ms, asked_ms):
            ax.axhline(edge_ms, color="#6B7280", linewidth=0.8, linestyle="--")
        ax.plot(
            [(error.at_ns - first_ns) / 1e9 for error in mine], [error.us / 1e3 for error in mine],
            ".", markersize=2, color=plots.COLOURS["udp-repair"],
        )  # fmt: skip
        ax.set_title(
            f"says of itself: within {ms_text(verdict.bound_us)}", loc="right", fontsize=8, color="#6B7280"
        )
        ax.set_ylabel(f"{verdict.member}, {verdict.skew_ppm:+g} ppm\nms", fontsize=9)
    axes[0, 0].set_ylim(-1.25 * max(most_ms, asked_ms), 1.25 * max(most_ms, asked_ms))
    axes[-1, 0].set_xlabel(f"s, after the first {found.setting.settled_s:g}")
    plots.save(figure, path)
