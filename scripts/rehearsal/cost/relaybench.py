"""The relay by itself: the CPU time that many rooms take, and the delay from an event to its verdict.

`rehearsal.cost.relayload` makes the traffic. Each case has a relay of its own, started as users start it
(`jamrelay serve`). If another checkout or a compiled core is given, all are measured alternately, so that
other load of the machine affects all.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
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
CORE = """
from rehearsal.cost.relaycore import cost_us
print(cost_us(1, 4, 20.0, 40.0), cost_us(64, 4, 20.0, 2.0))
"""

WORDS = """\
p50, p99, missing, moved, asked: at the first member of each room, who opens and checks everything, and asks
for what is missing. others: datagrams to each of the other members, who only count them, in % of those to the
first. dropped: by the bench's own sockets. bench: its own CPU; near 100 % nothing is known of the relay."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one case, measured once or several times. `Load` explains the figures.

    tree: the checkout ("this", "compiled" or "other") or the name of the broker. CPU time, delays and
    deliveries are medians over the measurements. sent, missing, retimed, asked and dropped are sums over
    them. p99_ms_worst: the greatest p99 of any.
    """

    case: str
    tree: str
    cpu_percent: float
    bench_percent: float
    p50_ms: float
    p99_ms: float
    p99_ms_worst: float
    sent: int
    missing: int
    retimed: int
    asked: int
    dropped: int
    others_percent: int
    """`Load.others_share` in %, the least of all runs."""
    deliveries_per_cpu_s: int
    """Deliveries per second of CPU time of the relay or broker. An event counts as one delivery for each
    member that got it."""


def core_us(tree: Path) -> tuple[float, float]:
    """Return the CPU time (us) of an event in the core alone, of one room of four and of 64 such rooms.

    tree: the checkout whose core is measured.
    """
    path = os.pathsep.join(map(str, (tree, HERE / "scripts")))
    found = subprocess.run(
        [sys.executable, "-P", "-c", CORE], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one_us, many_us = map(float, found.stdout.split())
    return one_us, many_us


def measure_relay(
    folder: Path, seconds: float, trees: Mapping[str, Path], pairs: int, rooms_only: int | None
) -> list[dict[str, Any]]:
    """Measure all cases, `seconds` each. Return a row for each case and checkout.

    trees: the checkouts, by name. pairs: how often each case is measured. rooms_only: measure only the cases
    with so many rooms; None: all.
    """
    rows = []
    for case, rooms, members, events_per_s in CASES:
        if rooms_only not in (None, rooms):
            continue
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

    seconds: length of a measurement. pairs: how often each case is measured. Figures that only relays have
    are 0.
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
        round(median(load.bench_percent for load in found), 1),
        round(median(quantile(sorted(load.delays_ms), 0.5) or 0.0 for load in found), 2),
        round(median(p99), 2),
        round(max(p99), 2),
        sum(load.sent for load in found),
        sum(load.missing for load in found),
        sum(load.retimed for load in found),
        sum(load.asked for load in found),
        sum(load.dropped for load in found),
        round(100 * min(load.others_share for load in found)),
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
    headings = (
        "CPU %",
        "bench %",
        "p50 ms",
        "p99 ms",
        "worst",
        "sent",
        "missing",
        "moved",
        "asked",
        "dropped",
    )
    for heading in (*headings, "others %", "per CPU-s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    console.print(WORDS)
    if not installed():
        console.print("no broker to compare with: install redis-server or mosquitto for that")
