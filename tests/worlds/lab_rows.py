"""Made-up result rows, for the tests of the laboratory."""

from laboratory.runs.points import Point
from laboratory.runs.rows import Row, asked
from laboratory.study.plan import BY_TIMESTAMPS
from laboratory.study.plan import point as planned

from relay.wire.sequence import Scheme

EVENTS = 2000


def row(point: Point, seed: int = 1, *, bad: int = 0, retimed: int = 0, unavoidable: int | None = 0) -> Row:
    """Return the result row of one run with `bad` bad events: `retimed` re-timed ones, the others late."""
    return Row(
        **asked(point, seed),
        events=EVENTS, divergent=bad - retimed, missing=0, late=bad - retimed, out_of_order=0, different=0,
        retimed=retimed, moved=0, unconfirmed=0, unavoidable=unavoidable, bad=bad, margin_ms_p01=60.0,
        margin_ms_p50=65.0, spread_us_p50=200.0, spread_us_p99=600.0, action_to_sound_ms_p50=500.0,
        commit="abc", versions="python 3.11", started="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def curve(where: str, series: str, mode: str, bad: dict[float, int], network: str = "delay=15") -> list[Row]:
    """Return three equal runs for each x of a curve.

    bad: x -> number of bad events in each run; x is the loss in percent.
    """
    scheme = Scheme.TIMESTAMP if series.startswith(BY_TIMESTAMPS) else Scheme.JUDGED
    return [
        row(planned(where, series, x, f"{network},loss={x:g}%", mode, scheme=scheme), seed, bad=count)
        for x, count in bad.items()
        for seed in (1, 2, 3)
    ]
