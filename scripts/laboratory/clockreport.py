"""Clock report: what a clock run found, judged, drawn and put into words.

Pure but for `write`. An error is positive where a clock is ahead of the relay's: it reaches a due earlier.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from laboratory import figures
from laboratory.runs import ROOT
from laboratory.tallying import quantile

TEXT = ROOT / "docs" / "CLOCK.md"
PICTURE = ROOT / "docs" / "study" / "clock.png"
SECONDS = 660.0
SETTLED_S = 60.0
"""From joining until errors count."""
P99_US_MAX = 2_000.0
INSIDE_LEAST = 0.999
LOCK_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Error:
    """How far a member's clock was off at an instant (ns of CLOCK_REALTIME)."""

    member: str
    at_ns: int
    us: float
    """The relay's due less the instant that scsynth was given for it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """How far a member's clock may be off, as the statistics said at an instant."""

    member: str
    at_ns: int
    bound_us: float
    rate_ppm: float = 0.0
    """How much faster than the local clock it runs."""


@dataclass(frozen=True, slots=True)
class Found:
    """A clock run. lock_s: from Welcome to session time, by member."""

    network: str
    skews_ppm: Mapping[str, float]
    seconds: float
    commit: str
    errors: Sequence[Error]
    stated: Sequence[Stated]
    lock_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One member's clock. inside: of the errors with a bound that was stated before them, those within it."""

    member: str
    skew_ppm: float
    errors: int
    p50_us: float
    p99_us: float
    bound_us: float
    """Median of what was stated."""
    inside: int
    judged: int
    lock_s: float

    @property
    def holds(self) -> bool:
        """Whether the clock is as good as is asked."""
        return (
            self.judged > 0
            and self.p99_us < P99_US_MAX
            and self.inside >= INSIDE_LEAST * self.judged
            and self.lock_s <= LOCK_S_MAX
        )


def judge(found: Found) -> list[Verdict]:
    """Return the verdict on every member's clock."""
    return [judged_member(found, name) for name in found.skews_ppm]


def judged_member(found: Found, name: str) -> Verdict:
    errors = [error for error in found.errors if error.member == name]
    stated = sorted((one.at_ns, one.bound_us) for one in found.stated if one.member == name)
    sizes = sorted(abs(error.us) for error in errors)
    inside = judged = 0
    for error in errors:
        before = bisect_right(stated, (error.at_ns, float("inf")))
        if before:
            judged += 1
            inside += abs(error.us) <= stated[before - 1][1]
    return Verdict(
        name, found.skews_ppm[name], len(errors), quantile(sizes, 0.5) or 0.0, quantile(sizes, 0.99) or 0.0,
        quantile(sorted(bound_us for _, bound_us in stated), 0.5) or 0.0, inside, judged, found.lock_s[name],
    )  # fmt: skip


def table(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """Return the verdicts as lines of text fields, the heading first."""
    return [
        ("member", "local clock", "errors", "p50", "p99", "stated bound", "inside it", "first lock", "holds"),
        *(
            (
                one.member, f"{one.skew_ppm:+g} ppm", f"{one.errors:,}", f"{one.p50_us / 1e3:.2f} ms",
                f"{one.p99_us / 1e3:.2f} ms", f"{one.bound_us / 1e3:.1f} ms",
                f"{one.inside:,} of {one.judged:,}", f"{one.lock_s:.2f} s", "yes" if one.holds else "NO",
            )
            for one in verdicts
        ),
    ]  # fmt: skip


def write(found: Found, text: Path = TEXT, picture: Path = PICTURE) -> list[Verdict]:
    """Write text and picture; return the verdicts."""
    verdicts = judge(found)
    heading, *lines = table(verdicts)
    draw(found, picture)
    text.write_text(
        "\n".join(
            [
                "# The clock, ten minutes of it",
                "",
                f"Real relay and bridges for {found.seconds:g} s, from a minute after joining, over",
                f"`{found.network}`. The bridges' local clocks are made to run",
                "wrong. An error is the relay's due less the timetag that a bridge gives scsynth, on the one",
                f"clock that all of them share here. Asked for: p99 below {P99_US_MAX / 1e3:g} ms,",
                f"{INSIDE_LEAST:.1%} inside what the bridge itself states, first lock within",
                f"{LOCK_S_MAX:g} s of being let in.",
                "",
                "| " + " | ".join(heading) + " |",
                "|" + "---|" * len(heading),
                *("| " + " | ".join(line) + " |" for line in lines),
                "",
                f"![errors of the clocks over time]({picture.parent.name}/{picture.name})",
                "",
                f"By `scripts/lab --clock` at {found.commit}. An hour in virtual time is",
                "`tests/test_clock_hour.py`.",
                "",
            ]
        ),
        encoding="utf-8",
    )
    return verdicts


def draw(found: Found, path: Path) -> None:
    """Draw every member's error over time beside what is asked for; its stated bound is off the scale."""
    first_ns = min((error.at_ns for error in found.errors), default=0)
    asked_ms = P99_US_MAX / 1e3
    most_ms = max((abs(error.us) / 1e3 for error in found.errors), default=0.0)
    figure = figures.new_figure(
        7.6, 5.4, f"Errors of three clocks; dashed: p99 of {asked_ms:g} ms, as asked for"
    )
    axes = figure.subplots(len(found.skews_ppm), 1, sharex=True, sharey=True, squeeze=False)
    for ax, (name, ppm) in zip(axes.flat, found.skews_ppm.items(), strict=True):
        figures.tidy(ax)
        mine = [error for error in found.errors if error.member == name]
        for edge_ms in (-asked_ms, asked_ms):
            ax.axhline(edge_ms, color="#6B7280", linewidth=0.8, linestyle="--")
        ax.plot(
            [(error.at_ns - first_ns) / 1e9 for error in mine], [error.us / 1e3 for error in mine],
            ".", markersize=2, color=figures.COLOURS["udp-repair"],
        )  # fmt: skip
        bound_ms = judged_member(found, name).bound_us / 1e3
        ax.set_title(f"says of itself: within {bound_ms:.1f} ms", loc="right", fontsize=8, color="#6B7280")
        ax.set_ylabel(f"{name}, {ppm:+g} ppm\nms", fontsize=9)
    axes[0, 0].set_ylim(-1.25 * max(most_ms, asked_ms), 1.25 * max(most_ms, asked_ms))
    axes[-1, 0].set_xlabel("s, from a minute after joining")
    figures.save(figure, path)
