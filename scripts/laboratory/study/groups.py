"""Groups: finds the cells that the study shows side by side, and names them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from laboratory.study.cells import Cell, counts, curve
from laboratory.study.intervals import difference_of
from laboratory.study.plan import (
    BASE_RTT_MS,
    BY_ITSELF,
    BY_TIMESTAMPS,
    PROFILE_NAMES,
    SWEEPS,
    loss_series,
)

Line = tuple[str, list[Cell]]
"""A name, and its cells by ascending x."""
Pair = tuple[Cell, Cell]
"""Two cells that differ in one condition only."""

NAMES = {
    "profile ": "{name}",
    "alone ": "`{name}`",
    "ahead ": "{name}, {x:g} ms to due",
    "lead ": "{name}, lead {x:g} ms",
    "sparse ": "{name}, {x:g} events/s",
    "loss at RTT ": "loss {x:g} %, RTT {name} ms",
    "delay": "RTT {x:g} ms",
}
"""Prefix of a cell's series -> the form of the cell's name. {name} is the rest of the series."""
VARIANTS = {BY_TIMESTAMPS: "by timestamps", BY_ITSELF: "lead by itself"}


def described(cell: Cell) -> str:
    """Return a cell's conditions in a few words, such as "loss 5 %" or "hotel-wifi, lead 200 ms"."""
    for prefix, words in VARIANTS.items():
        if cell.series.startswith(prefix):
            return f"{described(replace(cell, series=cell.series.removeprefix(prefix)))}, {words}"
    for prefix, form in NAMES.items():
        if cell.series.startswith(prefix):
            return form.format(name=cell.series.removeprefix(prefix), x=cell.x)
    units = {sweep.series: sweep.unit for sweep in SWEEPS}
    return f"{cell.series} {cell.x:g}{units.get(cell.series, '')}"


def lines_of(
    cells: Sequence[Cell], prefix: str, where: str = "virtual", mode: str = "udp-repair"
) -> list[Line]:
    """Return a line for each network of an experiment.

    prefix: the start of the experiment's series ("ahead ", "lead ", "members "). The network's text follows
    it.
    """
    names = in_order(cell.series.removeprefix(prefix) for cell in cells if cell.series.startswith(prefix))
    lines = [(name, curve(cells, where, prefix + name, mode)) for name in names]
    return [(name, line) for name, line in lines if line]


def grid_lines(cells: Sequence[Cell]) -> list[Line]:
    """Return a line for each round trip time: its cells in virtual time, by ascending loss.

    The base's round trip time comes first, then the others in ascending order.
    """
    prefix = "loss at RTT "
    rtts = {float(cell.series.removeprefix(prefix)) for cell in cells if cell.series.startswith(prefix)}
    lines = [
        (f"RTT {rtt:g} ms", curve(cells, "virtual", loss_series(rtt), "udp-repair"))
        for rtt in (BASE_RTT_MS, *sorted(rtts))
    ]
    return [(name, line) for name, line in lines if line]


def profile_groups(cells: Sequence[Cell]) -> list[Line]:
    """Return a line for each named network: its cells in virtual time, in all modes."""
    shown = [cell for cell in cells if cell.where == "virtual" and cell.series.startswith("profile ")]
    names = in_order(cell.series.removeprefix("profile ") for cell in shown)
    return [(name, [cell for cell in shown if cell.series == f"profile {name}"]) for name in names]


def transport_groups(cells: Sequence[Cell]) -> list[Line]:
    """Return a line for each network that netlab tried: its cells in all modes. Networks of the sweeps come
    first."""
    order = [sweep.series for sweep in SWEEPS]
    groups: dict[tuple[int, str, float], list[Cell]] = {}
    for cell in cells:
        if cell.where == "netlab":
            place = order.index(cell.series) if cell.series in order else len(order)
            groups.setdefault((place, cell.series, cell.x), []).append(cell)
    return [(described(group[0]), group) for _, group in sorted(groups.items(), key=lambda one: one[0])]


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of networks in the order of PROFILE_NAMES. Other names come last."""
    found = list(dict.fromkeys(names))
    return sorted(
        found, key=lambda name: PROFILE_NAMES.index(name) if name in PROFILE_NAMES else len(PROFILE_NAMES)
    )


def variants(cells: Sequence[Cell], prefix: str) -> list[Pair]:
    """Return pairs (usual cell, variant) for all places of all curves at which both were tried.

    prefix: the variant's series begins with it; one of VARIANTS.
    """
    usual = {(cell.where, cell.mode, cell.series, cell.x): cell for cell in cells}
    return [
        (usual[place], cell)
        for cell in cells
        if cell.series.startswith(prefix)
        and (place := (cell.where, cell.mode, cell.series.removeprefix(prefix), cell.x)) in usual
    ]


def modes(cells: Sequence[Cell], where: str, one: str, other: str) -> list[Pair]:
    """Return pairs (cell of mode `other`, cell of mode `one`) for all places of curves at which both were
    tried."""
    others = {(cell.series, cell.x): cell for cell in cells if (cell.where, cell.mode) == (where, other)}
    return [
        (others[cell.series, cell.x], cell)
        for cell in cells
        if (cell.where, cell.mode) == (where, one) and (cell.series, cell.x) in others
    ]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pairs of cells, compared by the share of one fault.

    less, more: pairs whose second cell has surely less, or surely more, of it. pairs: all pairs.
    """

    less: list[Pair]
    more: list[Pair]
    pairs: Sequence[Pair]


def compared(pairs: Sequence[Pair], figure: str = "bad") -> Comparison:
    """Compare pairs of cells by the 99 % interval of the difference between their shares.

    figure: the fault to compare, "bad", "divergent" or "retimed".
    """
    found: dict[bool, list[Pair]] = {True: [], False: []}
    for first, second in pairs:
        difference = difference_of(counts(second, figure), counts(first, figure))
        if not difference.holds(0.0):
            found[difference.value > 0].append((first, second))
    return Comparison(found[False], found[True], pairs)
