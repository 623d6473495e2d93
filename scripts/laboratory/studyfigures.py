"""Study figures: which figures the study has, drawn from its data; what wasn't measured has none."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from laboratory import figures
from laboratory.cells import Cell, curve
from laboratory.rows import WHOLE, Minute
from laboratory.studyplan import BASE_RTT_MS, BY_ITSELF, BY_TIMESTAMPS, PROFILE_NAMES, SWEEPS, loss_series
from relay.wire.sequence import Scheme


def draw_all(cells: Sequence[Cell], minutes: Sequence[Minute], folder: Path) -> set[str]:
    """Draw what there is data for; return the names of the files."""
    drawn: list[Path] = []
    for sweep in SWEEPS:
        if any(cell.series == sweep.series for cell in cells):
            drawn.append(
                figures.sweep(
                    cells, sweep.series, f"{sweep.title}: what becomes of events", sweep.label,
                    folder / f"{sweep.series}.png", symlog=sweep.unit == " %",
                )
            )  # fmt: skip
    if len(grid := grid_lines(cells)) > 1:
        columns = sorted(set.intersection(*({cell.x for cell in line} for _, line in grid[1:])))
        lines = [(name, [cell for cell in line if cell.x in columns]) for name, line in grid]
        drawn.append(
            figures.table_of_shares(
                lines, columns, "Delay and loss together: bad events, UDP with repair",
                "loss on each way, %; framed: the most that is coherent",
                folder / "grid.png", reverse=False,
            )
        )  # fmt: skip
    if ahead := ahead_lines(cells):
        columns = sorted({cell.x for _, line in ahead for cell in line})
        drawn.append(
            figures.table_of_shares(
                ahead, columns, "How much time a network needs: bad events, UDP with repair",
                "time from emission to due (schedule-ahead), ms; framed: the least that suffices",
                folder / "ahead.png", reverse=True,
            )
        )  # fmt: skip
    if lead := lead_lines(cells):
        columns = sorted({cell.x for _, line in lead for cell in line})
        drawn.append(
            figures.table_of_shares(
                lead, columns, "The lead by itself: bad events, UDP with repair",
                "lead, ms, with 500 ms of schedule-ahead; framed: the most that is coherent from the left",
                folder / "lead.png", reverse=False,
            )
        )  # fmt: skip
    panels = [
        (f"{sweep.what},{sweep.unit}", pairs)
        for sweep in SWEEPS
        if (pairs := scheme_pairs(cells, sweep.series))
    ]
    if panels:
        title = "A judge, or timestamps alone: bad and divergent events, UDP with repair"
        drawn.append(figures.schemes(panels, title, folder / "schemes.png"))
    if profiles := profile_groups(cells):
        title = "Named networks in virtual time: bad and re-timed events"
        drawn.append(figures.dots(profiles, title, folder / "profiles.png"))
    if transports := transport_groups(cells):
        title = "UDP and TCP with real processes (netlab): bad and re-timed events"
        drawn.append(figures.dots(transports, title, folder / "transports.png"))
    if sizes := size_lines(cells):
        title = "Size of the room: bad events and spread, UDP with repair"
        drawn.append(figures.sizes(sizes, title, folder / "members.png"))
    if any(minute.minute != WHOLE for minute in minutes):
        title = "An hour of clocks at +-50 ppm: spread of events, errors of clocks"
        drawn.append(figures.hour(minutes, title, folder / "spread.png"))
    return {path.name for path in drawn}


def grid_lines(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """Return the curves over loss at every round trip, in virtual time, by rising round trip."""
    prefix = "loss at RTT "
    rtts = sorted(
        {float(cell.series.removeprefix(prefix)) for cell in cells if cell.series.startswith(prefix)}
    )
    lines = [
        (f"RTT {rtt:g} ms", curve(cells, "virtual", loss_series(rtt), "udp-repair"))
        for rtt in (BASE_RTT_MS, *rtts)
    ]
    return [(name, line) for name, line in lines if line]


def ahead_lines(
    cells: Sequence[Cell], where: str = "virtual", mode: str = "udp-repair"
) -> list[tuple[str, list[Cell]]]:
    """Return the curves over the time from emission to due, a line for each network."""
    return lines_of(cells, where, "ahead ", mode)


def lead_lines(
    cells: Sequence[Cell], where: str = "virtual", mode: str = "udp-repair"
) -> list[tuple[str, list[Cell]]]:
    """Return the curves over the lead alone, a line for each network."""
    return lines_of(cells, where, "lead ", mode)


def scheme_pairs(cells: Sequence[Cell], series: str) -> list[tuple[Cell, Cell]]:
    """Return (judged, by timestamps) wherever both were tried on one experiment, by lab and rising x."""
    judged = {
        (cell.where, cell.mode, cell.x): cell
        for cell in cells
        if cell.series == series and cell.first.scheme is Scheme.JUDGED
    }
    stamped = [cell for cell in cells if cell.series == BY_TIMESTAMPS + series]
    return [(judged[place], cell) for cell in stamped if (place := (cell.where, cell.mode, cell.x)) in judged]


def auto_pairs(cells: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Return (fixed lead, lead that tunes itself) wherever both were tried on one experiment."""
    fixed = {(cell.where, cell.mode, cell.series, cell.x): cell for cell in cells}
    return [
        (fixed[place], cell)
        for cell in cells
        if cell.series.startswith(BY_ITSELF)
        and (place := (cell.where, cell.mode, cell.series.removeprefix(BY_ITSELF), cell.x)) in fixed
    ]


