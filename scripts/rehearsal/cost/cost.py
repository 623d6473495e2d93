"""Cost: measures the CPU time and memory of a jam by kind of process, and computes with distributions of
delays.

Three genuine Sonic Pis play 20 events a second each, through one relay. The cost of a process is its CPU time
as a share of the time played. A recorder is measured too for comparison: it only passes the same datagrams on
to scsynth.
"""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from rehearsal.proof.compare import compare, quantile
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import StageError
from rehearsal.rigs.stage import Stage

NAMES = ("anna", "bob", "cleo")
PER_S = 20
"""Events a second of each player: as many as a busy Sonic Pi sends."""
CODE = f"""
live_loop :steady do
  synth :beep, release: 0.02, amp: 0.1
  sleep 1.0 / {PER_S}
end
"""
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Delay:
    """A distribution of delays in ms."""

    p50_ms: float
    p99_ms: float
    samples: int


def delay_of(delays_ns: Iterable[int]) -> Delay:
    """Return the median and 99th percentile (nearest rank) of delays in ns. Raises StageError if there are
    none."""
    ordered = sorted(delays_ns)
    if not ordered:
        raise StageError("nothing was measured: no probe came through")
    return Delay(statistics.median(ordered) / 1e6, quantile(ordered, 0.99) / 1e6, len(ordered))


def less(delay: Delay, base: Delay) -> Delay:
    """Subtract the median of `base` from both percentiles of `delay`. base: the delay of a part of the same
    path."""
    return Delay(delay.p50_ms - base.p50_ms, delay.p99_ms - base.p50_ms, delay.samples)


def measure_cost(folder: Path, seconds: float) -> dict[str, Any]:
    """Let three Sonic Pis play at a steady rate for `seconds`, and return what was measured.

    That is the CPU time and memory of each kind of process, the rate of events, and how long (ms) before its
    due an event reaches scsynth.
    """
    with Stage() as stage:
        jam = Jam(stage, folder, NAMES)
        jam.start_relay()
        jam.boot()
        for performer in jam.performers.values():
            performer.run_code(CODE)
        stage.play_for(SETTLE_S)
        assert jam.relay is not None
        watched = {
            "relay": [psutil.Process(jam.relay.pid)],
            "bridge": [jam.bridge_of(name) for name in NAMES],
            "shim": [jam.shim_of(name) for name in NAMES],
            "recorder": [process for name in NAMES for process in recorders(jam, name)],
            **{
                program: [process for name in NAMES for process in named(jam, name, program)]
                for program in ("scsynth", "ruby")
            },
        }
        before = {kind: [cpu_s(process) for process in processes] for kind, processes in watched.items()}
        from_ns, from_s = time.time_ns(), time.monotonic()
        stage.play_for(seconds)
        passed_s, to_ns = time.monotonic() - from_s, time.time_ns()
        costs = {}
        for kind, processes in watched.items():
            took_s = [cpu_s(each) - began_s for each, began_s in zip(processes, before[kind], strict=True)]
            costs[kind] = {
                "cpu_percent": round(100 * statistics.median(took_s) / passed_s, 2),
                "rss_mb": round(statistics.median(each.memory_info().rss for each in processes) / 2**20, 1),
            }
        stage.play_for(0.5)
        comparison = compare(jam.recordings(), from_ns, to_ns)
    margins_ms = [margin.margin_ms for result in comparison.members.values() for margin in result.margins]
    return {
        "seconds": round(passed_s, 2),
        "events_per_s": round(comparison.events / passed_s / len(NAMES), 2),
        "coherent": comparison.coherent,
        "cost": costs,
        "in_hand_ms": {
            "p50": round(statistics.median(margins_ms), 1),
            "p1": round(quantile(sorted(margins_ms), 0.01), 1),
        },
    }


def recorders(jam: Jam, name: str) -> list[psutil.Process]:
    """Return the recorder processes of a performer. A child that becomes scsynth isn't among them."""
    return [
        process
        for process in jam.performers[name].processes()
        if any(part.endswith("recorder.py") for part in process.cmdline())
    ]


def named(jam: Jam, name: str, program: str) -> list[psutil.Process]:
    return [process for process in jam.performers[name].processes() if process.name() == program]


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
