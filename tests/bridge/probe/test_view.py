"""The text and picture of a measured path: its figures, and what they mean for a jam."""

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from bridge.probe.path_stats import path_figures
from bridge.probe.view import (
    AXIS_COLUMNS,
    CHART_ROWS,
    DOT,
    LEAD_MAX_MS,
    LEAD_MIN_MS,
    drawing,
    meaning,
    summary,
)
from relay.lead.keeper import LEAD_MAX, LeadPolicy
from relay.wire.timetag import seconds
from relay.wire.trace import Sample, Trace, TraceWay


def way(*delays: float | None, spacing_s: float = 0.02) -> TraceWay:
    return TraceWay(tuple(Sample(number * spacing_s, delay) for number, delay in enumerate(delays)))


def shown(what: RenderableType, width: int = 100) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(what)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().splitlines()


def words(trace: Trace) -> str:
    return " ".join(text for text, _ in meaning(trace, path_figures(trace)))


LOSSY = Trace(
    way(*[20.0] * 300, None, None, None, *[30.0] * 197),
    way(*[20.0] * 500),
    {"host": "jam.example", "started": "2026-11-21T10:00:00Z", "rate_per_s": 50.0, "clock_bound_ms": 20.5,
     "clock_rate_ppm": -12.3, "clock_rate_error_ppm": 0.4, "clock_steady": "yes"},
)  # fmt: skip


def test_the_summary_names_every_figure_with_its_unit() -> None:
    text = "\n".join(shown(summary(LOSSY), 140))
    for part in (
        "path to jam.example", "2026-11-21T10:00:00Z", "10 s", "50 datagrams a second",
        "0.60% (", "1, 60 ms, at most 60 ms", "30.0 ms", "±20.50 ms", "-12.3 ±0.8 ppm", "round trip 40.0 ms",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(
    ("delay_ms", "said"),
    [(5, "fits easily"), (60, "fits inside"), (150, "just fits"), (250, "does not fit")],
)
def test_it_is_said_plainly_whether_a_jam_fits(delay_ms: float, said: str) -> None:
    trace = Trace(way(*[delay_ms] * 50), way(*[delay_ms] * 50))
    assert said in words(trace)
    assert f"a lead of about {100 + 2 * delay_ms:.0f} ms" in words(trace)


@pytest.mark.parametrize(
    ("delay_ms", "said"),
    [
        (5, "about 110 ms; it comes to 150 ms by itself, the least without --profile quick"),
        (25, "about 150 ms, and comes to it by itself"),
    ],
)
def test_no_lead_is_promised_that_the_usual_profile_never_has(delay_ms: float, said: str) -> None:
    assert seconds(LeadPolicy().safety.lead_min) * 1e3 == pytest.approx(LEAD_MIN_MS)
    assert said in words(Trace(way(*[delay_ms] * 50), way(*[delay_ms] * 50)))


@pytest.mark.parametrize(
    ("delay_ms", "said"),
    [(150, "up to 100 ms later"), (250, "100 to 300 ms later"), (600, "--lead-max-ms 1300")],
)
def test_what_the_room_does_about_a_long_path_is_said(delay_ms: float, said: str) -> None:
    assert said in words(Trace(way(*[delay_ms] * 50), way(*[delay_ms] * 50)))


def test_what_a_relay_waits_for_at_most_is_said_only_beyond_it() -> None:
    assert seconds(LEAD_MAX) * 1e3 == pytest.approx(LEAD_MAX_MS)
    assert "--lead-max-ms" not in words(Trace(way(*[400.0] * 50), way(*[400.0] * 50)))


def test_repeats_are_named_only_where_something_was_lost() -> None:
    assert "asking again" in words(LOSSY)
    assert "asking again" not in words(Trace(way(*[9.0] * 50), way(*[9.0] * 50)))


def test_a_clock_that_jumped_is_said() -> None:
    jumped = Trace(LOSSY.up, LOSSY.down, LOSSY.about | {"clock_steady": "no"})
    assert "a clock jumped" in words(jumped)
    assert "a clock jumped" not in words(LOSSY)


def test_a_dead_path_is_said_and_drawn_without_figures() -> None:
    dead = Trace(way(None, None), way())
    assert "nothing came" in words(dead)
    assert "100.00%" in "\n".join(shown(summary(dead)))
    assert "nothing came" in "\n".join(shown(drawing(dead)))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_drawing_fits_the_terminal(width: int) -> None:
    assert max(map(len, shown(drawing(LOSSY), width))) <= width


def test_the_chart_shows_the_step_up_and_the_loss_where_they_were() -> None:
    lines = shown(drawing(LOSSY), 110)
    highest, lowest, loss = (lines[row][AXIS_COLUMNS:] for row in (1, CHART_ROWS, CHART_ROWS + 1))
    assert lowest.rindex(DOT) / 100 == pytest.approx(0.6, abs=0.02)
    assert highest.index(DOT) / 100 == pytest.approx(0.6, abs=0.02)
    assert highest.count(DOT) + lowest.count(DOT) == 100
    assert (len(loss) - len(loss.lstrip())) / 100 == pytest.approx(0.6, abs=0.02)
    assert len(loss.strip()) == 1


def test_a_trace_of_no_length_can_be_drawn() -> None:
    one = Trace(way(20.0), way(20.0))
    assert shown(drawing(one))
    assert shown(summary(one))