def size_lines(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """Return the curves over the number of members, a line for each network."""
    return lines_of(cells, "virtual", "members ", "udp-repair")


def lines_of(cells: Sequence[Cell], where: str, prefix: str, mode: str) -> list[tuple[str, list[Cell]]]:
    names = in_order(c.series.removeprefix(prefix) for c in cells if c.series.startswith(prefix))
    lines = [(name, curve(cells, where, prefix + name, mode)) for name in names]
    return [(name, line) for name, line in lines if line]


def profile_groups(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """Return the cells of every named network in virtual time."""
    shown = [cell for cell in cells if cell.where == "virtual" and cell.series.startswith("profile ")]
    names = in_order(cell.series.removeprefix("profile ") for cell in shown)
    return [(name, [cell for cell in shown if cell.series == f"profile {name}"]) for name in names]


def transport_groups(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """Return the cells of every network that real processes were tried on."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.where == "netlab":
            groups.setdefault(described(cell), []).append(cell)
    order = [sweep.series for sweep in SWEEPS]

    def place(group: tuple[str, list[Cell]]) -> tuple[int, str, float]:
        cell = group[1][0]
        return (order.index(cell.series) if cell.series in order else len(order), cell.series, cell.x)

    return sorted(groups.items(), key=place)


def in_order(names: Iterable[str]) -> list[str]:
    """Return profiles in the order of the plan, others behind them."""
    found = list(dict.fromkeys(names))
    return [*(name for name in PROFILE_NAMES if name in found), *(n for n in found if n not in PROFILE_NAMES)]


def described(cell: Cell) -> str:
    """Return what a cell was tried on, in a few words: "loss 5 %", "hotel-wifi", "hotel-wifi, 200 ms"."""
    units = {sweep.series: sweep.unit for sweep in SWEEPS}
    if cell.series.startswith(BY_TIMESTAMPS):
        return f"{described(replace(cell, series=cell.series.removeprefix(BY_TIMESTAMPS)))}, by timestamps"
    if cell.series.startswith(BY_ITSELF):
        return f"{described(replace(cell, series=cell.series.removeprefix(BY_ITSELF)))}, lead by itself"
    if cell.series.startswith("profile "):
        return cell.series.removeprefix("profile ")
    if cell.series.startswith("alone "):
        return f"`{cell.series.removeprefix('alone ')}`"
    if cell.series.startswith("ahead "):
        return f"{cell.series.removeprefix('ahead ')}, {cell.x:g} ms to due"
    if cell.series.startswith("lead "):
        return f"{cell.series.removeprefix('lead ')}, lead {cell.x:g} ms"
    if cell.series.startswith("sparse "):
        return f"{cell.series.removeprefix('sparse ')}, {cell.x:g} events/s"
    if cell.series.startswith("loss at RTT "):
        return f"loss {cell.x:g} %, RTT {cell.series.removeprefix('loss at RTT ')} ms"
    if cell.series == "delay":
        return f"RTT {cell.x:g} ms"
    return f"{cell.series} {cell.x:g}{units.get(cell.series, '')}"
