"""Netlab's view: prints a network's figures as asked for, as decided by the model and as executed, with the
verdict."""

import math
from collections.abc import Mapping, Sequence

from rehearsal.rigs.terminal import table
from rich.console import Console

from laboratory.star.selfcheck import SelfCheck
from laboratory.star.star import Star
from laboratory.star.wayreport import AskedShare, WayReport
from relay.netmodel.networks import Profile


def show_profiles(profiles: Mapping[str, Profile], console: Console) -> None:
    """Print the named networks with the source of their figures."""
    for profile in profiles.values():
        console.print(f"[bold]{profile.name}[/]  {profile.source}", highlight=False)


def show_reports(reports: Sequence[WayReport], star: Star, console: Console) -> None:
    """Print a row for each way that carried a datagram, its faults in words, and the emulator's counts."""
    if not reports:
        console.print("no datagram went through the network: nothing to check")
        return
    rows = [(one.name, _verdict(one), one.datagrams, *_cells(one, one.error_ms)) for one in reports]
    console.print(table(("way", "verdict", "datagrams", *COLUMNS), rows, words=2))
    for one in reports:
        for fault in one.faults + one.lateness:
            console.print(f"NOT OK  {one.name}: {fault}", markup=False, highlight=False)
    if star.unlogged:
        console.print(f"NOT OK  the kernel dropped {star.unlogged} datagrams beside the emulator")
    if star.ending is not None:
        ending = star.ending
        console.print(
            f"seed {star.seed}; emulator {ending.cpu_s / ending.seconds:.1%} of a processor; without a route "
            f"{ending.no_route}; still on their way at the end {ending.in_flight}",
            highlight=False,
        )
    if star.ready is not None and star.realtime and not star.ready.realtime:
        console.print("the emulator was refused SCHED_FIFO: its delays follow this machine's load")
    console.print(LEGEND, highlight=False)


COLUMNS = ("asked", "decided", "error", "lost", "bursts", "full/out", "copies", "overtaken")
LEGEND = (
    "delays in ms, p50/p99: asked = delay and jitter in theory, without queue, spikes, order; decided = what "
    "the model drew; error = done minus decided. Loss in %: asked, got, its 99 % interval (Wilson)."
)


WHY_STEADY = (
    "The seed fixes the dice: with as many datagrams the losses are the same in every run, so a pass isn't "
    "luck that could turn. The model was asked again about every datagram and had to decide alike to the "
    "last bit. Done is seen from outside: from the clock before sending to the kernel's receive stamp."
)


def show_selfcheck(results: Mapping[str, SelfCheck], seed: int, console: Console) -> None:
    """Print a row for each way of each network that was checked, the faults in words, and the verdict."""
    rows = [
        (
            name, way.report.name.rpartition("/")[2], _verdict(way.report), f"{result.rate:.0f}",
            f"{result.cpu_share:.0%}", *_cells(way.report, way.error_ms[:2]),
        )
        for name, result in results.items()
        for way in result.ways
    ]  # fmt: skip
    console.print(table(("network", "way", "verdict", "per s", "cpu", *COLUMNS), rows, words=3))
    for name, result in results.items():
        for way in result.ways:
            for fault in way.report.faults + way.report.lateness:
                console.print(f"NOT OK  {name} {way.report.name}: {fault}", markup=False, highlight=False)
    good = sum(result.is_ok for result in results.values())
    console.print(
        f"{good} of {len(results)} networks as asked; seed {seed}. {WHY_STEADY}",
        highlight=False,
    )
    console.print(LEGEND, highlight=False)


def _cells(one: WayReport, error_ms: tuple[float, ...]) -> tuple[str, ...]:
    return (
        _pair(one.delay_asked_ms),
        _pair(one.delay_decided_ms),
        _pair(error_ms, 2),
        _share(one.loss),
        _share(one.bursts),
        f"{one.fates['queue-full']}/{one.fates['outage']}",
        str(one.copied),
        str(one.overtaken),
    )


def _pair(values: tuple[float, ...], places: int = 1) -> str:
    return "/".join("-" if math.isnan(value) else f"{value:.{places}f}" for value in values)


def _share(one: AskedShare | None) -> str:
    if one is None or (one.asked == 0.0 and one.got == 0.0):
        return "-"
    asked, got, low, high = (100 * value for value in (one.asked, one.got, one.low, one.high))
    return f"{asked:.3g} {got:.2g} [{low:.2g}-{high:.2g}]"


def _verdict(one: WayReport) -> str:
    return "ok" if one.is_ok else "NOT OK"
