"""The relay by itself: the CPU time that many rooms take, and the delay from an event to its verdict.

`rehearsal.cost.relayload` makes the traffic. Each case has a relay of its own, started as users start it
(`jamrelay serve`). If another checkout is given, both are measured alternately, so that other load of the
machine affects both.
"""

import asyncio
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.cost.relayload import Load, Traffic
from rehearsal.cost.relaypeers import installed, measure_broker
from rehearsal.rigs.jam import RELAY_READY
from rehearsal.rigs.stage import Stage, wait_for_text
from relay.wire.quantile import quantile

CASES = (
    ("1 x 4 at 20/s", 1, 4, 20.0),
    ("1 x 31 at 20/s", 1, 31, 20.0),
    ("64 x 4, silent", 64, 4, 0.0),
    ("16 x 4 at 20/s", 16, 4, 20.0),
    ("32 x 4 at 20/s", 32, 4, 20.0),
    ("64 x 4 at 20/s", 64, 4, 20.0),
)
SPREAD_S = 0.25
"""Part of each second (s) over which bridges spread their reports, by slot."""
HERE = Path(__file__).resolve().parents[3]
SERVE = "from relay.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one case, measured once or several times.

    tree: the checkout ("this" or "other") or the name of the broker. CPU time, delays and deliveries are
    medians over the measurements. sent, missing and retimed are sums over them. p99_ms_worst: the greatest
    p99 of any.
    """

    case: str
    tree: str
    cpu_percent: float
    p50_ms: float
    p99_ms: float
    p99_ms_worst: float
    sent: int
    missing: int
    retimed: int
    deliveries_per_cpu_s: int
    """Deliveries per second of CPU time of the relay or broker. An event counts as one delivery for each
    member that got it."""


def measure_relay(folder: Path, seconds: float, against: Path | None, pairs: int) -> list[dict[str, Any]]:
    """Measure all cases, `seconds` each. Return a row for each case and checkout.

    against: another checkout to measure too; None: only this one. pairs: how often each case is measured.
    """
    trees = {"this": HERE} | ({"other": against.resolve()} if against is not None else {})
    rows = []
    for case, rooms, members, events_per_s in CASES:
        loads: dict[str, list[Load]] = {name: [] for name in trees}
        for pair in range(pairs):
            for name in sorted(trees, reverse=bool(pair % 2)):
                place = folder / f"{rooms}-{members}-{events_per_s:.0f}-{pair}-{name}"
                place.mkdir()
                # A checkout whose bridges report all at once is measured with reports that come all at once.
                spread = any((trees[name] / "relay").glob("due*work.py"))
                traffic = (rooms, members, events_per_s, SPREAD_S if spread else 0.0)
                loads[name].append(_run(place, trees[name], seconds, *traffic))
        rows += [_row(case, name, found, members, seconds) for name, found in loads.items()]
    return rows


def measure_brokers(folder: Path, seconds: float, pairs: int) -> list[dict[str, Any]]:
    """Measure each installed broker in the cases with one room. Return a row for each case and broker.

    seconds: length of a measurement. pairs: how often each case is measured.
    """
    rows = []
    for case, rooms, members, events_per_s in CASES:
        for broker in installed() if rooms == 1 else []:
            loads = []
            for pair in range(pairs):
                place = folder / f"{members}-{pair}-{broker.program}"
                place.mkdir()
                loads.append(measure_broker(broker, place, members, events_per_s, seconds))
            rows.append(_row(case, broker.program, loads, members, seconds))
    return rows


def _row(case: str, tree: str, found: list[Load], members: int, seconds: float) -> dict[str, Any]:
    p99 = [quantile(sorted(load.delays_ms), 0.99) or 0.0 for load in found]
    row = Row(
        case,
        tree,
        round(median(load.cpu_percent for load in found), 1),
        round(median(quantile(sorted(load.delays_ms), 0.5) or 0.0 for load in found), 2),
        round(median(p99), 2),
        round(max(p99), 2),
        sum(load.sent for load in found),
        sum(load.missing for load in found),
        sum(load.retimed for load in found),
        round(
            median(
                members * (load.sent - load.missing) / (seconds * max(load.cpu_percent, 0.1) / 100)
                for load in found
            )
        ),
    )
    return asdict(row)


def _run(
    place: Path, tree: Path, seconds: float, rooms: int, members: int, events_per_s: float, spread_s: float
) -> Any:
    log = place / "relay.log"
    with Stage() as stage:
        process = stage.spawn(
            [sys.executable, "-P", "-c", SERVE, "serve", "--host", "127.0.0.1", "--port", "0",
             "--members-max", "31", "--data-dir", place / "relay"], log,
            env={"PYTHONPATH": str(tree)},
        )  # fmt: skip
        port = int(wait_for_text(log, RELAY_READY).split(",")[0])
        traffic = Traffic(port, rooms=rooms, members=members, events_per_s=events_per_s, spread_s=spread_s)
        return asyncio.run(traffic.run(place, seconds, process.pid))


def show_relay(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the rows as a table."""
    table = Table(title="the relay alone, by rooms x members at events/s each", box=None)
    table.add_column("case", no_wrap=True)
    table.add_column("relay", no_wrap=True)
    for heading in ("CPU %", "p50 ms", "p99 ms", "worst", "sent", "missing", "moved", "per CPU-s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    if not installed():
        console.print("no broker to compare with: install redis-server or mosquitto for that")
