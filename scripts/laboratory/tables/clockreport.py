"""Clock report: judges clock runs, and makes the pictures and the text about them.

Pure but for `write`. An error is positive if a member's clock is ahead of the relay's. A clock that is ahead
reaches a due too early.
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
    """A run in which clocks are watched, and the limits that the clocks must keep.

    skews_ppm: member -> rate (ppm) by which its local clock runs too fast. settled_s: errors before this
    second are ignored. p99_us_max: upper limit for the p99 of the errors' sizes. beside_relay: a member on
    the relay's own host, whose clock alone is judged; "": no such member, and all clocks are judged.
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
        """Names of the members whose clocks are judged."""
        return [self.beside_relay] if self.beside_relay else list(self.skews_ppm)


QUEUES = ClockSetting(
    "queues", "Ten minutes over lopsided queues",
    "up:delay=40,jitter=20,kind=lognormal;down:delay=40,jitter=8,kind=lognormal",
    {"anna": 50.0, "ben": -50.0, "carla": 0.0}, events_per_s=2.0, seconds=660.0, settled_s=60.0,
    p99_us_max=2_000.0,
)  # fmt: skip
"""A network with 40 ms each way, plus queues of 20 ms (up) and 8 ms (down) on average, drawn anew for every
datagram."""
LOOPBACK = ClockSetting(
    "loopback", "A bridge beside the relay, by loopback", "loopback", {"anna": 50.0, "ben": 0.0},
    events_per_s=20.0, seconds=110.0, settled_s=10.0, p99_us_max=100.0, beside_relay="anna",
)  # fmt: skip
SETTINGS = (QUEUES, LOOPBACK)


@dataclass(frozen=True, slots=True)
class Error:
    """The error of a member's clock at an instant (Unix ns)."""

    member: str
    at_ns: int
    us: float
    """The error (us): the relay's due of an event, less the instant of the timetag that scsynth got for the
    event."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A bound of a member's clock error, as in the relay's statistics at an instant (Unix ns)."""

    member: str
    at_ns: int
    bound_us: float
    rate_ppm: float = 0.0
    """Rate (ppm) by which the session clock runs faster than the local clock."""


@dataclass(frozen=True, slots=True)
class Found:
    """The findings of a clock run. lock_s: member -> time (s) from its Welcome until it had session time."""

    setting: ClockSetting
    commit: str
    errors: Sequence[Error]
    stated: Sequence[Stated]
    lock_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """The verdict on one member's clock.

    judged: number of errors that were measured when its bridge had already stated a bound. inside: how many
    of these errors lie within the last bound stated before.
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
        """True if the clock keeps all limits: the p99 of its errors, its own bounds, and the time until it
        locked."""
        return (
            self.judged > 0
            and self.p99_us < self.p99_us_max
            and self.inside >= INSIDE_LEAST * self.judged
            and self.lock_s <= LOCK_S_MAX
        )


def judge(found: Found) -> list[ClockVerdict]:
    """Return the verdicts on the clocks of all judged members."""
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
    """Return microseconds as a text in milliseconds, with two or three decimals."""
    return f"{us / 1e3:.3f} ms" if us < 100 else f"{us / 1e3:.2f} ms"


def write(runs: Sequence[Found], text: Path = TEXT, pictures: Path = PICTURES) -> None:
    """Write the page about clock runs to `text`, and a picture of each run into `pictures`."""
    for found in runs:
        draw(found, pictures / f"clock-{found.setting.key}.png")
    text.write_text(page(runs, pictures), encoding="utf-8")


def page(runs: Sequence[Found], pictures: Path = PICTURES) -> str:
    """Return the text of the page about clock runs. pictures: the folder of the pictures, beside the page."""
    return render(
        "clock", {"ms": ms_text, "judged": judge}, runs=runs, pictures=pictures,
        inside_least=INSIDE_LEAST, lock_s_max=LOCK_S_MAX,
    )  # fmt: skip


def draw(found: Found, path: Path) -> None:
    """Draw the error of every judged clock over time, with the limits for its p99.

    The bound that the clock itself states is written above its curve.
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
