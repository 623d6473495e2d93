"""View of a measured path: a table of figures, their meaning for a jam, and a drawing for the terminal.

Pure, apart from colours.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, log10

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bridge.probe.path_stats import (
    HORIZON_MARGIN_MS,
    RELEASE_ADVANCE_MS,
    PathFigures,
    WayFigures,
    path_figures,
)
from bridge.probe.same_path import OWN_MS, agreements
from relay.wire.counted_nouns import counted
from relay.wire.quantile import quantile
from relay.wire.trace import Sample, Trace, TraceWay

GOOD, FAIR, BAD, QUIET = "green", "yellow", "bold red", "dim"

EASY_MS, INSIDE_MS, AHEAD_MS = 150.0, 300.0, 500.0
"""Limits of the lead (ms). With a lead up to the first, no note of Sonic Pi is moved. Up to the second, at
most 1 % are moved, the first notes of a run. The third is the whole schedule-ahead (tried with 3.2.2 and
4.5.1)."""
LEAD_MIN_MS, LEAD_MAX_MS = 150.0, 1000.0
"""The least and the greatest lead (ms) that a relay sets by default (--profile, --lead-max-ms)."""

ROUND_UP_MS = 10

CHART_ROWS, CHART_COLUMNS_MAX, AXIS_COLUMNS = 9, 120, 9
BINS, BAR_COLUMNS = 12, 24
SHADES = " ▁▂▃▄▅▆▇█"
DOT, RANGE = "●", "│"


def summary(trace: Trace) -> RenderableType:
    """Return the figures of a trace and their meaning for a jam."""
    figures = path_figures(trace)
    parts: list[RenderableType] = [_heading(trace), Text(), _table(trace, figures), Text()]
    parts += [Text(text, style=style) for text, style in meaning(trace, figures)]
    return Group(*parts)


def drawing(trace: Trace) -> RenderableType:
    """Return charts of delay over time for both directions, and a histogram of the delays."""
    return Group(_Chart("up, to the relay", trace.up), Text(), _Chart("down, from it", trace.down), Text(),
                 _Histogram(trace))  # fmt: skip


def comparison(trace: Trace, other: Trace) -> RenderableType:
    """Return, for each direction, whether two traces can be of one path, and the figures of the tests."""
    lines = []
    for name, found in agreements(trace, other).items():
        verdict = "the same" if found.agree else "different"
        text = (
            f"{name}: {verdict}; delays {found.delays_apart:.2%} apart at most "
            f"(Kolmogorov-Smirnov, {OWN_MS:g} ms allowed, p = {found.delays_p:.3f}), "
            f"loss {found.first.loss:.2%} and {found.second.loss:.2%} (p = {found.loss_p:.3f})"
        )
        lines.append(Text(text, style=GOOD if found.agree else FAIR))
    return Group(*lines)


def meaning(trace: Trace, figures: PathFigures) -> list[tuple[str, str]]:
    """Return (sentence, style) pairs that say whether this path is good for a jam, and give cautions."""
    found: list[tuple[str, str]] = []
    if figures.lead_ms is None or figures.repeats_ms is None:
        return [("one way nothing came at all: no jam is possible over this path", BAD)]
    lead_ms = ceil(figures.lead_ms / ROUND_UP_MS) * ROUND_UP_MS
    text = f"a room whose members all had this path needs a lead of about {lead_ms} ms"
    if lead_ms < LEAD_MIN_MS:
        text += f"; it comes to {LEAD_MIN_MS:.0f} ms by itself, the least without --profile quick"
    else:
        text += ", and comes to it by itself"
    found.append((text, "bold"))
    assert figures.up.p99_ms is not None
    assert figures.down.p99_ms is not None
    parts = [f"{figures.up.p99_ms + figures.down.p99_ms:.0f} ms for the way up and down"]
    if figures.repeats_ms:
        parts.append(f"{figures.repeats_ms:.0f} ms for asking again for what was lost")
    parts.append(f"{RELEASE_ADVANCE_MS:.0f} ms for scsynth (less where the sound card's blocks are short)")
    parts.append(f"{HORIZON_MARGIN_MS:.0f} ms to spare")
    found.append((f"that is {', '.join(parts)}", QUIET))
    if lead_ms <= EASY_MS:
        found.append(("it fits easily inside Sonic Pi's 0.5 s: nothing will be moved or delayed", GOOD))
    elif lead_ms <= INSIDE_MS:
        found.append(
            ("it fits inside Sonic Pi's 0.5 s: at most the first notes of a run will be moved", GOOD)
        )
    elif lead_ms <= AHEAD_MS:
        text = "it just fits inside Sonic Pi's 0.5 s: notes that it sends late will be moved for everybody"
        later = f"everything played up to {lead_ms - INSIDE_MS:.0f} ms later"
        found.append((f"{text}, or if they are many {later}", FAIR))
    else:
        text = "it does not fit inside Sonic Pi's 0.5 s: everything will be played"
        later = f"{lead_ms - AHEAD_MS:.0f} to {lead_ms - INSIDE_MS:.0f} ms later, for everybody alike"
        found.append((f"{text} {later}", BAD))
    if lead_ms > LEAD_MAX_MS:
        text = f"a relay waits {LEAD_MAX_MS:.0f} ms at most, so what takes longer comes late"
        found.append((f"{text}, unless it is started with --lead-max-ms {lead_ms}", BAD))
    if str(trace.about.get("clock_steady", "yes")) != "yes":
        text = "a clock jumped meanwhile (did this computer sleep?): don't trust the delays, measure again"
        found.append((text, BAD))
    return found


def _heading(trace: Trace) -> Text:
    about = trace.about
    line = Text(f"path to {about.get('host', 'a relay')}", style="bold")
    length_s = max((way.samples[-1].sent_s for way in (trace.up, trace.down) if way.samples), default=0.0)
    said = [str(about["started"])] if "started" in about else []
    said.append(f"{length_s:.0f} s")
    if "rate_per_s" in about:
        said.append(f"{counted(_number(about, 'rate_per_s'), 'datagram')} a second each way")
    line.append(f"  {', '.join(said)}", style=QUIET)
    return line


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _loss(way: WayFigures) -> str:
    return f"{way.loss:.2%} ({way.loss_low:.2%} to {way.loss_high:.2%})"


def _bursts(way: WayFigures) -> str:
    if not way.bursts:
        return "none"
    return f"{way.bursts}, {way.burst_ms_mean:.0f} ms, at most {way.burst_ms_max:.0f} ms"


_ROWS: tuple[tuple[str, Callable[[WayFigures], str]], ...] = (
    ("sent", lambda way: str(way.sent)),
    ("lost, 95 % interval", _loss),
    ("lost in a row", _bursts),
    ("came after a later one", lambda way: str(way.reordered)),
    ("least delay", lambda way: _ms(way.least_ms)),
    ("half within", lambda way: _ms(way.p50_ms)),
    ("99 % within", lambda way: _ms(way.p99_ms)),
    ("longest", lambda way: _ms(way.most_ms)),
    ("jitter, mean above least", lambda way: _ms(way.jitter_ms)),
)


def _table(trace: Trace, figures: PathFigures) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    table.add_column("")
    table.add_column("up, to the relay", justify="right")
    table.add_column("down, from it", justify="right")
    for heading, text in _ROWS:
        table.add_row(Text(heading, style=QUIET), text(figures.up), text(figures.down))
    about = trace.about
    if "clock_bound_ms" not in about:
        return table
    line = f"one-way delays are right to ±{_number(about, 'clock_bound_ms'):.2f} ms"
    if "clock_rate_ppm" in about:
        error_ppm = 2 * _number(about, "clock_rate_error_ppm")
        rate_ppm = _number(about, "clock_rate_ppm")
        line += f"; the relay's clock runs {rate_ppm:+.1f} ±{error_ppm:.1f} ppm against ours"
    if figures.rtt_ms is not None:
        line += f"; round trip {_ms(figures.rtt_ms)}"
    return Group(table, Text(line, style=QUIET))


class _Chart:
    """A chart of delay over time. In each column a dot marks the median, and a line runs from the least delay
    to the greatest.

    The row below the chart shows the share of lost datagrams.
    """

    def __init__(self, title: str, way: TraceWay) -> None:
        self._title = title
        self._way = way

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        samples = self._way.samples
        delays = sorted(sample.delay_ms for sample in samples if sample.delay_ms is not None)
        if not delays:
            yield Text(f"{self._title}: nothing came", style=BAD)
            return
        columns = max(10, min(options.max_width - AXIS_COLUMNS - 1, CHART_COLUMNS_MAX))
        until_s = samples[-1].sent_s or 1.0
        cells = _in_columns(samples, until_s, columns)
        top = quantile(delays, 0.999) or delays[-1]
        bottom = delays[0] if delays[0] > top / 2 else 0.0
        step = (top - bottom) / CHART_ROWS or 1.0
        digits = _digits(step)
        yield Text(f"{self._title}: delay in ms over {until_s:.0f} s", style="bold")
        for row in reversed(range(CHART_ROWS)):
            axis = f"{bottom + (row + 1) * step:>{AXIS_COLUMNS - 2}.{digits}f} ┤"
            yield Text(axis, style=QUIET) + Text("").join(_mark(cell, bottom, step, row) for cell in cells)
        shares = [_share_lost(cell) for cell in cells]
        line = "".join(SHADES[ceil(share * (len(SHADES) - 1))] for share in shares)
        yield Text(f"{'lost':>{AXIS_COLUMNS - 2}} │", style=QUIET) + Text(line, style=BAD)


def _in_columns(samples: Sequence[Sample], until_s: float, columns: int) -> list[list[float | None]]:
    cells: list[list[float | None]] = [[] for _ in range(columns)]
    for sample in samples:
        cells[min(columns - 1, int(sample.sent_s / until_s * columns))].append(sample.delay_ms)
    return cells


def _mark(cell: Sequence[float | None], bottom: float, step: float, row: int) -> Text:
    """Return the mark for one row of a chart's column. Delays above the top row are shown in the top row.

    cell: the delays (ms) in the column; None for a lost datagram.
    """
    delays = sorted(delay for delay in cell if delay is not None)
    if not delays:
        return Text(" ")

    def row_of(delay: float) -> int:
        return min(CHART_ROWS - 1, max(0, int((delay - bottom) / step)))

    if row == row_of(quantile(delays, 0.5) or 0.0):
        return Text(DOT, style="cyan")
    return Text(RANGE if row_of(delays[0]) <= row <= row_of(delays[-1]) else " ", style=QUIET)


def _share_lost(cell: Sequence[float | None]) -> float:
    return sum(1 for delay in cell if delay is None) / len(cell) if cell else 0.0


def _digits(step: float) -> int:
    """Return the number of decimals at which figures that are `step` apart differ."""
    return min(3, max(0, ceil(-log10(step) + 0.5)))


class _Histogram:
    """A table of how often each delay was seen, with both directions side by side on one scale."""

    def __init__(self, trace: Trace) -> None:
        self._ways = [
            sorted(sample.delay_ms for sample in way.samples if sample.delay_ms is not None)
            for way in (trace.up, trace.down)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        everything = sorted(delay for way in self._ways for delay in way)
        if not everything:
            return
        low, high = everything[0], quantile(everything, 0.995) or everything[-1]
        step = (high - low) / BINS or 1.0
        digits = _digits(step)
        counts = [[0] * (BINS + 1) for _ in self._ways]
        for way, count in zip(self._ways, counts, strict=True):
            for delay in way:
                count[min(BINS, max(0, int((delay - low) / step)))] += 1
        table = Table(box=None, pad_edge=False, header_style=QUIET)
        table.add_column("delay, ms", justify="right", no_wrap=True, style=QUIET)
        for name in ("up", "down"):
            table.add_column(name, no_wrap=True, width=BAR_COLUMNS)
            table.add_column("", justify="right", no_wrap=True, style=QUIET)
        for at in range(BINS + 1):
            begin, end = (f"{low + edge * step:.{digits}f}" for edge in (at, at + 1))
            row = [f"{begin} to {end}" if at < BINS else f"over {begin}"]
            for way, count in zip(self._ways, counts, strict=True):
                row.append("█" * ceil(BAR_COLUMNS * count[at] / max(count)) if way else "")
                row.append(f"{count[at] / len(way):.1%}" if way else "")
            table.add_row(*row)
        yield table


def _number(about: Mapping[str, str | float], key: str) -> float:
    """Return a figure from a trace's header; 0 if it isn't a number, because anybody may have written the
    file."""
    value = about.get(key, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
