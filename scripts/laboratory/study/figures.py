"""Study figures: names all figures of the study and draws those for which there are data."""

from collections.abc import Sequence
from pathlib import Path

from laboratory.runs.rows import WHOLE, Minute
from laboratory.study.cells import Cell
from laboratory.study.groups import (
    Line,
    grid_lines,
    lines_of,
    profile_groups,
    transport_groups,
    variants,
)
from laboratory.study.plan import BY_TIMESTAMPS, SWEEPS
from laboratory.tables import plots

TABLES = {
    "grid": (
        "Delay and loss together: bad events, UDP with repair",
        "loss on each way, %; framed: the most that is coherent",
    ),
    "ahead": (
        "How much time a network needs: bad events, UDP with repair",
        "time from emission to due (schedule-ahead), ms; framed: the least that suffices",
    ),
    "lead": (
        "The lead by itself: bad events, UDP with repair",
        "lead, ms, with 500 ms of schedule-ahead; framed: the most that is coherent from the left",
    ),
}
"""Name -> (title, label of x), for the figures that are tables of shares."""
NAMES = (
    *(sweep.series for sweep in SWEEPS),
    *TABLES,
    "schemes",
    "profiles",
    "transports",
    "members",
    "spread",
)
"""Names of all figures of the study. A figure's file is NAME.png in the folder of the study's data."""


def draw_all(cells: Sequence[Cell], minutes: Sequence[Minute], folder: Path) -> set[str]:
    """Draw every figure for which there are data into `folder`; return the names of the files."""
    for name in NAMES:
        (folder / f"{name}.png").unlink(missing_ok=True)
    for sweep in SWEEPS:
        if any(cell.series == sweep.series for cell in cells):
            plots.sweep(
                cells, sweep.series, f"{sweep.title}: what becomes of events", sweep.label,
                folder / f"{sweep.series}.png", symlog=sweep.unit == " %",
            )  # fmt: skip
    grid = grid_lines(cells)
    if len(grid) > 1:
        columns = set.intersection(*({cell.x for cell in line} for _, line in grid[1:]))
        draw_table("grid", [(name, [c for c in line if c.x in columns]) for name, line in grid], folder)
    for name in ("ahead", "lead"):
        if lines := lines_of(cells, f"{name} "):
            draw_table(name, lines, folder)
    pairs = variants(cells, BY_TIMESTAMPS)
    panels = [
        (f"{sweep.what},{sweep.unit}", mine)
        for sweep in SWEEPS
        if (mine := [pair for pair in pairs if pair[0].series == sweep.series])
    ]
    if panels:
        title = "A judge, or timestamps alone: bad and divergent events, UDP with repair"
        plots.schemes(panels, title, folder / "schemes.png")
    for name, groups, title in (
        ("profiles", profile_groups(cells), "Named networks in virtual time"),
        ("transports", transport_groups(cells), "UDP and TCP with real processes (netlab)"),
    ):
        if groups:
            plots.dots(groups, f"{title}: bad and re-timed events", folder / f"{name}.png")
    if sizes := lines_of(cells, "members "):
        title = "Size of the room: bad events and spread, UDP with repair"
        plots.sizes(sizes, title, folder / "members.png")
    if any(minute.minute != WHOLE for minute in minutes):
        title = "An hour of clocks at +-50 ppm: spread of events, errors of clocks"
        plots.hour(minutes, title, folder / "spread.png")
    return {f"{name}.png" for name in NAMES if (folder / f"{name}.png").exists()}


def draw_table(name: str, lines: Sequence[Line], folder: Path) -> None:
    title, label = TABLES[name]
    columns = sorted({cell.x for _, line in lines for cell in line})
    plots.table_of_shares(lines, columns, title, label, folder / f"{name}.png", reverse=name == "ahead")
