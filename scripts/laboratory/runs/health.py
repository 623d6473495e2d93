"""Health of a real run: finds out whether this machine itself made events late, and sums up CPU time.

A shell in part: `Watch` sleeps, `cpu_by_kind` reads the processes' times.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
from rehearsal.cost.stillwatch import naps

from laboratory.runs.players import RunFailed
from laboratory.star.decisionlog import UP, Log
from laboratory.star.star import Star

LAG_MS_MAX = 20.0
EMULATION_MS_MAX = 3.0
"""Greatest p99 (ms) of the emulator's error in a healthy run. LAG_MS_MAX is the limit for the feeders' lag.

Above either limit, this machine and not the network made events late.
"""
TOO_MUCH = "this machine has too much to do; run fewer at once"

TICKS_A_LOOK = 50
STALLED_SHARE_MAX = 0.25

KINDS = (
    "bin/jambridge",
    "bin/jamrelay",
    "bridge.shells.service",
    "bridge.shells.shim",
    "sink.py",
    "laboratory.runs.feeder",
)
"""Kinds of processes, as texts. A process is of the first kind whose text is in its command line."""


class Watch:
    """Records when this machine stands still: it sleeps with the bridges' priority, and a sleep lasts too
    long."""

    def __init__(self) -> None:
        self.stalls: list[tuple[int, int]] = []
        """Standstills of the machine: (start, end) in ns of CLOCK_REALTIME."""

    def sleep_until(self, at_ns: int, look: Callable[[], None]) -> None:
        """Sleep until an instant (ns of CLOCK_REALTIME) and record the standstills meanwhile.

        look: called after every TICKS_A_LOOK short sleeps. If it raises an exception, the sleep ends with
        that.
        """
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        try:
            for tick, stall in enumerate(naps(), 1):
                self.stalls += [stall] if stall else []
                if time.time_ns() >= at_ns:
                    break
                if tick % TICKS_A_LOOK == 0:
                    look()
        finally:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def check(state: dict[str, Any]) -> None:
    """Raise RunFailed if this machine made events late or lost datagrams. state: the figures of run.json."""
    lag_ms, error_ms = state["feeder_lag_ms_p99"], state["emulation_error_ms_p99"]
    if lag_ms is not None and lag_ms > LAG_MS_MAX:
        raise RunFailed(
            f"1 % of the notes were sent {lag_ms:.0f} ms late or more (at most {LAG_MS_MAX:.0f}): {TOO_MUCH}"
        )
    if error_ms is not None and error_ms > EMULATION_MS_MAX:
        raise RunFailed(
            f"1 % of the datagrams were {error_ms:.1f} ms later than the model says (at most "
            f"{EMULATION_MS_MAX:.0f}): {TOO_MUCH}"
        )
    if state["disturbed"] > STALLED_SHARE_MAX * (state["disturbed"] + state["events"]):
        raise RunFailed(
            f"{state['disturbed']} of {state['disturbed'] + state['events']} notes met one of the "
            f"{len(state['stalls_s'])} moments when this machine stood still: {TOO_MUCH}"
        )
    if state["unlogged"]:
        raise RunFailed(f"the kernel lost {state['unlogged']} datagrams in front of the emulator")


def emulation_error_ms(log: Log) -> float | None:
    """Return the p99 (ms) of the emulator's delay in writing datagrams; None if it wrote none.

    The delay is measured from the arrival that the model decided.
    """
    errors_s = (log.rows["written_s"] - log.rows["arrival_s"])[~np.isnan(log.rows["written_s"])]
    return float(np.quantile(errors_s, 0.99) * 1e3) if len(errors_s) else None


def bytes_up(log: Log, from_ns: int, to_ns: int) -> int:
    """Return the IP bytes that all members sent in [from_ns, to_ns), in ns of the emulation."""
    at_s = log.rows["at_s"]
    chosen = (log.rows["way"] == UP) & (at_s >= from_ns / 1e9) & (at_s < to_ns / 1e9)
    return int(log.rows["size"][chosen].sum())


def cpu_by_kind(star: Star) -> dict[str, float]:
    """Return kind of process -> CPU time (s) used so far. Processes of no kind in KINDS count as "other"."""
    taken: Counter[str] = Counter()
    for pid in star.processes():
        try:
            process = psutil.Process(pid)
            words = " ".join(process.cmdline())
            times = process.cpu_times()
        except psutil.Error:
            continue
        taken[next((kind for kind in KINDS if kind in words), "other")] += times.user + times.system
    return dict(taken)
